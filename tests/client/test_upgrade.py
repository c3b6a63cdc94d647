"""Polling then websocket: how long connect() takes, what happens to messages on the way, and what a failure leaves."""

from __future__ import annotations

import time

import pytest
from scenarios.waiting import wait_until

from .conftest import url_of
from .middleman import Middleman


def test_connect_takes_one_round_trip_more_at_most(server, make):
    with Middleman(server.port, delay=0.1) as slow:
        took = {}
        for name, transports in (("polling", ["polling"]), ("upgrade", None)):
            recorder = make()
            began = time.monotonic()
            recorder.client.connect(slow.url, transports=transports)
            took[name] = time.monotonic() - began
        round_trip = 0.2
        assert took["upgrade"] <= took["polling"] + round_trip + 0.15, took
        recorder.wait_transport("websocket")
        recorder.client.send("x")
        assert recorder.wait_messages(1) == ["x"]


def test_websocket_is_there_when_connect_returns_where_the_server_is_near(server, make):
    recorder = make()
    recorder.client.connect(url_of(server))
    recorder.wait_transport("websocket")


@pytest.mark.parametrize("status", [400, 502, 0], ids=["refused", "bad gateway", "never answered"])
def test_failed_upgrade_leaves_polling_working(server, make, status):
    recorder = make(request_timeout=1)
    with Middleman(server.port, refuse_websocket=status) as proxy:
        began = time.monotonic()
        recorder.client.connect(proxy.url)
        assert time.monotonic() - began < 0.9
        for number in range(3):
            recorder.client.send(f"{number}")
        assert recorder.wait_messages(3) == ["0", "1", "2"]
        if status == 0:
            wait_until(lambda: time.monotonic() - began > 1.3, "the upgrade to be given up")
        recorder.client.send("still here")
        assert recorder.wait_messages(4)[-1] == "still here"
        assert recorder.client.transport() == "polling"
        recorder.client.disconnect()
    assert recorder.of("disconnect") == ["client disconnect"]


def test_messages_of_both_sides_keep_their_order_while_the_transport_changes(server, make):
    recorder = make()
    with Middleman(server.port, delay=0.03) as slow:
        recorder.client.connect(slow.url)
        number = 0
        while recorder.client.transport() == "polling":
            recorder.client.send(f"{number}")
            number += 1
            time.sleep(0.002)
        for later in range(number, number + 20):
            recorder.client.send(f"{later}")
        assert recorder.wait_messages(number + 20) == [f"{n}" for n in range(number + 20)]
        recorder.client.disconnect()


def test_server_that_offers_no_upgrade_is_not_asked_for_one(servers, make):
    plain = servers.get("gevent-pywsgi", allow_upgrades=False)
    recorder = make()
    with Middleman(plain.port) as proxy:
        recorder.client.connect(proxy.url)
        recorder.client.send("x")
        recorder.wait_messages(1)
        recorder.client.disconnect()
        assert not any(b"websocket" in request for request in proxy.requests)


def test_disconnect_during_the_upgrade_is_a_clean_end(server, make):
    recorder = make()
    with Middleman(server.port, delay=0.1) as slow:
        recorder.client.connect(slow.url)
        recorder.client.send("x")
        sid = recorder.client.sid
        recorder.client.disconnect()
        assert recorder.of("disconnect") == ["client disconnect"]
        assert server.wait_disconnected(sid) == "client disconnect"
        assert server.received(sid) == ["str:x"]
