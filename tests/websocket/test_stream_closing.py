"""The closing handshake from both ends: family 7 of the conformance suite, and what the server's own close must do."""

from __future__ import annotations

import pytest
from client_frames import (
    BINARY,
    CLOSE,
    CONT,
    NO_STATUS,
    PING,
    TEXT,
    assert_closed,
    assert_failed,
    close,
    fragments,
    frame,
    outcome_of,
    read_frames,
    text,
    watch,
)
from scenarios.conformance import INVALID_CODES, VALID_CODES

from engineio_green.websocket.stream import Stream

# --- the client closes --------------------------------------------------------------------------------------------------


def test_an_empty_close_is_answered():
    assert_closed(close(), NO_STATUS)


@pytest.mark.parametrize("code", VALID_CODES)
@pytest.mark.parametrize("reason", [b"", b"bye", "\u20ac".encode()])
def test_a_close_is_answered_with_its_code(code, reason):
    assert_closed(close(code, reason), code)


@pytest.mark.parametrize("code", INVALID_CODES)
@pytest.mark.parametrize("reason", [b"", b"bye"])
def test_a_code_that_must_not_be_sent_fails(code, reason):
    assert_failed(close(code, reason), 1002)


@pytest.mark.parametrize("payload", [b"\x03", b"\x00", b"\xff"])
def test_a_close_of_one_byte_fails(payload):
    assert_failed(frame(CLOSE, payload), 1002)


def test_a_reason_may_fill_the_frame():
    assert_closed(close(1000, b"*" * 123), 1000)


@pytest.mark.parametrize("length", [124, 125, 1000])
def test_a_reason_that_is_too_long_fails(length):
    assert_failed(close(1000, b"*" * length), 1002)


def test_a_reason_that_is_cut_within_a_character_fails():
    assert_failed(close(1000, b"a" * 122 + b"\xc3"), 1007)


def test_messages_before_the_close_arrive():
    assert_closed(text("a") + fragments(BINARY, b"b", b"c") + close(1000), 1000, ["a", b"bc"])


@pytest.mark.parametrize("after", [close(1001), frame(PING, b"p"), text("late"), frame(3), b"\xff" * 50, text("a", mask=None)])
def test_whatever_follows_the_close_is_ignored(after):
    outcome = assert_closed(text("a") + close(1000) + after, 1000, ["a"])
    assert outcome.pongs == []


def test_a_close_within_a_fragmented_message_is_a_close():
    """Control frames may stand between fragments (section 5.4), and the close frame is one (section 5.5)."""
    assert_closed(frame(TEXT, b"never finished", fin=False) + close(1000), 1000)
    assert_closed(frame(TEXT, b"a", fin=False) + close(1000) + frame(CONT, b"b"), 1000)


def test_a_long_message_before_the_close_arrives():
    payload = b"x" * 262_144
    outcome = assert_closed(frame(BINARY, payload) + close(1000) + frame(PING), 1000, [payload])
    assert outcome.pongs == []


def test_after_the_client_s_close_the_stream_is_closed_for_both():
    stream = Stream(1000)
    stream.feed(close(1000))
    assert not stream.open
    assert stream.close_received
    assert stream.ending
    assert not stream.failed
    output, last = stream.take_output()
    assert ([one.opcode for one in read_frames(output)], last) == ([CLOSE], True)
    assert stream.take_output() == (b"", False)


# --- the server closes --------------------------------------------------------------------------------------------------


def closing(code=1000, reason="", before=b""):
    """Return a stream that has sent its close frame, having read *before*."""
    stream = Stream(1000)
    stream.feed(before)
    stream.take_output()
    stream.close(code, reason)
    output, last = stream.take_output()
    (sent,) = read_frames(output)
    assert (sent.opcode, sent.payload) == (CLOSE, code.to_bytes(2, "big") + reason.encode())
    assert not last, "the server waits for the client's answer"
    return stream


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "going away"), (1002, ""), (1009, "too long"), (1011, ""), (4000, "")]
)
def test_the_server_says_why_it_closes(code, reason):
    stream = closing(code, reason)
    assert not stream.open
    assert not stream.failed
    assert not stream.close_received
    assert not stream.ending


def test_closing_twice_sends_one_close_frame():
    stream = closing()
    stream.close(1001)
    assert stream.take_output() == (b"", False)


def test_closing_after_the_client_s_close_sends_nothing_more():
    stream = Stream(1000)
    stream.feed(close(1000))
    stream.take_output()
    stream.close(1001)
    assert stream.take_output() == (b"", False)


@pytest.mark.parametrize("answer", [close(1000), close(), close(4000, b"bye")])
def test_the_client_s_answer_ends_the_connection(answer):
    for cut in range(len(answer)):
        stream = closing()
        assert stream.feed(answer[:cut]) == []
        assert not stream.close_received
        assert stream.feed(answer[cut:]) == []
        assert stream.close_received
        assert stream.ending
        assert not stream.failed
        assert stream.take_output() == (b"", True)


def test_messages_that_cross_the_server_s_close_are_dropped():
    stream = closing()
    data = text("late") + frame(BINARY, b"x" * 500) + fragments(TEXT, b"a", b"b") + frame(PING, b"p")
    assert stream.feed(data) == []
    assert not stream.failed
    stream.take_output()
    stream.feed(close(1000))
    assert stream.close_received


@pytest.mark.parametrize(
    "crossing",
    [
        text("hello"),
        frame(BINARY, b"x" * 126),
        frame(BINARY, b"x" * 300, width=8),
        frame(PING, b"p"),
        fragments(TEXT, b"a", b"b"),
    ],
)
def test_the_server_may_close_while_a_frame_is_half_read(crossing):
    """What has been read of the frame, be it part of its header, must not be forgotten: the answer comes behind it."""
    for cut in range(len(crossing) + 1):
        stream = closing(before=crossing[:cut])
        assert stream.feed(crossing[cut:] + close(1000)) == []
        assert stream.close_received, f"the answer was not understood after {cut} bytes"
        assert not stream.failed
        assert stream.take_output()[1]


def test_the_server_may_close_within_a_fragmented_message():
    stream = closing(before=frame(TEXT, b"a", fin=False))
    assert stream.feed(frame(CONT, b"b") + close(1000)) == []
    assert stream.close_received


def test_the_answer_to_the_server_s_close_may_come_within_a_fragmented_message():
    """A client that is told to close need not finish its message first (section 5.5.1)."""
    stream = closing(before=frame(TEXT, b"a", fin=False))
    assert stream.feed(frame(PING, b"p") + close(1000)) == []
    assert stream.close_received
    assert stream.ending
    assert not stream.failed


def test_control_frames_are_welcome_behind_the_server_s_close_however_small_messages_must_be():
    stream = Stream(10)
    stream.close(1001)
    stream.take_output()
    assert stream.feed(frame(PING, b"p" * 125) + close(1000, b"r" * 100)) == []
    assert stream.close_received
    assert not stream.failed


@pytest.mark.parametrize("bad", [frame(3), text("x", mask=None), text("x", rsv=1), frame(CONT), frame(BINARY, b"x" * 2000)])
def test_a_fault_after_the_server_s_close_ends_the_connection_without_another_close_frame(bad):
    stream = closing()
    assert stream.feed(bad + close(1000)) == []
    assert stream.ending
    output, last = stream.take_output()
    assert (output, last) == (b"", True)


# --- failing and the end of TCP -----------------------------------------------------------------------------------------


def test_the_server_can_fail_the_websocket():
    stream = Stream(1000)
    stream.feed(text("a"))
    stream.fail(1008, "policy")
    output, last = stream.take_output()
    (sent,) = read_frames(output)
    assert (sent.opcode, sent.payload, last) == (CLOSE, b"\x03\xf0policy", True)
    assert stream.failed
    assert stream.ending
    assert not stream.open
    assert stream.feed(text("late") + close(1000)) == []
    assert stream.take_output() == (b"", False)


@pytest.mark.parametrize(
    "before",
    [b"", text("a"), text("a")[:1], text("a")[:5], frame(TEXT, b"a", fin=False), frame(PING), close(1000), frame(3), b"\x82\xfe"],
)
def test_the_end_of_tcp_is_no_fault_of_the_stream(before):
    stream = Stream(1000)
    stream.feed(before)
    failed = stream.failed
    stream.feed_eof()
    stream.take_output()
    assert stream.failed is failed


def test_the_end_of_tcp_after_the_server_s_close():
    stream = closing()
    stream.feed_eof()
    stream.take_output()
    assert stream.ending
    assert not stream.close_received
    assert not stream.failed


def test_an_idle_stream_has_nothing_to_say():
    stream = Stream(1000)
    assert stream.untouched
    assert stream.take_output() == (b"", False)
    stream.feed(text("a") + frame(BINARY, b"b"))
    assert stream.take_output() == (b"", False)
    assert stream.open
    assert not stream.ending


def test_what_was_watched_was_one_conversation():
    outcome = watch(Stream(1000), iter([text("a"), frame(PING, b"p"), close(1000)]))
    assert outcome == outcome_of(text("a") + frame(PING, b"p") + close(1000))
