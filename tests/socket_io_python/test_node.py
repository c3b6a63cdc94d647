"""Python's clients with Node's `socket.io`, beyond what all pairs say: simple clients, catch-all handlers, long runs.

The clients are those of the newest python-socketio, in processes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scenarios.waiting import wait_until

from .conftest import NEWEST, NEWEST_ASYNCIO, ClientKind, Clients, Pair
from .environments import NEWEST_RELEASE
from .serving import NODE, Served, Servers, unique_user
from .talking import TRANSPORTS, Failed, RemoteClient

SIMPLE = {name: ClientKind(NEWEST_RELEASE, name) for name in ("SimpleClient", "AsyncSimpleClient")}


@pytest.fixture
def node(servers: Servers) -> Iterator[Served]:
    served = servers.get(NODE)
    yield served
    served.check_log()


@pytest.fixture(params=[NEWEST, NEWEST_ASYNCIO], ids=lambda kind: kind.class_name)
def to_node(request: pytest.FixtureRequest, node: Served, clients: Clients) -> Pair:
    return Pair(request.param, node, clients)


@pytest.fixture(params=list(SIMPLE))
def simple(request: pytest.FixtureRequest, clients: Clients) -> RemoteClient:
    """A simple client that is not connected."""
    return clients.make(SIMPLE[request.param])


def connect(client: RemoteClient, node: Served, transport: str, **options: Any) -> None:
    """Connect a simple client, and wait until it is on that transport."""
    client.do("connect", node.url, **TRANSPORTS[transport], **options)
    wanted = "polling" if transport == "polling" else "websocket"
    wait_until(lambda: client.do("transport") == wanted, wanted, 20)


def test_thousand_events_come_in_the_order_in_which_they_were_emitted(to_node: Pair, transport: str):
    client = to_node.connect(transport)
    client.emit("count", 1000)
    assert client.wait_for("number", 1000) == [[value] for value in range(1000)]


def test_thousand_calls_that_run_at_once_have_their_own_answers(to_node: Pair, transport: str):
    client = to_node.connect(transport)
    numbers = [client.begin("call", "echo", value) for value in range(1000)]
    assert [client.process.answer(number) for number in numbers] == list(range(1000))


def test_catch_all_handler_gets_the_events_that_have_no_other(to_node: Pair, transport: str):
    client = to_node.make(events={"/": ["said", "*"]}, answering=["*"])
    to_node.connect_it(client, transport)
    client.emit("say", "to its own handler")
    client.emit("count", 2)
    assert client.call("call", None, b"binary") == ["answer", "question", b"binary"]
    assert client.wait_for("said") == [["to its own handler"]]
    assert client.wait_for("*", 3) == [["number", 0], ["number", 1], ["question", b"binary"]]


def test_end_of_the_connection_by_the_server_ends_every_namespace(to_node: Pair, transport: str):
    user = unique_user()
    client = to_node.connect(transport, user, namespaces=["/", "/second"])
    client.emit("end connection", None, namespace="/second")
    for namespace in ("/", "/second"):
        assert client.wait_for("disconnect", namespace=namespace) == [["server disconnect"]]
        assert to_node.served.gone(user, namespace) == ["server namespace disconnect"]
    wait_until(lambda: client.do("connected") is False, "the client to be disconnected")


def test_refused_namespace_is_named_and_the_servers_message_is_told(to_node: Pair, transport: str):
    client = to_node.make()
    with pytest.raises(Failed) as refusal:
        to_node.connect_it(client, transport, "nobody", namespaces=["/second"])
    assert refusal.value.name == "ConnectionError"
    assert refusal.value.arguments == ["One or more namespaces failed to connect: /second"]
    told = {"message": "who are you?", "data": {"known": ["ann", "bob"]}}
    assert client.wait_for("connect_error", namespace="/second") == [[told]]


def test_simple_client_emits_calls_and_receives(simple: RemoteClient, node: Served, transport: str):
    connect(simple, node, transport, auth={"user": "ann"})
    assert simple.call("who am i") == "ann"
    assert simple.call("echo", {"binary": b"\0\xff"}, "two") == [{"binary": b"\0\xff"}, "two"]
    simple.emit("say", "first", b"\1")
    simple.emit("count", 20)
    assert simple.do("receive", timeout=10) == ["said", "first", b"\1"]
    assert [simple.do("receive", timeout=10) for _ in range(20)] == [["number", value] for value in range(20)]
    with pytest.raises(Failed) as nothing:
        simple.do("receive", timeout=0.1)
    assert nothing.value.name == "TimeoutError"


def test_simple_client_is_in_the_namespace_that_it_names(simple: RemoteClient, node: Served, transport: str):
    user = unique_user()
    connect(simple, node, transport, auth={"user": user}, namespace="/second")
    assert simple.call("who am i") == user
    simple.do("disconnect")
    node.gone(user, "/second")


def test_simple_client_that_is_refused_raises(simple: RemoteClient, node: Served, transport: str):
    with pytest.raises(Failed) as refusal:
        connect(simple, node, transport, auth={"user": "nobody"})
    assert refusal.value.name == "ConnectionError"


def test_simple_client_raises_once_the_server_has_ended_the_connection(simple: RemoteClient, node: Served, transport: str):
    connect(simple, node, transport, auth={"user": unique_user()})
    simple.emit("end connection")
    with pytest.raises(Failed) as end:
        simple.do("receive", timeout=10)
    assert end.value.name == "DisconnectedError"
