"""Text is UTF-8, the whole of it, wherever its bytes are cut: family 6 of the conformance suite."""

from __future__ import annotations

import pytest
from client_frames import BINARY, CONT, PING, TEXT, assert_failed, assert_open, close, fragments, frame, outcome_of, text

VALID = [
    "", "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!", "\u03ba\u1f79\u03c3\u03bc\u03b5", "\x00", "\x7f", "\u0080",
    "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufdd0", "\ufeff", "\ufffd", "\ufffe", "\uffff", "\U00010000", "\U0001f600",
    "\U0001fffe",
    "\U0010fffd", "\U0010ffff", "\u20ac" * 1000, "\U0001f600" * 1000, "a\u0308", "\u2028\u2029", "\r\n\t",
]  # fmt: skip
INVALID = {
    "continuation byte alone": b"\x80",
    "last continuation byte alone": b"\xbf",
    "continuation bytes alone": b"\x80\xbf\x80\xbf\x80\xbf",
    "all continuation bytes": bytes(range(0x80, 0xC0)),
    "start of two and a space": b"\xc3 ",
    "start of two at the end": b"\xc3",
    "start of three at the end": b"\xe1\x80",
    "start of three, nothing follows": b"\xe1",
    "start of four at the end": b"\xf1\x80\x80",
    "start of five": b"\xf8\x88\x80\x80\x80",
    "start of six": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "fe fe ff ff": b"\xfe\xfe\xff\xff",
    "overlong slash in two": b"\xc0\xaf",
    "overlong slash in three": b"\xe0\x80\xaf",
    "overlong slash in four": b"\xf0\x80\x80\xaf",
    "overlong nul": b"\xc0\x80",
    "overlong 7f": b"\xc1\xbf",
    "overlong 7ff": b"\xe0\x9f\xbf",
    "overlong ffff": b"\xf0\x8f\xbf\xbf",
    "overlong in five": b"\xf8\x80\x80\x80\xaf",
    "overlong in six": b"\xfc\x80\x80\x80\x80\xaf",
    "first high surrogate": b"\xed\xa0\x80",
    "last high surrogate": b"\xed\xaf\xbf",
    "first low surrogate": b"\xed\xb0\x80",
    "last low surrogate": b"\xed\xbf\xbf",
    "pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "past the last character": b"\xf4\x90\x80\x80",
    "far past the last character": b"\xf7\xbf\xbf\xbf",
    "text with a surrogate in it": "\u03ba\u1f79\u03c3\u03bc\u03b5".encode() + b"\xed\xa0\x80edited",
    "latin-1": "\u00e4\u00f6".encode("latin-1"),
    "utf-16": "hello".encode("utf-16"),
    "late": b"a" * 70_000 + b"\xff",
    "early": b"\xff" + b"a" * 70_000,
}  # fmt: skip
INVALID_ONES = pytest.mark.parametrize("payload", INVALID.values(), ids=INVALID.keys())


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


@pytest.mark.parametrize("name", [name for name, payload in INVALID.items() if len(payload) <= 123])
def test_a_close_reason_that_is_not_utf_8_fails(name):
    outcome = outcome_of(close(1000, INVALID[name]))
    assert (outcome.code, outcome.failed, outcome.last) == (1007, True, True)
