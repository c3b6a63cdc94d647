"""Handlers: they may block, fail, send, disconnect and connect again, and harm nobody."""

from __future__ import annotations

import logging
import threading

import pytest
from scenarios.waiting import wait_until

from engineio_green import AsyncClient, AsyncServer, Client, Server

from .conftest import url_of


def test_handler_that_blocks_delays_neither_later_messages_nor_pongs(impatient, transports, make):
    recorder = make()
    client = recorder.client
    release = threading.Event()
    started: list[str] = []

    @client.on("message")
    def on_message(data: str) -> None:
        started.append(data)
        if data == "block":
            release.wait(10)
        recorder.events.append(("message", data))

    client.connect(url_of(impatient), transports=transports)
    for data in ("block", "block", "on", "and on"):
        client.send(data)
    assert recorder.wait_messages(2) == ["on", "and on"]
    assert started == ["block", "block", "on", "and on"]
    # Longer than the server waits for a pong.
    release.wait(0.9)
    client.send("still here")
    assert recorder.wait_messages(3)[-1] == "still here"
    release.set()
    recorder.wait_messages(5)
    assert not recorder.of("disconnect")


def test_connect_handler_may_wait_for_an_answer(server, transports, make):
    recorder = make()
    client = recorder.client
    answers: list[bool] = []

    @client.on("connect")
    def on_connect() -> None:
        client.send("question")
        answers.append(wait_until(lambda: recorder.messages == ["question"], "the answer"))

    client.connect(url_of(server), transports=transports)
    assert answers == [True]
    recorder.wait_transport("polling" if transports == ["polling"] else "websocket")


def test_handlers_that_fail_are_logged_and_the_connection_goes_on(server, make, caplog):
    recorder = make(logger=logging.getLogger("test.client"))
    client = recorder.client

    def fail(*_: object) -> None:
        recorder.events.append(("failed",))
        raise RuntimeError("on purpose")

    client.on("connect", fail)
    client.on("message", fail)
    client.on("disconnect", fail)
    client.connect(url_of(server))
    client.send("a")
    client.send("b")
    wait_until(lambda: len(recorder.of("failed")) == 3, "both messages")
    client.disconnect()
    assert client.state == "disconnected"
    failures = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert failures == [f"the {kind} handler failed" for kind in ("connect", "message", "message", "disconnect")]


def test_disconnect_from_a_message_handler_delivers_what_was_sent(server, transports, make):
    recorder = make()
    client = recorder.client

    @client.on("message")
    def on_message(data: str) -> None:
        client.send("goodbye")
        client.disconnect()
        recorder.events.append(("back", client.state))

    client.connect(url_of(server), transports=transports)
    sid = client.sid
    client.send("hello")
    client.wait()
    wait_until(lambda: recorder.of("back"), "the handler to return")
    assert recorder.events == [("connect",), ("disconnect", "client disconnect"), ("back", "disconnected")]
    assert server.wait_disconnected(sid) == "client disconnect"
    assert server.received(sid) == ["str:hello", "str:goodbye"]


def test_disconnect_from_the_connect_handler_ends_it_before_it_began(server, transports, make):
    recorder = make()
    client = recorder.client
    sids: list[str] = []

    @client.on("connect")
    def on_connect() -> None:
        sids.append(client.sid)
        client.disconnect()

    client.connect(url_of(server), transports=transports)
    assert client.state == "disconnected"
    assert recorder.events == [("disconnect", "client disconnect")]
    assert server.wait_disconnected(sids[0]) == "client disconnect"


@pytest.mark.parametrize("ended_by", ["client", "server"])
def test_same_object_connects_again_from_within_its_disconnect_handler(server, transports, make, ended_by):
    recorder = make()
    client = recorder.client
    sids: list[str] = []

    @client.on("disconnect")
    def on_disconnect(reason: str) -> None:
        recorder.events.append(("disconnect", reason))
        if len(recorder.of("disconnect")) < 3:
            client.connect(url_of(server), transports=transports)

    client.connect(url_of(server), transports=transports)
    for number in range(2):
        sids.append(client.sid)
        if ended_by == "client":
            client.disconnect()
        else:
            client.send({"cmd": "disconnect"})
        wait_until(lambda number=number: len(recorder.of("connect")) == number + 2, "the next connection")
    client.send("hello")
    assert recorder.wait_messages(1) == ["hello"]
    assert client.sid not in sids
    waiting = threading.Thread(target=client.wait)
    waiting.start()
    client.disconnect()
    waiting.join(5)
    assert not waiting.is_alive()
    assert recorder.of("disconnect") == [f"{ended_by} disconnect"] * 2 + ["client disconnect"]


def test_disconnect_handler_may_take_no_argument(server, make):
    recorder = make()
    recorder.client.on("disconnect", lambda: recorder.events.append(("disconnect", "short")))
    recorder.client.connect(url_of(server))
    recorder.client.disconnect()
    assert recorder.of("disconnect") == ["short"]


def test_handlers_are_registered_by_decorator_and_by_call():
    client = Client(handle_sigint=False)

    @client.on("message")
    def on_message(data: object) -> None: ...

    client.on("connect", print)
    assert client.handlers == {"message": on_message, "connect": print}


@pytest.mark.parametrize("make_one", [Client, AsyncClient, Server, AsyncServer])
def test_handler_that_can_not_be_called_is_refused(make_one):
    registering = make_one()
    with pytest.raises(ValueError, match=r"handler of 'message' must be a function.*, not 3"):
        registering.on("message", 3)
    with pytest.raises(ValueError, match="not 'text'"):
        registering.on("message")("text")
    with pytest.raises(ValueError, match="no event 'nonsense'; there are connect, message"):
        registering.on("nonsense", print)
    assert "message" not in registering.handlers


@pytest.mark.parametrize("ended_by", ["client", "server"])
def test_wait_returns_at_once_in_the_disconnect_handler(server, transports, make, ended_by):
    recorder = make()
    client = recorder.client

    @client.on("disconnect")
    def on_disconnect(reason: str) -> None:
        client.wait()
        recorder.events.append(("disconnect", reason))

    client.connect(url_of(server), transports=transports)
    if ended_by == "server":
        client.send({"cmd": "disconnect"})
        client.wait()
    else:
        client.disconnect()
    assert recorder.of("disconnect") == [f"{ended_by} disconnect"]


def test_reasons_are_there_by_their_documented_names():
    assert {Client.reason.CLIENT_DISCONNECT, Client.reason.SERVER_DISCONNECT, Client.reason.TRANSPORT_ERROR} == {
        "client disconnect",
        "server disconnect",
        "transport error",
    }
