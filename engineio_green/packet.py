"""Packets and frames: one unit of the protocol, before and after encoding.

A *frame* is one encoded packet: ``str`` for text (``'4hello'``), ``bytes`` for a binary message. It is the same for both
transports: a websocket sends it as a text or binary frame, a polling payload writes bytes as ``b`` + base64. So one frame
can go to many receivers. Rules: the Engine.IO protocol, revision 4, "Packet encoding". Knows nothing of sessions.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Protocol

from engineio_green import json as default_json
from engineio_green.exceptions import PacketError

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = range(7)
packet_names = ["OPEN", "CLOSE", "PING", "PONG", "MESSAGE", "UPGRADE", "NOOP"]

Data = str | bytes | dict[str, Any] | list[Any]
Frame = str | bytes

CLOSE_FRAME, PING_FRAME, PONG_FRAME, NOOP_FRAME = "1", "2", "3", "6"


class JsonModule(Protocol):
    """What a ``json`` option has to offer."""

    def dumps(self, obj: Any, **kwargs: Any) -> str: ...

    def loads(self, text: str, /) -> Any: ...


def encode_message(data: Any, json: JsonModule = default_json) -> Frame:
    """Return the frame of a message: ``str``, ``bytes``-like, ``dict`` and ``list`` as documented, anything else as ``str()``.

    Raises ``UnicodeEncodeError`` for text that UTF-8 can't carry.
    """
    if type(data) is str and data.isascii():  # nearly all there is
        return "4" + data
    if isinstance(data, str):
        text = data
    elif isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    elif isinstance(data, (dict, list, tuple)):
        text = _dump(data, json)
    else:
        text = "" if data is None else str(data)
    return "4" + _checked(text)


def _checked(text: str) -> str:
    if not text.isascii():
        text.encode()  # a lone surrogate must fail here, at its sender, not later in somebody's poll
    return text


def _dump(data: Any, json: JsonModule) -> str:
    text = json.dumps(data, separators=(",", ":"))
    # Fast JSON modules return bytes, whatever the protocol says; the wire wants text.
    return text.decode() if isinstance(text, bytes) else text  # type: ignore[unreachable]  # see above


def decode_text(text: str, json: JsonModule = default_json) -> Data:
    """Return what the application gets for the text of a message: a JSON object or array as ``dict``/``list``, else the text."""
    if text[:1] in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if isinstance(value, (dict, list)):
            return value
    return text


def to_payload_form(frame: Frame) -> str:
    """Return *frame* as a polling payload carries it."""
    return frame if isinstance(frame, str) else "b" + base64.b64encode(frame).decode("ascii")


def from_payload_form(text: str) -> Frame:
    """Undo :func:`to_payload_form`. Raises :class:`PacketError` for base64 that is not strict."""
    if text[:1] != "b":
        return text
    try:
        if len(text) % 4 != 1:  # Python forgives padding that is too long
            raise ValueError
        return base64.b64decode(text[1:], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PacketError("a binary packet is not valid base64") from exc


class Packet:
    """An Engine.IO packet, for those who send raw packets (``Server.send_packet``).

    :param packet_type: one of ``OPEN`` to ``NOOP``.
    :param data: ``str``, ``bytes``, ``dict``, ``list`` or ``None``; ``bytes`` only in a ``MESSAGE``.
    :param encoded_packet: decode this instead: ``str`` or ``bytes`` as received.

    The same packet may be sent to any number of clients on either transport, from any thread. It is encoded once; change
    ``data`` only before the first send.
    """

    json: JsonModule = default_json

    __slots__ = ("_frame", "data", "packet_type", "wire")

    def __init__(self, packet_type: int = NOOP, data: Any = None, encoded_packet: Frame | None = None) -> None:
        self.packet_type = packet_type
        self.data = data
        self._frame: Frame | None = None
        self.wire: bytes | None = None  # the websocket frame of frame(), kept by the shell for the next receiver
        if isinstance(data, (bytes, bytearray, memoryview)) and packet_type != MESSAGE:
            raise ValueError("only MESSAGE packets carry bytes")
        if encoded_packet is not None:
            self.decode(encoded_packet)

    @property
    def binary(self) -> bool:
        return isinstance(self.data, (bytes, bytearray, memoryview))

    def frame(self, json: JsonModule | None = None) -> Frame:
        """Return the frame, encoded once."""
        if self._frame is None:
            json = json or self.json
            if self.packet_type == MESSAGE:
                self._frame = encode_message(self.data, json)
            else:
                text = "" if self.data is None else self.data
                self._frame = str(self.packet_type) + _checked(text if isinstance(text, str) else _dump(text, json))
        return self._frame

    def encode(self, b64: bool = False) -> Frame:
        """Return the packet as a websocket carries it, or with *b64* as a polling payload does."""
        return to_payload_form(self.frame()) if b64 else self.frame()

    def decode(self, encoded_packet: Frame) -> None:
        """Fill in type and data from ``str`` (also in payload form) or ``bytes``. Raises :class:`PacketError`."""
        self._frame = self.wire = None
        frame = from_payload_form(encoded_packet) if isinstance(encoded_packet, str) else bytes(encoded_packet)
        if isinstance(frame, bytes):
            self.packet_type, self.data = MESSAGE, frame
            return
        if frame[:1] not in ("0", "1", "2", "3", "4", "5", "6") or not frame:
            raise PacketError("not an Engine.IO packet")
        self.packet_type = int(frame[0])
        self.data = decode_text(frame[1:], self.json) if len(frame) > 1 or self.packet_type == MESSAGE else None
