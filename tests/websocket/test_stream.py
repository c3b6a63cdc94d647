"""What RFC 6455 asks of a server that is sent frames: lengths, pings, reserved bits, opcodes, fragments.

The numbers in the comments are the families of the public conformance suite. Everything is fed whole, byte by byte and in
random pieces.
"""

from __future__ import annotations

import pytest
from client_frames import (
    BINARY,
    CONT,
    LIMIT,
    PING,
    PONG,
    TEXT,
    Outcome,
    assert_failed,
    assert_open,
    close,
    fragments,
    frame,
    header,
    outcome_of,
    text,
)

LENGTHS = [0, 1, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 131072]
OPCODES = {"text": TEXT, "binary": BINARY}
BOTH = pytest.mark.parametrize("opcode", [TEXT, BINARY])


def message(opcode, payload):
    return payload.decode() if opcode == TEXT else payload


def letters(count):
    return bytes(97 + index % 26 for index in range(count))


# --- 1: messages of all lengths -----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("length", LENGTHS)
def test_a_message_of_any_length_arrives(opcode, length):
    payload = letters(length)
    assert_open(frame(opcode, payload), [message(opcode, payload)])


@BOTH
@pytest.mark.parametrize(("length", "width"), [(0, 2), (0, 8), (125, 2), (125, 8), (126, 8), (65535, 8)])
def test_a_length_in_a_longer_form_than_needed_is_understood(opcode, length, width):
    payload = letters(length)
    assert_open(frame(opcode, payload, width=width), [message(opcode, payload)])


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01", b"\x80\x00\x00\x00"])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 125, 126, 1001])
def test_any_mask_comes_off(mask, length):
    payload = bytes(index % 256 for index in range(length))
    assert_open(frame(BINARY, payload, mask=mask), [payload])


def test_messages_of_both_kinds_keep_their_order():
    data, expected = b"", []
    for number in range(200):
        data += text(f"text {number}") + frame(BINARY, f"binary {number}".encode())
        expected += [f"text {number}", f"binary {number}".encode()]
    assert_open(data, expected)


def test_the_types_of_messages_are_plain():
    outcome = outcome_of(text("a") + frame(BINARY, b"b") + fragments(TEXT, b"c", b"d") + fragments(BINARY, b"e", b"f"))
    assert [type(one) for one in outcome.messages] == [str, bytes, str, bytes]


def test_nothing_arrives_of_nothing():
    assert_open(b"", [])


@pytest.mark.parametrize("data", [text("hello"), frame(BINARY, letters(126)), frame(BINARY, letters(65536)), frame(PING, b"x")])
def test_a_message_arrives_with_its_last_byte_and_not_before(data):
    for end in {1, 2, 3, 4, 5, 6, 7, 10, 13, 14, len(data) - 1}:
        if end < len(data):
            assert_open(data[:end], [])


# --- 2: pings and pongs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125, letters(124)])
def test_a_ping_is_answered_with_its_payload(payload):
    assert_open(frame(PING, payload), [], [payload])


@pytest.mark.parametrize("opcode", [PING, PONG])
@pytest.mark.parametrize("length", [126, 127, 1000, 65536])
def test_a_control_frame_over_125_bytes_fails(opcode, length):
    assert_failed(frame(opcode, letters(length)), 1002)


@pytest.mark.parametrize("payload", [b"", b"unasked for", letters(125)])
def test_an_unasked_for_pong_is_ignored(payload):
    assert_open(frame(PONG, payload), [])
    assert_open(frame(PONG, payload) + frame(PING, b"p") + text("a"), ["a"], [b"p"])


def test_a_flood_of_pings_is_answered_in_order():
    payloads = [f"ping {number}".encode() for number in range(5000)]
    assert_open(b"".join(frame(PING, payload) for payload in payloads), [], payloads)


def test_pings_between_messages_disturb_nothing():
    data = b"".join(text(str(number)) + frame(PING, str(number).encode()) + frame(PONG) for number in range(100))
    assert_open(data, [str(number) for number in range(100)], [str(number).encode() for number in range(100)])


# --- 3: reserved bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, 0x8])
def test_reserved_bits_fail(rsv, opcode):
    assert_failed(frame(opcode, b"\x03\xe8" if opcode == 0x8 else b"hello", rsv=rsv), 1002)


@pytest.mark.parametrize("rsv", range(1, 8))
def test_what_came_before_a_reserved_bit_counts_and_what_comes_after_does_not(rsv):
    assert_failed(text("before") + text("bad", rsv=rsv) + text("after") + frame(PING, b"after"), 1002, ["before"])


@pytest.mark.parametrize("rsv", range(1, 8))
def test_reserved_bits_fail_in_fragments_too(rsv):
    assert_failed(frame(TEXT, b"a", fin=False) + frame(CONT, b"b", rsv=rsv), 1002)
    assert_failed(frame(TEXT, b"a", fin=False, rsv=rsv) + frame(CONT, b"b"), 1002)


# --- 4: opcodes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"hello", letters(126)])
@pytest.mark.parametrize("fin", [True, False])
def test_reserved_opcodes_fail(opcode, payload, fin):
    assert_failed(frame(opcode, payload, fin=fin), 1002)


@pytest.mark.parametrize("opcode", [3, 7, 11, 15])
def test_what_came_before_a_reserved_opcode_counts_and_what_comes_after_does_not(opcode):
    data = text("before") + frame(PING, b"before") + frame(opcode, b"x") + text("after") + frame(PING, b"after")
    outcome = assert_failed(data, 1002, ["before"])
    assert outcome.pongs == [b"before"]


# --- 5: fragments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [PING, PONG, 0x8])
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8"])
def test_a_fragmented_control_frame_fails(opcode, payload):
    assert_failed(frame(opcode, payload, fin=False) + frame(CONT, b"rest"), 1002)


@BOTH
@pytest.mark.parametrize(
    "parts",
    [
        (b"fragment1", b"fragment2"),
        (b"", b"", b""),
        (b"", b"fragment", b""),
        (b"f",) * 5,
        (letters(126), letters(65536), b""),
        tuple(b"%d" % number for number in range(1000)),
    ],
)
def test_fragments_become_one_message(opcode, parts):
    assert_open(fragments(opcode, *parts), [message(opcode, b"".join(parts))])


@BOTH
def test_a_message_in_one_frame_may_follow_and_go_before_fragments(opcode):
    data = frame(opcode, b"one") + fragments(opcode, b"t", b"wo") + frame(opcode, b"three") + fragments(opcode, b"fo", b"ur")
    assert_open(data, [message(opcode, word) for word in (b"one", b"two", b"three", b"four")])


@BOTH
def test_control_frames_between_fragments_are_answered_at_once(opcode):
    data = frame(opcode, b"a", fin=False) + frame(PING, b"p")
    assert_open(data, [], [b"p"])
    data += frame(PONG, b"q") + frame(CONT, b"b", fin=False) + frame(PING, b"r") + frame(CONT, b"c")
    assert_open(data, [message(opcode, b"abc")], [b"p", b"r"])


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_of_nothing_fails(fin):
    assert_failed(frame(CONT, b"x", fin=fin), 1002)
    assert_failed(frame(CONT, b"x", fin=fin) + text("after"), 1002)
    assert_failed(text("before") + frame(CONT, b"x", fin=fin), 1002, ["before"])
    assert_failed(fragments(TEXT, b"be", b"fore") + frame(CONT, b"x", fin=fin), 1002, ["before"])


@BOTH
@pytest.mark.parametrize("second", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_a_new_message_within_a_message_fails(opcode, second, fin):
    assert_failed(frame(opcode, b"a", fin=False) + frame(second, b"b", fin=fin), 1002)
    assert_failed(frame(opcode, b"a", fin=False) + frame(CONT, b"b", fin=False) + frame(second, b"c", fin=fin), 1002)


def test_a_new_message_within_a_message_is_not_handed_over_even_if_all_arrives_at_once():
    assert_failed(frame(TEXT, b"a", fin=False) + text("b") + text("c") + frame(CONT, b"d") + text("e"), 1002)


def test_a_message_that_is_never_finished_brings_nothing():
    assert_open(frame(TEXT, b"a", fin=False) + frame(CONT, b"b", fin=False), [])


# --- masking ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, 0x8])
@pytest.mark.parametrize("length", [0, 2, 125])
def test_a_frame_without_a_mask_fails(opcode, length):
    assert_failed(frame(opcode, b"\x03\xe8" if length == 2 else letters(length), mask=None), 1002)


@pytest.mark.parametrize("length", [126, 65536])
def test_a_long_frame_without_a_mask_fails(length):
    assert_failed(frame(BINARY, letters(length), mask=None), 1002)


def test_a_frame_without_a_mask_fails_by_its_header_alone():
    for length in (5, 125, 126, 65536):
        assert_failed(text("before") + header(TEXT, length, mask=None), 1002, ["before"])


def test_a_continuation_without_a_mask_fails():
    assert_failed(frame(TEXT, b"a", fin=False) + frame(CONT, b"b", mask=None), 1002)


# --- 9, 10: much --------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("size", [200_000, LIMIT])
def test_long_messages_arrive(opcode, size):
    payload = letters(1000) * (size // 1000)
    assert_open(frame(opcode, payload), [message(opcode, payload)])


@BOTH
@pytest.mark.parametrize("part", [64, 1300, 65536])
def test_long_messages_arrive_in_many_fragments(opcode, part):
    payload = letters(131_072)
    parts = [payload[start : start + part] for start in range(0, len(payload), part)]
    assert_open(fragments(opcode, *parts), [message(opcode, payload)])


def test_many_small_messages_arrive():
    assert_open(text("") * 2000 + frame(BINARY) * 2000, [""] * 2000 + [b""] * 2000)


# --- after a failure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", [frame(3), frame(TEXT, b"\xff"), frame(CONT), text("x", rsv=1), text("x", mask=None), header(TEXT, LIMIT + 1)]
)
@pytest.mark.parametrize("after", [text("a") * 100, frame(PING, b"p") * 100, close(1000), b"\x00" * 1000, b"\xff" * 1000])
def test_after_a_failure_nothing_is_taken_in_or_answered(bad, after):
    alone, followed = outcome_of(bad), outcome_of(bad + after)
    assert followed == alone
    assert isinstance(alone, Outcome)
    assert alone.failed
