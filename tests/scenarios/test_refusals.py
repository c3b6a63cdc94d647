"""Every row of the table of refusals: status, code, message, headers; on polling and on a websocket request."""

from __future__ import annotations

import pytest

from .client import Client, target_of
from .frames import TEXT, encode_frame, new_key, upgrade_headers
from .servers import Server
from .waiting import wait_until
from .wire import Headers, Response, encode_chunk, encode_request

MESSAGES = {
    0: "Transport unknown",
    1: "Session ID unknown",
    2: "Bad handshake method",
    3: "Bad request",
    4: "Forbidden",
    5: "Unsupported protocol version",
}
SMALL_BODIES = pytest.mark.server_options(allow_request="$not_blocked", max_http_buffer_size=20_000)
HOSTILE = "%22%3Cscript%3Ealert(1)%3C/script%3E"


def assert_json(response: Response, status: int) -> None:
    """What every refusal has in common."""
    assert response.status == status, f"{response.status} {response.body[:200]!r}"
    assert (response.header("Content-Type") or "").split(";")[0] == "application/json"
    assert response.header("Cache-Control") == "no-store"
    assert response.header("X-Content-Type-Options") == "nosniff"


def assert_refused(response: Response, code: int) -> None:
    assert_json(response, 403 if code == 4 else 400)
    assert response.json() == {"code": code, "message": MESSAGES[code]}


def assert_refused_for_good(response: Response, code: int) -> None:
    """The answer to a websocket request: plain, and the connection ends."""
    assert_refused(response, code)
    assert not response.keep_alive


UNKNOWN_SID = target_of("polling", "no-such-session")


class TestTable:
    @pytest.mark.parametrize(
        ("method", "target", "code"),
        [
            ("GET", target_of(None), 0),
            ("GET", target_of("carrier-pigeon"), 0),
            ("GET", target_of(""), 0),
            ("GET", UNKNOWN_SID, 1),
            ("POST", UNKNOWN_SID, 1),
            ("POST", target_of("polling"), 2),
            ("PUT", target_of("polling"), 2),
            ("DELETE", target_of("polling"), 2),
            ("GET", target_of("websocket"), 3),
            ("GET", target_of("polling", extra="j=0"), 3),
            ("GET", target_of("polling", eio=None), 5),
            ("GET", target_of("polling", eio="3"), 5),
            ("GET", target_of("polling", eio="44"), 5),
            ("GET", target_of("polling", eio="%EF%BC%94"), 5),
        ],
    )
    def test_a_polling_request_is_refused_with_its_code(self, client: Client, method: str, target: str, code: int):
        assert_refused(client.http(method, target, body=None if method == "GET" else b"4x"), code)

    @pytest.mark.parametrize(
        ("target", "code"),
        [
            (target_of(None), 0),
            (target_of("carrier-pigeon"), 0),
            (target_of("websocket", "no-such-session"), 1),
            (target_of("websocket", eio=None), 5),
            (target_of("websocket", eio="3"), 5),
        ],
    )
    def test_a_websocket_request_is_refused_with_a_plain_answer(self, client: Client, target: str, code: int):
        assert_refused_for_good(client.refused_websocket(target), code)

    def test_the_connection_of_a_refused_websocket_is_closed(self, client: Client):
        connection = client.connect()
        response = connection.request("GET", target_of("websocket", "no-such-session"), upgrade_headers(new_key()))
        assert response.status == 400
        assert connection.expect_end() == b""

    @pytest.mark.parametrize("transport", ["polling", "websocket"])
    def test_a_foreign_origin_is_refused(self, client: Client, transport: str):
        origin: Headers = [("Origin", "http://evil.example")]
        if transport == "polling":
            assert_refused(client.http("GET", target_of("polling"), origin), 3)
        else:
            response = client.refused_websocket(target_of("websocket"), upgrade_headers(new_key()) + origin)
            assert_refused_for_good(response, 3)

    @SMALL_BODIES
    def test_a_request_that_the_application_does_not_allow_is_forbidden(self, client: Client, server: Server):
        before = server.stats()
        assert_refused(client.http("GET", target_of("polling", extra="blocked=1")), 4)
        assert_refused_for_good(client.refused_websocket(target_of("websocket", extra="blocked=1")), 4)
        after = server.stats()
        assert (after["sessions"], after["connects"]) == (before["sessions"], before["connects"])
        assert client.open_polling("blocked=0").request("still open") == ["still open"]

    @pytest.mark.parametrize(
        "target",
        [target_of(HOSTILE), target_of("polling", HOSTILE), target_of("polling", eio=HOSTILE), target_of("%0d%0aX-A:%201")],
    )
    def test_a_refusal_echoes_nothing_of_the_request(self, client: Client, target: str):
        response = client.http("GET", target)
        assert_json(response, 400)
        assert b"script" not in response.body
        assert set(response.json()) == {"code", "message"}

    def test_a_plain_get_for_a_websocket_session_is_refused(self, client: Client):
        ws = client.open_websocket()
        assert_refused(client.http("GET", target_of("polling", ws.sid)), 3)
        assert_refused(client.http("POST", target_of("polling", ws.sid), body=b"4x"), 3)
        assert ws.request("still open") == ["still open"]

    def test_a_websocket_target_without_an_upgrade_is_refused_and_the_session_lives(self, client: Client):
        session = client.open_polling()
        assert_refused(client.http("GET", target_of("websocket", session.sid)), 3)
        assert session.request("still open") == ["still open"]

    def test_another_method_on_a_session_is_refused(self, client: Client):
        session = client.open_polling()
        assert_json(client.http("PUT", session.target, body=b"4x"), 400)

    def test_after_close_the_sid_is_unknown_on_every_transport(self, client: Client, server: Server):
        session = client.open_polling()
        session.close()
        server.wait_disconnected(session.sid)
        assert_refused(session.get(), 1)
        assert_refused(session.post_body("4x"), 1)
        assert_refused_for_good(client.refused_websocket(target_of("websocket", session.sid)), 1)


class TestConnectHandler:
    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("false", "Unauthorized"),
            ("string", "go away"),
            ("dict", {"why": "no ticket"}),
            ("list", [1, 2]),
            ("int", 7),
        ],
    )
    @pytest.mark.parametrize("transport", ["polling", "websocket"])
    def test_a_refusal_by_the_connect_handler_is_a_401_with_its_value(
        self, client: Client, server: Server, transport: str, kind: str, value: object
    ):
        sessions = server.stats()["sessions"]
        target = target_of(transport, extra=f"reject={kind}")
        response = client.http("GET", target) if transport == "polling" else client.refused_websocket(target)
        assert_json(response, 401)
        assert response.json() == value
        assert server.stats()["sessions"] <= sessions

    @pytest.mark.expected_log("connect handler", "Traceback", "ERROR", "Exception", "RuntimeError")
    @pytest.mark.parametrize("transport", ["polling", "websocket"])
    def test_a_connect_handler_that_raises_refuses(self, client: Client, server: Server, transport: str):
        sessions = server.stats()["sessions"]
        target = target_of(transport, extra="reject=raise")
        response = client.http("GET", target) if transport == "polling" else client.refused_websocket(target)
        assert_json(response, 401)
        assert b"scenario" not in response.body, "the text of an exception is nobody's business"
        assert server.stats()["sessions"] <= sessions

    def test_messages_of_a_refused_client_never_reach_the_application(self, client: Client, server: Server):
        connects = server.stats()["connects"]
        connection = client.connect()
        headers = [("Host", connection.authority), *upgrade_headers(new_key())]
        request = encode_request("GET", target_of("websocket", extra="reject=false"), headers, None)
        connection.send(request + encode_frame(TEXT, b"4smuggled"))
        assert connection.read_response().status == 401
        connection.close()
        wait_until(lambda: server.stats()["connects"] == connects + 1, "the connect handler to have run")


@SMALL_BODIES
class TestBodies:
    def test_a_body_over_the_limit_is_refused_from_its_length_alone(self, client: Client, server: Server):
        session = client.open_polling()
        connection = client.connect()
        connection.send_request("POST", session.target, [("Content-Length", "20001")])
        response = connection.read_response("POST", timeout=3)
        assert_json(response, 413)
        connection.close()
        assert server.wait_disconnected(session.sid) == "transport error"
        assert_refused(session.get(), 1)

    def test_a_body_of_exactly_the_limit_is_taken(self, client: Client):
        session = client.open_polling()
        text = "x" * 19_999
        assert session.request(text) == [text]

    def test_a_chunked_body_is_counted_while_it_is_read(self, client: Client, server: Server):
        session = client.open_polling()
        connection = client.connect()
        headers = [("Transfer-Encoding", "chunked"), ("Content-Type", "text/plain")]
        connection.send_request("POST", session.target, headers)
        for _ in range(3):
            connection.send(encode_chunk(b"4" + b"x" * 9_999))
        assert_json(connection.read_response("POST", timeout=5), 413)
        connection.close()
        server.wait_disconnected(session.sid)
        assert_refused(session.get(), 1)

    def test_a_chunked_body_within_the_limit_is_taken(self, client: Client):
        session = client.open_polling()
        connection = client.connect()
        headers = [("Transfer-Encoding", "chunked"), ("Content-Type", "text/plain")]
        body = encode_chunk(b"4he") + encode_chunk(b"llo") + encode_chunk(b"")
        connection.send_request("POST", session.target, headers)
        connection.send(body)
        response = connection.read_response("POST")
        assert (response.status, response.body) == (200, b"ok")
        assert session.receive() == ["hello"]

    # These are turned down by the server in front of us before we see them: it may say so in its log.
    @pytest.mark.expected_log("Invalid request", "WARNING")
    @pytest.mark.parametrize("length", ["-1", "abc", "1e3", "0x10"])
    def test_a_length_that_is_no_number_never_counts_as_ok(self, client: Client, length: str):
        session = client.open_polling()
        connection = client.connect()
        connection.send_request("POST", session.target, [("Content-Length", length)])
        assert connection.read_response("POST", timeout=5).status in (400, 411, 413)
        connection.close()

    def test_a_body_that_ends_early_changes_nothing_for_others(self, client: Client, server: Server):
        session, other = client.open_polling(), client.open_polling()
        connection = client.connect()
        connection.send_request("POST", session.target, [("Content-Length", "100")])
        connection.send(b"4half")
        connection.close()
        assert other.request("fine") == ["fine"]
        assert server.received(session.sid) == []

    def test_a_slow_body_holds_up_nobody(self, client: Client):
        session, other = client.open_polling(), client.open_polling()
        connection = client.connect()
        connection.send_request("POST", session.target, [("Content-Length", "6")])
        for byte in b"4hello":
            assert other.request("fine") == ["fine"]
            connection.send(bytes([byte]))
        response = connection.read_response("POST")
        assert (response.status, response.body) == (200, b"ok")
        assert session.receive() == ["hello"]

    def test_a_second_post_while_one_is_read_closes_the_session(self, client: Client, server: Server):
        session = client.open_polling()
        slow = client.connect()
        slow.send_request("POST", session.target, [("Content-Length", "6")])
        slow.send(b"4he")
        # The first POST is being read as soon as the server says no to the second one.
        wait_until(lambda: client.http("POST", session.target, body=b"4x").status == 400, "the second POST to be refused", 5)
        server.wait_disconnected(session.sid)
        assert_refused(session.get(), 1)
        slow.close()

    def test_an_octet_stream_is_not_a_body_of_this_revision(self, client: Client, server: Server):
        session = client.open_polling()
        response = session.post_body(b"\x00\x01\xff4x", [("Content-Type", "application/octet-stream")])
        assert_refused(response, 3)
        assert server.received(session.sid) == []

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "abc",
            "7",
            "9x",
            "\x1e",
            "4a\x1e",
            "\x1e4a",
            "4a\x1e\x1e4b",
            "0{}",
            "2",
            "2probe",
            "5",
            "6",
            "b@@@",
            "bAQI",
            "b",
            "\uff14hello",
            b"4\xff\xfe",
        ],
    )
    def test_a_malformed_body_is_never_answered_ok(self, client: Client, server: Server, body: str | bytes):
        session = client.open_polling()
        response = session.post_body(body)
        if body == "b":
            # Zero bytes are a message, too.
            assert response.status == 200
            return
        assert_refused(response, 3)
        assert server.wait_disconnected(session.sid) == "transport error"
        assert_refused(session.get(), 1)
