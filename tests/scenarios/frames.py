"""Websocket frames made and read by hand, so that a test can send wrong ones and notices every wrong answer.

Owns RFC 6455 as a client sees it. Must not know Engine.IO, nor use any library that the server uses.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import time
from typing import NamedTuple

from .wire import TIMEOUT, Connection, ConnectionLost, Headers

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True


class WebSocketClosed(AssertionError):
    """The server closed the websocket where the test expected a message."""

    def __init__(self, code: int | None, reason: str = ""):
        super().__init__(f"closed with {code} {reason}")
        self.code = code
        self.reason = reason


def new_key() -> str:
    return base64.b64encode(os.urandom(16)).decode()


def accept_of(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def upgrade_headers(key: str, version: str = "13") -> Headers:
    return [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", version),
    ]


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    if not size:
        return b""
    keys = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def encode_frame(opcode: int, payload: bytes, fin: bool = True, rsv: int = 0, mask: bool = True) -> bytes:
    """One client frame; `rsv` holds the three reserved bits, `mask=False` makes a faulty one."""
    first = (0x80 if fin else 0) | (rsv << 4) | opcode
    bit = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + apply_mask(payload, key)


class WebSocket:
    """An open websocket on a `Connection`; whatever the server gets wrong in a frame fails the test."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.pongs: list[bytes] = []

    # sending

    def send_raw(self, data: bytes) -> None:
        self.connection.send(data)

    def send_frame(self, opcode: int, payload: bytes = b"", fin: bool = True, rsv: int = 0, mask: bool = True) -> None:
        self.send_raw(encode_frame(opcode, payload, fin, rsv, mask))

    def send(self, *messages: str | bytes) -> None:
        """Messages as one frame each, all in one write."""
        frames = [encode_frame(TEXT, m.encode()) if isinstance(m, str) else encode_frame(BINARY, m) for m in messages]
        self.send_raw(b"".join(frames))

    # receiving

    def receive_frame(self, timeout: float = TIMEOUT) -> Frame:
        deadline = time.monotonic() + timeout
        first, second = self.connection.take(2, timeout)
        assert not first & 0x70, "a reserved bit is set"
        assert not second & 0x80, "a server frame is masked"
        fin, opcode, size = bool(first & 0x80), first & 0x0F, second & 0x7F
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), f"unknown opcode {opcode}"
        if opcode >= CLOSE:
            assert fin, "a fragmented control frame"
            assert size < 126, "an oversize control frame"
        if size == 126:
            (size,) = struct.unpack("!H", self.connection.take(2, deadline - time.monotonic()))
            assert size > 125, "length not in its shortest form"
        elif size == 127:
            (size,) = struct.unpack("!Q", self.connection.take(8, deadline - time.monotonic()))
            assert size > 0xFFFF, "length not in its shortest form"
        return Frame(opcode, self.connection.take(size, deadline - time.monotonic()), fin)

    def receive(self, timeout: float = TIMEOUT) -> str | bytes:
        """The next message. Answers control pings, keeps pongs in `pongs`, raises WebSocketClosed on a close."""
        deadline = time.monotonic() + timeout
        kind, parts = None, []
        while True:
            frame = self.receive_frame(deadline - time.monotonic())
            if frame.opcode == CLOSE:
                raise WebSocketClosed(*self._answer_close(frame.payload))
            if frame.opcode == PING:
                self.send_frame(PONG, frame.payload)
            elif frame.opcode == PONG:
                self.pongs.append(frame.payload)
            else:
                assert (kind is None) == (frame.opcode != CONTINUATION), "fragments out of order"
                kind = frame.opcode if kind is None else kind
                parts.append(frame.payload)
                if frame.fin:
                    data = b"".join(parts)
                    return data.decode("utf-8", "strict") if kind == TEXT else data

    def receive_many(self, count: int, timeout: float = TIMEOUT) -> list[str | bytes]:
        deadline = time.monotonic() + timeout
        return [self.receive(deadline - time.monotonic()) for _ in range(count)]

    def readable(self, timeout: float) -> bool:
        return self.connection.readable(timeout)

    # closing

    def _answer_close(self, payload: bytes) -> tuple[int | None, str]:
        code, reason = decode_close(payload)
        try:
            self.send_frame(CLOSE, payload[:2])
        except OSError:
            pass  # the server need not wait for the answer to its own close frame
        return code, reason

    def expect_close(self, timeout: float = TIMEOUT) -> int | None:
        """Read on until the server's close frame, answer it, see the TCP connection end cleanly; the close code."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.receive(deadline - time.monotonic())
        except WebSocketClosed as closed:
            self.connection.expect_end(max(deadline - time.monotonic(), 0.1))
            return closed.code

    def expect_gone(self, timeout: float = TIMEOUT) -> None:
        """The server ends the connection, with or without a close frame; messages until then are dropped."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.receive(deadline - time.monotonic())
        except (WebSocketClosed, ConnectionLost, ConnectionError):
            return

    def close(self, code: int = 1000) -> int | None:
        """The closing handshake from our side; returns the code that the server answers."""
        self.send_frame(CLOSE, struct.pack("!H", code))
        return self.finish_close()

    def finish_close(self, timeout: float = TIMEOUT) -> int | None:
        """After our close frame: see the server's, and the clean end of the TCP connection."""
        deadline = time.monotonic() + timeout
        while (frame := self.receive_frame(deadline - time.monotonic())).opcode != CLOSE:
            pass
        rest = self.connection.expect_end(max(deadline - time.monotonic(), 0.1))
        assert rest == b"", "bytes behind the close frame"
        return decode_close(frame.payload)[0]

    def drop(self) -> None:
        """End the TCP connection without a close frame."""
        self.connection.close()

    def abort(self) -> None:
        self.connection.abort()


def decode_close(payload: bytes) -> tuple[int | None, str]:
    if not payload:
        return None, ""
    assert len(payload) >= 2, "a close frame with half a code"
    return struct.unpack("!H", payload[:2])[0], payload[2:].decode("utf-8", "strict")
