"""The client's end of a websocket for tests without sockets: frames made by hand, and a stream fed in every way.

Owns RFC 6455 as a client sees it. ``outcome_of`` feeds the same bytes whole, byte by byte and in random pieces, each to a stream
of its own, and insists that the pieces make no difference. Must not know Engine.IO nor any websocket library.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from engineio_green.websocket.stream import Stream

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x37\xfa\x21\x3d"
NO_STATUS = 1005  # stands for a close frame without a code (section 7.1.5)
LIMIT = 1_000_000
LONGEST_IN_BYTES = 140_000  # feeding more than this byte by byte takes too long


def mask_payload(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    keys = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def header(
    opcode: int, length: int, *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK, width: int | None = None
) -> bytes:
    """Return a frame's header; *width* 0, 2 or 8 forces the form of the length, *mask* ``None`` leaves it out."""
    if width is None:
        width = 0 if length < 126 else 2 if length < 65536 else 8
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    marked = 0x80 if mask is not None else 0
    if width == 0:
        head = bytes((first, marked | length))
    else:
        head = struct.pack("!BBH" if width == 2 else "!BBQ", first, marked | (126 if width == 2 else 127), length)
    return head + (mask or b"")


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK, width: int | None = None
) -> bytes:
    """Return one frame as a client sends it."""
    body = payload if mask is None else mask_payload(payload, mask)
    return header(opcode, len(payload), fin=fin, rsv=rsv, mask=mask, width=width) + body


def text(message: str, **how: object) -> bytes:
    return frame(TEXT, message.encode(), **how)  # type: ignore[arg-type]


def fragments(opcode: int, *parts: bytes) -> bytes:
    """Return one message in as many frames as there are *parts*."""
    last = len(parts) - 1
    return b"".join(frame(CONT if index else opcode, part, fin=index == last) for index, part in enumerate(parts))


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    return frame(CLOSE, (b"" if code is None else code.to_bytes(2, "big")) + reason)


class ServerFrame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool
    rsv: int


def read_frames(output: bytes) -> list[ServerFrame]:
    """Take apart what the server has sent: whole frames, none of them masked, each length in its shortest form."""
    frames, position = [], 0
    while position < len(output):
        first, second = output[position : position + 2]
        position += 2
        assert not second & 0x80, "a server must not mask"
        length = second
        if second >= 126:
            width = 2 if second == 126 else 8
            length = int.from_bytes(output[position : position + width], "big")
            position += width
            assert length >= (126 if width == 2 else 65536), "a length must have its shortest form"
        payload = output[position : position + length]
        assert len(payload) == length, "a frame was cut short"
        position += length
        frames.append(ServerFrame(first & 0x0F, payload, bool(first & 0x80), first >> 4 & 7))
    return frames


class Outcome(NamedTuple):
    """What came of some bytes. *code*: of the server's close frame, if there was one; *last*: it then ends its side of TCP."""

    messages: list[str | bytes]
    pongs: list[bytes]
    code: int | None
    reason: bytes
    failed: bool
    last: bool


def watch(stream: Stream, chunks: Iterator[bytes]) -> Outcome:
    """Feed *chunks* to *stream* in the way that a connection does it."""
    messages: list[str | bytes] = []
    output, last = b"", False
    for chunk in chunks:
        messages += stream.feed(chunk)
        more, ends = stream.take_output()
        assert not (last and (more or ends)), "output after the end of the output"
        output, last = output + more, last or ends
    sent = read_frames(output)
    assert all(one.fin and one.rsv == 0 for one in sent)
    assert all(one.opcode in (PONG, CLOSE) for one in sent)
    closes = [one for one in sent if one.opcode == CLOSE]
    assert len(closes) <= 1, "at most one close frame"
    assert not closes or sent[-1].opcode == CLOSE, "nothing follows the close frame"
    assert stream.open is (not closes and not stream.ending)
    code, reason = None, b""
    if closes:
        payload = closes[0].payload
        assert len(payload) != 1
        code = int.from_bytes(payload[:2], "big") if payload else NO_STATUS
        reason = payload[2:]
        reason.decode()
    pongs = [one.payload for one in sent if one.opcode == PONG]
    return Outcome(messages, pongs, code, reason, stream.failed, last)


def _pieces(data: bytes, seed: int, longest: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    position = 0
    while position < len(data):
        size = chance.randint(1, longest)
        yield data[position : position + size]
        position += size


def ways_to_cut(data: bytes) -> Iterator[Iterator[bytes]]:
    yield iter([data])
    if len(data) <= LONGEST_IN_BYTES:
        yield (data[index : index + 1] for index in range(len(data)))
    yield _pieces(data, 1, 7 if len(data) < 5000 else 997)
    yield _pieces(data, 2, 70 if len(data) < 50_000 else 65536)
    yield _pieces(data, 3, 20_000)


def outcome_of(data: bytes, max_size: int = LIMIT, make: Callable[[int], Stream] = Stream) -> Outcome:
    """Return what comes of *data*, having looked whether it comes of it in every way to cut it."""
    outcomes = [watch(make(max_size), chunks) for chunks in ways_to_cut(data)]
    for other in outcomes[1:]:
        assert other == outcomes[0], "the pieces in which the bytes arrive must make no difference"
    return outcomes[0]


def assert_open(data: bytes, messages: list[str | bytes], pongs: list[bytes] | None = None, max_size: int = LIMIT) -> None:
    """The bytes bring these messages, and the websocket stays open."""
    assert outcome_of(data, max_size) == Outcome(messages, pongs or [], None, b"", False, False)


def assert_failed(data: bytes, code: int, messages: list[str | bytes] | None = None, max_size: int = LIMIT) -> Outcome:
    """The bytes bring these messages, then the server fails the websocket: a close frame, and its end of TCP."""
    outcome = outcome_of(data, max_size)
    assert (outcome.messages, outcome.code) == (messages or [], code)
    assert outcome.failed
    assert outcome.last
    return outcome


def assert_closed(data: bytes, code: int, messages: list[str | bytes] | None = None) -> Outcome:
    """The bytes bring these messages and the client's close, which is answered with *code*."""
    outcome = outcome_of(data)
    assert (outcome.messages, outcome.code, outcome.failed, outcome.last) == (messages or [], code, False, True)
    return outcome
