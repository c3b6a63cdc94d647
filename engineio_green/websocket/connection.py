"""One websocket on one non-blocking socket: reads messages, writes frames, closes cleanly.

Owns the socket, what could not be written yet, and the steps of the close. Must not know sessions or packets: its *owner*
gets told. Methods that end in ``_locked`` want the caller to hold the owner's lock.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from engineio_green.websocket.channel import Owner, StreamChannel
from engineio_green.websocket.stream import Message, Stream

if TYPE_CHECKING:
    from engineio_green.drivers.base import Driver

READ_SIZE = 65536
# How long the peer may take to end TCP after a close that it did not expect, so that our close frame is not lost to a reset.
LINGER_SECONDS = 2.0


class Connection(StreamChannel):
    """See the module's text. The driver calls ``run``, ``on_blocked`` and ``on_writable``, the owner everything else.

    :param read_ahead: what the HTTP server had already read; it comes first.
    """

    __slots__ = (
        "_read_ahead",
        "_unsent",
        "attachment",
        "driver",
        "hangup",
        "sock",
        "unsent_bytes",
        "watch",
    )

    def __init__(self, sock: Any, stream: Stream, driver: Driver, owner: Owner, read_ahead: bytes = b"") -> None:
        super().__init__(stream, owner)
        self.sock = sock
        self.driver = driver
        self.watch: Any = None  # the driver's
        self.attachment: Any = None  # the wake-up of the request that must not return before the connection has closed
        self.hangup = False  # the driver knows that the end follows what is to be read
        self._read_ahead = read_ahead
        self._unsent: list[bytes] = []
        self.unsent_bytes = 0  # what the kernel has not taken yet
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass  # a Unix socket

    # --- called by the driver ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """There is something to read: runs in a worker, may block in a handler."""
        self.owner.on_readable(self)

    def on_blocked(self) -> None:
        self.owner.on_blocked()

    def on_writable(self) -> None:
        """The socket takes data again. Never blocks."""
        with self.owner.lock:
            if not self.closed and self._unsent:
                self._drain_locked()

    # --- reading ---------------------------------------------------------------------------------------------------------

    def read_locked(self) -> list[Message]:
        """Read once, without blocking. Returns complete messages; sets ``ended`` when no more will come."""
        if self.closed:
            return []
        if self._read_ahead:
            data, self._read_ahead = self._read_ahead, b""
            self.driver.read_again(self)
        else:
            try:
                data = self.sock.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return []
            except OSError:
                data = b""
            if data and (len(data) == READ_SIZE or self.hangup):
                self.driver.read_again(self)
        if not data:
            self.ended = True
            self.stream.feed_eof()
            self.close_socket_locked()
            return []
        return self._take_in_locked(data)

    def pause(self) -> None:
        self.driver.pause(self)

    def resume(self) -> None:
        self.driver.resume(self)

    @property
    def has_buffered(self) -> bool:
        """Whether there may be something to read that the kernel does not know of any more."""
        return bool(self._read_ahead) or self.attachment is not None

    # --- writing ---------------------------------------------------------------------------------------------------------

    def write_locked(self, data: bytes) -> None:
        """Send *data* now as far as the kernel takes it; the rest goes out when the socket is writable again."""
        if self.closed:
            return
        if not self._unsent:
            try:
                sent = self.sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._lost_locked()
                return
            if sent == len(data):
                return
            self._unsent.append(data[sent:])
            self.unsent_bytes = len(data) - sent
            self.driver.watch_writable(self)
            return
        self._unsent.append(data)
        self.unsent_bytes += len(data)

    def _drain_locked(self) -> None:
        data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._lost_locked()
            return
        self.unsent_bytes -= sent
        self._unsent = [data[sent:]] if sent < len(data) else []
        if self._unsent:
            return
        self.driver.unwatch_writable(self)
        self.owner.on_drained_locked()
        if self.stream.ending:
            self._half_close_locked()

    def _lost_locked(self) -> None:
        """Writing has failed: let the reading side find the end, so that there is one place where a session ends."""
        self._unsent, self.unsent_bytes = [], 0
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.owner.on_lost_locked(self)

    # --- closing ---------------------------------------------------------------------------------------------------------

    def _half_close_locked(self) -> None:
        """Everything is said. After a complete handshake close at once, else wait for the peer to have read it."""
        if self._unsent or self.closed:
            return  # goes on in _drain_locked
        if self.stream.close_received:
            self.close_socket_locked()
            return
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close_socket_locked()

    def close_socket_locked(self) -> None:
        """Give the descriptor back, now."""
        if self.closed:
            return
        self.closed = self.ended = True
        self._unsent, self.unsent_bytes = [], 0
        self.driver.release(self)
        if self.attachment is not None:
            self.attachment.wake()

    def on_deadline(self, now: float) -> None:
        """The peer had its time to close."""
        with self.owner.lock:
            self.close_socket_locked()
