"""From connect to the one disconnect event: what is delivered before, what the application is told, what is gone after."""

from __future__ import annotations

import json
import time

import pytest

from .client import Client, Polling, SessionSocket, decode_message, decode_packet, target_of
from .frames import TEXT, WebSocket, encode_frame, new_key, upgrade_headers
from .servers import Server
from .wire import encode_request

HANDLER_FAILS = pytest.mark.expected_log("Traceback", "RuntimeError", "ERROR", "Exception")


def poll_to_the_end(session: Polling) -> list[str]:
    """Poll until the server says goodbye."""
    packets: list[str] = []
    while "1" not in packets:
        packets += session.poll()
    session.over = True
    return packets


def read_to_the_end(ws: SessionSocket) -> list[str | bytes]:
    """Read until the close packet, and see the websocket close."""
    messages: list[str | bytes] = []
    while "1" not in messages:
        messages.append(ws.receive())
    ws.expect_close()
    return messages


class TestServerDisconnects:
    def test_a_held_poll_is_answered_with_the_close_packet(self, client: Client, server: Server):
        session, other = client.open_polling(), client.open_websocket()
        held = session.begin_poll()
        assert not held.answered(within=0.05)
        other.send_data({"cmd": "disconnect", "sid": session.sid})
        assert held.packets() == ["1"]
        session.over = True
        assert server.wait_disconnected(session.sid) == "server disconnect"
        response = session.get()
        assert (response.status, response.json()["code"]) == (400, 1)

    def test_a_polling_client_gets_what_was_sent_before(self, client: Client, server: Server):
        session = client.open_polling()
        held = session.begin_poll()
        assert not held.answered(within=0.05)
        session.send({"cmd": "disconnect", "n": 3})
        packets = held.packets()
        if "1" not in packets:
            packets += poll_to_the_end(session)
        session.over = True
        assert packets == ["40:", "41:", "42:", "1"]
        assert server.wait_disconnected(session.sid) == "server disconnect"
        assert session.get().status == 400

    def test_a_polling_client_without_a_held_poll_gets_it_with_the_next_one(self, client: Client, server: Server):
        session = client.open_polling()
        session.send({"cmd": "disconnect", "n": 2})
        assert poll_to_the_end(session) == ["40:", "41:", "1"]
        assert server.wait_disconnected(session.sid) == "server disconnect"
        assert session.get().status == 400

    def test_a_websocket_client_gets_what_was_sent_before_and_a_clean_close(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.send_data({"cmd": "disconnect", "n": 50})
        assert read_to_the_end(ws) == [*(f"4{number}:" for number in range(50)), "1"]
        assert server.wait_disconnected(ws.sid) == "server disconnect"
        response = client.refused_websocket(target_of("websocket", ws.sid))
        assert (response.status, response.json()["code"]) == (400, 1)

    def test_an_upgraded_client_is_disconnected_like_any_other(self, client: Client, server: Server):
        session = client.open_polling()
        ws, _ = session.upgrade()
        ws.send('4{"cmd":"disconnect","n":2}')
        assert ws.receive_many(3) == ["40:", "41:", "1"]
        ws.expect_close()
        assert server.wait_disconnected(session.sid) == "server disconnect"

    def test_disconnecting_an_unknown_client_is_no_error(self, client: Client):
        ws = client.open_websocket()
        ws.send_data({"cmd": "disconnect", "sid": "nobody"})
        assert ws.request("still here") == ["still here"]


class TestClientLeaves:
    def test_a_close_packet_on_polling(self, client: Client, server: Server):
        session = client.open_polling()
        session.send("last words")
        session.close()
        assert server.wait_disconnected(session.sid) == "client disconnect"
        assert server.received(session.sid) == ["str:last words"]

    def test_messages_in_the_body_before_a_close_packet_are_handled(self, client: Client, server: Server):
        session = client.open_polling()
        session.post("4one\x1e4two\x1e1")
        session.over = True
        assert server.wait_disconnected(session.sid) == "client disconnect"
        assert server.received(session.sid) == ["str:one", "str:two"]

    def test_a_close_packet_on_a_websocket(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.send("4one", "1")
        ws.expect_gone()
        assert server.wait_disconnected(ws.sid) == "client disconnect"
        assert server.received(ws.sid) == ["str:one"]

    def test_a_close_packet_ends_an_upgraded_session(self, client: Client, server: Server):
        session = client.open_polling()
        ws, _ = session.upgrade()
        ws.send("1")
        ws.expect_gone()
        assert server.wait_disconnected(session.sid) == "client disconnect"

    def test_disconnect_comes_after_the_last_message(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.send(*[f"4{number}" for number in range(200)], "1")
        ws.expect_gone()
        server.wait_disconnected(ws.sid)
        events = server.events(ws.sid)
        assert [detail for what, detail in events if what == "message"] == [f"str:{number}" for number in range(200)]
        assert events[-1] == ("disconnect", "client disconnect")


@pytest.mark.server_options(ping_interval=0.3, ping_timeout=0.2)
class TestPingTimeout:
    def test_a_silent_polling_client(self, client: Client, server: Server):
        session = client.open_polling()
        held = session.begin_poll()
        assert held.packets() == ["2"]
        held = session.begin_poll()
        assert held.response().status == 200, "a held poll is answered before the session goes"
        assert server.wait_disconnected(session.sid, 3) == "ping timeout"

    def test_a_silent_websocket_client(self, client: Client, server: Server):
        ws = client.open_websocket()
        assert ws.receive() == "2"
        ws.expect_gone(3)
        assert server.wait_disconnected(ws.sid) == "ping timeout"

    def test_a_silent_upgraded_client(self, client: Client, server: Server):
        session = client.open_polling()
        ws, _ = session.upgrade()
        assert server.wait_disconnected(session.sid, 3) == "ping timeout"
        ws.expect_gone()

    def test_messages_are_no_pongs_but_a_pong_with_them_is(self, client: Client, server: Server):
        ws = client.open_websocket()
        for _ in range(3):
            assert ws.receive() == "2"
            ws.send("4talking", "3")
            assert ws.receive() == "4talking"
        assert server.disconnects(ws.sid) == []

    def test_hundreds_of_silent_clients_go_at_once(self, client: Client, server: Server):
        sockets = [client.open_websocket() for _ in range(100)]
        for ws in sockets:
            assert server.wait_disconnected(ws.sid, 3) == "ping timeout"


@pytest.mark.server_options(ping_interval=[0.3, 5], ping_timeout=0.2)
def test_the_grace_is_told_to_the_client_and_not_waited_for(client: Client):
    """A pair is the interval and what the client is told on top of it."""
    ws = client.open_websocket()
    assert ws.handshake["pingInterval"] == 5300
    begin = time.monotonic()
    assert ws.receive() == "2"
    assert time.monotonic() - begin < 2


@pytest.mark.server_options(ping_interval=0.2, ping_timeout=0.1, monitor_clients=False)
def test_without_monitoring_a_silent_client_stays(client: Client, server: Server):
    ws = client.open_websocket()
    deadline = time.monotonic() + 0.8
    while ws.readable(max(deadline - time.monotonic(), 0)):
        assert ws.receive() == "2"
    ws.send("4still here")
    messages = [ws.receive()]
    while messages[-1] == "2":
        messages.append(ws.receive())
    assert messages[-1] == "4still here"
    assert server.disconnects(ws.sid) == []


class TestConnect:
    def test_what_the_connect_handler_sends_follows_the_open_packet(self, client: Client):
        session = client.open_polling("hello=3")
        assert session.receive(3) == ["hello 0", "hello 1", "hello 2"]
        ws = client.open_websocket("hello=3")
        assert ws.receive_data(3) == ["hello 0", "hello 1", "hello 2"]

    def test_nothing_reaches_the_application_before_connect_has_returned(self, client: Client, server: Server):
        connection = client.connect()
        headers = [("Host", connection.authority), *upgrade_headers(new_key())]
        request = encode_request("GET", target_of("websocket", extra="delay=0.4&hello=1"), headers, None)
        connection.send(request + encode_frame(TEXT, b"4eager"))
        assert connection.read_response(timeout=3).status == 101
        ws = SessionSocket(WebSocket(connection), {"sid": ""})
        handshake = json.loads(str(ws.receive())[1:])
        assert ws.receive_data(2) == ["hello 0", "eager"]
        whats = [what for what, _ in server.events(handshake["sid"])]
        assert whats == ["connect-start", "connect-end", "message"]

    def test_a_slow_connect_handler_delays_nobody(self, client: Client):
        slow = client.connect()
        slow.send_request("GET", target_of("polling", extra="delay=1"))
        other = client.open_websocket()
        begin = time.monotonic()
        assert other.request("quick") == ["quick"]
        assert client.open_polling().request("too") == ["too"]
        assert time.monotonic() - begin < 0.8
        assert client.keep(slow.read_response()).status == 200

    def test_a_client_that_leaves_during_a_slow_connect_handler_is_no_error(self, client: Client):
        connection = client.connect()
        headers = [("Host", connection.authority), *upgrade_headers(new_key())]
        connection.send(encode_request("GET", target_of("websocket", extra="delay=0.2"), headers, None))
        connection.close()
        assert client.open_websocket("delay=0.3").request("fine") == ["fine"]

    def test_session_ids_are_long_and_never_the_same(self, client: Client):
        sids = {client.open_polling().sid for _ in range(20)} | {client.open_websocket().sid for _ in range(20)}
        assert len(sids) == 40
        assert all(len(sid) >= 20 for sid in sids)


class TestUserSession:
    def test_what_is_put_into_the_session_stays(self, client: Client):
        session, other = client.open_polling(), client.open_websocket()
        for number in (1, 2):
            assert [json.loads(text) for text in session.request({"cmd": "count_in_session"})] == [{"count": number}]
        assert [json.loads(text) for text in other.request({"cmd": "count_in_session"})] == [{"count": 1}]

    def test_a_session_survives_the_upgrade(self, client: Client):
        session = client.open_polling()
        session.request({"cmd": "save_session", "session": {"name": "ann"}})
        ws, _ = session.upgrade()
        ws.send('4{"cmd":"count_in_session"}')
        assert json.loads(str(decode_message(ws.receive()))) == {"name": "ann", "count": 1}

    def test_the_transport_is_told(self, client: Client):
        session = client.open_polling()
        assert session.request({"cmd": "tell_transport"}) == ["polling"]
        assert client.open_websocket().request({"cmd": "tell_transport"}) == ["websocket"]


class TestFailingHandlers:
    @HANDLER_FAILS
    def test_a_message_handler_that_raises_harms_nobody(self, client: Client, server: Server):
        ws, session, other = client.open_websocket(), client.open_polling(), client.open_websocket()
        ws.send_data({"cmd": "fail"}, "after")
        assert ws.receive_data() == ["after"]
        session.send({"cmd": "fail"}, "after")
        assert [decode_packet(packet) for packet in session.poll()] == ["after"]
        assert other.request("fine") == ["fine"]
        assert server.disconnects(ws.sid) == []
        assert server.disconnects(session.sid) == []

    @HANDLER_FAILS
    def test_a_disconnect_handler_that_raises_harms_nobody(self, client: Client, server: Server):
        ws, session, other = client.open_websocket(), client.open_polling(), client.open_websocket()
        ws.request("fail on disconnect")
        session.request("fail on disconnect")
        ws.send("1")
        ws.expect_gone()
        session.close()
        assert server.wait_disconnected(ws.sid) == "client disconnect"
        assert server.wait_disconnected(session.sid) == "client disconnect"
        assert other.request("fine") == ["fine"]

    @HANDLER_FAILS
    @pytest.mark.server_options(async_handlers=False)
    def test_a_synchronous_handler_that_raises_harms_nobody(self, client: Client):
        ws = client.open_websocket()
        ws.send_data({"cmd": "fail"}, "after")
        assert ws.receive_data() == ["after"]
        session = client.open_polling()
        session.send({"cmd": "fail"}, "after")
        assert session.receive() == ["after"]


class TestOneEvent:
    def test_two_ends_at_once_are_one_disconnect(self, client: Client, server: Server):
        for number in range(20):
            ws = client.open_websocket()
            ws.send('4{"cmd":"disconnect"}', "1")
            ws.drop() if number % 2 else ws.expect_gone()
            assert server.wait_disconnected(ws.sid) in ("server disconnect", "client disconnect")

    def test_many_clients_have_one_disconnect_each(self, client: Client, server: Server):
        sockets = [client.open_websocket() for _ in range(50)]
        sessions = [client.open_polling() for _ in range(20)]
        for ws in sockets:
            ws.drop()
        for session in sessions:
            session.close()
        for each in [*sockets, *sessions]:
            server.wait_disconnected(each.sid)
