"""A websocket whose messages uWSGI takes out of their frames, with the manners of a non-blocking socket.

Owns the one greenlet that may call uWSGI's functions: the request's own, which waits in :meth:`NativeSocket.wait` for as long as
the websocket lives. uWSGI gives messages without their kind, and keeps the parts of unfinished ones in one place for all clients.
So it does not read from the client but from a pair of sockets, and gets there what has been looked at: whole messages, whose
headers tell the kind. With the first frame of another sort the stream of this package takes over for good. Sending needs no
greenlet, it goes to the client at once; only uWSGI's own pings come out of the pair. Must not know what the messages mean.
"""

from __future__ import annotations

import _socket
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

import gevent

from engineio_green.websocket import uwsgi_request
from engineio_green.websocket.stream import frame_size

if TYPE_CHECKING:
    from engineio_green.drivers.gevent import GeventDriver
    from engineio_green.websocket.connection import Connection

# What is read at one time: the pair of sockets holds more than that.
READ_SIZE = 65536
READ = 1  # of the hub's watchers
TEXT, BINARY, PONG = 0x81, 0x82, 0x8A  # the first byte of a whole message's frame, and of an answer to uWSGI's ping
_SHORT, _MEDIUM, _LONG = Struct("!BB4x").pack, Struct("!BBH4x").pack, Struct("!BBQ4x").pack


class Header(NamedTuple):
    """The beginning of a data frame."""

    kind: int
    length: int


class Sieve:
    """What of a client's bytes uWSGI may see, and the headers of the messages that it is going to give, in order."""

    def __init__(self) -> None:
        self.frames: deque[Header] = deque()
        self._rest = b""  # the beginning of a header
        self._missing = 0  # of the frame that was let through last

    def feed(self, data: bytes, max_size: int) -> tuple[bytes, bytes]:
        """Return what uWSGI may see of what has come, and what it must not: from the first frame that is no whole message on."""
        data = self._rest + data
        position, end = self._missing, len(data)
        while position < end:
            size = frame_size(data, position, end)
            if size is None:
                break
            kind, (start, length) = data[position], size
            longest = {TEXT: max_size, BINARY: max_size, PONG: 125}.get(kind, -1)
            if length > longest or not data[position + 1] & 0x80:
                return data[:position], data[position:]
            if kind != PONG:
                self.frames.append(Header(kind, length))
            position = start + length
        self._missing = max(position - end, 0)
        self._rest = data[position:]
        return data[: min(position, end)], b""


class NativeSocket:
    """See the module's text; it is the connection's socket, and what its request waits on.

    ``wait`` is for the request's greenlet; any thread may call the other methods.
    """

    def __init__(self, driver: GeventDriver) -> None:
        import uwsgi

        self.connection: Connection | None = None
        self._driver = driver
        self._receive: Any = uwsgi.websocket_recv_nb
        self._server_descriptor: int = uwsgi.connection_fd()
        self._pair, theirs = _socket.socketpair()
        self._pair.setblocking(False)
        theirs.setblocking(False)
        try:
            uwsgi.chunked_read_nb()  # drops what came right behind the request, which nobody has looked at
        except OSError:
            pass
        self._sock = uwsgi_request.take(theirs.fileno())
        theirs.close()
        self._sieve = Sieve()
        self._handed_over = False  # uWSGI sees nothing any more
        self._received: list[bytes] = []  # as masked frames
        self._ended = False  # no more messages come
        self._closed = False
        self._waiting = False  # the request's greenlet is in wait()
        self._reading = True
        self._wakeup = driver.create_wakeup()

    # --- the socket ----------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> int:
        return int(self._sock.send(data))

    def recv(self, size: int) -> bytes:
        if not self._received:
            if self._ended:
                return b""
            raise BlockingIOError
        data = b"".join(self._received)
        self._received = [data[size:]] if len(data) > size else []
        if not self._received:
            self.wake()  # there may be more
        return data[:size]

    def fileno(self) -> int:
        return int(self._sock.fileno())

    def setsockopt(self, *args: Any) -> None:
        self._sock.setsockopt(*args)

    def shutdown(self, how: int) -> None:
        self._sock.shutdown(how)

    def close(self) -> None:
        """Let the request return, and close what it has watched."""
        self._closed = True
        if not self._waiting:
            self._end()
        self.wake()

    def _end(self) -> None:
        self._sock.close()
        self._pair.close()

    # --- the request ---------------------------------------------------------------------------------------------------

    def switch_reading(self, on: bool) -> None:
        """Go on reading, or stop. Called by the hub."""
        self._reading = on
        self.wake()

    def wake(self) -> None:
        self._wakeup.wake()

    def wait(self, timeout: float | None) -> None:
        """Serve the websocket until it is closed. Called in the request's greenlet."""
        watcher = gevent.get_hub().loop.io(self._sock.fileno(), READ)
        self._waiting = True
        try:
            while not self._closed:
                wakeup = self._wakeup = self._driver.create_wakeup()  # what wakes it from here on ends the next wait
                if self._read():
                    watcher.start(wakeup.wake)
                wakeup.wait(None)
                watcher.stop()  # it would wake again and again while nobody reads
        finally:
            self._waiting = False
            watcher.stop()
            watcher.close()
            self._end()
            uwsgi_request.put_husk(self._server_descriptor)

    def _read(self) -> bool:
        """Read once, unless what was read before has not been taken. Returns whether to watch for more."""
        if not self._reading or self._received:
            return False
        if not self._ended:
            try:
                data = self._sock.recv(READ_SIZE)
            except BlockingIOError:
                return True
            except OSError:
                data = b""
            if not data:
                self._ended = True
            elif self._handed_over:
                self._received.append(data)
            else:
                self._parse(data)
        if self._received or self._ended:
            assert self.connection is not None
            self._driver.run_soon(self.connection)
            return False
        return True

    def _parse(self, data: bytes) -> None:
        """Let uWSGI take *data* apart, as far as it may."""
        connection, frames = self.connection, self._sieve.frames
        assert connection is not None
        seen, rest = self._sieve.feed(data, connection.stream.max_size)
        if seen:
            self._pair.send(seen)
        while not self._ended:
            try:
                message = self._receive()
            except OSError:
                self._ended = True
                break
            if not frames or not (message or frames[0].length == 0):
                break
            self._received.append(_masked_frame(frames.popleft().kind, message))
        if rest:
            self._handed_over = True
            self._received.append(rest)
        else:
            self._pass_on_pings(connection)

    def _pass_on_pings(self, connection: Connection) -> None:
        try:
            frames = self._pair.recv(READ_SIZE)
        except OSError:
            return
        with connection.owner.lock:
            if not connection.stream.ending:
                connection.write_locked(frames)


def _masked_frame(kind: int, payload: bytes) -> bytes:
    """Return *payload* as a client would have sent it, with a mask that changes nothing."""
    length = len(payload)
    if length < 126:
        return _SHORT(kind, 0x80 | length) + payload
    if length < 65536:
        return _MEDIUM(kind, 0x80 | 126, length) + payload
    return _LONG(kind, 0x80 | 127, length) + payload
