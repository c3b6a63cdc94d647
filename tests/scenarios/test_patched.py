"""A program that monkey-patches the standard library first: the same behaviour, in short."""

from __future__ import annotations

import time

import pytest

from .client import Client
from .servers import PATCHED_MODES, Server

pytestmark = pytest.mark.modes(*PATCHED_MODES)


def test_both_transports_echo(client: Client):
    texts = [str(number) for number in range(200)]
    assert client.open_polling().request(*texts) == texts
    assert client.open_websocket().request(*texts) == texts


def test_a_session_moves_to_the_websocket(client: Client, server: Server):
    session = client.open_polling()
    session.send("one")
    ws, _ = session.upgrade()
    ws.send("4two")
    assert ws.receive_many(2) == ["4one", "4two"]
    ws.send("1")
    assert server.wait_disconnected(session.sid) == "client disconnect"


def test_a_held_poll_is_answered_and_slow_handlers_delay_nobody(client: Client):
    session, ws = client.open_polling(), client.open_websocket()
    ws.send_data({"cmd": "block", "seconds": 1, "tag": 1})
    held = session.begin_poll()
    begin = time.monotonic()
    ws.send_data({"cmd": "send_to", "sid": session.sid, "data": "now"})
    assert held.packets() == ["4now"]
    assert time.monotonic() - begin < 0.7
    assert ws.receive_data() == ["unblocked 1"]


def test_a_send_from_a_native_thread_arrives(client: Client):
    ws, session = client.open_websocket(), client.open_polling()
    ws.send_data({"cmd": "thread_send", "n": 20})
    assert ws.receive_data(20) == [f"{number}:" for number in range(20)]
    session.send({"cmd": "thread_send", "n": 3})
    assert session.receive(3) == ["0:", "1:", "2:"]


def test_two_hundred_idle_websockets_add_no_greenlet(client: Client, server: Server):
    before = server.stats()
    sockets = [client.open_websocket() for _ in range(200)]
    after = server.stats()
    assert after["threads"] <= before["threads"] + 2
    assert after["greenlets"] <= before["greenlets"] + 10
    assert all(ws.request("hello") == ["hello"] for ws in sockets[::20])
