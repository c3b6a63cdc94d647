"""Payloads: packets in one body, in order, and what is no payload."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engineio_green.exceptions import PacketError
from engineio_green.payload import SEPARATOR, decode_payload, encode_payload

MANY = 10_000
# A separator within a packet can't be told from one between packets: see the last test.
TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters=SEPARATOR))
FRAMES = st.one_of(TEXT.filter(lambda text: text[:1] != "b"), st.binary())


@given(frames=st.lists(FRAMES, min_size=1))
@example(frames=["4a", b"\x1e", "4", b"", "6"])
@example(frames=[b"\x1e" * 3])
def test_a_payload_brings_its_packets_in_order(frames):
    assert decode_payload(encode_payload(frames), MANY) == frames


@pytest.mark.parametrize(
    ("frames", "body"),
    [
        (["4hello"], b"4hello"),
        (["4a", "4b"], b"4a\x1e4b"),
        (["4a", b"\x01\x02\x03\x04", "4\u20ac"], b"4a\x1ebAQIDBA==\x1e4\xe2\x82\xac"),
        (["1"], b"1"),
        (["6"], b"6"),
        ([b""], b"b"),
    ],
)
def test_packets_are_joined_by_the_record_separator(frames, body):
    assert encode_payload(frames) == body
    assert decode_payload(body, MANY) == frames


def test_any_iterable_of_frames_will_do():
    assert encode_payload(frame for frame in ("4a", b"\0")) == b"4a\x1ebAA=="


@pytest.mark.parametrize("body", [b"", b"\x1e", b"\x1e\x1e", b"4a\x1e", b"\x1e4a", b"4a\x1e\x1e4b"])
def test_an_empty_packet_stays_visible(body):
    assert "" in decode_payload(body, MANY)


@pytest.mark.parametrize(
    "body", [b"\xff", b"4\xff", b"4\xc3", b"4a\x1e4\xed\xa0\x80", b"4\xc0\x80", b"4\xf4\x90\x80\x80", b"4\x80"]
)
def test_a_payload_must_be_utf_8(body):
    with pytest.raises(PacketError, match="UTF-8"):
        decode_payload(body, MANY)


@pytest.mark.parametrize("body", [b"bA", b"4a\x1eb====", b"b AAAA", b"4a\x1ebAA==\x1eb%41AAA", b"b\xc3\xa4"])
def test_one_bad_packet_spoils_the_payload(body):
    with pytest.raises(PacketError, match="base64"):
        decode_payload(body, MANY)


@pytest.mark.parametrize("most", [1, 2, 16, 1000])
def test_the_number_of_packets_is_limited(most):
    full = encode_payload(["4a"] * most)
    assert len(decode_payload(full, most)) == most
    with pytest.raises(PacketError, match="max_packets_per_payload"):
        decode_payload(full + b"\x1e4a", most)


def test_more_than_sixteen_packets_are_fine():
    frames = [f"4{number}" for number in range(5000)]
    assert decode_payload(encode_payload(frames), MANY) == frames


@given(body=st.binary())
@example(body=b"4\xef\xbb\xbf")
def test_any_body_is_frames_or_refused_and_nothing_else_happens(body):
    try:
        frames = decode_payload(body, 100)
    except PacketError:
        return
    assert 1 <= len(frames) <= 100
    assert all(isinstance(frame, (str, bytes)) for frame in frames)


def test_a_separator_within_a_text_divides_it():
    assert decode_payload(encode_payload(["4a\x1e4b"]), MANY) == ["4a", "4b"]
