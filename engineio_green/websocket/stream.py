"""Bytes <-> messages: the server's side of one websocket, without the socket.

Owns limits, fragments, control frames and the closing handshake, all on the sans-I/O ``Protocol`` of the ``websockets``
library. In front of it stands one short cut: a whole, unfragmented, uncompressed data frame is taken apart here, because
that is nearly every frame and costs a fraction (see ``tests/bench``). Every other frame goes through the library, which is
made when the first such frame comes: an idle websocket has none. Must not know sockets or what the messages mean.
Rules: RFC 6455.
"""

from __future__ import annotations

import logging
from struct import Struct

from websockets.exceptions import InvalidState
from websockets.extensions import Extension
from websockets.frames import CTRL_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

try:
    from websockets.speedups import apply_mask
except ImportError:  # a websockets built without its C part
    from websockets.utils import apply_mask

Message = str | bytes

CONT, TEXT, BINARY, CLOSE = Opcode.CONT, Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE

# The library says at INFO that a connection has closed; for a server with many clients that is noise.
_library_logger = logging.getLogger("engineio_green.websocket.library")
_library_logger.setLevel(logging.WARNING)

# A message in more parts than this is no message that a browser sends; each part costs the server more than its sender.
MAX_FRAGMENTS = 16_384
# Control frames between the parts of one message.
MAX_INTERLEAVED = 1_024
# Bytes of the text in a close frame (RFC 6455, section 5.5).
MAX_CLOSE_REASON = 123

_LENGTH_16 = Struct("!H").unpack_from
_LENGTH_64 = Struct("!Q").unpack_from
_HEADER_16 = Struct("!BBH").pack
_HEADER_64 = Struct("!BBQ").pack
_TEXT, _BINARY = _PLAIN = 0x81, 0x82
_CONTROL = (0x88, 0x89, 0x8A)  # close, ping, pong, as they must be
_SMALL_HEADERS = {kind: tuple(bytes((kind, length)) for length in range(126)) for kind in (_TEXT, _BINARY)}
_SMALL_TEXT = _SMALL_HEADERS[_TEXT]


def encode_frame(message: Message) -> bytes:
    """Return *message* as one unmasked frame: the same bytes for every receiver (RFC 6455, section 5.2)."""
    if isinstance(message, str):
        payload = message.encode()
        length = len(payload)
        if length < 126:
            return _SMALL_TEXT[length] + payload
        kind = _TEXT
    else:
        kind, payload = _BINARY, message
        length = len(payload)
    if length < 126:
        return _SMALL_HEADERS[kind][length] + payload
    if length < 65536:
        return _HEADER_16(kind, 126, length) + payload
    return _HEADER_64(kind, 127, length) + payload


class Stream:
    """One websocket after its opening handshake. Not thread-safe.

    :param max_size: the longest message to take in, in bytes, inflated; a longer one closes the websocket with 1009.
    :param deflate: the negotiated compression, which is used for what is sent from *threshold* bytes on.
    """

    __slots__ = (
        "_deflate",
        "_first",
        "_interleaved",
        "_longest_short",
        "_missing",
        "_parts",
        "_protocol",
        "_rest",
        "_threshold",
        "failed",
        "max_size",
    )

    def __init__(self, max_size: int, deflate: Extension | None = None, threshold: float = 0) -> None:
        self.max_size = max_size
        self._longest_short = min(max_size, 125)  # whose length is one byte of the header
        self._deflate = deflate
        self._threshold = threshold
        self.failed = False
        """The peer has broken a rule: the websocket was closed from this side."""
        self._protocol: Protocol | None = None
        self._rest = b""  # the beginning of a frame's header
        self._missing = 0  # bytes that the library still needs for the frame that it has begun
        self._parts: list[bytes] | None = None  # the parts of a fragmented message
        self._first: Frame | None = None
        self._interleaved = 0

    @property
    def open(self) -> bool:
        """Whether messages can still be sent and received: neither side has begun to close."""
        return self._protocol is None or self._protocol.state is OPEN

    def feed(self, data: bytes) -> list[Message]:
        """Take in what the socket has read. Returns the messages that are complete now, in order."""
        messages: list[Message] = []
        position = 0
        if self._protocol is None and not self._rest:  # so far there was nothing but short messages, as nearly always
            position = self._feed_short(data, messages)
            if position == len(data):
                return messages
        if self.ending:
            return []
        was_open = self.open
        if self._rest:
            data = self._rest + data
            self._rest = b""
        end = len(data)
        if self._missing:
            position = min(self._missing, end)
            self._missing -= position
            self._feed_library(data[:position], messages)
        while position < end and not self.ending:
            size = frame_size(data, position, end)
            if size is None:
                self._rest = data[position:]
                break
            start, length = size
            stop = start + length
            kind = data[position]
            whole = stop <= end and self._parts is None and data[position + 1] & 0x80 and length <= self.max_size
            if whole and kind in _PLAIN:
                payload = apply_mask(data[start:stop], data[start - 4 : start])
                if kind == _BINARY:
                    messages.append(payload)
                elif not self._append_text(payload, messages):
                    break
            elif kind in _CONTROL and data[position + 1] & 0x80 and length <= 125:
                if stop > end:
                    self._rest = data[position:]
                    break
                self._feed_control(data[position:stop], messages)
            else:
                self._missing = max(stop - end, 0)
                self._feed_library(data[position : min(stop, end)], messages)
            position = stop
        return messages if was_open else []  # after our close only the peer's close frame still matters

    def _feed_short(self, data: bytes, messages: list[Message]) -> int:
        """Take whole, short, masked, uncompressed messages from the beginning of *data*. Returns where anything else begins."""
        position, end, longest = 0, len(data), self._longest_short
        while end - position > 5:
            length = data[position + 1] - 0x80
            start = position + 6
            stop = start + length
            if not 0 <= length <= longest or stop > end:
                break
            if data[position] == _TEXT:
                try:
                    messages.append(apply_mask(data[start:stop], data[start - 4 : start]).decode())
                except UnicodeDecodeError:
                    break
            elif data[position] == _BINARY:
                messages.append(apply_mask(data[start:stop], data[start - 4 : start]))
            else:
                break
            position = stop
        return position

    def _append_text(self, payload: bytes, messages: list[Message]) -> bool:
        try:
            messages.append(payload.decode())
        except UnicodeDecodeError:
            self.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
            return False
        return True

    @property
    def shares_frames(self) -> bool:
        """Whether :func:`encode_frame` gives what this websocket's peer expects: compressed ones are each their own."""
        return self._deflate is None

    def encode(self, message: Message) -> bytes:
        """Return *message* as one frame for this websocket's peer."""
        if self._deflate is None:
            return encode_frame(message)
        opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
        if len(payload) < self._threshold:
            return encode_frame(message)
        return Frame(opcode, payload).serialize(mask=False, extensions=[self._deflate])

    # --- the library ---------------------------------------------------------------------------------------------------

    @property
    def _library(self) -> Protocol:
        if self._protocol is None:
            self._protocol = Protocol(Side.SERVER, max_size=self.max_size, logger=_library_logger)
            if self._deflate is not None:
                self._protocol.extensions = [self._deflate]
        return self._protocol

    def _feed_library(self, data: bytes, messages: list[Message]) -> None:
        library = self._library
        library.receive_data(data)
        for frame in library.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode in CTRL_OPCODES:
                self._count_control(frame)
            elif not self._take_part(frame, messages):
                return
        self.failed = self.failed or library.parser_exc is not None

    def _feed_control(self, data: bytes, messages: list[Message]) -> None:
        """Take in a whole control frame, which is no part of the message that it interrupts (RFC 6455, section 5.4)."""
        library = self._library
        limit, size = library.max_message_size, library.current_size
        library.max_message_size = None
        if data[0] & 0x0F == CLOSE:
            library.current_size = None  # or the library takes a close within a message for a fault
        self._feed_library(data, messages)
        library.max_message_size = limit
        if not self.ending:
            library.current_size = size

    def _count_control(self, frame: Frame) -> None:
        if frame.opcode is not CLOSE and self._parts is not None:
            self._interleaved += 1
            if self._interleaved > MAX_INTERLEAVED:
                self.fail(CloseCode.POLICY_VIOLATION, "too many control frames within one message")

    def _take_part(self, frame: Frame, messages: list[Message]) -> bool:
        """Add a data frame to its message. Returns whether the websocket is still sound."""
        if frame.opcode is not CONT:
            self._first, self._parts, self._interleaved = frame, [], 0
        assert self._parts is not None
        assert self._first is not None
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            if len(self._parts) < MAX_FRAGMENTS:
                return True
            self.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments in one message")
            return False
        payload = b"".join(self._parts)
        text = self._first.opcode is TEXT
        self._first = self._parts = None
        if text:
            return self._append_text(payload, messages)
        messages.append(payload)
        return True

    def feed_eof(self) -> None:
        """The peer has ended the TCP connection."""
        if self._protocol is not None:
            self._protocol.receive_eof()

    # --- closing -------------------------------------------------------------------------------------------------------

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake, unless it has begun. Of *reason* goes out what a close frame can hold."""
        try:
            self._library.send_close(code, reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore"))
        except InvalidState:
            pass

    def fail(self, code: int, reason: str) -> None:
        """The peer has broken a rule: close, and take nothing more in (RFC 6455, section 7.1.7)."""
        self.failed = True
        self._library.fail(code, reason)

    @property
    def untouched(self) -> bool:
        """Whether the library was never needed: there is no output and the websocket is open."""
        return self._protocol is None

    @property
    def ending(self) -> bool:
        """Whether nothing will be sent any more."""
        return self._protocol is not None and self._protocol.eof_sent

    def take_output(self) -> tuple[bytes, bool]:
        """Hand over what the library wants to send (pongs, a close frame), and whether the connection ends after that."""
        if self._protocol is None:
            return b"", False
        chunks = self._protocol.data_to_send()
        return b"".join(chunks), b"" in chunks

    @property
    def close_received(self) -> bool:
        """Whether the peer's close frame is here."""
        return self._protocol is not None and self._protocol.close_rcvd is not None


def frame_size(data: bytes, position: int, end: int) -> tuple[int, int] | None:
    """Return where the frame's payload starts and how long it is, or ``None`` while the header is incomplete."""
    if end - position < 2:
        return None
    second = data[position + 1]
    length = second & 0x7F
    start = position + 2
    if length >= 126:
        width = 2 if length == 126 else 8
        if end - start < width:
            return None
        (length,) = _LENGTH_16(data, start) if width == 2 else _LENGTH_64(data, start)
        start += width
    if second & 0x80:
        start += 4
        if end < start:
            return None
    return start, length
