"""A gunicorn worker on eventlet, which gunicorn itself has none of since version 26.

Owns accepting, TLS and the end; requests are read and answered by gunicorn's own base class for green workers, so that its
settings (limits, proxy protocol, forwarded headers, hooks, logs, keep-alive) mean what they mean everywhere.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import time
from typing import Any

import eventlet
import eventlet.corolocal
import eventlet.event
import eventlet.green.ssl
import eventlet.hubs
import eventlet.patcher
import eventlet.wsgi
from eventlet.greenio import GreenSocket
from gunicorn.sock import ssl_context
from gunicorn.workers.base_async import AsyncWorker

from engineio_green.workers.base import GreenDraining

HANDSHAKE_SECONDS = 30.0
SENDFILE_BYTES = 1 << 17
# Of an accept: the peer has gone meanwhile; another worker was faster.
HARMLESS = (errno.ECONNABORTED, errno.EAGAIN, errno.EPROTO)


class Socket(GreenSocket):  # type: ignore[misc]  # the library has no types
    """A listener, and what it accepts: eventlet's socket with the one method that gunicorn needs besides."""

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send *count* bytes of *file*, or all, from *offset* on. Returns how many that were."""
        sent = 0
        while count is None or sent < count:
            size = SENDFILE_BYTES if count is None else min(SENDFILE_BYTES, count - sent)
            try:
                done = os.sendfile(self.fileno(), file.fileno(), offset + sent, size)
            except BlockingIOError:
                eventlet.hubs.trampoline(self.fd, write=True, timeout=self.gettimeout(), timeout_exc=TimeoutError)
                continue
            if done == 0:
                break
            sent += done
        return sent


class RequestTimeout(eventlet.Timeout):  # type: ignore[misc]  # the library has no types
    """Bounds the wait for a connection's next request, silently.

    eventlet looks for timers before it looks for what has arrived, so that after a moment's delay a request that came in time
    would find its connection closed; a client can't repeat a POST. Such a one is read, however late.
    """

    def __init__(self, sock: Any, seconds: float | None) -> None:
        self._sock = sock
        self._waiting = eventlet.getcurrent()
        super().__init__(seconds, False)

    def start(self) -> RequestTimeout:
        """Begin the wait. Called by the constructor, and once more for what is just about to be read."""
        if self.seconds is not None:
            self.timer = eventlet.hubs.get_hub().schedule_call_global(self.seconds, self._expire)
        return self

    def _expire(self) -> None:
        poll = eventlet.patcher.original("select").poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        if poll.poll(0):
            self.start()
        else:
            self._waiting.throw(self)


class EventletWorker(GreenDraining, AsyncWorker):  # type: ignore[misc]  # the library has no types
    """``gunicorn -k engineio_green.workers.EventletWorker -w 1 module:app``"""

    sockets: list[Any]

    def init_process(self) -> None:
        """Patch the process, before the application is imported. Called in the worker, right after the fork."""
        eventlet.hubs.use_hub()  # what an application that was loaded before the fork may have made belongs to the parent
        eventlet.monkey_patch()
        self.sockets = [Socket(listener.FAMILY, fileno=listener.sock.detach()) for listener in self.sockets]
        super().init_process()

    def run(self) -> None:
        """Accept until the worker's end, then wait for the requests under way."""
        self._over = eventlet.event.Event()
        self._connection = eventlet.corolocal.local()  # that each green thread serves
        self._tls = ssl_context(self.cfg) if self.cfg.is_ssl else None
        self.listen_for_end()
        pool = eventlet.GreenPool(self.worker_connections)
        acceptors = [eventlet.spawn(self._accept, listener, pool) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._over.wait(timeout=1.0)
        for acceptor, listener in zip(acceptors, self.sockets, strict=True):
            acceptor.kill()
            listener.close()
        end = time.monotonic() + self.cfg.graceful_timeout
        while pool.running() and time.monotonic() < end:
            self.notify()
            eventlet.sleep(0.1)

    def on_drained(self) -> None:
        self._over.send()
        super().on_drained()

    def notify(self) -> None:
        super().notify()
        if self.ppid != os.getppid():
            self.log.info("The parent process is gone, so this worker ends: %s", self)
            sys.exit(0)

    def _accept(self, listener: Socket, pool: Any) -> None:
        while True:
            try:
                client, address = listener.accept()
            except OSError as exc:
                if exc.errno not in HARMLESS:
                    self.log.error("a connection could not be accepted: %s", exc)
                    eventlet.sleep(0.5)  # out of descriptors, most likely: some may come free
                continue
            pool.spawn_n(self.handle, listener, client, address)  # waits while there are too many

    def handle(self, listener: Socket, client: Any, addr: Any) -> None:
        """Serve one connection until it ends, in its green thread."""
        if self._tls is not None:
            client = self._greet(client, addr)
            if client is None:
                return
        self._connection.sock = client
        super().handle(listener, client, addr)

    def _greet(self, client: Any, address: Any) -> Any:
        """Make a TLS connection of *client*. Returns ``None`` when it can't speak TLS, or does not in time."""
        plain = client
        try:
            with eventlet.Timeout(HANDSHAKE_SECONDS, TimeoutError):
                client = eventlet.green.ssl.GreenSSLSocket(
                    plain,
                    server_side=True,
                    do_handshake_on_connect=False,
                    suppress_ragged_eofs=self.cfg.suppress_ragged_eofs,
                    _context=self._tls,
                )
                client.do_handshake()
            return client
        except (OSError, EOFError) as exc:  # ssl.SSLError is an OSError
            self.log.debug("no TLS with %s: %s", address, exc)
            client.close()
            return None

    def timeout_ctx(self) -> Any:
        """Return what bounds the wait for the next request of a connection that is kept alive."""
        return RequestTimeout(self._connection.sock, self.cfg.keepalive or None)

    def is_already_handled(self, respiter: Any) -> bool:
        """Tell whether the application has done everything itself, as eventlet's own websockets do."""
        if getattr(eventlet.wsgi.WSGI_LOCAL, "already_handled", False):
            raise StopIteration
        return bool(super().is_already_handled(respiter))

    # Signals come in whichever green thread runs, the hub's own included, where nothing may wait: what they ask for is
    # done in a green thread of its own.

    def handle_quit(self, sig: int, frame: Any) -> None:
        eventlet.spawn(super().handle_quit, sig, frame)

    def handle_usr1(self, sig: int, frame: Any) -> None:
        eventlet.spawn(super().handle_usr1, sig, frame)
