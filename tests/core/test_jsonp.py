"""JSONP in both directions: scripts that a browser can run, and forms that carry payloads."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_green.core.request import post_body
from engineio_green.core.response import ok_response, payload_response, preflight_response
from engineio_green.exceptions import PacketError

from .javascript import LINE_TERMINATORS, NotJavaScript, fill_form, read_string_literal, run_jsonp
from .making import opened, post, request, settings

JSONP = settings(jsonp=True, http_compression=False)
NASTY = [
    "", "plain", '"', "'", "\\", "\\\\", '\\"', "\n", "\r\n", "\t\0\x7f\x1f\x1e", "\u2028\u2029", "\u2028" * 3,
    "</script><script>alert(1)</script>", "</SCRIPT", "<!--", "<!--<script>", "-->", "]]>", "`${1}`", "\\u0041", "\\x41",
    "\\n", "\\\\n", "\u00e4\u20ac\U0001f600", "\ufeff\uffff\ue000", "*/ //", ");alert(1);(", "\\" * 7 + '"',
]  # fmt: skip


def jsonp(index="0", method="GET", **environ):
    return request(method, f"EIO=4&transport=polling&j={index}", **environ)


def answer(frames, index="0"):
    return payload_response(list(frames), jsonp(index), JSONP)


# --- the reader of this test ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "value"), [(r'"a\n\u0041\x42\/\"\\"', 'a\nAB/"\\'), ('"\\\n"', ""), (r'"\ud83d\ude00"', "\U0001f600")]
)
def test_the_reader_knows_javascript(source, value):
    assert read_string_literal(source) == value


@pytest.mark.parametrize("source", ["", '"', "'a'", '"a"b"', '"\\"', '"\\u12"', '"\\07"', '"a\nb"', '"\u2028"', '""+""'])
def test_the_reader_refuses_what_is_no_literal(source):
    with pytest.raises(NotJavaScript):
        read_string_literal(source)


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NASTY)
def test_the_callback_gets_the_payload_unchanged(text):
    response = answer(["4" + text, b"\x00\xff"])
    assert run_jsonp(response.body.decode()) == ("0", f"4{text}\x1ebAP8=")


@given(text=st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\</!-' + LINE_TERMINATORS))))
def test_any_text_survives_the_browser(text):
    assert run_jsonp(answer(["4" + text]).body.decode())[1] == "4" + text


@pytest.mark.parametrize(
    ("index", "digits"),
    [("0", "0"), ("17", "17"), ("", ""), ("1)(2", "12"), ("alert(1)//", "1"), ("%27;x[0", "0"), ("-1", "1"), ("%EF%BC%91", ""),
     ("%D9%A3", ""), ("1%0A2", "12"), ("0x1", "01"), ("%C2%B2", "")],
)  # fmt: skip
def test_only_the_digits_of_the_index_come_back(index, digits):
    assert run_jsonp(answer(["4a"], index).body.decode())[0] == digits


def test_the_answer_is_a_script_and_must_not_be_taken_for_anything_else():
    headers = dict(answer(["4a"]).headers)
    assert headers["Content-Type"].lower().startswith("application/javascript")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_a_script_is_compressed_like_any_other_answer():
    made = settings(jsonp=True, compression_threshold=10)
    response = payload_response(["4" + "a" * 100], jsonp(HTTP_ACCEPT_ENCODING="gzip"), made)
    assert dict(response.headers)["Content-Encoding"] == "gzip"


def test_a_post_is_answered_with_plain_ok():
    response = ok_response(jsonp(method="POST"), JSONP)
    assert response.body == b"ok"
    assert dict(response.headers)["Content-Type"].startswith("text/plain")


def test_a_preflight_has_no_script():
    assert preflight_response(jsonp(method="OPTIONS"), JSONP).body == b""


# --- forms ------------------------------------------------------------------------------------------------------------


def fill(payload, **more):
    return urlencode({"d": fill_form(payload), **more}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        "4hello", "4\u00e4\u20ac\U0001f600", "4a\x1e4b\x1ebAP8=", "4a&d=4b", "4a+b c%20", "4a\nb", "4\n", "4\n\n\nx", "4a\\nb",
        "4\\n\\n", "4a\\\\nb", "4\\\\\\n", "4\\", "4\\x", "4\\n\n", "4n", "3", "1",
    ],
)  # fmt: skip
def test_a_form_carries_a_payload(payload):
    assert post_body(fill(payload), jsonp(method="POST")) == payload.encode()


@pytest.mark.parametrize("data", [{"text": "two\nlines"}, {"path": "C:\\new"}, ["\n", "\\n", "\\\n", "\\\\n"], {"a": '"\\"'}])
def test_a_form_carries_json(data):
    session = opened(jsonp=True)
    assert post(session, post_body(fill("4" + json.dumps(data)), jsonp(method="POST"))) == [data]


def _unambiguous(payload):
    return "\\\n" not in payload  # a real line feed behind a backslash looks like an escaped one: a flaw of the encoding


PIECES = st.one_of(st.sampled_from(["\\n", "\\", "n", "\n", "&", "=", "+", "%", ";", "d="]), st.text(max_size=3))


@given(payload=st.lists(PIECES).map("".join).filter(_unambiguous))
def test_any_payload_survives_the_form(payload):
    assert post_body(fill(payload), jsonp(method="POST")) == payload.encode()


def test_other_fields_are_ignored():
    assert post_body(fill("4a", x="y", e=""), jsonp(method="POST")) == b"4a"


@pytest.mark.parametrize("body", [b"", b"x=4a", b"4a", b"d", b"d=", b"D=4a", b"&&&"])
def test_a_form_without_a_payload_is_a_malformed_payload(body):
    session = opened(jsonp=True)
    with pytest.raises(PacketError):
        post(session, post_body(body, jsonp(method="POST")))
    assert session.gone


@pytest.mark.parametrize("body", [b"&".join([b"d=4a"] * 1000), b"&" * 100_000, b"d=%ff%fe", b"d=4%ed%a0%80"])
def test_a_hostile_form_is_refused_like_any_malformed_payload(body):
    session = opened(jsonp=True)
    with pytest.raises(PacketError):
        post(session, post_body(body, jsonp(method="POST")))


def test_without_jsonp_the_body_is_the_payload():
    plain = request("POST")
    for body in (b"d=4a", b"4\\n", b"", b"\xff"):
        assert post_body(body, plain) == body


@pytest.mark.parametrize("make", [request, jsonp])
def test_a_body_that_never_came_stays_none(make):
    assert post_body(None, make(method="POST")) is None
