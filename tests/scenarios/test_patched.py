"""Other ground, the same behaviour in short: a program that monkey-patches the standard library, a system without epoll."""

from __future__ import annotations

import time

import pytest

from .client import Client
from .servers import PATCHED_MODES, PORTABLE_MODES, Server

pytestmark = pytest.mark.modes(*PATCHED_MODES, *PORTABLE_MODES)


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


def test_a_handler_that_blocks_does_not_delay_later_messages(client: Client):
    ws = client.open_websocket()
    ws.send_data({"cmd": "block", "seconds": 1, "tag": 1})
    begin = time.monotonic()
    assert ws.request("still read") == ["still read"]
    assert time.monotonic() - begin < 0.7
    assert ws.receive_data() == ["unblocked 1"]


def test_a_slow_reader_gets_everything(client: Client):
    ws, other = client.open_websocket(), client.open_websocket()
    ws.send_data({"cmd": "flood", "n": 400, "size": 10_000})
    assert other.request("hello") == ["hello"]
    assert [str(text).partition(":")[0] for text in ws.receive_data(400)] == [str(number) for number in range(400)]


@pytest.mark.server_options(max_blocked_handlers=1)
def test_waiting_for_a_client_that_may_not_be_read_costs_next_to_nothing(client: Client, server: Server):
    ws = client.open_websocket()
    ws.send_data({"cmd": "block", "seconds": 2, "tag": 1})
    ws.send_data("one", "two")
    time.sleep(0.3)  # what is measured is the time in which nothing happens
    before = server.processor_seconds()
    time.sleep(1)
    assert server.processor_seconds() - before < 0.3
    assert ws.receive_data(3) == ["unblocked 1", "one", "two"]
