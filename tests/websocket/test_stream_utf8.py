"""Text is UTF-8, the whole of it, wherever its bytes are cut: family 6 of the conformance suite."""

from __future__ import annotations

import pytest
from client_frames import BINARY, CONT, PING, TEXT, assert_failed, assert_open, close, fragments, frame, outcome_of, text
from scenarios.conformance import INVALID_TEXTS, VALID_TEXTS

# Alone they are no packets, so the table of cases has none of these.
VALID = ["", *VALID_TEXTS]
INVALID_ONES = pytest.mark.parametrize("payload", INVALID_TEXTS.values(), ids=INVALID_TEXTS.keys())


@pytest.mark.parametrize("message", VALID)
def test_any_character_arrives(message):
    assert_open(text(message), [message])


@pytest.mark.parametrize("message", [message for message in VALID if 1 < len(message.encode()) < 60])
def test_characters_may_be_split_over_fragments(message):
    payload = message.encode()
    for cut in range(len(payload) + 1):
        assert_open(fragments(TEXT, payload[:cut], payload[cut:]), [message])
    assert_open(fragments(TEXT, *(payload[index : index + 1] for index in range(len(payload)))), [message])


def test_a_control_frame_may_stand_within_a_character():
    payload = "\U0001f600".encode()
    data = frame(TEXT, payload[:1], fin=False) + frame(PING, b"\xff") + frame(CONT, payload[1:])
    assert_open(data, ["\U0001f600"], [b"\xff"])


@INVALID_ONES
def test_text_that_is_not_utf_8_fails(payload):
    assert_failed(frame(TEXT, payload), 1007)


@INVALID_ONES
def test_text_that_is_not_utf_8_fails_in_fragments_too(payload):
    middle = len(payload) // 2
    assert_failed(fragments(TEXT, payload[:middle], payload[middle:]), 1007)
    assert_failed(fragments(TEXT, b"", payload, b""), 1007)
    if len(payload) < 100:
        assert_failed(fragments(TEXT, *(payload[index : index + 1] for index in range(len(payload)))), 1007)


def test_a_character_does_not_go_on_in_the_next_message():
    assert_failed(frame(TEXT, b"\xc3") + frame(TEXT, b"\xa4"), 1007)
    assert_failed(fragments(TEXT, b"a", b"\xc3") + frame(TEXT, b"\xa4"), 1007)


def test_what_came_before_bad_text_counts_and_what_comes_after_does_not():
    assert_failed(text("before") + frame(TEXT, b"\xff") + text("after") + close(1000), 1007, ["before"])
    assert_failed(text("before") + fragments(TEXT, b"\xff", b"") + text("after") + close(1000), 1007, ["before"])


@INVALID_ONES
def test_binary_messages_may_be_anything(payload):
    assert_open(frame(BINARY, payload), [payload])


def test_pings_may_carry_anything():
    assert_open(frame(PING, b"\xff\xfe"), [], [b"\xff\xfe"])


@pytest.mark.parametrize("name", [name for name, payload in INVALID_TEXTS.items() if len(payload) <= 123])
def test_a_close_reason_that_is_not_utf_8_fails(name):
    outcome = outcome_of(close(1000, INVALID_TEXTS[name]))
    assert (outcome.code, outcome.failed, outcome.last) == (1007, True, True)
