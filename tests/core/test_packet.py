"""Packets: what goes on the wire for each kind of data, and what comes back."""

from __future__ import annotations

import base64
import json as stdlib_json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_green import json, packet
from engineio_green.exceptions import PacketError
from engineio_green.packet import (
    CLOSE,
    MESSAGE,
    NOOP,
    OPEN,
    PING,
    PONG,
    UPGRADE,
    Packet,
    decode_text,
    encode_message,
    from_payload_form,
    to_payload_form,
)

TEXT = st.text(alphabet=st.characters(codec="utf-8"))
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12)
DOCUMENTS = st.one_of(st.lists(VALUES, max_size=4), st.dictionaries(TEXT, VALUES, max_size=4))
# What can not be mistaken for a document.
PLAIN_TEXT = TEXT.filter(lambda text: text[:1] not in ("{", "["))


def same(left, right):
    """Whether two values are equal and of the same types all the way down, which ``==`` does not say: 1 == True."""
    return repr(left) == repr(right)


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        ("hello", "4hello"),
        ("", "4"),
        ("h\u00e4 \u20ac \U0001f600", "4h\u00e4 \u20ac \U0001f600"),
        ("\x1e", "4\x1e"),
        ("4", "44"),
        (b"", b""),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"\x00\xff"), b"\x00\xff"),
        (memoryview(b"-\x00\xff-")[1:3], b"\x00\xff"),
        ({"a": [1, None, True]}, '4{"a":[1,null,true]}'),
        ([], "4[]"),
        ({}, "4{}"),
        (("a", 1), '4["a",1]'),
        (5, "45"),
        (1.5, "41.5"),
        (None, "4"),
    ],
)
def test_each_kind_of_data_has_its_frame(data, frame):
    made = encode_message(data)
    assert made == frame
    assert type(made) is type(frame)


def test_a_frame_of_bytes_does_not_change_with_what_it_was_made_of():
    data = bytearray(b"abc")
    frame = encode_message(data)
    data[0] = 0
    assert frame == b"abc"


@pytest.mark.parametrize("data", ["\ud800", "a\udfff", {"a": "\ud800"}, ["\ud800"]])
def test_text_that_utf_8_can_not_carry_fails_at_its_sender(data):
    try:
        frame = encode_message(data)
    except UnicodeEncodeError:
        return
    frame.encode()  # or it went out in a form that can be sent: JSON escapes it


def test_data_that_json_can_not_carry_fails_at_its_sender():
    with pytest.raises(TypeError):
        encode_message({"a": object()})


@pytest.mark.parametrize(
    "text",
    [
        "true", "false", "null", "12", "-0", "1.5", "1e5", "NaN", "Infinity", "-Infinity", '"text"', "", " ", "nil", "hello",
        "{", "[", "{a:1}", "{'a':1}", "[1,]", '{"a":1}x', "[1] [2]", "[NaN]", "[Infinity]", "[-Infinity]", '{"a":NaN}',
        '["\n"]', '["\\x41"]', "[01]", "[1.]", "[.5]", "[+1]", "[0x10]", "[True]", "[undefined]", '{"a"}', "[,]", "]", "}",
        '\ufeff{"a":1}', "[" * 10, "[1" + "," * 5,
    ],
)  # fmt: skip
def test_text_that_is_no_json_object_or_array_stays_text(text):
    assert decode_text(text) == text
    assert type(decode_text(text)) is str


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ("[]", []),
        ('{"a":1}', {"a": 1}),
        ("[1, 2.5, true, null]", [1, 2.5, True, None]),
        ('["\\ud83d\\ude00"]', ["\U0001f600"]),
        ('[ { "a" : [ ] } ]\n', [{"a": []}]),
        ('{"a":1,"a":2}', {"a": 2}),
        ("[123456789012345678901234567890]", [123456789012345678901234567890]),
    ],
)
def test_a_json_object_or_array_becomes_a_dict_or_a_list(text, value):
    assert same(decode_text(text), value)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000, '[{"a":' * 50_000])
def test_nesting_without_end_is_text_and_harms_nobody(text):
    assert decode_text(text) == text


def test_a_number_too_long_to_convert_is_text_where_python_has_a_limit():
    text = "[" + "9" * 100_000 + "]"
    if not hasattr(sys, "get_int_max_str_digits"):
        text = "[" + "9" * 100 + "]"  # nothing to see on a Python that converts everything
        assert decode_text(text) == [int(text[1:-1])]
        return
    assert decode_text(text) == text


def test_a_server_s_own_json_module_is_used_both_ways():
    class Shouting:
        @staticmethod
        def dumps(obj, **kwargs):
            return stdlib_json.dumps(obj, **kwargs).upper()

        @staticmethod
        def loads(text):
            return ["loaded", text]

    assert encode_message({"a": "b"}, Shouting) == '4{"A":"B"}'
    assert decode_text("[1]", Shouting) == ["loaded", "[1]"]
    assert decode_text("12", Shouting) == "12"


def test_a_json_module_may_return_bytes():
    class Fast:
        @staticmethod
        def dumps(obj, **kwargs):
            return stdlib_json.dumps(obj, **kwargs).encode()

        loads = staticmethod(stdlib_json.loads)

    assert encode_message({"a": "\u00e4"}, Fast) == '4{"a":"\\u00e4"}'
    assert Packet(MESSAGE, [1]).frame(Fast) == "4[1]"


def test_a_json_module_that_makes_a_document_a_scalar_leaves_the_text():
    class Odd:
        dumps = staticmethod(stdlib_json.dumps)
        loads = staticmethod(lambda text: 5)

    assert decode_text("[1]", Odd) == "[1]"


# --- the JSON policy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [str, str.encode, lambda text: bytearray(text.encode())])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[NaN]", '{"a":[-Infinity]}'])
def test_what_is_no_json_is_refused_in_every_form(form, text):
    with pytest.raises(ValueError, match="not JSON"):
        json.loads(form(text))


def test_what_is_no_json_is_refused_also_with_options():
    with pytest.raises(ValueError, match="not JSON"):
        json.loads("[NaN]", parse_float=str)


def test_the_options_of_the_standard_library_work():
    assert json.loads("[1.5]", parse_float=str) == ["1.5"]
    assert json.loads(b'{"a":1}') == {"a": 1}
    assert json.loads("[NaN]", parse_constant=lambda name: None) == [None]
    assert json.dumps([1, 2], separators=(",", ":")) == "[1,2]"


# --- binary in payloads -------------------------------------------------------------------------------------------------


@given(data=st.binary())
def test_bytes_survive_a_payload(data):
    form = to_payload_form(data)
    assert form == "b" + base64.b64encode(data).decode()
    assert from_payload_form(form) == data


@given(text=TEXT.filter(lambda text: text[:1] != "b"))
def test_text_stays_as_it_is_in_a_payload(text):
    assert from_payload_form(to_payload_form(text)) == text


@pytest.mark.parametrize(
    ("text", "data"), [("b", b""), ("bAA==", b"\0"), ("bAAA=", b"\0\0"), ("bAAAA", b"\0\0\0"), ("b+/+/", b"\xfb\xff\xbf")]
)
def test_base64_is_decoded(text, data):
    assert from_payload_form(text) == data


@pytest.mark.parametrize(
    "text",
    [
        "b=", "b==", "b===", "bA", "bAA", "bAAA", "bA=", "bA==", "bA===", "bAA=", "bAA===", "bAAA==", "bAAAA=", "bAAAA==",
        "bAAAA===",
        "bAAAAA", "bAA=A", "bAA==AAAA", "bAAA=AAA=", "b AAAA", "bAAAA ", "bAA AA", "bAAAA\n", "bAA\nAA", "b\tAAAA", "b-_-_",
        "b%41AAA",
        "bAA\u00e4A", "b\u00e4\u00e4\u00e4\u00e4", "b\uff21\uff21\uff21\uff21", "bAA\0A", "b!!!!", "bb64:", "bAAAA,",
    ],
)  # fmt: skip
def test_base64_that_is_not_strict_is_refused(text):
    with pytest.raises(PacketError):
        from_payload_form(text)


@given(text=st.text(alphabet="AQgw+/=bZ9", max_size=12))
def test_base64_is_taken_only_in_the_one_form_that_encoding_makes(text):
    try:
        data = from_payload_form("b" + text)
    except PacketError:
        return
    rest = base64.b64encode(data).decode()
    assert len(rest) == len(text)
    assert rest.rstrip("=")[:-1] == text.rstrip("=")[:-1]  # the last digit may carry bits that nobody reads


# --- the class ------------------------------------------------------------------------------------------------------------


def test_the_types_are_numbered_as_on_the_wire():
    assert tuple(range(7)) == (OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP)
    assert packet.packet_names == ["OPEN", "CLOSE", "PING", "PONG", "MESSAGE", "UPGRADE", "NOOP"]


def test_a_packet_is_a_noop_unless_it_is_said():
    made = Packet()
    assert (made.packet_type, made.data, made.encode()) == (NOOP, None, "6")


@pytest.mark.parametrize(
    ("kind", "data", "frame"),
    [
        (OPEN, {"sid": "x"}, '0{"sid":"x"}'),
        (CLOSE, None, "1"),
        (PING, "probe", "2probe"),
        (PONG, "probe", "3probe"),
        (MESSAGE, "a", "4a"),
        (MESSAGE, {"a": 1}, '4{"a":1}'),
        (MESSAGE, b"a", b"a"),
        (MESSAGE, None, "4"),
        (UPGRADE, None, "5"),
        (NOOP, None, "6"),
    ],
)
def test_a_packet_is_its_type_and_its_data(kind, data, frame):
    made = Packet(kind, data)
    assert made.encode() == made.frame() == frame
    back = Packet(encoded_packet=frame)
    assert (back.packet_type, back.binary) == (kind, isinstance(data, bytes))
    assert back.data == (data if data is not None or kind != MESSAGE else "")


@pytest.mark.parametrize(
    ("data", "text"), [(b"\x00", "bAA=="), (bytearray(b"\x00"), "bAA=="), ("\u00e4", "4\u00e4"), ([1], "4[1]")]
)
def test_for_a_polling_payload_bytes_become_base64(data, text):
    made = Packet(MESSAGE, data)
    assert made.encode(b64=True) == text
    assert made.encode(b64=False) == (bytes(data) if made.binary else text)
    assert made.encode(b64=True) == text


@pytest.mark.parametrize("kind", [OPEN, CLOSE, PING, PONG, UPGRADE, NOOP])
@pytest.mark.parametrize("data", [b"", b"a", bytearray(b"a"), memoryview(b"a")])
def test_only_messages_carry_bytes(kind, data):
    with pytest.raises(ValueError, match="MESSAGE"):
        Packet(kind, data)


@pytest.mark.parametrize("frame", ["", "7", "9", "a", "-1", " 4", "\uff14", "\u0664", "\x1e", "\n4", "bA", "b====", "B", "{}"])
def test_what_is_no_packet_is_refused(frame):
    with pytest.raises(PacketError):
        Packet(encoded_packet=frame)


@pytest.mark.parametrize("frame", [b"", b"4a", bytearray(b"\x00\x04"), b"\xff" * 1000])
def test_received_bytes_are_a_binary_message(frame):
    made = Packet(encoded_packet=frame)
    assert (made.packet_type, made.data, made.binary) == (MESSAGE, bytes(frame), True)


@given(data=st.one_of(DOCUMENTS, PLAIN_TEXT, st.binary()), b64=st.booleans())
def test_a_message_comes_back_as_it_was(data, b64):
    back = Packet(encoded_packet=Packet(MESSAGE, data).encode(b64=b64))
    assert back.packet_type == MESSAGE
    assert same(back.data, data)


@given(kind=st.integers(0, 6), data=st.one_of(st.none(), PLAIN_TEXT.filter(bool), DOCUMENTS))
def test_any_packet_comes_back_as_it_was(kind, data):
    back = Packet(encoded_packet=Packet(kind, data).encode())
    assert back.packet_type == kind
    assert same(back.data, data if data is not None or kind != MESSAGE else "")


@given(text=st.text())
def test_any_text_is_a_packet_or_refused_and_nothing_else_happens(text):
    try:
        made = Packet(encoded_packet=text)
    except PacketError:
        return
    assert 0 <= made.packet_type <= 6


def test_a_packet_may_be_filled_again():
    made = Packet(MESSAGE, "old")
    assert made.encode() == "4old"
    made.decode("4new")
    assert (made.data, made.encode()) == ("new", "4new")


def test_a_packet_keeps_no_dictionary():
    with pytest.raises(AttributeError):
        Packet().anything = 1
