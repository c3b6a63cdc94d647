"""What a client may not send however right its frames are: too long, in too many parts, with too much in between."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from client_frames import (
    BINARY,
    CONT,
    PING,
    PONG,
    TEXT,
    assert_closed,
    assert_failed,
    assert_open,
    close,
    fragments,
    frame,
    header,
    text,
)

from engineio_green.websocket.stream import MAX_FRAGMENTS, MAX_INTERLEAVED, Stream

BOTH = pytest.mark.parametrize("opcode", [TEXT, BINARY])


def message(opcode, payload):
    return payload.decode() if opcode == TEXT else payload


# --- length -------------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("limit", [1, 125, 126, 65535, 65536, 100_000])
def test_a_message_may_be_as_long_as_the_limit_and_no_longer(opcode, limit):
    assert_open(frame(opcode, b"x" * limit), [message(opcode, b"x" * limit)], max_size=limit)
    assert_failed(frame(opcode, b"x" * (limit + 1)), 1009, max_size=limit)


@BOTH
@pytest.mark.parametrize("length", [1001, 65535, 65536, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_message_that_is_too_long_fails_by_its_header_before_its_payload_arrives(opcode, length):
    assert_failed(header(opcode, length), 1009, max_size=1000)
    assert_failed(text("before") + header(opcode, length), 1009, ["before"], max_size=1000)
    assert_failed(header(opcode, length, fin=False), 1009, max_size=1000)


def test_a_length_in_a_longer_form_than_needed_does_not_hide_it():
    assert_failed(header(BINARY, 120, width=8), 1009, max_size=100)
    assert_open(frame(BINARY, b"x" * 100, width=8), [b"x" * 100], max_size=100)


def test_no_memory_is_set_aside_for_a_length_that_is_only_claimed():
    tracemalloc.start()
    try:
        for length in (10_000_000, 10_000_001, 2**40):
            stream = Stream(10_000_000)
            stream.feed(header(BINARY, length))
            stream.feed(b"x" * 1000)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@BOTH
@pytest.mark.parametrize("parts", [(500, 500), (0, 1000, 0), (1000, 0), (1,) * 1000, (999, 1)])
def test_fragments_may_be_as_long_as_the_limit_together(opcode, parts):
    payloads = [b"x" * part for part in parts]
    assert_open(fragments(opcode, *payloads), [message(opcode, b"x" * 1000)], max_size=1000)


@BOTH
@pytest.mark.parametrize(
    ("parts", "claimed"), [((500,), 501), ((1000,), 1), ((999, 1), 1), ((1,) * 999, 2), ((500,), 2**40), ((0, 1000, 0), 1)]
)
@pytest.mark.parametrize("fin", [True, False])
def test_fragments_that_are_too_long_together_fail_by_the_header_that_goes_too_far(opcode, parts, claimed, fin):
    begun = b"".join(frame(CONT if index else opcode, b"x" * part, fin=False) for index, part in enumerate(parts))
    assert_open(begun, [], max_size=1000)
    assert_failed(begun + header(CONT, claimed, fin=fin), 1009, max_size=1000)


def test_the_count_of_bytes_begins_anew_with_each_message():
    one = fragments(TEXT, b"x" * 500, b"x" * 500)
    assert_open(one * 3 + text("y" * 1000) + one, ["x" * 1000] * 3 + ["y" * 1000, "x" * 1000], max_size=1000)


def test_bytes_count_and_not_characters():
    assert_open(text("\u20ac" * 333), ["\u20ac" * 333], max_size=1000)
    assert_failed(text("\u20ac" * 334), 1009, max_size=1000)


@pytest.mark.parametrize("limit", [1, 100, 124])
def test_the_limit_of_messages_is_none_of_control_frames(limit):
    assert_open(frame(PING, b"p" * 125), [], [b"p" * 125], max_size=limit)
    assert_open(frame(PONG, b"p" * 125), [], max_size=limit)


def test_control_frames_within_a_message_do_not_count_towards_its_length():
    data = frame(TEXT, b"x" * 990, fin=False) + frame(PING, b"p" * 100) + frame(CONT, b"y" * 10)
    assert_open(data, ["x" * 990 + "y" * 10], [b"p" * 100], max_size=1000)


# --- parts --------------------------------------------------------------------------------------------------------------


@BOTH
def test_a_message_may_have_many_parts_and_no_more(opcode):
    begun = frame(opcode, b"x", fin=False) + frame(CONT, b"x", fin=False) * (MAX_FRAGMENTS - 2)
    assert_open(begun + frame(CONT, b"x"), [message(opcode, b"x" * MAX_FRAGMENTS)])
    assert_failed(begun + frame(CONT, b"x", fin=False) * 2, 1009)


def test_empty_parts_count_too():
    assert_failed(frame(TEXT, fin=False) + frame(CONT, fin=False) * (MAX_FRAGMENTS + 1), 1009)


def test_what_came_before_too_many_parts_counts_and_what_comes_after_does_not():
    flood = frame(TEXT, fin=False) + frame(CONT, fin=False) * (MAX_FRAGMENTS + 10)
    outcome = assert_failed(text("before") + flood + frame(CONT) + frame(PING) + text("after"), 1009, ["before"])
    assert outcome.pongs == []


def test_the_count_of_parts_begins_anew_with_each_message():
    half = [b"x"] * (MAX_FRAGMENTS // 2)
    assert_open(fragments(TEXT, *half) * 3, ["x" * len(half)] * 3)


# --- control frames between parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_there_may_be_many_control_frames_within_a_message_and_no_more(opcode):
    begun = frame(TEXT, b"a", fin=False) + frame(opcode) * MAX_INTERLEAVED
    assert_open(begun + frame(CONT, b"b"), ["ab"], [b""] * MAX_INTERLEAVED if opcode == PING else [])
    assert_failed(begun + frame(opcode), 1008)


def test_control_frames_are_counted_over_all_the_parts_of_a_message():
    part = frame(CONT, b"x", fin=False) + frame(PONG)
    assert_failed(frame(TEXT, b"a", fin=False) + part * (MAX_INTERLEAVED + 1), 1008)


def test_the_count_of_control_frames_begins_anew_with_each_message():
    half = frame(PONG) * (MAX_INTERLEAVED // 2)
    one = frame(TEXT, b"a", fin=False) + half + frame(CONT, b"b")
    assert_open(one * 3, ["ab"] * 3)


def test_control_frames_between_messages_are_not_counted():
    assert_open((frame(PONG) + text("a")) * (MAX_INTERLEAVED + 10), ["a"] * (MAX_INTERLEAVED + 10))


def test_after_too_many_control_frames_nothing_is_taken_in():
    flood = frame(TEXT, b"a", fin=False) + frame(PONG) * (MAX_INTERLEAVED + 1)
    assert_failed(flood + frame(CONT, b"b") + text("after") + close(1000), 1008)


def test_a_close_is_welcome_after_as_many_control_frames_as_there_may_be():
    begun = frame(TEXT, b"a", fin=False) + frame(PONG) * MAX_INTERLEAVED + frame(CONT, b"b")
    assert_closed(begun + close(1000), 1000, ["ab"])


# --- cost ---------------------------------------------------------------------------------------------------------------


def test_a_frame_in_many_small_pieces_keeps_its_size_in_memory_and_no_multiple():
    payload = b"x" * 500_000
    data = frame(BINARY, payload)
    stream = Stream(1_000_000)
    tracemalloc.start()
    try:
        messages = [one for index in range(0, len(data), 50) for one in stream.feed(data[index : index + 50])]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert messages == [payload]
    assert peak < 6 * len(payload)


def test_a_header_in_single_bytes_is_kept_and_nothing_else():
    stream = Stream(1000)
    for byte in struct.pack("!BBQ", 0x82, 0xFF, 500):
        assert stream.feed(bytes((byte,))) == []
    assert stream.feed(b"\0\0\0\0" + b"x" * 500) == [b"x" * 500]
