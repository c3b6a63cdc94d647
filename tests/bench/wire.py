"""Bytes on the wire for the load generator: requests and masked frames made beforehand, replies told apart by arithmetic.

It owns nothing but functions of bytes. It knows websocket framing (RFC 6455 section 5.2) as far as a well-behaved
server uses it, and trusts the server on the rest: this is a load, not a conformance test.
"""

from __future__ import annotations

import os

TEXT, BINARY, CLOSE = 1, 2, 8
MASK = b"\x37\xfa\x21\x3d"
KEY = "c2l4dGVlbiBieXRlcyEhIQ=="


class Unexpected(Exception):
    """The server sent something that no scenario asks for; the measurement is void."""


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """One client frame, masked."""
    size = len(payload)
    repeated = (MASK * (size // 4 + 1))[:size]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
    return _header(size, opcode, 0x80) + MASK + body


def plain(payload: bytes, opcode: int = TEXT) -> bytes:
    """One server frame, as the reply must look."""
    return _header(len(payload), opcode, 0) + payload


def _header(size: int, opcode: int, mask_bit: int) -> bytes:
    if size < 126:
        return bytes((0x80 | opcode, mask_bit | size))
    if size < 65536:
        return bytes((0x80 | opcode, mask_bit | 126)) + size.to_bytes(2, "big")
    return bytes((0x80 | opcode, mask_bit | 127)) + size.to_bytes(8, "big")


PONG = masked(b"3")
GOODBYE = masked((1000).to_bytes(2, "big"), CLOSE)


def message(text: str) -> bytes:
    """The payload of a text frame that carries `text` as an Engine.IO message."""
    return b"4" + text.encode()


def frame_at(data: bytes, position: int) -> tuple[int, int, int] | None:
    """(opcode, start of the payload, end of the frame) of the frame that begins at `position`.

    None when its header is not complete yet; the payload itself may still be on its way.
    """
    available = len(data) - position
    if available < 2:
        return None
    first, size = data[position], data[position + 1]
    if not first & 0x80 or first & 0x70 or size & 0x80:
        raise Unexpected(f"frame header {data[position : position + 2]!r}")
    start = position + 2
    if size > 125:
        width = 2 if size == 126 else 8
        if available < 2 + width:
            return None
        size = int.from_bytes(data[start : start + width], "big")
        start += width
    return first & 0x0F, start, start + size


def get(query: str) -> bytes:
    return _request("GET", query)


def post(query: str, body: bytes) -> bytes:
    return _request("POST", query, "Content-Type: text/plain;charset=UTF-8", f"Content-Length: {len(body)}") + body


def upgrade(query: str) -> bytes:
    return _request(
        "GET",
        query,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
    )


def _request(method: str, query: str, *headers: str) -> bytes:
    lines = [f"{method} /engine.io/?EIO=4&{query} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*", *headers, "", ""]
    return "\r\n".join(lines).encode()


def response_head(head: bytes) -> tuple[int, int | None, bool]:
    """(status, length of the body, connection stays) of a response; None as length: chunked; -1: until the end."""
    lowered = head.lower()
    status = int(head[9:12])
    at = lowered.find(b"\r\ncontent-length:")
    if at >= 0:
        end = lowered.find(b"\r\n", at + 2)
        length: int | None = int(lowered[at + 17 : end if end >= 0 else None])
    elif b"\r\ntransfer-encoding: chunked" in lowered:
        length = None
    else:
        length = -1
    stays = not lowered.startswith(b"http/1.0") and b"\r\nconnection: close" not in lowered and length != -1
    return status, length, stays


def random_text(size: int) -> str:
    """Letters, so that no JSON decoder takes an interest in them."""
    return "".join(chr(97 + byte % 26) for byte in os.urandom(size))
