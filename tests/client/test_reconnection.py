"""Connecting again by itself: only where it was asked for, only after losses, with growing delays, stoppable at once."""

from __future__ import annotations

import threading
import time

import pytest
from scenarios.waiting import wait_until

from engineio_green.exceptions import SettingError

from .conftest import url_of
from .middleman import Middleman

QUICK = {"reconnection": True, "reconnection_delay": 0.05, "reconnection_delay_max": 0.2, "request_timeout": 1}


def test_lost_connection_is_made_again_with_the_same_arguments(server, transports, make):
    recorder = make(**QUICK)
    with Middleman(server.port) as path:
        recorder.client.connect(f"{path.url}/?hello=1", headers={"X-Badge": "7"}, transports=transports)
        recorder.wait_messages(1)
        if transports != ["websocket"]:
            path.wait_requests(2)  # a connection that is cut while nobody uses it is no loss
        recorder.wait_transport("polling" if transports == ["polling"] else "websocket")
        first = recorder.client.sid
        path.cut()
        wait_until(lambda: recorder.of("connect") == [None, None], "the second connection")
        recorder.client.send("again")
        assert recorder.wait_messages(3) == ["hello 0", "hello 0", "again"]
        assert recorder.client.sid != first
        assert all(b"X-Badge: 7" in request for request in path.requests if b"GET /engine.io" in request)
        recorder.client.disconnect()
    assert len(recorder.of("disconnect")) == 2
    server.new_log()


def test_failed_attempts_are_told_and_their_number_is_kept(server, make):
    recorder = make(**QUICK, reconnection_attempts=3)
    with Middleman(server.port) as path:
        recorder.client.connect(path.url)
        recorder.wait_transport("websocket")
    recorder.client.wait()
    errors = recorder.of("connect_error")
    assert [error.kind for error in errors] == ["unreachable"] * 3
    assert recorder.client.state == "disconnected"
    assert recorder.of("connect") == [None]
    server.new_log()


@pytest.mark.parametrize("where", ["waiting", "connecting"])
def test_disconnect_stops_it_at_once(server, make, where):
    recorder = make(**{**QUICK, "reconnection_delay": 60 if where == "waiting" else 0.01, "reconnection_delay_max": 60})
    path = Middleman(server.port, delay=0 if where == "waiting" else 0.05)
    with path:
        recorder.client.connect(path.url, transports=["websocket"])
        path._delay = 0.5
        path.cut()
        recorder.wait_disconnect()
        if where == "connecting":
            wait_until(lambda: recorder.client.state == "connecting", "an attempt")
        began = time.monotonic()
        recorder.client.disconnect()
        recorder.client.wait()
        assert time.monotonic() - began < 0.3
        assert recorder.of("connect") == [None]
    server.new_log()


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids=["polling", "websocket"])
def test_after_a_goodbye_of_the_server_it_comes_back_and_after_its_own_it_does_not(server, make, transports):
    recorder = make(**QUICK)
    recorder.client.connect(url_of(server), transports=transports)
    recorder.client.send({"cmd": "disconnect"})
    wait_until(lambda: recorder.of("connect") == [None, None], "the second connection")
    assert recorder.of("disconnect") == ["server disconnect"]
    wait_until(lambda: recorder.client.state == "connected", "the end of connecting")
    recorder.client.disconnect()
    recorder.client.wait()
    assert recorder.of("connect") == [None, None]


def test_disconnect_within_the_handler_of_the_servers_goodbye_stops_it(server, make):
    recorder = make(**QUICK)
    recorder.client.on("disconnect", lambda reason: recorder.client.disconnect())
    recorder.client.connect(url_of(server))
    recorder.client.send({"cmd": "disconnect"})
    recorder.client.wait()
    assert recorder.of("connect") == [None]


def test_disconnect_within_the_handler_of_a_loss_stops_it(server, make):
    recorder = make(**QUICK)
    with Middleman(server.port) as path:
        recorder.client.on("disconnect", lambda reason: recorder.client.disconnect())
        recorder.client.connect(path.url, transports=["websocket"])
        path.cut()
        recorder.client.wait()
        assert recorder.of("connect") == [None]
    server.new_log()


def test_wait_lasts_until_nothing_will_connect_again(server, make):
    recorder = make(**QUICK)
    with Middleman(server.port) as path:
        recorder.client.connect(path.url, transports=["websocket"])
        waiting = threading.Thread(target=recorder.client.wait)
        waiting.start()
        path.cut()
        wait_until(lambda: recorder.of("connect") == [None, None], "the second connection")
        assert waiting.is_alive()
        recorder.client.disconnect()
        waiting.join(5)
        assert not waiting.is_alive()
    server.new_log()


def test_without_being_asked_for_nothing_connects(server, make):
    recorder = make()
    states: list[str] = []
    with Middleman(server.port) as path:
        recorder.client.on("disconnect", lambda reason: states.append(recorder.client.state))
        recorder.client.connect(path.url, transports=["websocket"])
        path.cut()
        recorder.client.wait()
    # By this a library on top tells a loss from a goodbye.
    assert states == ["connected"]
    assert recorder.client.state == "disconnected"
    assert recorder.of("connect") == [None]
    server.new_log()


def test_delays_that_can_not_work_are_named(make):
    with pytest.raises(SettingError, match="reconnection_delay"):
        make(reconnection=True, reconnection_delay=5, reconnection_delay_max=1)
