"""gevent-websocket's handler in front of the application: it answers the upgrade itself, and nothing else may be different."""

from __future__ import annotations

import pytest

from .client import Client, target_of
from .frames import BINARY, CLOSE, TEXT, encode_frame, new_key, upgrade_headers
from .servers import Mode, Server, own
from .waiting import wait_until

pytestmark = pytest.mark.modes(Mode("gevent-websocket", "gevent", own("gevent-websocket")))


def test_both_transports_echo(client: Client):
    assert client.open_polling().request("a", b"\x01") == ["a", b"\x01"]
    ws = client.open_websocket()
    texts = [f"message {number}" for number in range(200)]
    assert ws.request(*texts) == texts
    assert ws.request("x" * 100_000, b"\x01" * 100_000) == ["x" * 100_000, b"\x01" * 100_000]


def test_a_session_moves_to_the_websocket(client: Client, server: Server):
    session = client.open_polling()
    session.send("one")
    ws, _ = session.upgrade()
    ws.send("4two")
    assert ws.receive_many(2) == ["4one", "4two"]
    ws.send("1")
    ws.expect_close()
    assert server.wait_disconnected(session.sid) == "client disconnect"


def test_frames_right_behind_the_request_are_read(client: Client):
    ws = client.raw_websocket(target_of("websocket"), encode_frame(TEXT, b"4eager") + encode_frame(BINARY, b"\x01"))
    assert str(ws.receive()).startswith("0{")
    assert ws.receive_many(2) == ["4eager", b"\x01"]


def test_the_closing_handshake_ends_tcp_cleanly(client: Client, server: Server):
    ws = client.open_websocket()
    assert ws.close(1001) == 1001
    assert server.wait_disconnected(ws.sid) == "transport close"
    faulty = client.open_websocket()
    faulty.send_frame(TEXT, b"4x", mask=False)
    assert faulty.expect_close() == 1002
    assert server.wait_disconnected(faulty.sid) == "transport error"


def test_who_is_refused_gets_a_closed_websocket_and_no_session(client: Client, server: Server):
    """The 101 is out before the application is asked."""
    sessions = server.stats()["sessions"]
    for target in (target_of("websocket", "nobody"), target_of("websocket", extra="reject=false")):
        connection = client.connect()
        connection.send_request("GET", target, upgrade_headers(new_key()))
        connection.read_response()
        connection.expect_end()
        connection.close()
    assert server.stats()["sessions"] <= sessions


def test_connections_come_and_go_without_a_trace(client: Client, server: Server):
    client.open_websocket().close()
    before = server.stats()
    for number in range(60):
        ws = client.open_websocket()
        if number % 3 == 0:
            ws.abort()
        elif number % 3 == 1:
            assert ws.close() == 1000
        else:
            ws.send_frame(CLOSE)
            ws.finish_close()
    wait_until(lambda: server.stats()["sessions"] <= before["sessions"], "the sessions to end")
    wait_until(lambda: server.stats()["descriptors"] <= before["descriptors"] + 2, "the descriptors to be closed")
    assert server.stats()["greenlets"] <= before["greenlets"] + 4
