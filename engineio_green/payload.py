"""Payloads: the body of one polling request or response, packets joined by the record separator.

Rules: the Engine.IO protocol, revision 4, "Payload encoding". Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable

from engineio_green.exceptions import PacketError
from engineio_green.packet import Frame, from_payload_form, to_payload_form

SEPARATOR = "\x1e"


def encode_payload(frames: Iterable[Frame]) -> bytes:
    """Return the body that carries *frames* in order."""
    return SEPARATOR.join(map(to_payload_form, frames)).encode()


def decode_payload(body: bytes, max_packets: int) -> list[Frame]:
    """Return the frames of *body*. Raises :class:`PacketError` when it is malformed or carries more than *max_packets*."""
    if body.count(b"\x1e") >= max_packets:
        raise PacketError(f"more than {max_packets} packets in one payload (max_packets_per_payload)")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise PacketError("a payload must be UTF-8") from exc
    return [from_payload_form(part) for part in text.split(SEPARATOR)]
