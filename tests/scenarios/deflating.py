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
        self._deflater: Any = None
        self._inflater: Any = None

    # sending

    def deflate(self, payload: bytes) -> bytes:
        accepted = self.accepted or {}
        if self._deflater is None or "client_no_context_takeover" in accepted:
            self._deflater = zlib.compressobj(wbits=-int(accepted.get("client_max_window_bits") or 15))
        data: bytes = self._deflater.compress(payload) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(TAIL)
        return data[: -len(TAIL)]

    def send(self, message: str | bytes, compress: bool = True, fragments: int = 1) -> int:
        """Send a message, in several frames if so wished; returns its size on the wire."""
        opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
        if compress:
            payload = self.deflate(payload)
        step = max(-(-len(payload) // fragments), 1)
        parts = [payload[at : at + step] for at in range(0, len(payload), step)] or [b""]
        for index, part in enumerate(parts):
            rsv = 4 if compress and index == 0 else 0
            last = index == len(parts) - 1
            self.connection.send(encode_frame(opcode if index == 0 else 0, part, last, rsv))
        return len(payload)

    # receiving

    def inflate(self, payload: bytes) -> bytes:
        accepted = self.accepted or {}
        if self._inflater is None or "server_no_context_takeover" in accepted:
            self._inflater = zlib.decompressobj(wbits=-int(accepted.get("server_max_window_bits") or 15))
        data: bytes = self._inflater.decompress(payload + TAIL)
        return data

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
            data = self.inflate(payload) if compressed else payload
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
