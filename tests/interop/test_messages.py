"""Messages between the official client and our server: every kind, on every transport, in order, none lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .clients import Client
from .servers import ServerPool

# What the client is told. Without `transports` it does what it does for its users: polling first, then the upgrade.
POLLING = {"transports": ["polling"]}
WEBSOCKET = {"transports": ["websocket"]}
UPGRADE: dict[str, Any] = {}
WAYS = {"polling": POLLING, "websocket": WEBSOCKET, "upgrade": UPGRADE}

EVERY_BYTE = list(range(256))
TEXTS = [
    "hello",
    "",
    "true",
    "null",
    "12",
    '"quoted"',
    "not json {",
    "line\nbreak\r\n\ttab \\ backslash",
    "Grüße, 你好, Здравствуйте, नमस्ते, שלום",
    "😀 \U0001f469‍\U0001f4bb é ￿ \u2028 \u2029 \ufeff",
    "x" * 5_000,
]
JSON_VALUES: list[Any] = [{"a": 1, "b": [True, None, "ü"], "c": {"d": {}}}, [], {}, [1, [2, [3]]], {"deep": [[[{}]]]}]
# Each environment has its own ways to hold bytes; a view of a buffer and an empty one among them.
BYTES = {
    "node": [("Buffer", EVERY_BYTE), ("Uint8Array", [1, 2, 3]), ("ArrayBuffer", EVERY_BYTE * 20), ("Buffer", [0])],
    "chromium": [
        ("ArrayBuffer", EVERY_BYTE),
        ("Uint8Array", [1, 2, 3]),
        ("ArrayBuffer", EVERY_BYTE * 20),
        ("Blob", [0, 255]),
    ],
}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def numbered(who: str, count: int) -> list[str]:
    return [f"{who} {number}" for number in range(count)]


def assert_went_the_way(facts: dict[str, Any], way: str) -> None:
    """The client opened on the transport it was told to and ended up where it should, with nothing else happening."""
    expected = {
        "polling": ("polling", "polling", ["handshake", "open"]),
        "websocket": ("websocket", "websocket", ["handshake", "open"]),
        "upgrade": ("polling", "websocket", ["handshake", "open", "upgrade"]),
    }
    assert (facts["firstTransport"], facts["transport"], facts["events"]) == expected[way]


def test_every_kind_of_message_comes_back_as_it_was(client: Client, servers: ServerPool, way: str) -> None:
    server = servers.get()
    messages: list[dict[str, Any]] = [
        *({"text": text} for text in TEXTS),
        *({"json": value} for value in JSON_VALUES),
        *({"bytes": content, "as": kind} for kind, content in BYTES[client.name]),
        {"text": "the last"},
    ]

    facts = client.run("echo", server, options=WAYS[way], messages=messages)

    assert_went_the_way(facts, way)
    received = facts["received"]
    assert received[: len(TEXTS)] == [{"text": text} for text in TEXTS]
    as_json = received[len(TEXTS) : len(TEXTS) + len(JSON_VALUES)]
    assert [json.loads(message["text"]) for message in as_json] == JSON_VALUES
    assert received[len(TEXTS) + len(JSON_VALUES) : -1] == [{"bytes": content} for _, content in BYTES[client.name]]
    assert received[-1] == {"text": "the last"}


@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_the_application_gets_text_as_str_json_as_dict_or_list_and_binary_as_bytes(
    client: Client, servers: ServerPool, way: str
) -> None:
    server = servers.get()
    messages = [
        {"text": "true"},
        {"json": {"a": [1]}},
        {"json": [1, 2]},
        {"bytes": [0, 255], "as": "Uint8Array"},
        {"text": "12"},
    ]

    facts = client.run("echo", server, options=WAYS[way], messages=messages)

    journal = server.journal(sid=facts["sid"])
    assert journal["received"] == [
        ["str", "true"],
        ["dict", {"a": [1]}],
        ["list", [1, 2]],
        ["bytes", [0, 255]],
        ["str", "12"],
    ]


def test_a_burst_of_messages_comes_back_in_order(client: Client, servers: ServerPool, way: str) -> None:
    burst = [{"text": text} for text in numbered("burst", 500)]

    facts = client.run("echo", servers.get(), options=WAYS[way], messages=burst)

    assert_went_the_way(facts, way)
    assert facts["received"] == burst


def test_one_message_at_a_time_comes_back_without_waiting_for_a_delayed_ack(
    client: Client, servers: ServerPool, way: str
) -> None:
    facts = client.run("pingPong", servers.get(), options=WAYS[way], count=50)

    assert_went_the_way(facts, way)
    assert facts["received"] == [{"text": text} for text in numbered("turn", 50)]
    # A stack that makes an answer wait for the peer's ACK makes every turn last 40 ms or more; a busy machine only some.
    assert facts["turns"][5] < 35, facts["turns"]


def test_the_server_knows_that_the_client_has_upgraded(client: Client, servers: ServerPool) -> None:
    server = servers.get()
    running = client.start("waitForTheEnd", server, options={"query": {"tag": f"upgraded {client.name}"}})

    journal = server.wait_until_received("ready", tag=f"upgraded {client.name}")
    assert journal["transport"] == "websocket"

    running.abandon()
    server.wait_until_closed(sid=journal["sid"])


def test_a_thousand_messages_each_way_during_an_upgrade_are_neither_lost_nor_reordered(
    client: Client, servers: ServerPool
) -> None:
    server = servers.get()

    facts = client.run("stream", server, options={"query": {"stream": 1_000}}, count=1_000)

    assert_went_the_way(facts, "upgrade")
    assert facts["received"] == numbered("server", 1_000)
    # On a loaded machine the upgrade may be through before the first answer of a poll.
    assert facts["receivedBeforeUpgrade"] < 1_000, "the upgrade was to fall in the middle of the traffic"
    journal = server.wait_until_closed(sid=facts["sid"])
    assert journal["received"] == [["str", text] for text in numbered("client", 1_000)]
    assert len(journal["disconnects"]) == 1


def test_twenty_clients_that_upgrade_at_once_under_traffic_lose_nothing(node: Client, servers: ServerPool) -> None:
    server = servers.get()

    everyone = node.run("streams", server, options={"query": {"stream": 200}}, count=200, clients=20)

    assert len({facts["sid"] for facts in everyone}) == 20
    for facts in everyone:
        assert_went_the_way(facts, "upgrade")
        assert facts["received"] == numbered("server", 200)
        journal = server.wait_until_closed(sid=facts["sid"])
        assert journal["received"] == [["str", text] for text in numbered("client", 200)]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_a_large_message_comes_back_whole(client: Client, servers: ServerPool, way: str, binary: bool) -> None:
    # On polling bytes travel as base64, a third longer, and the limit is for the body as it travels.
    size = 700_000 if binary and way == "polling" else 900_000

    facts = client.run("large", servers.get(), options=WAYS[way], size=size, binary=binary)

    assert facts["same"], facts
    assert_went_the_way(facts, way)


@pytest.mark.parametrize("way", ["polling", "websocket"])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_a_message_over_the_limit_ends_the_session_and_never_reaches_the_application(
    client: Client, servers: ServerPool, way: str, binary: bool
) -> None:
    server = servers.get()

    facts = client.run("large", server, options=WAYS[way], size=1_100_000, binary=binary)

    assert facts["events"][-1] == "close"
    assert facts["messages"] == 0
    # On polling both requests of the client get an answer: the POST its 413, the GET the end, or 400 if it is asked only after
    # that. Either may arrive first.
    if way == "polling" and "error" in facts["details"]:
        assert facts["details"]["error"]["status"] in (413, 400)
    journal = server.wait_until_closed(sid=facts["sid"])
    assert journal["received"] == []
    assert len(journal["disconnects"]) == 1
