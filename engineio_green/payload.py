"""Payloads: the body of one polling request or response, packets joined by the record separator.

Rules: the Engine.IO protocol, revision 4, "Payload encoding". Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable

from engineio_green.exceptions import PacketError
from engineio_green.packet import Frame, Packet, from_payload_form, to_payload_form

SEPARATOR = "\x1e"


class Payload:
    """The packets of one body, for programs that know the compatible API.

    ``Payload.max_decode_packets`` is the default of the option ``max_packets_per_payload``: assign it before a server is made.

    :param packets: what to encode.
    :param encoded_payload: the text of a body, to be decoded. Raises :class:`PacketError`.
    """

    max_decode_packets = 10_000

    def __init__(self, packets: Iterable[Packet] | None = None, encoded_payload: str | None = None) -> None:
        self.packets = list(packets or ())
        if encoded_payload is not None:
            self.decode(encoded_payload)

    def encode(self) -> str:
        """Return the body's text."""
        return encode_payload(packet.frame() for packet in self.packets).decode()

    def decode(self, encoded_payload: str) -> None:
        """Fill in the packets from a body's text."""
        frames = decode_payload(encoded_payload.encode(), self.max_decode_packets) if encoded_payload else []
        self.packets = [Packet(encoded_packet=frame) for frame in frames]


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
