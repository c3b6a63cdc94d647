"""The cookie that carries the session id."""

from __future__ import annotations

import pytest

from engineio_green.core.response import cookie_headers

from .making import request, settings

SECURE = {"wsgi.url_scheme": "https"}


def cookie(option, sid="the-sid", **environ):
    """Return the parts of the one Set-Cookie header."""
    ((name, value),) = cookie_headers(sid, request(**environ), settings(cookie=option))
    assert name == "Set-Cookie"
    return value.split("; ")


@pytest.mark.parametrize("option", [None, False])
def test_no_cookie_unless_it_is_asked_for(option):
    assert cookie_headers("the-sid", request(), settings(cookie=option)) == []


def test_a_name_alone_makes_a_cookie_that_scripts_and_other_sites_do_not_get():
    first, *attributes = cookie("io")
    assert first == "io=the-sid"
    assert sorted(attribute.lower() for attribute in attributes) == ["httponly", "path=/", "samesite=lax"]


def test_a_dictionary_says_all_of_it():
    assert cookie({"name": "io"}) == ["io=the-sid"]
    assert cookie({"name": "io", "Path": "/app", "Max-Age": "60", "HttpOnly": True}) == [
        "io=the-sid", "Path=/app", "Max-Age=60", "HttpOnly",
    ]  # fmt: skip


def test_a_boolean_switches_an_attribute():
    assert cookie({"name": "io", "HttpOnly": True, "Secure": False}) == ["io=the-sid", "HttpOnly"]


@pytest.mark.parametrize(("result", "part"), [("x", ["Path=x"]), (True, ["Path"]), (False, []), (None, [])])
def test_a_callable_is_asked_each_time(result, part):
    calls = []
    option = {"name": "io", "Path": lambda: calls.append(1) or result}
    assert cookie(option) == cookie(option) == ["io=the-sid", *part]
    assert len(calls) == 2


@pytest.mark.parametrize("value", ["/;Secure", "/\r\nSet-Cookie: x=y", "\0"])
def test_a_callable_can_not_end_the_cookie_either(value):
    with pytest.raises(ValueError, match="Path"):
        cookie({"name": "io", "Path": lambda: value})


def test_a_callable_may_give_a_date():
    assert cookie({"name": "io", "Expires": lambda: "Wed, 21 Oct 2026 07:28:00 GMT"})[1].startswith("Expires=Wed, 21")


@pytest.mark.parametrize("option", ["io", {"name": "io"}])
@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_over_https_the_cookie_is_secure(option, scheme):
    assert cookie(option, **{"wsgi.url_scheme": scheme})[-1] == "Secure"
    assert "Secure" not in cookie(option)


@pytest.mark.parametrize(("value", "parts"), [(True, ["io=the-sid", "secure"]), (False, ["io=the-sid"])])
def test_the_application_s_word_on_secure_counts(value, parts):
    assert cookie({"name": "io", "secure": value}, **SECURE) == parts
    assert cookie({"name": "io", "secure": value}) == parts


def test_https_at_a_trusted_proxy_counts():
    forwarded = {"HTTP_X_FORWARDED_PROTO": "https"}
    assert cookie("io", REMOTE_ADDR="127.0.0.1", **forwarded)[-1] == "Secure"
    assert "Secure" not in cookie("io", REMOTE_ADDR="192.0.2.1", **forwarded)
