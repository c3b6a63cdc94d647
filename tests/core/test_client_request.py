"""What a client asks for: addresses and headers; and what it makes of a refusal."""

from __future__ import annotations

import pytest

from engineio_green.core.backoff import Backoff
from engineio_green.core.client_request import check_headers, make_target, refusal
from engineio_green.exceptions import ConnectionError, SettingError


@pytest.mark.parametrize(
    ("url", "path", "polling", "websocket"),
    [
        ("http://h:5000", "engine.io", "http://h:5000/engine.io/", "ws://h:5000/engine.io/"),
        ("https://h/ignored", "/a/b/", "https://h/a/b/", "wss://h/a/b/"),
        ("ws://[::1]:80", "", "http://[::1]:80/", "ws://[::1]:80/"),
        ("wss://h", "/", "https://h/", "wss://h/"),
    ],
)
def test_address_is_that_of_the_url_and_the_path_that_of_the_server(url, path, polling, websocket):
    target = make_target(url, path)
    assert target.url("polling") == f"{polling}?transport=polling&EIO=4"
    assert target.url("websocket", websocket=True) == f"{websocket}?transport=websocket&EIO=4"


def test_query_of_the_url_is_kept_and_the_session_comes_behind_it():
    target = make_target("http://h?token=a%26b&x=1")
    assert target.url("polling", "s/1", "7.5") == (
        "http://h/engine.io/?token=a%26b&x=1&transport=polling&EIO=4&sid=s%2F1&t=7.5"
    )


@pytest.mark.parametrize("url", ["h:5000", "localhost", "ftp://h", "http://", "http://[::1", "http://h:99999", "", None, 7])
def test_url_that_can_not_work_is_named(url):
    with pytest.raises(SettingError, match="URL"):
        make_target(url)


@pytest.mark.parametrize("headers", [{"a": "b\r\nc: d"}, {"a\n": "b"}, {"a": 1}, {1: "a"}])
def test_header_that_would_end_its_line_is_refused(headers):
    with pytest.raises(SettingError, match="header"):
        check_headers(headers)


@pytest.mark.parametrize(
    ("status", "body", "text", "details"),
    [
        (401, b'"Unauthorized"', "the server refused the connection (HTTP 401): Unauthorized", ("Unauthorized",)),
        (
            400,
            b'{"code":1,"message":"Session ID unknown"}',
            "the server refused the connection (HTTP 400): Session ID unknown (code 1)",
            ({"code": 1, "message": "Session ID unknown"},),
        ),
        (401, b'{"why":["a"]}', 'the server refused the connection (HTTP 401): {"why":["a"]}', ({"why": ["a"]},)),
        (502, b"Bad\r\nGateway\x1b[2J", "the server refused the connection (HTTP 502): Bad  Gateway [2J", ()),
        (503, b"", "the server refused the connection (HTTP 503)", ()),
        (500, b"x" * 1000, f"the server refused the connection (HTTP 500): {'x' * 300}...", ()),
    ],
)
def test_refusal_has_the_servers_own_reason_for_people_and_for_code(status, body, text, details):
    error = refusal(status, body)
    assert (str(error), error.args[1:], error.status, error.kind) == (text, details, status, "refused")


def test_error_without_a_refusal_has_one_argument():
    assert ConnectionError("no", kind="timeout").args == ("no",)


def test_delays_double_up_to_the_longest_and_are_spread():
    backoff = Backoff(first=1, longest=5, spread=0.5)
    assert [backoff.delay(attempt, 0.5) for attempt in range(1, 6)] == [1, 2, 4, 5, 5]
    assert backoff.delay(1, 0.0) == 0.5
    assert backoff.delay(10_000, 1.0) == 7.5


def test_attempts_are_used_up():
    backoff = Backoff(attempts=2)
    assert backoff.delay(2, 0.5) == 2
    assert backoff.delay(3, 0.5) is None


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"first": 0}, "reconnection_delay"),
        ({"first": 2, "longest": 1}, "reconnection_delay_max"),
        ({"spread": 2}, "randomization_factor"),
        ({"attempts": -1}, "reconnection_attempts"),
    ],
)
def test_delays_that_can_not_work_are_named(settings, option):
    with pytest.raises(SettingError, match=option):
        Backoff(**settings)
