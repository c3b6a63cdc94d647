"""Messages there and back, on each transport and with each of our servers: kinds, order, size, the goodbye."""

from __future__ import annotations

import time

import pytest
from scenarios.waiting import wait_until

from engineio_green.exceptions import MessageSizeError, NotConnectedError

from .conftest import url_of
from .recording import client_threads

KINDS = ["text", "", "ä€😀\u2028", b"\0\xff", b"", {"a": [1, None]}, [1, "x"], "true", "12", "x" * 200_000, b"y" * 200_000]


def test_every_kind_of_message_comes_back_and_both_ends_see_one_orderly_session(any_server, transports, make):
    recorder = make()
    client = recorder.client
    client.connect(url_of(any_server), transports=transports)
    assert (client.state, bool(client.sid)) == ("connected", True)
    recorder.wait_transport("polling" if transports == ["polling"] else "websocket")
    sid = client.sid
    for data in KINDS:
        client.send(data)
    assert recorder.wait_messages(len(KINDS)) == KINDS
    client.disconnect()
    assert (client.state, client.sid) == ("disconnected", None)
    assert recorder.events[0] == ("connect",)
    assert recorder.events[-1] == ("disconnect", "client disconnect")
    assert len(recorder.events) == len(KINDS) + 2
    client.wait()
    assert any_server.wait_disconnected(sid) == "client disconnect"


def test_what_was_sent_before_disconnect_is_delivered(any_server, transports, make):
    client = make().client
    client.connect(url_of(any_server), transports=transports)
    sid = client.sid
    for number in range(200):
        client.send(f"{number}")
    client.disconnect()
    assert any_server.wait_disconnected(sid) == "client disconnect"
    assert any_server.received(sid) == [f"str:{number}" for number in range(200)]


def test_server_delivers_before_its_own_goodbye(server, transports, make):
    recorder = make()
    recorder.client.connect(url_of(server), transports=transports)
    recorder.client.send({"cmd": "disconnect", "n": 50})
    assert recorder.wait_disconnect() == "server disconnect"
    assert recorder.messages == [f"{number}:" for number in range(50)]
    recorder.client.wait()
    assert recorder.client.state == "disconnected"


def test_messages_of_the_servers_connect_handler_arrive_behind_the_connect_event(server, transports, make):
    recorder = make()
    recorder.client.connect(f"{url_of(server)}/?hello=3", transports=transports)
    recorder.wait_messages(3)
    assert recorder.events == [("connect",), ("message", "hello 0"), ("message", "hello 1"), ("message", "hello 2")]


def test_burst_of_ten_thousand_messages_over_polling_arrives_in_order(server, make):
    recorder = make()
    recorder.client.connect(url_of(server), transports=["polling"])
    for number in range(10_000):
        recorder.client.send(f"n{number}")
    assert recorder.wait_messages(10_000, 40) == [f"n{number}" for number in range(10_000)]


def test_threads_that_send_at_once_keep_their_own_order(server, transports, make):
    recorder = make()
    client = recorder.client
    client.connect(url_of(server), transports=transports)

    def send(name: int) -> None:
        for number in range(100):
            client.send([name, number])

    threads = [client.start_background_task(send, name) for name in range(5)]
    for thread in threads:
        thread.join()
    messages = recorder.wait_messages(500)
    for name in range(5):
        assert [number for sender, number in messages if sender == name] == list(range(100))


def test_bodies_stay_under_the_servers_limit_and_a_message_over_it_is_refused_before_it_is_sent(servers, transports, make):
    small = servers.get("gevent-pywsgi", max_http_buffer_size=1000)
    recorder = make()
    client = recorder.client
    client.connect(url_of(small), transports=transports)
    for _ in range(20):
        client.send("x" * 700)
    with pytest.raises(MessageSizeError, match="1000"):
        client.send("x" * 1000)
    assert recorder.wait_messages(20) == ["x" * 700] * 20
    assert not recorder.of("disconnect")


def test_sending_without_a_connection_is_an_error(server, make):
    recorder = make()
    with pytest.raises(NotConnectedError, match="connect"):
        recorder.client.send("x")
    recorder.client.connect(url_of(server))
    recorder.client.disconnect()
    with pytest.raises(NotConnectedError):
        recorder.client.send("x")
    assert recorder.client.state == "disconnected"


def test_abort_waits_for_nothing_and_the_server_gets_to_know(server, transports, make):
    recorder = make()
    recorder.client.connect(url_of(server), transports=transports)
    recorder.wait_transport("polling" if transports == ["polling"] else "websocket")
    sid = recorder.client.sid
    recorder.client.disconnect(abort=True)
    assert recorder.of("disconnect") == ["client disconnect"]
    assert server.wait_disconnected(sid) in ("client disconnect", "transport close")


def test_disconnect_is_safe_at_any_time(server, make):
    recorder = make()
    recorder.client.disconnect()
    recorder.client.connect(url_of(server))
    threads = [recorder.client.start_background_task(recorder.client.disconnect) for _ in range(5)]
    for thread in threads:
        thread.join(10)
    recorder.client.wait()
    recorder.client.disconnect(abort=True)
    assert recorder.of("disconnect") == ["client disconnect"]


def test_connecting_twice_is_an_error_and_the_first_connection_stays(server, make):
    recorder = make()
    recorder.client.connect(url_of(server))
    with pytest.raises(ValueError, match="disconnect"):
        recorder.client.connect(url_of(server))
    recorder.client.send("still here")
    assert recorder.wait_messages(1) == ["still here"]


def test_idle_client_has_one_thread_besides_that_of_the_process(impatient, transports, make):
    first, second = make(), make()
    for recorder in (first, second):
        recorder.client.connect(url_of(impatient), transports=transports)
        recorder.client.send("x")
        recorder.wait_messages(1)
        recorder.wait_transport("polling" if transports == ["polling"] else "websocket")
    expected = ["engineio-client-reader", "engineio-client-reader", "engineio-client-watch"]
    if transports == ["polling"]:
        expected += ["engineio-client-writer"] * 2  # which answers a ping each 0.3 s
    wait_until(lambda: client_threads() == expected, f"only {expected}, not {client_threads()}")


def test_heartbeats_keep_an_idle_connection(impatient, transports, make):
    recorder = make()
    recorder.client.connect(url_of(impatient), transports=transports)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 1.5, "several heartbeats")
    recorder.client.send("still here")
    assert recorder.wait_messages(1) == ["still here"]
    assert not recorder.of("disconnect")


def test_helpers_for_applications_do_what_they_say(make):
    client = make().client
    queue = client.create_queue()
    event = client.create_event()
    task = client.start_background_task(lambda a, b: (queue.put((a, b)), event.set()), 1, b=2)
    assert event.wait(5)
    task.join(5)
    assert queue.get_nowait() == (1, 2)
    with pytest.raises(client.get_queue_empty_exception()):
        queue.get_nowait()
    client.sleep(0)
    with pytest.raises(ValueError, match="no event"):
        client.on("open")
