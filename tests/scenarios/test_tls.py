"""TLS inside the server: such a socket cannot be detached; all else must be as without it."""

from __future__ import annotations

import struct

import pytest

from .client import Client
from .frames import PING, PONG, TEXT, encode_frame
from .servers import TLS_MODES, Server

pytestmark = pytest.mark.modes(*TLS_MODES)

LIMIT = 1_000_000


def test_polling_echoes(client: Client):
    session = client.open_polling()
    assert session.request("a", b"\x01", "ü") == ["a", b"\x01", "ü"]


def test_a_websocket_echoes_in_order(client: Client):
    ws = client.open_websocket()
    texts = [f"message {number}" for number in range(1000)]
    assert ws.request(*texts) == texts


def test_a_megabyte_goes_both_ways(client: Client):
    ws = client.open_websocket()
    text = "x" * (LIMIT - 1)
    assert ws.request(text) == [text]
    assert ws.request(b"\xfe" * LIMIT) == [b"\xfe" * LIMIT]


def test_many_messages_in_one_record_are_all_read(client: Client):
    """What waits inside the TLS layer makes no socket readable."""
    ws = client.open_websocket()
    ws.send_raw(b"".join(encode_frame(TEXT, b"4" + b"y" * 20) for _ in range(500)))
    assert ws.receive_data(500) == ["y" * 20] * 500


def test_frames_right_behind_the_request_are_read(client: Client):
    ws = client.raw_websocket("/engine.io/?EIO=4&transport=websocket", encode_frame(TEXT, b"4eager"))
    assert str(ws.receive()).startswith("0{")
    assert ws.receive() == "4eager"


def test_a_session_moves_to_the_websocket(client: Client, server: Server):
    session = client.open_polling()
    session.send("one")
    ws, _ = session.upgrade()
    ws.send("4two")
    assert ws.receive_many(2) == ["4one", "4two"]
    ws.send("1")
    ws.expect_close()
    assert server.wait_disconnected(session.sid) == "client disconnect"


def test_the_server_sends_without_being_asked(client: Client):
    quiet, other = client.open_websocket(), client.open_websocket()
    other.send_data({"cmd": "send_to", "sid": quiet.sid, "data": "news"})
    assert quiet.receive_data() == ["news"]
    other.send_data({"cmd": "thread_send", "n": 10})
    assert other.receive_data(10) == [f"{number}:" for number in range(10)]


def test_a_close_frame_is_answered_and_tcp_ends_cleanly(client: Client, server: Server):
    ws = client.open_websocket()
    ws.send_frame(PING, b"x")
    assert ws.receive_frame() == (PONG, b"x", True)
    ws.send_frame(8, struct.pack("!H", 1000))
    assert ws.finish_close() == 1000
    assert server.wait_disconnected(ws.sid) == "transport close"


def test_the_server_closes(client: Client, server: Server):
    ws = client.open_websocket()
    ws.send_data({"cmd": "disconnect", "n": 3})
    assert ws.receive_many(4) == ["40:", "41:", "42:", "1"]
    ws.expect_close()
    assert server.wait_disconnected(ws.sid) == "server disconnect"


def test_a_client_that_vanishes_is_noticed(client: Client, server: Server):
    ws = client.open_websocket()
    ws.drop()
    assert server.wait_disconnected(ws.sid) == "transport close"


def test_a_slow_reader_gets_everything(client: Client):
    slow, other = client.open_websocket(receive_buffer=4096), client.open_websocket()
    slow.send_data({"cmd": "send_many", "n": 200, "size": 20_000})
    assert other.request("quick") == ["quick"]
    filling = "x" * 20_000
    assert slow.receive_data(200, timeout=30) == [f"{number}:{filling}" for number in range(200)]
