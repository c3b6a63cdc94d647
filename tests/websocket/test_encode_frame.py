"""Frames that the server sends: the bytes that RFC 6455 wants, which are those of the library that the server reads with."""

from __future__ import annotations

import pytest
from client_frames import BINARY, TEXT, ServerFrame, read_frames
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from engineio_green.websocket.stream import Stream, encode_frame

LENGTHS = [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 100_000, 1_000_000]


def library_frame(message):
    kind, payload = (Opcode.TEXT, message.encode()) if isinstance(message, str) else (Opcode.BINARY, message)
    return Frame(kind, payload).serialize(mask=False)


@pytest.mark.parametrize("length", LENGTHS)
def test_frames_of_any_length_are_those_of_the_library(length):
    for message in ("x" * length, b"\x00" * length):
        assert encode_frame(message) == library_frame(message)


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("", b"\x81\x00"),
        (b"", b"\x82\x00"),
        ("Hello", b"\x81\x05Hello"),
        (b"\x00\xff", b"\x82\x02\x00\xff"),
        ("\u20ac", b"\x81\x03\xe2\x82\xac"),
        (b"x" * 256, b"\x82\x7e\x01\x00" + b"x" * 256),
        (b"x" * 65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 65536),
    ],
)
def test_frames_are_those_of_the_rfc(message, data):
    assert encode_frame(message) == data


@pytest.mark.parametrize("count", [41, 42, 43, 21845, 21846])
def test_the_length_of_text_is_counted_in_bytes(count):
    message = "\u20ac" * count
    assert encode_frame(message) == library_frame(message)


@given(message=st.one_of(st.text(alphabet=st.characters(codec="utf-8")), st.binary()))
def test_any_message_comes_out_as_it_went_in(message):
    assert encode_frame(message) == library_frame(message)
    (sent,) = read_frames(encode_frame(message))
    opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
    assert sent == ServerFrame(opcode, payload, fin=True, rsv=0)


def test_without_compression_a_stream_sends_the_frame_that_everybody_gets():
    stream = Stream(1000)
    assert stream.shares_frames
    for message in ("", "a" * 5000, b"b" * 70_000):
        assert stream.encode(message) == encode_frame(message)


def test_text_that_utf_8_can_not_carry_is_an_error_and_no_frame():
    with pytest.raises(UnicodeEncodeError):
        encode_frame("\ud800")
