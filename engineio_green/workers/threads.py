"""gunicorn's threaded worker, with a drain before its end, closing off its main loop, and threads that polls don't use up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gunicorn.workers.gthread import TConn
from gunicorn.workers.gthread import ThreadWorker as StockThreadWorker

from engineio_green.workers.base import Draining
from engineio_green.workers.pool import Pool

# Since 26 gunicorn closes a connection by waiting, for 2 s at most, until the client has closed it too: in its main loop,
# where nothing is accepted and no kept connection is read meanwhile.
CLOSES_PATIENTLY = "graceful" in TConn.close.__code__.co_varnames


class ThreadWorker(Draining, StockThreadWorker):  # type: ignore[misc]  # the library has no types
    """``gunicorn -k engineio_green.workers.ThreadWorker --threads 8 -w 1 module:app``"""

    def get_thread_pool(self) -> Pool:
        """Return ``--threads`` threads for requests, and more for those that only wait: held polls, websockets on TLS."""
        return Pool(self.cfg.threads)

    def handle(self, conn: Any) -> Any:
        """Serve one request, in a thread of the pool. A false result means that the connection is to be closed."""
        keep = super().handle(conn)
        if CLOSES_PATIENTLY and not keep:
            conn.close(graceful=True)
            conn.close = _already_closed
        return keep

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End at once. Past gunicorn's own, which takes the pool's lock: this signal may have interrupted who holds it."""
        super(StockThreadWorker, self).handle_quit(sig, frame)

    def idle_sockets(self) -> Iterable[Any]:
        return [conn.sock for conn in list(getattr(self, "keepalived_conns", ()))]  # before 24 nothing waits for them


def _already_closed(graceful: bool = False) -> None:
    """What is left for the main loop to do."""
