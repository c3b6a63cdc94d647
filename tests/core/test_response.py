"""Answers: their headers, CORS, compression, refusals. JSONP and cookies have files of their own."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_green.core.request import Refusal, bad_request, forbidden, full
from engineio_green.core.response import (
    choose_coding,
    ok_response,
    payload_response,
    preflight_response,
    refusal_response,
    unauthorized_response,
)

from .making import request, settings

DEFAULT = settings()
EVERYBODY = settings(cors_allowed_origins="*")
OWN, EVIL = "http://example.com", "http://evil.example"


def header(response, name):
    """Return the values of a header, in order."""
    return [value for key, value in response.headers if key.lower() == name.lower()]


def all_answers(asked, made):
    return [
        payload_response(["4a"], asked, made),
        ok_response(asked, made),
        refusal_response(Refusal(1), asked, made),
        refusal_response(bad_request("PAYLOAD_TOO_LARGE", status=413), asked, made),
        unauthorized_response(False, asked, made),
        preflight_response(asked, made),
    ]


# --- what every answer has ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("origin", [None, OWN, EVIL])
def test_no_answer_is_stored_or_sniffed_and_each_tells_its_length_once(method, origin):
    for response in all_answers(request(method, HTTP_ORIGIN=origin), DEFAULT):
        assert header(response, "Cache-Control") == ["no-store"]
        assert header(response, "X-Content-Type-Options") == ["nosniff"]
        assert header(response, "Content-Length") == [str(len(response.body))]
        assert len(header(response, "Content-Type")) == 1


@pytest.mark.parametrize("value", [EVIL + "\r\nSet-Cookie: a=b", "a\nb", "a\0b"])
def test_no_header_of_an_answer_holds_a_line_break(value):
    for name in ("HTTP_ORIGIN", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "HTTP_ACCEPT_ENCODING"):
        for response in all_answers(request("OPTIONS", **{"HTTP_ORIGIN": OWN, name: value}), EVERYBODY):
            assert not any(char in text for pair in response.headers for text in pair for char in "\r\n\0")


def test_a_payload_is_text_in_utf_8():
    response = payload_response(["4h\u00e4", b"\x00"], request(), DEFAULT)
    assert response.status == "200 OK"
    assert response.body == "4h\u00e4\x1ebAA==".encode()
    assert header(response, "Content-Type") == ["text/plain; charset=UTF-8"]


def test_a_post_is_answered_with_ok():
    response = ok_response(request("POST"), DEFAULT)
    assert (response.status, response.body) == ("200 OK", b"ok")


def test_the_headers_of_a_handshake_are_added():
    response = payload_response(["0{}"], request(), DEFAULT, [("Set-Cookie", "io=x")])
    assert header(response, "Set-Cookie") == ["io=x"]


# --- refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        (0, "400 Bad Request", "Transport unknown"),
        (1, "400 Bad Request", "Session ID unknown"),
        (2, "400 Bad Request", "Bad handshake method"),
        (3, "400 Bad Request", "Bad request"),
        (4, "403 Forbidden", "Forbidden"),
        (5, "400 Bad Request", "Unsupported protocol version"),
    ],
)
def test_a_refusal_is_its_code_and_message_as_json(code, status, message):
    response = refusal_response(Refusal(code, {"name": "<script>"}), request(query="<script>"), DEFAULT)
    assert response.status == status
    assert header(response, "Content-Type") == ["application/json"]
    assert json.loads(response.body) == {"code": code, "message": message}


def test_a_body_over_the_limit_is_413():
    response = refusal_response(bad_request("PAYLOAD_TOO_LARGE", status=413), request("POST"), DEFAULT)
    assert response.status.startswith("413 ")
    assert json.loads(response.body)["code"] == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_refused_request_that_may_have_a_body_ends_the_connection(method):
    assert header(refusal_response(Refusal(3), request(method), DEFAULT), "Connection") == ["close"]


def test_a_refused_request_whose_body_was_read_keeps_the_connection():
    refusal = bad_request("PAYLOAD_REFUSED")
    refusal.body_read = True
    assert header(refusal_response(refusal, request("POST"), DEFAULT), "Connection") == []


def test_a_refused_upgrade_ends_the_connection():
    assert header(refusal_response(Refusal(3), request(HTTP_UPGRADE="websocket"), DEFAULT), "Connection") == ["close"]


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_a_refused_request_without_a_body_keeps_the_connection(method):
    assert header(refusal_response(Refusal(0), request(method), DEFAULT), "Connection") == []


@pytest.mark.parametrize(
    ("value", "body"),
    [(False, "Unauthorized"), ("no", "no"), (5, 5), (0, 0), ("", ""), ([1, "a"], [1, "a"]), ({"why": "x"}, {"why": "x"})],
)
def test_a_rejected_connection_gets_the_application_s_value_as_json(value, body):
    response = unauthorized_response(value, request(), DEFAULT)
    assert response.status == "401 Unauthorized"
    assert header(response, "Content-Type") == ["application/json"]
    assert json.loads(response.body) == body


def test_an_answer_to_head_has_no_body_or_ends_the_connection():
    """Else a client would take the body for the next answer (RFC 9110, section 9.3.2)."""
    for refusal in (Refusal(0), Refusal(1), Refusal(2), bad_request("METHOD_NOT_ALLOWED")):
        response = refusal_response(refusal, request("HEAD"), DEFAULT)
        assert response.body == b"" or header(response, "Connection") == ["close"]


@pytest.mark.parametrize("option", ["max_sessions", "max_sessions_per_address", "handshake_rate"])
def test_a_server_that_is_full_says_when_to_come_again_and_not_what_its_limits_are(option):
    refusal = full(option)
    response = refusal_response(refusal, request(), DEFAULT)
    assert response.status.startswith("503 ")
    assert int(header(response, "Retry-After")[0]) > 0
    assert option not in response.body.decode()
    assert option in str(refusal.context)


@pytest.mark.parametrize(
    ("message", "told"), [("", "Forbidden"), ("come back later", "come back later"), ('"<\u20ac', '"<\u20ac')]
)
def test_the_application_may_say_why_it_forbids(message, told):
    response = refusal_response(forbidden(message), request(), DEFAULT)
    assert response.status == "403 Forbidden"
    assert json.loads(response.body) == {"code": 4, "message": told}


# --- CORS -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "origin"),
    [
        (None, OWN),
        ("*", EVIL),
        ("*", "null"),
        (EVIL, EVIL),
        ([OWN, EVIL], EVIL),
        (lambda origin: True, EVIL),
        (lambda origin, environ: "REQUEST_METHOD" in environ, EVIL),
    ],
)
def test_an_allowed_origin_may_read_every_answer(rule, origin):
    for response in all_answers(request(HTTP_ORIGIN=origin), settings(cors_allowed_origins=rule)):
        assert header(response, "Access-Control-Allow-Origin") == [origin]
        assert header(response, "Access-Control-Allow-Credentials") == ["true"]
        assert "Origin" in header(response, "Vary")


@pytest.mark.parametrize(
    ("rule", "origin"), [(None, EVIL), (None, "null"), (OWN, EVIL), ([], OWN), ([], EVIL), (lambda origin: False, OWN)]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_another_origin_or_no_cors_handling_gets_no_cors_header(rule, origin, method):
    for response in all_answers(request(method, HTTP_ORIGIN=origin), settings(cors_allowed_origins=rule)):
        assert not [name for name, _ in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("rule", [None, "*", [], OWN])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_request_without_an_origin_gets_no_cors_header(rule, method):
    for response in all_answers(request(method), settings(cors_allowed_origins=rule)):
        assert not [name for name, _ in response.headers if name.lower().startswith("access-control")]


def test_the_star_itself_is_never_sent_because_it_forbids_credentials():
    response = ok_response(request(HTTP_ORIGIN=EVIL), EVERYBODY)
    assert "*" not in header(response, "Access-Control-Allow-Origin")


def test_credentials_can_be_switched_off():
    for response in all_answers(request(HTTP_ORIGIN=EVIL), settings(cors_allowed_origins="*", cors_credentials=False)):
        assert header(response, "Access-Control-Allow-Origin") == [EVIL]
        assert header(response, "Access-Control-Allow-Credentials") == []


def test_a_preflight_tells_methods_and_headers():
    asked = request("OPTIONS", HTTP_ORIGIN=OWN, HTTP_ACCESS_CONTROL_REQUEST_HEADERS="content-type, x-token")
    response = preflight_response(asked, DEFAULT)
    assert response.status == "200 OK"
    assert response.body == b""
    methods = {method.strip() for method in header(response, "Access-Control-Allow-Methods")[0].split(",")}
    assert methods == {"OPTIONS", "GET", "POST"}
    assert header(response, "Access-Control-Allow-Headers") == ["content-type, x-token"]


@pytest.mark.parametrize("wanted", ["", "x\r\ny: z", "x\0", "x;y", "x" * 2000, "\u00e4", "<script>", "x: y"])
def test_a_preflight_never_echoes_what_is_no_list_of_header_names(wanted):
    asked = request("OPTIONS", HTTP_ORIGIN=OWN, HTTP_ACCESS_CONTROL_REQUEST_HEADERS=wanted)
    assert header(preflight_response(asked, DEFAULT), "Access-Control-Allow-Headers") == []


def test_answers_that_are_no_preflight_tell_no_methods():
    response = ok_response(request("POST", HTTP_ORIGIN=OWN), DEFAULT)
    assert header(response, "Access-Control-Allow-Methods") == []


# --- compression ----------------------------------------------------------------------------------------------------------

LONG = "4" + "a" * 2000
UNPACK = {"gzip": gzip.decompress, "deflate": zlib.decompress}


def compressed(accept, frames=(LONG,), **options):
    """Return the coding of the answer, having looked whether it unpacks to what it should."""
    plain = payload_response(list(frames), request(), settings(http_compression=False)).body
    response = payload_response(list(frames), request(HTTP_ACCEPT_ENCODING=accept), settings(**options))
    codings = header(response, "Content-Encoding")
    if not codings:
        assert response.body == plain
        return None
    (coding,) = codings
    assert UNPACK[coding](response.body) == plain
    assert header(response, "Content-Length") == [str(len(response.body))]
    return coding


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate", "gzip"),
        ("deflate, gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("GZIP", "gzip"),
        (" gzip ;q=1", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("gzip; q=0.5", "gzip"),
        ("gzip;Q=0.5", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=1.000", "gzip"),
        ("deflate;q=0.9, gzip;q=0.8", "deflate"),
        ("gzip;q=0.8, deflate;q=0.9", "deflate"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip;q=0, *", "deflate"),
        ("*", "gzip"),
        ("*;q=0.1", "gzip"),
        ("*;q=0.1, deflate", "deflate"),
        ("*;q=0, deflate;q=0.2", "deflate"),
        ("br, *;q=0.5", "gzip"),
        ("gzip, identity;q=0.5", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("gzip;q=0.5,,deflate;q=0.4,", "gzip"),
        (None, None),
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip;q=0.0, deflate;q=0.000", None),
        ("*;q=0", None),
        ("gzip;q=0, deflate;q=0, *", None),
        ("gzip;q=0.5, identity;q=1", None),
        ("gzip;q=0.5, identity;q=0.6", None),
        ("gzip;q=-1", None),
        ("gzip;q=", None),
        ("gzip;q=x", None),
        ("gzip;q=nan", None),
        ("deflate;q=nan", None),
        ("gzip;q=nan, identity", None),
        ("gzipped", None),
        ("not gzip", None),
        ("gzip/deflate", None),
        (";q=1", None),
        (",,,", None),
    ],
)
def test_the_client_s_weights_choose_the_coding(accept, coding):
    assert compressed(accept) == coding


@given(accept=st.text(alphabet="gzip deflate,;q=.01*nan-e\u00e4", max_size=60))
def test_no_header_makes_the_server_use_a_coding_that_was_not_named(accept):
    coding = choose_coding(accept)
    assert coding is None or coding in accept or "*" in accept


def test_a_long_header_costs_little():
    assert choose_coding("x;q=1," * 100_000 + "gzip") is None


@pytest.mark.parametrize(
    ("threshold", "size", "coding"), [(1024, 1024, None), (1024, 1025, "gzip"), (0, 1, "gzip"), (10, 10, None), (10, 11, "gzip")]
)
def test_only_what_is_longer_than_the_threshold_is_compressed(threshold, size, coding):
    assert compressed("gzip", ["4" + "a" * (size - 1)], compression_threshold=threshold) == coding


def test_the_threshold_counts_the_bytes_of_the_whole_body():
    assert compressed("gzip", ["4" + "\u20ac" * 400], compression_threshold=1024) == "gzip"
    assert compressed("gzip", ["4" + "a" * 100] * 11, compression_threshold=1024) == "gzip"


def test_without_compression_nothing_is_compressed_and_nothing_varies():
    assert compressed("gzip", http_compression=False) is None
    response = payload_response([LONG], request(HTTP_ACCEPT_ENCODING="gzip"), settings(http_compression=False))
    assert header(response, "Vary") == []


@pytest.mark.parametrize("accept", ["gzip", "identity", None])
def test_what_could_be_compressed_varies_with_the_header_whether_it_was_or_not(accept):
    response = payload_response([LONG], request(HTTP_ACCEPT_ENCODING=accept, HTTP_ORIGIN=OWN), DEFAULT)
    assert set(header(response, "Vary")) == {"Accept-Encoding", "Origin"}


def test_what_is_too_short_to_be_compressed_does_not_vary():
    assert header(payload_response(["4a"], request(HTTP_ACCEPT_ENCODING="gzip"), DEFAULT), "Vary") == []


def test_refusals_are_never_compressed():
    asked = request(HTTP_ACCEPT_ENCODING="gzip")
    response = unauthorized_response("a" * 5000, asked, settings(compression_threshold=0))
    assert header(response, "Content-Encoding") == []
    assert json.loads(response.body) == "a" * 5000


def test_the_same_payload_is_compressed_to_the_same_bytes():
    asked = request(HTTP_ACCEPT_ENCODING="gzip")
    assert payload_response([LONG], asked, DEFAULT).body == payload_response([LONG], asked, DEFAULT).body
