"""A websocket client that compresses (RFC 7692), on zlib alone, and sees how many bytes each message was on the wire.

Owns the offer, the window and the context of both directions. Must not know Engine.IO, nor use any library that the server
uses.
"""

from __future__ import annotations

import struct
import time
import zlib
from typing import Any, NamedTuple

from .client import Client
from .frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    WebSocketClosed,
    accept_of,
    decode_close,
    encode_frame,
    new_key,
    upgrade_headers,
)
from .wire import TIMEOUT, Headers

OFFER = "permessage-deflate; client_max_window_bits"
COMPRESSED = 0x40
TAIL = b"\x00\x00\xff\xff"


class Received(NamedTuple):
    data: str | bytes
    compressed: bool
    size: int
    """Of the payload, as it came."""


class Codec:
    """Deflates and inflates as a client must that was `accepted` with these parameters."""

    def __init__(self, accepted: dict[str, str | None]):
        self.accepted = accepted
        self._deflater: Any = None
        self._inflater: Any = None

    def deflate(self, payload: bytes) -> bytes:
        if self._deflater is None or "client_no_context_takeover" in self.accepted:
            self._deflater = zlib.compressobj(wbits=-int(self.accepted.get("client_max_window_bits") or 15))
        data: bytes = self._deflater.compress(payload) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(TAIL)
        return data[: -len(TAIL)]

    def inflate(self, payload: bytes) -> bytes:
        if self._inflater is None or "server_no_context_takeover" in self.accepted:
            self._inflater = zlib.decompressobj(wbits=-int(self.accepted.get("server_max_window_bits") or 15))
        data: bytes = self._inflater.decompress(payload + TAIL)
        return data

    def encode(self, message: str | bytes, fragments: int = 1) -> tuple[list[bytes], int]:
        """A compressed message as frames, and the size of their payloads."""
        opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
        payload = self.deflate(payload)
        return in_frames(opcode, payload, fragments, 4), len(payload)


def in_frames(opcode: int, payload: bytes, fragments: int, rsv: int = 0) -> list[bytes]:
    """About as many frames as `fragments`; the reserved bits stand on the first one."""
    step = max(-(-len(payload) // fragments), 1)
    parts = [payload[at : at + step] for at in range(0, len(payload), step)] or [b""]
    last = len(parts) - 1
    return [encode_frame(0 if index else opcode, part, index == last, 0 if index else rsv) for index, part in enumerate(parts)]


class DeflatingSocket:
    """An open websocket whose handshake offered compression; `accepted` holds the parameters that the server answered."""

    def __init__(
        self, client: Client, target: str, offer: str = OFFER, headers: Headers | None = None, receive_buffer: int | None = None
    ):
        self.connection = client.connect(receive_buffer)
        key = new_key()
        request = [*upgrade_headers(key), ("Sec-WebSocket-Extensions", offer), *(headers or [])]
        self.connection.send_request("GET", target, request)
        self.response = self.connection.read_response()
        assert self.response.status == 101, f"{self.response.status} {self.response.body[:200]!r}"
        assert self.response.header("Sec-WebSocket-Accept") == accept_of(key)
        self.accepted = parameters_of(self.response.header("Sec-WebSocket-Extensions"))
        self.codec = Codec(self.accepted or {})

    # sending

    def deflate(self, payload: bytes) -> bytes:
        return self.codec.deflate(payload)

    def send(self, message: str | bytes, compress: bool = True, fragments: int = 1) -> int:
        """Send a message, in several frames if so wished; returns its size on the wire."""
        if compress:
            frames, size = self.codec.encode(message, fragments)
        else:
            opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
            frames, size = in_frames(opcode, payload, fragments), len(payload)
        for frame in frames:
            self.connection.send(frame)
        return size

    # receiving

    def receive_detailed(self, timeout: float = TIMEOUT) -> Received:
        """The next message. This server does not fragment."""
        deadline = time.monotonic() + timeout
        while True:
            opcode, compressed, payload = self._receive_frame(deadline)
            if opcode == CLOSE:
                raise WebSocketClosed(*decode_close(payload))
            if opcode == PING:
                self.connection.send(encode_frame(PONG, payload))
                continue
            assert opcode in (TEXT, BINARY), f"opcode {opcode}"
            data = self.codec.inflate(payload) if compressed else payload
            return Received(data.decode("utf-8", "strict") if opcode == TEXT else data, compressed, len(payload))

    def _receive_frame(self, deadline: float) -> tuple[int, bool, bytes]:
        first, second = self.connection.take(2, deadline - time.monotonic())
        assert first & 0x80, "a fragment"
        assert not first & 0x30, "a reserved bit is set"
        assert not second & 0x80, "a server frame is masked"
        size = second
        if size >= 126:
            width, form = (2, "!H") if size == 126 else (8, "!Q")
            (size,) = struct.unpack(form, self.connection.take(width, deadline - time.monotonic()))
        compressed = bool(first & COMPRESSED)
        assert not compressed or (self.accepted is not None and first & 0x0F < CLOSE), "compression nobody agreed on"
        return first & 0x0F, compressed, self.connection.take(size, deadline - time.monotonic())

    def receive(self, timeout: float = TIMEOUT) -> str | bytes:
        return self.receive_detailed(timeout).data


def parameters_of(header: str | None) -> dict[str, str | None] | None:
    """The parameters of the one extension that was accepted; None when there is none."""
    if header is None:
        return None
    name, *parameters = [part.strip() for part in header.split(";")]
    assert name == "permessage-deflate"
    found: dict[str, str | None] = {}
    for parameter in parameters:
        key, equals, value = parameter.partition("=")
        assert key not in found, f"{key} twice"
        found[key] = value if equals else None
    return found
