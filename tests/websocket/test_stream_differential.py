"""The stream against the library that stands behind it: the same bytes bring the same messages and the same close code.

The stream has a short cut for plain frames, which the library does not know of. Here the library gets everything, byte by byte,
and its frames are put together by hand. Where the two differ on purpose stands in ``_reference``.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from client_frames import BINARY, CLOSE, CONT, MASK, PING, PONG, TEXT, frame, header, outcome_of, read_frames
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side

MAX_SIZE = 4096
# Fills up any header that the bytes before it have begun, so that nothing waits for the rest of one.
PADDING = bytes(16)

_quiet = logging.getLogger("tests.websocket.reference")
_quiet.setLevel(logging.CRITICAL)


class Reference(NamedTuple):
    messages: list[str | bytes]
    pongs: list[bytes]
    codes: set[int | None]
    failed: bool


def _find_long_control_frame(data: bytes) -> int | None:
    """Return where the first control frame of more than 125 bytes begins, if the bytes before it are whole frames."""
    position = 0
    while len(data) - position >= 2:
        first, second = data[position : position + 2]
        length, width = second & 0x7F, {126: 2, 127: 8}.get(second & 0x7F, 0)
        if width:
            length = int.from_bytes(data[position + 2 : position + 2 + width], "big")
        if length > 125 and first & 0x0F in (CLOSE, PING, PONG):
            return position
        position += 2 + width + (4 if second & 0x80 else 0) + length
    return None


def _reference(data: bytes) -> Reference:
    library = Protocol(Side.SERVER, max_size=MAX_SIZE, logger=_quiet)
    messages: list[str | bytes] = []
    parts: list[bytes] = []
    is_text = failed = False
    end = _find_long_control_frame(data)
    for index in range(len(data) if end is None else end):
        library.receive_data(data[index : index + 1])
        for one in library.events_received():
            if one.opcode in (Opcode.TEXT, Opcode.BINARY):
                parts, is_text = [], one.opcode is Opcode.TEXT
            elif one.opcode is not Opcode.CONT:
                continue
            parts.append(bytes(one.data))
            if one.fin:
                payload = b"".join(parts)
                try:
                    messages.append(payload.decode() if is_text else payload)
                except UnicodeDecodeError:
                    library.fail(1007)
                    failed = True
    sent = read_frames(b"".join(library.data_to_send()))
    closes = [one.payload for one in sent if one.opcode == CLOSE]
    code = (int.from_bytes(closes[0][:2], "big") if closes[0] else 1005) if closes else None
    failed = failed or library.parser_exc is not None
    codes = {code}
    if failed and library.close_rcvd is not None and code == 1002:
        # A close within a fragmented message: a fault for the library, and not for the RFC (section 5.4).
        codes.add(library.close_rcvd.code)
    if end is not None and codes == {None}:
        # Whether its header is enough to refuse it, or its payload is awaited, is not for the RFC to say.
        codes |= {1002, 1009}
    return Reference(messages, [one.payload for one in sent if one.opcode == PONG], codes, failed)


def assert_same(data: bytes) -> None:
    expected, outcome = _reference(data), outcome_of(data, MAX_SIZE)
    assert outcome.messages == expected.messages
    assert [type(one) for one in outcome.messages] == [type(one) for one in expected.messages]
    assert outcome.pongs == expected.pongs
    assert outcome.code in expected.codes
    assert len(expected.codes) > 1 or outcome.failed is expected.failed


# --- sequences of frames ------------------------------------------------------------------------------------------------

SMALL = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"", b"hello", "\u20ac\U0001f600".encode(), b"\xe2\x82", b"\xac", b"\xff", b"x" * 125, b"x" * 126, b"y" * 700]
    ),
)
MASKS = st.sampled_from([MASK, b"\0\0\0\0", b"\xff\x00\xff\x00"])
CLOSES = st.one_of(
    st.just(b""),
    st.builds(
        lambda code, reason: code.to_bytes(2, "big") + reason,
        st.sampled_from([1000, 1001, 1005, 999, 1012, 2999, 3000, 4999, 5000]),
        st.sampled_from([b"", b"bye", b"\xff", b"r" * 123, b"r" * 124]),
    ),
    st.binary(max_size=4),
)


@st.composite
def polite(draw):
    """Frames of a client that knows the rules: whole messages, fragments with control frames between them."""
    data = b""
    for _ in range(draw(st.integers(1, 6))):
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        payload = draw(st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")))
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
        ends = [*cuts, len(payload)]
        for index, (start, end) in enumerate(zip([0, *cuts], ends, strict=True)):
            if draw(st.booleans()):
                data += frame(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=125)), mask=draw(MASKS))
            data += frame(CONT if index else opcode, payload[start:end], fin=index == len(cuts), mask=draw(MASKS))
    if draw(st.booleans()):
        data += frame(CLOSE, draw(CLOSES), mask=draw(MASKS)) + draw(st.binary(max_size=20))
    return data


@st.composite
def any_frame(draw):
    """A frame that may be wrong in any way."""
    opcode = draw(st.sampled_from([TEXT, TEXT, BINARY, CONT, CONT, PING, PONG, CLOSE, 3, 11]))
    fin = draw(st.sampled_from([True, True, True, False]))
    rsv = draw(st.sampled_from([0] * 12 + [1, 2, 4]))
    mask = draw(st.sampled_from([MASK] * 12 + [None]))
    width = draw(st.sampled_from([None, None, None, 2, 8]))
    if draw(st.integers(0, 30)) == 0:
        return header(opcode, draw(st.sampled_from([MAX_SIZE + 1, 2**20, 2**63])), fin=fin, rsv=rsv, mask=mask, width=8)
    return frame(opcode, draw(CLOSES if opcode == CLOSE else SMALL), fin=fin, rsv=rsv, mask=mask, width=width)


NOISY = settings(deadline=None, print_blob=True, max_examples=300)


@given(data=polite())
@NOISY
def test_a_polite_client_is_understood_in_the_same_way(data):
    assert_same(data)


@given(frames=st.lists(any_frame(), min_size=1, max_size=8))
@example(frames=[frame(TEXT, b"a", fin=False), frame(CLOSE, b"\x03\xe8")])
@example(frames=[frame(TEXT, b"\xff"), frame(CLOSE, b"\x03\xe8")])
@NOISY
def test_any_frames_bring_the_same(frames):
    assert_same(b"".join(frames))


@given(before=polite(), frames=st.lists(any_frame(), min_size=1, max_size=4))
@NOISY
def test_a_client_that_becomes_impolite_is_met_in_the_same_way(before, frames):
    assert_same(before + b"".join(frames))


# --- bytes --------------------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=200))
@NOISY
def test_any_bytes_bring_the_same(data):
    assert_same(data + PADDING)


@given(data=polite(), position=st.integers(0), change=st.integers(1, 255))
@NOISY
def test_one_changed_byte_brings_the_same(data, position, change):
    position %= len(data)
    assert_same(data[:position] + bytes((data[position] ^ change,)) + data[position + 1 :] + PADDING)


@given(data=polite(), end=st.integers(0))
@NOISY
def test_what_is_cut_off_brings_the_same(data, end):
    assert_same(data[: end % (len(data) + 1)])


@given(data=polite(), first=st.integers(0), second=st.integers(0), extra=st.binary(max_size=3))
@NOISY
def test_bytes_lost_or_added_bring_the_same(data, first, second, extra):
    start, stop = sorted((first % (len(data) + 1), second % (len(data) + 1)))
    assert_same(data[:start] + extra + data[stop:] + PADDING)
