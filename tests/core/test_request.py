"""``decide()``: every row of the protocol's table of requests and of its table of refusals."""

from __future__ import annotations

import pytest

from engineio_green.core.request import Connect, Poll, Post, Preflight, Refusal, Upgrade, decide
from engineio_green.core.session import Session

from .making import closed, closing, opened, opening, request, settings, upgraded, upgrading

POLLING, WEBSOCKET = "EIO=4&transport=polling", "EIO=4&transport=websocket"
MESSAGES = {
    0: "Transport unknown",
    1: "Session ID unknown",
    2: "Bad handshake method",
    3: "Bad request",
    4: "Forbidden",
    5: "Unsupported protocol version",
}
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "CONNECT", "TRACE", "get", ""]
UPGRADE = {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"}


def ask(method="GET", query=POLLING, session=None, options=None, **environ):
    """Return the decision; *session* is the one with the id ``the-sid``."""
    sessions = {} if session is None else {session.sid: session}
    return decide(request(method, query, **environ), settings(**(options or {})), sessions)


def ask_session(session: Session, method="GET", query=POLLING, options=None, **environ):
    return ask(method, f"{query}&sid={session.sid}", session, options, **environ)


def assert_refused(decision, code, status=None):
    assert isinstance(decision, Refusal), decision
    assert (decision.code, decision.message) == (code, MESSAGES[code])
    assert decision.status == (status or (403 if code == 4 else 400))


# --- the table of requests ----------------------------------------------------------------------------------------------


def test_a_get_without_a_session_opens_one_on_polling():
    assert ask() == Connect("polling")


def test_a_websocket_request_without_a_session_opens_one_on_websocket():
    assert ask(query=WEBSOCKET, **UPGRADE) == Connect("websocket")


def test_a_get_with_a_session_is_a_poll():
    session = opened()
    decision = ask_session(session)
    assert isinstance(decision, Poll)
    assert decision.session is session


def test_a_post_with_a_session_brings_packets():
    session = opened()
    decision = ask_session(session, "POST", CONTENT_LENGTH="6")
    assert isinstance(decision, Post)
    assert (decision.session, decision.length) == (session, 6)


def test_a_websocket_request_with_a_polling_session_is_an_upgrade():
    session = opened()
    decision = ask_session(session, query=WEBSOCKET, **UPGRADE)
    assert isinstance(decision, Upgrade)
    assert (decision.session, decision.stale) == (session, False)


def test_options_is_a_preflight_whatever_it_is_for():
    for query in (POLLING, WEBSOCKET, "", "EIO=3", f"{POLLING}&sid=unknown"):
        assert ask("OPTIONS", query) == Preflight()


# --- parameters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "transport=polling&EIO=4",
        "EIO=4&transport=polling&t=abc.1",
        "EIO=4&transport=polling&",
        "&&EIO=4&&transport=polling",
        "EIO=%34&transport=poll%69ng",
        "EIO=4&transport=polling&EIO=3&transport=flash",
        "EIO=4&transport=polling&token=a%26b%3Dc&x",
        "EIO=4&transport=polling&sid%3D=x",
    ],
)
def test_parameters_are_found_in_any_order_decoded_and_the_first_counts(query):
    assert ask(query=query) == Connect("polling")


@pytest.mark.parametrize("sid", ["the-sid", "the%2Dsid", "%74%68e-sid"])
def test_the_session_id_is_decoded(sid):
    assert isinstance(ask(query=f"{POLLING}&sid={sid}", session=opened()), Poll)


def test_the_first_of_two_session_ids_counts():
    session = opened()
    assert isinstance(ask(query=f"{POLLING}&sid=the-sid&sid=other", session=session), Poll)
    assert_refused(ask(query=f"{POLLING}&sid=other&sid=the-sid", session=session), 1)


@pytest.mark.parametrize("query", ["%", "%zz=%zz", "=&==&=", "\xff", "EIO", "sid", "&" * 1000, "%00", "EIO=4" * 200])
def test_nonsense_in_the_query_is_a_refusal(query):
    assert_refused(ask(query=query), 0)


# --- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "", "EIO=4", "EIO=4&transport=", "EIO=4&transport=flashsocket", "EIO=4&transport=Polling", "EIO=4&transport=POLLING",
        "EIO=4&transport=polling%20", "EIO=4&transport=tobi", "EIO=4&Transport=polling", "EIO=4&transport=poll+ing",
        "EIO=4&transport=webtransport", "EIO=4&transport=constructor", "EIO=4&transport=%00polling",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_transport_that_is_missing_or_unknown_is_refused_with_0(method, query):
    assert_refused(ask(method, query), 0)


@pytest.mark.parametrize("sid", ["", "&sid=the-sid", "&sid=unknown"])
def test_a_transport_that_is_not_allowed_is_refused_with_0(sid):
    assert_refused(ask(query=POLLING + sid, session=opened(), options={"transports": "websocket"}), 0)
    assert_refused(ask(query=WEBSOCKET + sid, session=opened(), options={"transports": ["polling"]}, **UPGRADE), 0)


@pytest.mark.parametrize(
    "eio", ["", "&EIO=", "&EIO=3", "&EIO=5", "&EIO=04", "&EIO=4.0", "&EIO=%EF%BC%94", "&eio=4", "&EIO=4+", "&EIO=44"]
)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_protocol_other_than_4_is_refused_with_5(transport, eio):
    headers = UPGRADE if transport == "websocket" else {}
    assert_refused(ask(query=f"transport={transport}{eio}", **headers), 5)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "GET"])
@pytest.mark.parametrize(("query", "headers"), [(POLLING, {}), (WEBSOCKET, UPGRADE), (WEBSOCKET, {})])
def test_a_handshake_by_anything_but_get_is_refused_with_2(method, query, headers):
    assert_refused(ask(method, query, **headers), 2)


@pytest.mark.parametrize("sid", ["unknown", "", "the-sid%00", "the-sid%20", "THE-SID", "__proto__", "..%2F..", "x" * 5000])
@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [("GET", POLLING, {}), ("POST", POLLING, {"CONTENT_LENGTH": "2"}), ("GET", WEBSOCKET, UPGRADE)],
)
def test_an_unknown_session_is_refused_with_1(method, query, headers, sid):
    assert_refused(ask(method, f"{query}&sid={sid}", opened(), **headers), 1)


@pytest.mark.parametrize("state", [opening, closed])
@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [("GET", POLLING, {}), ("POST", POLLING, {"CONTENT_LENGTH": "2"}), ("GET", WEBSOCKET, UPGRADE)],
)
def test_a_session_before_its_acceptance_and_after_its_end_is_unknown_on_every_transport(state, method, query, headers):
    assert_refused(ask_session(state(), method, query, **headers), 1)


def test_a_session_that_the_server_has_ended_takes_the_last_poll_and_nothing_else():
    session = closing()
    assert isinstance(ask_session(session), Poll)
    assert_refused(ask_session(session, "POST", CONTENT_LENGTH="2"), 1)
    assert ask_session(session, query=WEBSOCKET, **UPGRADE) == Upgrade(session, stale=True)


def test_a_polling_handshake_with_an_upgrade_header_is_refused_with_3():
    assert_refused(ask(query=POLLING, **UPGRADE), 3)


@pytest.mark.parametrize("value", [None, "", "h2c", "web socket", "websocket/13", "websockets"])
def test_a_websocket_request_without_its_upgrade_header_is_refused_with_3(value):
    assert_refused(ask(query=WEBSOCKET, HTTP_UPGRADE=value), 3)
    assert_refused(ask_session(opened(), query=WEBSOCKET, HTTP_UPGRADE=value), 3)


@pytest.mark.parametrize("value", ["websocket", "WebSocket", "WEBSOCKET"])
def test_the_upgrade_header_is_read_without_regard_to_case(value):
    assert ask(query=WEBSOCKET, HTTP_UPGRADE=value) == Connect("websocket")


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE"])
def test_an_upgrade_by_anything_but_get_is_refused_with_3(method):
    assert_refused(ask_session(opened(), method, WEBSOCKET, **UPGRADE), 3)


@pytest.mark.parametrize("session", [upgraded(), opened("websocket")])
@pytest.mark.parametrize(("method", "environ"), [("GET", {}), ("POST", {"CONTENT_LENGTH": "2"})])
def test_polling_a_session_that_is_on_websocket_is_refused_with_3_and_leaves_it_alone(session, method, environ):
    decision = ask_session(session, method, **environ)
    assert_refused(decision, 3)
    assert decision.close is None
    assert not session.gone


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_upgrade_header_on_a_request_of_a_polling_session_is_refused_with_3(method):
    assert_refused(ask_session(opened(), method, CONTENT_LENGTH="2", **UPGRADE), 3)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "get", "CONNECT"])
def test_a_polling_session_takes_no_other_methods(method):
    assert_refused(ask_session(opened(), method), 3)


@pytest.mark.parametrize("make", [upgrading, upgraded, closing])
def test_a_second_websocket_is_stale_and_the_session_untouched(make):
    session = make()
    assert ask_session(session, query=WEBSOCKET, **UPGRADE) == Upgrade(session, stale=True)


def test_without_upgrades_a_websocket_for_a_session_is_refused_with_3():
    assert_refused(ask_session(opened(), query=WEBSOCKET, options={"allow_upgrades": False}, **UPGRADE), 3)
    assert ask(query=WEBSOCKET, options={"allow_upgrades": False}, **UPGRADE) == Connect("websocket")


def test_deciding_changes_nothing():
    session = opened()
    before = {name: getattr(session, name) for name in ("state", "transport", "probe", "poll_held", "posting", "outbox")}
    for method in METHODS:
        for query, headers in [(POLLING, {}), (WEBSOCKET, UPGRADE), (WEBSOCKET, {})]:
            ask_session(session, method, query, CONTENT_LENGTH="2000000", **headers)
    assert {name: getattr(session, name) for name in before} == before


def test_the_context_of_a_refusal_is_for_the_application_and_not_for_the_client():
    decision = ask(query="EIO=4&transport=<script>")
    assert decision.context == {"transport": "<script>"}
    assert "<script>" not in decision.message


# --- bodies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", ["0", "1", "6", "1000", "0006"])
def test_the_length_of_a_body_is_what_its_header_says(length):
    assert ask_session(opened(), "POST", CONTENT_LENGTH=length).length == int(length)


@pytest.mark.parametrize(
    ("environ", "length"),
    [
        ({}, 0),
        ({"CONTENT_LENGTH": ""}, 0),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, None),
        ({"HTTP_TRANSFER_ENCODING": "Chunked", "CONTENT_LENGTH": ""}, None),
        ({"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, None),
    ],
)
def test_a_body_without_a_length_is_empty_unless_it_is_chunked(environ, length):
    assert ask_session(opened(), "POST", **environ).length == length


@pytest.mark.parametrize(
    "length",
    [
        "-1",
        "+5",
        "5.0",
        "1e3",
        "0x10",
        "5, 5",
        "5,6",
        " 5",
        "5 ",
        "abc",
        "\uff15",
        "\u0665",
        "5\r\n",
        "1_000",
        "--5",
        "NaN",
        "\u00b2",
    ],
)
def test_a_length_that_is_no_number_is_refused_with_3_and_ends_the_session(length):
    session = opened()
    decision = ask_session(session, "POST", CONTENT_LENGTH=length)
    assert_refused(decision, 3)
    assert decision.close is session


@pytest.mark.parametrize(
    "length", ["101", "102", "1000000", "9" * 20, "9" * 21, "9" * 5000, "0" * 30 + "101", "0" * 5000 + "101"]
)
def test_a_body_over_the_limit_is_refused_with_413_from_the_length_alone(length):
    session = opened()
    decision = ask_session(session, "POST", options={"max_http_buffer_size": 100}, CONTENT_LENGTH=length)
    assert_refused(decision, 3, status=413)
    assert decision.close is session


@pytest.mark.parametrize("length", ["99", "100"])
def test_a_body_up_to_the_limit_is_read(length):
    assert isinstance(ask_session(opened(), "POST", options={"max_http_buffer_size": 100}, CONTENT_LENGTH=length), Post)


@pytest.mark.parametrize("length", ["0" * 100 + "5", "0" * 5000 + "5"])
def test_leading_zeros_never_hide_a_length(length):
    decision = ask_session(opened(), "POST", CONTENT_LENGTH=length)
    assert isinstance(decision, Refusal) or decision.length == 5


@pytest.mark.parametrize("kind", ["text/plain;charset=UTF-8", "text/plain", "", None, "application/json", "Text/Plain"])
def test_a_body_may_be_text(kind):
    assert isinstance(ask_session(opened(), "POST", CONTENT_LENGTH="2", CONTENT_TYPE=kind), Post)


@pytest.mark.parametrize(
    "kind",
    [
        "application/octet-stream", "Application/Octet-Stream", "application/octet-stream; x=y",
        "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8",
    ],
)  # fmt: skip
def test_a_binary_body_or_a_form_is_refused_with_3_and_ends_the_session(kind):
    session = opened()
    decision = ask_session(session, "POST", CONTENT_LENGTH="2", CONTENT_TYPE=kind)
    assert_refused(decision, 3)
    assert decision.close is session


# --- JSONP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["0", "12", "", "abc"])
def test_jsonp_is_refused_with_3_unless_it_is_enabled(index):
    assert_refused(ask(query=f"{POLLING}&j={index}"), 3)
    assert_refused(ask_session(opened(), query=f"{POLLING}&j={index}"), 3)
    assert_refused(ask_session(opened(), "POST", f"{POLLING}&j={index}", CONTENT_LENGTH="2"), 3)


def test_jsonp_is_a_way_of_polling():
    jsonp = {"jsonp": True}
    form = {"CONTENT_LENGTH": "4", "CONTENT_TYPE": "application/x-www-form-urlencoded"}
    assert ask(query=f"{POLLING}&j=0", options=jsonp) == Connect("polling")
    assert isinstance(ask_session(opened(), query=f"{POLLING}&j=1", options=jsonp), Poll)
    assert isinstance(ask_session(opened(), "POST", f"{POLLING}&j=1", jsonp, **form), Post)


def test_there_is_no_jsonp_on_websocket():
    assert_refused(ask(query=f"{WEBSOCKET}&j=0", options={"jsonp": True}, **UPGRADE), 3)


# --- order --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "query", "environ", "code"),
    [
        ("POST", "transport=flash&EIO=3&sid=unknown", {}, 0),
        ("POST", "transport=polling&EIO=3&sid=unknown", {}, 5),
        ("POST", f"{POLLING}&sid=unknown", {"HTTP_ORIGIN": "http://evil.example"}, 3),
        ("POST", f"{POLLING}&sid=unknown", {"CONTENT_LENGTH": "-1"}, 1),
        ("POST", POLLING, UPGRADE, 2),
    ],
)
def test_of_several_faults_the_first_in_this_order_is_told(method, query, environ, code):
    assert_refused(ask(method, query, **environ), code)
