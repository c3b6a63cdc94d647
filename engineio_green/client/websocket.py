"""One websocket of a client, on websocket-client: messages in and out, in as few system calls as they need.

websocket-client makes the connection (proxies, TLS, handshake) and reads what is unusual: fragments, control frames, frames
that come in pieces. A whole, unfragmented data frame is taken out of the buffer here, because that is nearly every frame.
Owns the socket. Must not know sessions or packets. Rules: RFC 6455. This module imports `websocket`: only what has made a
client may import it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any, Protocol

import websocket
from urllib3.util import wait_for_read, wait_for_write

from engineio_green.client.errors import Lost, explain
from engineio_green.core.client_request import refusal
from engineio_green.core.session import Reason
from engineio_green.exceptions import ConnectionError
from engineio_green.websocket.stream import BINARY, CLOSE, TEXT, Message, apply_mask  # type: ignore[attr-defined]  # theirs, found once
from engineio_green.websocket.tls import TlsSocket, is_tls

READ_SIZE = 65536
_HEADER_16, _HEADER_64 = Struct("!BBH").pack, Struct("!BBQ").pack
_LENGTH_16 = Struct("!H").unpack_from
_FINAL, _MASKED = 0x80, 0x80
_TEXT, _BINARY = _FINAL | TEXT, _FINAL | BINARY
_GOODBYE = b"\x03\xe8"  # 1000, section 7.4.1


def encode_masked(kind: int, payload: bytes) -> bytes:
    """Return one whole frame as a client has to send it (section 5.3)."""
    length = len(payload)
    mask = os.urandom(4)
    if length < 126:
        header = bytes((_FINAL | kind, _MASKED | length))
    elif length < 65536:
        header = _HEADER_16(_FINAL | kind, _MASKED | 126, length)
    else:
        header = _HEADER_64(_FINAL | kind, _MASKED | 127, length)
    return header + mask + apply_mask(payload, mask)


def encode_message(message: Message) -> bytes:
    """Return *message* as one frame."""
    return encode_masked(TEXT, message.encode()) if isinstance(message, str) else encode_masked(BINARY, message)


class Owner(Protocol):
    """Who is asked by a wire, in the thread that reads or writes."""

    def tick(self, wire: Wire) -> bool:
        """Its socket was silent for a while. Returns whether to go on."""

    def flush_control(self, wire: Wire) -> None:
        """See to it that :meth:`Wire.write` is called soon, by one thread at a time. Does not block."""


class Wire:
    """See the module's text. One thread reads, one writes at a time."""

    def __init__(self, url: str, options: dict[str, Any], owner: Owner) -> None:
        base: Any = options.pop("class_", websocket.WebSocket)
        reading = type("BufferedWebSocket", (_Buffered, base), {})
        address = url.split("/")[2]
        try:
            self._library: Any = websocket.create_connection(url, class_=reading, **options)
        except websocket.WebSocketBadStatusException as exc:
            raise refusal(exc.status_code, exc.resp_body or b"") from None
        except (websocket.WebSocketException, OSError) as exc:
            raise explain(exc, address) from None
        except ValueError as exc:
            raise ConnectionError(f"{address}: {exc}", kind="protocol") from None
        if is_tls(self._library.sock):
            self._library.sock = PatientTlsSocket(self._library.sock)
        self._socket: Any = self._library.sock
        self._owner = owner
        self.control: list[bytes] = []
        """Pongs and the answer to a close, to be written."""
        self._library.send_frame = self._send_control
        self._unfinished = False  # the library has read a part of a message

    @property
    def cookies(self) -> str | None:
        """The Set-Cookie headers of the handshake, as websocket-client gives them."""
        found: str | None = (self._library.headers or {}).get("set-cookie")
        return found

    def set_silence(self, seconds: float) -> None:
        """Ask *tick* after so much silence, while reading and while writing."""
        self._library.settimeout(seconds)

    # --- reading ---------------------------------------------------------------------------------------------------

    def read(self) -> list[Message]:
        """Wait for messages and return those that are complete, in order. Raises :class:`Lost`."""
        library = self._library
        while True:
            try:
                if self._unfinished:
                    return [self._read_slowly()]
                if not library.buffer:
                    library.fill()
                messages, used = _take_whole(library.buffer)
                if used:
                    library.buffer = library.buffer[used:]
                if messages:
                    return messages
                return [self._read_slowly()]
            except websocket.WebSocketTimeoutException:
                if not self._owner.tick(self):
                    raise Lost(Reason.PING_TIMEOUT, "the server has fallen silent") from None
            except (websocket.WebSocketProtocolException, UnicodeDecodeError) as exc:
                raise Lost(Reason.TRANSPORT_ERROR, f"the server broke the websocket protocol: {exc}") from exc
            except (websocket.WebSocketException, OSError, ValueError, AttributeError) as exc:
                # The last two: the socket was closed while it was being read.
                raise Lost(Reason.TRANSPORT_CLOSE, str(exc) or "the connection was closed") from exc

    def _read_slowly(self) -> Message:
        """One message through the library, which goes on where a timeout has interrupted it."""
        self._unfinished = True
        kind, data = self._library.recv_data()
        self._unfinished = False
        if kind == CLOSE:
            raise Lost(Reason.TRANSPORT_CLOSE, "the server closed the websocket")
        return str(data, "utf-8") if kind == TEXT else bytes(data)

    # --- writing ---------------------------------------------------------------------------------------------------

    def write(self, messages: Iterable[Message], farewell: bool = False) -> None:
        """Send *messages* in one go, and with *farewell* a close frame. Blocks while the peer does not read.

        Raises ``OSError`` when the connection is lost.
        """
        data = b"".join([encode_message(message) for message in messages])
        if self.control:
            control, self.control = self.control, []
            data = b"".join(control) + data
        if farewell:
            data += encode_masked(CLOSE, _GOODBYE)
        rest: Any = data
        while rest:
            try:
                sent = self._socket.send(rest)
            except TimeoutError:
                if not self._owner.tick(self):
                    raise
                continue
            if sent == len(rest):
                return
            rest = memoryview(rest)[sent:]

    def _send_control(self, frame: Any) -> None:
        """What the library wants to send while it reads."""
        self.control.append(frame.format())
        self._owner.flush_control(self)

    def abort(self, last: Iterable[Message] = ()) -> None:
        """End the connection at once; the reader gets to know. *last* is sent if that needs no waiting."""
        try:
            if last:
                self._socket.settimeout(0)
                self._socket.send(b"".join([encode_message(message) for message in last]))
        except OSError:
            pass
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # gone already

    def close(self) -> None:
        """Give the descriptor back. Only for the reading thread, or when there is none."""
        self._library.shutdown()
        try:
            self._socket.close()
        except OSError:
            pass


class _Buffered:
    """Reads what there is instead of the few bytes that are wanted at the moment. In front of a websocket class."""

    buffer = b""
    sock: Any  # of the class behind it

    def fill(self) -> None:
        """Wait for data. Not by the library's own reading, which closes a descriptor that another thread may be writing to."""
        try:
            data = self.sock.recv(READ_SIZE)
        except TimeoutError as exc:
            raise websocket.WebSocketTimeoutException(str(exc)) from None
        if not data:
            raise websocket.WebSocketConnectionClosedException("the connection was closed")
        self.buffer += data

    def _recv(self, size: int) -> bytes:
        if not self.buffer:
            self.fill()
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found


class PatientTlsSocket(TlsSocket):
    """One that waits, with the TLS layer free for the other direction meanwhile, and raises ``TimeoutError``."""

    __slots__ = ("_timeout",)

    def __init__(self, sock: Any) -> None:
        self._timeout: float | None = sock.gettimeout()
        super().__init__(sock)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        return self._timeout

    def recv(self, size: int) -> bytes:
        while True:
            try:
                return super().recv(size)
            except BlockingIOError:
                self._wait(wait_for_read)

    def send(self, data: Any) -> int:
        while True:
            try:
                sent = super().send(data)
            except BlockingIOError:
                sent = 0
            if sent:
                return sent
            self._wait(wait_for_write)

    def _wait(self, wait: Callable[..., bool]) -> None:
        try:
            if wait(self, self._timeout):
                return
        except ValueError as exc:  # a descriptor of -1
            raise OSError(f"the connection was closed ({exc})") from None
        raise TimeoutError("the server is silent")


def _take_whole(data: bytes) -> tuple[list[Message], int]:
    """Return the messages that are whole, unfragmented frames at the beginning of *data*, and the bytes that they take."""
    messages: list[Message] = []
    position, end = 0, len(data)
    while end - position >= 2:
        kind, length = data[position], data[position + 1]
        start = position + 2
        if length == 126 and end - start >= 2:
            (length,) = _LENGTH_16(data, start)
            start += 2
        elif length > 125:  # longer ones, and those that are masked, which they must not be, are the library's
            break
        stop = start + length
        if stop > end or kind not in (_TEXT, _BINARY):
            break
        payload = data[start:stop]
        messages.append(payload.decode() if kind == _TEXT else payload)
        position = stop
    return messages, position
