"""gunicorn's gevent workers, with a drain before their end."""

from __future__ import annotations

from typing import Any

from gunicorn.workers.ggevent import GeventPyWSGIWorker as StockPyWSGIWorker
from gunicorn.workers.ggevent import GeventWorker as StockGeventWorker
from gunicorn.workers.ggevent import PyWSGIHandler

from engineio_green.workers.base import GreenDraining


class GeventWorker(GreenDraining, StockGeventWorker):  # type: ignore[misc]  # the library has no types
    """``gunicorn -k engineio_green.workers.GeventWorker -w 1 module:app``"""


class GeventPyWSGIWorker(GreenDraining, StockPyWSGIWorker):  # type: ignore[misc]  # the library has no types
    """The same on gevent's own HTTP server: ``-k engineio_green.workers.GeventPyWSGIWorker``"""

    def listen_for_end(self) -> None:
        super().listen_for_end()
        self.wsgi_handler = type("Handler", (_Handler,), {"idle": self._idle})


class _Handler(PyWSGIHandler):  # type: ignore[misc]  # the library has no types
    """Tells the worker when its connection waits for a request; it reads them itself."""

    idle: set[Any]

    def read_requestline(self) -> Any:
        sock = self.socket
        self.idle.add(sock)
        try:
            return super().read_requestline()
        finally:
            self.idle.discard(sock)
