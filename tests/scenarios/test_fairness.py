"""What one client's trouble costs the others: slow handlers, slow readers, foreign threads, clients at full speed."""

from __future__ import annotations

import statistics
import time

import pytest

from .client import Client, SessionSocket
from .frames import TEXT, encode_frame
from .servers import Server


def round_trip(ws: SessionSocket, text: str = "tick") -> float:
    begin = time.perf_counter()
    assert ws.request(text) == [text]
    return time.perf_counter() - begin


def test_a_slow_handler_delays_neither_its_client_nor_others(client: Client):
    ws, other = client.open_websocket(), client.open_websocket()
    ws.send_data({"cmd": "block", "seconds": 1.5, "tag": 1})
    begin = time.monotonic()
    assert ws.request("meanwhile") == ["meanwhile"]
    assert max(round_trip(other) for _ in range(10)) < 0.75
    assert time.monotonic() - begin < 1.2
    assert ws.receive_data() == ["unblocked 1"]


def test_many_slow_handlers_run_side_by_side(client: Client, server: Server):
    ws = client.open_websocket()
    ws.send_data(*[{"cmd": "block", "seconds": 0.5, "tag": tag} for tag in range(20)])
    begin = time.monotonic()
    assert sorted(ws.receive_data(20)) == sorted(f"unblocked {tag}" for tag in range(20))
    assert time.monotonic() - begin < 2.5
    started = [tag for what, tag in server.events(ws.sid) if what == "block-start"]
    assert started == list(range(20)), "handlers did not start in the order of arrival"


@pytest.mark.server_options(async_handlers=False)
def test_synchronous_handlers_run_one_after_the_other(client: Client, server: Server):
    ws, other = client.open_websocket(), client.open_websocket()
    ws.send_data(*[{"cmd": "block", "seconds": 0.1, "tag": tag} for tag in range(5)])
    assert round_trip(other) < 0.4
    assert ws.receive_data(5) == [f"unblocked {tag}" for tag in range(5)]
    steps = [(what, tag) for what, tag in server.events(ws.sid) if what.startswith("block")]
    assert steps == [(what, tag) for tag in range(5) for what in ("block-start", "block-end")]


@pytest.mark.server_options(async_handlers=False)
def test_synchronous_handlers_of_a_polling_client_run_one_after_the_other(client: Client, server: Server):
    session = client.open_polling()
    session.send(*[{"cmd": "block", "seconds": 0.1, "tag": tag} for tag in range(5)])
    assert session.receive(5) == [f"unblocked {tag}" for tag in range(5)]
    steps = [(what, tag) for what, tag in server.events(session.sid) if what.startswith("block")]
    assert steps == [(what, tag) for tag in range(5) for what in ("block-start", "block-end")]


def test_a_send_from_a_foreign_thread_arrives_at_once(client: Client):
    ws, session = client.open_websocket(), client.open_polling()
    for _ in range(5):
        begin = time.monotonic()
        ws.send_data({"cmd": "thread_send", "n": 20})
        assert ws.receive_data(20) == [f"{number}:" for number in range(20)]
        held = session.begin_poll()
        session.send({"cmd": "thread_send", "n": 1})
        assert held.packets() == ["40:"]
        assert time.monotonic() - begin < 1


def test_a_slow_reader_delays_nobody_and_gets_everything(client: Client):
    slow = client.open_websocket(receive_buffer=4096)
    other = client.open_websocket()
    slow.send_data({"cmd": "send_many", "n": 600, "size": 20_000})
    took = [round_trip(other) for _ in range(50)]
    assert statistics.median(took) < 0.05
    assert max(took) < 1
    filling = "x" * 20_000
    assert slow.receive_data(600, timeout=30) == [f"{number}:{filling}" for number in range(600)]


@pytest.mark.server_options(max_buffered_bytes=200_000)
def test_a_reader_that_stops_costs_no_more_than_the_limit(client: Client, server: Server):
    slow = client.open_websocket(receive_buffer=4096)
    other = client.open_websocket()
    before = server.stats()["resident_kilobytes"]
    slow.send_data({"cmd": "send_many", "n": 3000, "size": 20_000})
    assert server.wait_disconnected(slow.sid, 20) in ("transport error", "transport close")
    assert round_trip(other) < 1
    assert server.stats()["resident_kilobytes"] - before < 20_000


@pytest.mark.server_options(max_buffered_bytes=200_000)
def test_a_polling_client_that_stops_polling_costs_no_more_than_the_limit(client: Client, server: Server):
    session, other = client.open_polling(), client.open_websocket()
    session.send({"cmd": "send_many", "n": 3000, "size": 20_000})
    assert server.wait_disconnected(session.sid, 20) in ("transport error", "transport close")
    assert round_trip(other) < 1


def test_a_client_in_the_middle_of_a_frame_delays_nobody(client: Client):
    half, other = client.open_websocket(), client.open_websocket()
    frame = encode_frame(TEXT, b"4" + b"x" * 5000)
    half.send_raw(frame[:2500])
    assert max(round_trip(other) for _ in range(20)) < 0.5
    half.send_raw(frame[2500:])
    assert half.receive_data() == ["x" * 5000]


def test_a_client_that_reads_and_writes_at_full_speed_starves_nobody(client: Client):
    busy, other = client.open_websocket(), client.open_websocket()
    busy.send_data(*["y" * 200] * 1000)
    assert statistics.median(round_trip(other) for _ in range(20)) < 0.25
    assert busy.receive_data(1000) == ["y" * 200] * 1000
