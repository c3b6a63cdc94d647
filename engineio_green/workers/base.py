"""What makes a gunicorn worker drain: it counts as alive until its clients have been told.

gunicorn ends a worker by setting its ``alive`` to false: on SIGTERM, on a reload, after ``max_requests``. Here that only
rings a bell. The worker goes on as before, held polls are answered and new handshakes refused, and when the last client has
left or the time is up, ``alive`` turns false and gunicorn's own end takes its course. Works for any WSGI worker that runs
in threads or greenlets, because ``threading`` and ``socket`` are the model's own once it has patched them.

Owns when a worker drains, and for how long. Must not know how.
"""

from __future__ import annotations

import _socket
import socket
import sys
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import engineio_green

# What a worker's own end may take after the drain: gunicorn looks at `alive` and at the requests under way once a second
# each, and gives those that it kills another second. The arbiter kills the worker when the graceful timeout is over.
END_SECONDS = 3.0
# Who edits code waits for the new worker.
RELOADER_SECONDS = 2.0
SPREAD_SECONDS = 5.0
# For a request that the client of an idle connection may just be sending.
LINGER_SECONDS = 0.5

if TYPE_CHECKING:

    class _Worker:
        """What is used here of ``gunicorn.workers.base.Worker``."""

        cfg: Any
        log: Any
        pid: Any
        max_requests: int

        def run(self) -> None: ...

        def handle(self, *args: Any) -> Any: ...

        def handle_request(self, *args: Any) -> Any: ...

        def handle_http2(self, *args: Any, **kwargs: Any) -> None: ...

else:
    _Worker = object


class Draining(_Worker):
    """To be mixed in before a worker class of gunicorn."""

    _alive = True
    _bell: socket.socket | None = None
    _leaving = False

    @property
    def alive(self) -> bool:
        return self._alive

    @alive.setter
    def alive(self, value: bool) -> None:
        # Called by signal handlers, in any greenlet: one byte, which always finds room, so that nothing waits.
        if value or self._bell is None:
            self._alive = value
        elif not self._leaving:
            self._leaving = True
            self.max_requests = sys.maxsize  # reached, and logged with every request from here on
            self._bell.send(b"!")

    def run(self) -> None:
        self.listen_for_end()
        super().run()

    def listen_for_end(self) -> None:
        """Wait for the bell beside the worker's main loop, in a thread of the model."""
        self._bell, ear = socket.socketpair()
        threading.Thread(target=self._wait_for_end, args=(ear,), name="drain", daemon=True).start()

    def on_drained(self) -> None:
        """Called once ``alive`` has turned false. Ends connections that are only kept alive, which gunicorn would wait for."""
        while True:  # as long as the process lives
            time.sleep(LINGER_SECONDS)
            for sock in self.idle_sockets():
                _end_reading(sock)

    def idle_sockets(self) -> Iterable[Any]:
        """Return the sockets of connections that are between two requests."""
        return ()

    def _wait_for_end(self, ear: socket.socket) -> None:
        ear.recv(1)
        begin = time.monotonic()
        try:
            self._drain()
        except Exception:
            self.log.exception("the clients could not be told that the worker ends")
        finally:
            spent = time.monotonic() - begin
            # What gunicorn waits for the requests under way comes on top, and must not take more than what is left. With less
            # than 2 s its gevent worker would look only once.
            self.cfg.set("graceful_timeout", max(int(self.cfg.graceful_timeout - spent - END_SECONDS), 2))
            self._alive = False
            self.on_drained()

    def _drain(self) -> None:
        graceful = float(self.cfg.graceful_timeout)
        seconds = graceful - min(END_SECONDS + 0.5, graceful / 2)
        if self.cfg.reload:
            seconds = min(seconds, RELOADER_SECONDS)
        left = engineio_green.drain_all(seconds, SPREAD_SECONDS)
        if left:
            self.log.info("Worker (pid: %s) has cut off %d clients that did not leave in %.1f s", self.pid, left, seconds)


class GreenDraining(Draining):
    """The same for gunicorn's green workers, where every connection has a greenlet."""

    def listen_for_end(self) -> None:
        self._idle: set[Any] = set()
        super().listen_for_end()

    def idle_sockets(self) -> Iterable[Any]:
        return list(self._idle)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection until it ends."""
        self._idle.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._idle.discard(client)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Answer one request of a connection."""
        self._idle.discard(sock)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            self._idle.add(sock)

    def handle_http2(self, listener: Any, client: Any, *args: Any, **kwargs: Any) -> None:
        """Serve an HTTP/2 connection (gunicorn 25): it may be in the midst of a request at any time."""
        self._idle.discard(client)
        super().handle_http2(listener, client, *args, **kwargs)


def _end_reading(sock: Any) -> None:
    """Let who reads from *sock* find its end, behind what has arrived. Below any TLS, which knows no half of an end."""
    below = getattr(sock, "_sock", sock)  # gevent's sockets have the real one inside
    try:
        if isinstance(below, _socket.socket):
            _socket.socket.shutdown(below, socket.SHUT_RD)
        else:
            below.shutdown(socket.SHUT_RD)
    except OSError:
        pass  # it has gone by itself
