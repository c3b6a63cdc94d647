"""Who may talk to the server: the origin rule in all its forms."""

from __future__ import annotations

import pytest

from engineio_green.core.request import Connect, Preflight, Refusal, decide

from .making import opened, request, settings

EVIL = "http://evil.example"
WEBSOCKET = {"query": "EIO=4&transport=websocket", "HTTP_UPGRADE": "websocket"}


def allowed(origin, rule=None, **environ):
    """Whether a handshake from *origin* is let in. A preflight must always agree."""
    made = settings(cors_allowed_origins=rule)
    decision = decide(request(HTTP_ORIGIN=origin, **environ), made, {})
    preflight = decide(request("OPTIONS", HTTP_ORIGIN=origin, **environ), made, {})
    if isinstance(decision, Connect):
        assert preflight == Preflight()
        return True
    assert isinstance(decision, Refusal)
    assert isinstance(preflight, Refusal)
    assert (decision.code, decision.status) == (preflight.code, preflight.status) == (3, 400)
    return False


# --- the same origin ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "scheme", "origin"),
    [
        ("example.com", "http", "http://example.com"),
        ("example.com:80", "http", "http://example.com"),
        ("example.com", "http", "http://example.com:80"),
        ("example.com:8080", "http", "http://example.com:8080"),
        ("example.com", "https", "https://example.com"),
        ("example.com:443", "https", "https://example.com"),
        ("example.com", "https", "https://example.com:443"),
        ("EXAMPLE.com", "http", "http://example.com"),
        ("example.com", "http", "HTTP://Example.COM"),
        ("example.com", "ws", "http://example.com"),
        ("example.com", "wss", "https://example.com"),
        ("127.0.0.1:5000", "http", "http://127.0.0.1:5000"),
        ("[::1]:5000", "http", "http://[::1]:5000"),
        ("[::1]", "http", "http://[::1]:80"),
        ("[2001:DB8::A]:5000", "http", "http://[2001:db8::a]:5000"),
        ("localhost:5000", "http", "http://localhost:5000"),
        ("xn--bcher-kva.example", "https", "https://xn--bcher-kva.example"),
    ],
)
def test_the_same_origin_is_allowed_by_default(host, scheme, origin):
    assert allowed(origin, HTTP_HOST=host, **{"wsgi.url_scheme": scheme})


@pytest.mark.parametrize(
    ("host", "scheme", "origin"),
    [
        ("example.com", "http", EVIL),
        ("example.com", "http", "https://example.com"),
        ("example.com", "https", "http://example.com"),
        ("example.com", "http", "http://example.com:8080"),
        ("example.com:8080", "http", "http://example.com"),
        ("example.com", "http", "http://example.com:443"),
        ("example.com", "https", "https://example.com:80"),
        ("example.com", "http", "http://sub.example.com"),
        ("sub.example.com", "http", "http://example.com"),
        ("example.com", "http", "http://example.com.evil.example"),
        ("example.com", "http", "http://evilexample.com"),
        ("example.com", "http", "http://example.com@evil.example"),
        ("example.com", "http", "http://evil.example/example.com"),
        ("example.com", "http", "http://evil.example#http://example.com"),
        ("example.com", "http", "http://evil.example\\@example.com"),
        ("example.com", "http", "null"),
        ("example.com", "http", ""),
        ("example.com", "http", "example.com"),
        ("example.com", "http", "//example.com"),
        ("example.com", "http", "file://"),
        ("example.com", "http", "file://example.com"),
        ("example.com", "http", "chrome-extension://example.com"),
        ("example.com", "http", "http://"),
        ("example.com", "http", "http://example.com:99999"),
        ("example.com", "http", "http://example.com:port"),
        ("example.com", "http", "http://[::1"),
        ("example.com", "http", "http://example.com http://evil.example"),
        ("example.com", "http", "http://example.com, http://evil.example"),
        ("example.com", "http", "http://example.com\r\nX: y"),
        ("example.com", "http", "http://example.com\0"),
        ("xn--bcher-kva.example", "https", "https://b\u00fccher.example"),
        ("xn--bcher-kva.example", "https", "https://b\xc3\xbccher.example"),  # UTF-8 as WSGI shows it
        ("example.com", "http", "http://example\xb7com"),
    ],
)
def test_any_other_origin_is_not(host, scheme, origin):
    assert not allowed(origin, HTTP_HOST=host, **{"wsgi.url_scheme": scheme})


@pytest.mark.parametrize("host", ["", None, "[::1", "a:b:c", "\u2100", "host:99999"])
@pytest.mark.parametrize("origin", ["null", "http://", "http://:80", "://", "", EVIL])
def test_a_broken_host_header_lets_nobody_in(host, origin):
    assert not allowed(origin, HTTP_HOST=host)


def test_without_a_host_header_the_server_s_name_counts():
    own = {"HTTP_HOST": None, "SERVER_NAME": "server.example", "SERVER_PORT": "5000"}
    assert allowed("http://server.example:5000", **own)
    assert not allowed("http://server.example", **own)


@pytest.mark.parametrize("rule", [None, "*", [], "https://a.example", ["https://a.example"], lambda origin: False])
def test_a_request_without_an_origin_is_no_browser_s_and_is_allowed(rule):
    assert allowed(None, rule)


# --- listed origins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["https://a.example", ["https://a.example", "https://b.example:8443"]])
def test_listed_origins_are_allowed_and_the_server_s_own_is_not_among_them(rule):
    assert allowed("https://a.example", rule)
    assert not allowed("http://a.example", rule)
    assert not allowed("https://a.example:8443", rule)
    assert not allowed("http://example.com", rule)
    assert not allowed("null", rule)
    assert not allowed(EVIL, rule)


def test_a_listed_port_counts():
    assert allowed("https://b.example:8443", ["https://a.example", "https://b.example:8443"])


@pytest.mark.parametrize("listed", ["https://A.Example", "https://a.example:443", "HTTPS://a.example"])
def test_a_listed_origin_means_the_same_in_other_spellings(listed):
    assert allowed("https://a.example", [listed])
    assert not allowed("http://a.example", [listed])


@pytest.mark.parametrize("origin", [EVIL, "null", "file://", "http://example.com"])
@pytest.mark.parametrize("rule", ["*", ["*"], []])
def test_all_origins_are_allowed_by_a_star_and_when_others_care_for_cors(rule, origin):
    assert allowed(origin, rule)


def test_null_can_be_listed():
    assert allowed("null", ["null"])
    assert not allowed(EVIL, ["null"])


# --- callables ------------------------------------------------------------------------------------------------------------


def test_a_callable_decides_by_the_origin():
    assert allowed("https://a.example", lambda origin: origin.endswith(".example"))
    assert not allowed("https://a.test", lambda origin: origin.endswith(".example"))


def test_a_callable_may_want_the_environ_too():
    seen = []

    def decide_by_path(origin, environ):
        seen.append((origin, environ["PATH_INFO"]))
        return environ["PATH_INFO"] == "/open/"

    assert allowed(EVIL, decide_by_path, PATH_INFO="/open/")
    assert not allowed(EVIL, decide_by_path, PATH_INFO="/engine.io/")
    assert (EVIL, "/open/") in seen


def test_a_callable_gets_the_environ_also_when_it_could_do_without():
    seen = []
    assert allowed(EVIL, lambda origin, environ=None: seen.append(environ) or True)
    assert seen
    assert None not in seen


def test_a_callable_may_be_a_method_or_an_object():
    class Rule:
        def decide(self, origin):
            return origin == EVIL

        def __call__(self, origin, environ):
            return origin != EVIL and environ["REQUEST_METHOD"] in ("GET", "OPTIONS")

    assert allowed(EVIL, Rule().decide)
    assert not allowed(EVIL, Rule())
    assert allowed("http://a.example", Rule())


@pytest.mark.parametrize(("answer", "outcome"), [(1, True), ("yes", True), (None, False), (0, False), ("", False)])
def test_what_a_callable_returns_counts_by_its_truth(answer, outcome):
    assert allowed(EVIL, lambda origin: answer) is outcome


def test_a_callable_is_not_bothered_with_an_origin_that_would_end_a_header():
    assert not allowed("http://a.example\r\nX: y", lambda origin: True)


def test_an_error_in_a_callable_is_not_taken_for_a_wrong_number_of_arguments():
    def fails(origin):
        raise TypeError("its own")

    with pytest.raises(TypeError, match="its own"):
        allowed(EVIL, fails)


# --- every kind of request ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"method": "POST", "query": "EIO=4&transport=polling&sid=the-sid", "CONTENT_LENGTH": "2"},
        {"query": "EIO=4&transport=polling&sid=the-sid"},
        WEBSOCKET,
        {**WEBSOCKET, "query": WEBSOCKET["query"] + "&sid=the-sid"},
    ],
)
def test_the_origin_counts_on_every_request_and_a_refusal_leaves_the_session_alone(kind):
    session = opened()
    for origin, good in [("http://example.com", True), (EVIL, False), ("null", False)]:
        decision = decide(request(HTTP_ORIGIN=origin, **kind), settings(), {session.sid: session})
        assert isinstance(decision, Refusal) is not good
        if not good:
            assert (decision.code, decision.close) == (3, None)


# --- proxies --------------------------------------------------------------------------------------------------------------

BEHIND_PROXY = {"HTTP_X_FORWARDED_HOST": "public.example", "HTTP_X_FORWARDED_PROTO": "https"}


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1"])
def test_a_proxy_on_this_machine_tells_what_the_browser_sees(peer):
    assert allowed("https://public.example", REMOTE_ADDR=peer, **BEHIND_PROXY)
    assert not allowed("http://public.example", REMOTE_ADDR=peer, **BEHIND_PROXY)
    assert not allowed(EVIL, REMOTE_ADDR=peer, **BEHIND_PROXY)
    assert not allowed("http://example.com", REMOTE_ADDR=peer, **BEHIND_PROXY)  # what the proxy itself has asked for


def test_forwarded_headers_from_anybody_else_are_not_believed():
    assert not allowed("https://public.example", REMOTE_ADDR="192.0.2.1", **BEHIND_PROXY)
    assert not allowed("https://public.example", REMOTE_ADDR="not an address", **BEHIND_PROXY)
    assert allowed("http://example.com", REMOTE_ADDR="192.0.2.1", **BEHIND_PROXY)


@pytest.mark.parametrize(
    ("trusted", "believed"),
    [("*", True), ("192.0.2.0/24", True), (["192.0.2.1"], True), ("198.51.100.0/24", False), ([], False)],
)
def test_other_proxies_can_be_trusted(trusted, believed):
    made = settings(trusted_proxies=trusted)
    decision = decide(request(HTTP_ORIGIN="https://public.example", REMOTE_ADDR="192.0.2.1", **BEHIND_PROXY), made, {})
    assert isinstance(decision, Connect) is believed


def test_of_several_proxies_the_outermost_counts():
    chain = {"HTTP_X_FORWARDED_HOST": "public.example, inner.example", "HTTP_X_FORWARDED_PROTO": "https,http"}
    assert allowed("https://public.example", REMOTE_ADDR="127.0.0.1", **chain)
    assert not allowed("https://inner.example", REMOTE_ADDR="127.0.0.1", **chain)
