"""What the public black-box suite of Engine.IO, revision 4, asks of a server: 25 cases, each on every server."""

from __future__ import annotations

import pytest

from .client import Client, Polling, target_of
from .frames import TEXT, WebSocketClosed
from .servers import Server
from .wire import ConnectionLost, Response

pytestmark = pytest.mark.server_options(ping_interval=0.3, ping_timeout=0.2)

EXPIRY = 0.5


def assert_text(response: Response, body: str) -> None:
    assert (response.status, response.text) == (200, body)


def assert_gone(session: Polling) -> None:
    assert session.get().status == 400


class TestHandshake:
    def test_polling_handshake_answers_an_open_packet(self, client: Client):
        handshake = client.open_polling().handshake
        assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        assert isinstance(handshake["sid"], str)
        assert handshake["upgrades"] == ["websocket"]
        assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
        assert handshake["maxPayload"] == 1_000_000

    @pytest.mark.parametrize("eio", [None, "abc"])
    def test_polling_without_the_right_protocol_version_is_refused(self, client: Client, eio: str | None):
        assert client.http("GET", target_of("polling", eio=eio)).status == 400

    @pytest.mark.parametrize("transport", [None, "abc"])
    def test_an_unknown_transport_is_refused(self, client: Client, transport: str | None):
        assert client.http("GET", target_of(transport)).status == 400

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_a_handshake_by_another_method_than_get_is_refused(self, client: Client, method: str):
        assert client.http(method, target_of("polling"), body=b"").status == 400

    def test_websocket_handshake_sends_an_open_packet(self, client: Client):
        handshake = client.open_websocket().handshake
        assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        assert handshake["upgrades"] == []
        assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
        assert handshake["maxPayload"] == 1_000_000

    @pytest.mark.parametrize("eio", [None, "abc"])
    def test_a_websocket_without_the_right_protocol_version_is_refused(self, client: Client, eio: str | None):
        assert client.refused_websocket(target_of("websocket", eio=eio)).status == 400

    @pytest.mark.parametrize("transport", [None, "abc"])
    def test_a_websocket_for_an_unknown_transport_is_refused(self, client: Client, transport: str | None):
        assert client.refused_websocket(target_of(transport)).status == 400


class TestMessages:
    def test_one_text_message_is_taken_and_echoed(self, client: Client):
        session = client.open_polling()
        assert_text(session.post_body("4hello"), "ok")
        assert_text(session.get(), "4hello")

    def test_several_messages_in_a_body_come_back_in_order(self, client: Client):
        session = client.open_polling()
        assert_text(session.post_body("4test1\x1e4test2\x1e4test3"), "ok")
        assert session.receive(3) == ["test1", "test2", "test3"]

    def test_text_and_binary_travel_in_one_body(self, client: Client):
        session = client.open_polling()
        assert_text(session.post_body("4hello\x1ebAQIDBA=="), "ok")
        assert_text(session.get(), "4hello\x1ebAQIDBA==")

    def test_a_malformed_body_closes_the_session(self, client: Client):
        session = client.open_polling()
        assert session.post_body("abc").status == 400
        assert_gone(session)

    def test_a_second_poll_closes_the_session(self, client: Client):
        session = client.open_polling()
        held = session.begin_poll()
        assert not held.answered(within=0.05)
        assert client.http("GET", session.target).status == 400
        assert_text(held.response(), "1")
        assert_gone(session)

    def test_a_websocket_text_message_is_echoed(self, client: Client):
        ws = client.open_websocket()
        ws.send("4hello")
        assert ws.receive() == "4hello"

    def test_a_websocket_binary_message_is_echoed(self, client: Client):
        ws = client.open_websocket()
        ws.send(b"\x01\x02\x03\x04")
        assert ws.receive() == b"\x01\x02\x03\x04"

    def test_a_malformed_websocket_packet_closes_the_connection(self, client: Client):
        ws = client.open_websocket()
        ws.send_frame(TEXT, b"abc")
        ws.expect_close()


class TestHeartbeat:
    def test_a_polling_client_that_answers_pings_stays(self, client: Client):
        session = client.open_polling()
        for _ in range(3):
            assert_text(session.get(), "2")
            assert_text(session.post_body("3"), "ok")

    def test_a_polling_client_that_does_not_answer_is_closed(self, client: Client, server: Server):
        session = client.open_polling()
        assert server.wait_disconnected(session.sid, EXPIRY + 2) == "ping timeout"
        assert_gone(session)

    def test_a_websocket_client_that_answers_pings_stays(self, client: Client):
        ws = client.open_websocket()
        for _ in range(3):
            assert ws.receive() == "2"
            ws.send("3")

    def test_a_websocket_client_that_does_not_answer_is_closed(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.expect_gone(EXPIRY + 2)
        assert server.wait_disconnected(ws.sid) == "ping timeout"


class TestClose:
    def test_a_close_packet_ends_a_polling_session_and_its_held_poll(self, client: Client):
        session = client.open_polling()
        held = session.begin_poll()
        assert not held.answered(within=0.05)
        assert_text(session.post_body("1"), "ok")
        assert_text(held.response(), "6")
        assert_gone(session)

    def test_a_close_packet_ends_a_websocket_session(self, client: Client):
        ws = client.open_websocket()
        ws.send("1")
        ws.expect_gone()


class TestUpgrade:
    def test_a_session_moves_from_polling_to_websocket(self, client: Client):
        session = client.open_polling()
        held = session.begin_poll()
        ws = session.open_websocket()
        ws.send("2probe")
        assert ws.receive() == "3probe"
        assert_text(held.response(), "6")
        ws.send("5")
        ws.send("4hello")
        assert ws.receive() == "4hello"

    def test_polling_requests_after_the_upgrade_are_refused_and_the_websocket_works_on(self, client: Client):
        session = client.open_polling()
        ws, _ = session.upgrade()
        ws.send("4before")
        assert ws.receive() == "4before"
        assert client.http("GET", session.target).status == 400
        ws.send("4hello")
        assert ws.receive() == "4hello"

    def test_a_second_websocket_after_the_upgrade_is_closed_and_the_first_works_on(self, client: Client):
        session = client.open_polling()
        ws, _ = session.upgrade()
        ws.send("4before")
        assert ws.receive() == "4before"
        second = session.open_websocket()
        with pytest.raises((WebSocketClosed, ConnectionLost)):
            second.receive()
        ws.send("4hello")
        assert ws.receive() == "4hello"
