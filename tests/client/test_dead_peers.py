"""Servers that die, hang, restart or can't be reached any more: noticed in time, told once, and the client lives on."""

from __future__ import annotations

import os
import signal
import ssl
import time

import pytest
import requests
from scenarios.servers import Server
from scenarios.waiting import wait_until

from engineio_green.client import clock, link, outbound
from engineio_green.client.errors import Lost
from engineio_green.client.websocket import Wire
from engineio_green.exceptions import NotConnectedError

from .conftest import SERVED_BY, url_of
from .middleman import Middleman
from .recording import TRANSPORTS

PATIENCE = 0.6  # of a client of the server `impatient`: interval and timeout


HEARTBEATS = {"ping_interval": 0.3, "ping_timeout": 0.3}


@pytest.fixture(scope="module")
def stoppable(tmp_path_factory):
    """A server for this module, which may be stopped; it goes on after the test."""
    server = Server(SERVED_BY["gevent-pywsgi"], HEARTBEATS, tmp_path_factory.mktemp("stoppable"))
    yield server
    server.kill()


@pytest.fixture
def stop(stoppable):
    """Stops that server where it stands."""
    pid = stoppable.stats()["pid"]
    yield lambda: os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


def connected(make, url, transports, **options):
    recorder = make(**{"request_timeout": 1, **options})
    recorder.client.connect(url, transports=transports)
    recorder.wait_transport("polling" if transports == ["polling"] else "websocket")
    return recorder


def assert_gone(recorder, reasons, within):
    began = time.monotonic()
    assert recorder.wait_disconnect() in reasons
    assert time.monotonic() - began < within
    recorder.client.wait()
    assert recorder.client.state == "disconnected"
    with pytest.raises(NotConnectedError):
        recorder.client.send("x")
    assert len(recorder.of("disconnect")) == 1


def test_killed_server_is_noticed_at_once_and_after_its_restart_the_same_clients_connect(make, tmp_path, monkeypatch):
    server = Server(SERVED_BY["gevent-pywsgi"], HEARTBEATS, tmp_path)
    try:
        recorders = {name: connected(make, url_of(server), transports) for name, transports in TRANSPORTS.items()}
        server.kill()
        for recorder in recorders.values():
            assert_gone(recorder, ("transport close", "transport error"), 0.7)
        monkeypatch.setattr("scenarios.servers.free_port", lambda: server.port)
        server = Server(SERVED_BY["gevent-pywsgi"], HEARTBEATS, tmp_path)
        for name, recorder in recorders.items():
            recorder.client.connect(url_of(server), transports=TRANSPORTS[name])
            recorder.client.send("again")
            assert recorder.wait_messages(1) == ["again"]
            recorder.client.disconnect()
    finally:
        server.kill()


def test_stopped_server_is_noticed_when_its_time_is_up(stoppable, stop, transports, make):
    recorder = connected(make, url_of(stoppable), transports)
    stop()
    assert_gone(recorder, ("ping timeout",), PATIENCE + 0.7)


def test_disconnect_from_a_stopped_server_is_over_in_time(stoppable, stop, transports, make):
    recorder = connected(make, url_of(stoppable), transports)
    stop()
    recorder.client.send("x")
    began = time.monotonic()
    recorder.client.disconnect()
    assert time.monotonic() - began < 1.8  # request_timeout is one second
    assert len(recorder.of("disconnect")) == 1
    assert recorder.client.state == "disconnected"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_path_that_swallows_everything_is_noticed_when_the_time_is_up(impatient, transports, make, scheme, tls_context):
    with Middleman(impatient.port, tls=tls_context if scheme == "https" else None) as path:
        recorder = connected(make, path.url, transports, ssl_verify=False)
        path.frozen = True
        assert_gone(recorder, ("ping timeout", "transport error"), PATIENCE + 1.5)


def test_connection_that_is_cut_is_noticed_at_once(server, transports, make):
    with Middleman(server.port) as path:
        recorder = connected(make, path.url, transports)
        recorder.client.send("x")
        recorder.wait_messages(1)
        if transports == ["polling"]:
            path.wait_requests(4)  # the second GET: a connection that is cut while nobody uses it is no loss
        path.cut()
        assert_gone(recorder, ("transport close", "transport error"), 1)
    server.new_log()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_reader_that_sees_the_end_leaves_the_descriptor_to_who_may_be_writing(server, tls_context, scheme):
    """The number of a closed descriptor may be another connection's the next moment, which would get what is written."""

    class Owner:
        def tick(self, wire):
            return True

        def flush_control(self, wire):
            raise AssertionError("nothing was to be answered")

    with Middleman(server.port, tls=tls_context if scheme == "wss" else None) as path:
        options = {"timeout": 5, "suppress_origin": True, "sslopt": {"cert_reqs": ssl.CERT_NONE}}
        wire = Wire(f"{scheme}://127.0.0.1:{path.port}/engine.io/?EIO=4&transport=websocket", options, Owner())
        assert wire.read()[0].startswith("0{")
        path.cut()
        with pytest.raises(Lost):
            wire.read()
        assert wire._socket.fileno() >= 0
        wire.close()
        assert wire._socket.fileno() == -1
    server.new_log()


def sleep_for_an_hour(monkeypatch):
    """The clock of a machine that sleeps goes on; waking up can't be had in a test but by this."""
    real = clock.clock
    for module in (link, outbound):
        monkeypatch.setattr(module, "clock", lambda: real() + 3600)


def test_computer_that_has_slept_finds_the_connection_dead_when_it_sends(impatient, transports, make, monkeypatch):
    recorder = connected(make, url_of(impatient), transports)
    sleep_for_an_hour(monkeypatch)
    with pytest.raises(NotConnectedError):
        recorder.client.send("x")
    assert recorder.wait_disconnect(2) == "ping timeout"


def test_computer_that_has_slept_finds_the_websocket_dead_by_itself(impatient, make, monkeypatch):
    # A server that says nothing any more, in a quarter of the time that it would be given.
    with Middleman(impatient.port) as path:
        recorder = connected(make, path.url, ["websocket"])
        path.frozen = True
        sleep_for_an_hour(monkeypatch)
        began = time.monotonic()
        assert recorder.wait_disconnect(2) == "ping timeout"
        assert time.monotonic() - began < PATIENCE


def test_server_that_does_not_read_blocks_the_sender_until_its_time_is_up(stoppable, stop, make):
    recorder = connected(make, url_of(stoppable), ["websocket"])
    stop()
    began = time.monotonic()

    def send_for_ever() -> None:
        for _ in range(1000):
            recorder.client.send("x" * 500_000)

    with pytest.raises(NotConnectedError):
        send_for_ever()
    assert time.monotonic() - began < PATIENCE + 1.5
    assert recorder.wait_disconnect() in ("ping timeout", "transport close")


def test_nothing_is_left_of_many_short_connections(server, transports, make):
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    recorder = connected(make, url_of(server), transports)
    recorder.client.disconnect()
    before = descriptors()
    for _ in range(20):
        recorder.client.connect(url_of(server), transports=transports)
        recorder.client.disconnect()
    wait_until(lambda: descriptors() <= before + 2, f"descriptors to go back to {before}: {descriptors()}")
    assert len(recorder.of("disconnect")) == 21


class LatePolls(requests.Session):
    """What is posted overtakes the answers to polls."""

    def send(self, request, **options):
        answer = super().send(request, **options)
        if request.method == "GET":
            time.sleep(0.7)
        return answer


def test_goodbye_of_the_server_is_heard_although_a_post_is_refused_before(server, make):
    recorder = make(http_session=LatePolls)
    recorder.client.connect(url_of(server), transports=["polling"])
    sid = recorder.client.sid
    recorder.client.send({"cmd": "disconnect"})
    server.wait_disconnected(sid)
    recorder.client.send("too late")
    recorder.client.wait()
    assert recorder.of("disconnect") == ["server disconnect"]
