"""Events and acks: both ways, of every kind of value, many in a row and in order."""

from __future__ import annotations

from typing import Any

import pytest

from .places import in_node, on_socketio
from .servers import ORDERED, Server

EVERY_BYTE = list(range(256))
# Lists of arguments. As bytes the environments have views of a buffer and whole buffers.
MESSAGES: list[list[Any]] = [
    ["hello"],
    [],
    [1, "two", None, {"three": [3.5, True]}],
    ["Grüße, 你好 😀 \u2028"],
    [{"bytes": EVERY_BYTE, "as": "Uint8Array"}],
    [{"image": {"bytes": EVERY_BYTE * 40, "as": "ArrayBuffer"}, "name": "pi"}, [{"bytes": [1]}, {"bytes": [2, 0]}]],
    ["x" * 20_000],
]


def without_kind(value: Any) -> Any:
    """A message as it comes back: bytes are bytes."""
    if isinstance(value, list):
        return [without_kind(inner) for inner in value]
    if isinstance(value, dict):
        return {name: without_kind(inner) for name, inner in value.items() if name != "as"}
    return value


@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_events_and_the_return_values_of_their_handlers_arrive_as_they_were_sent(client: Any, server: Server, way: str):
    facts = client.run("echo", server, options=server.options(way), messages=MESSAGES)

    expected = [without_kind(message) for message in MESSAGES]
    assert facts["acks"] == expected  # one value as it is, a tuple as several
    assert sorted(map(repr, facts["said"])) == sorted(map(repr, expected))
    assert facts["transport"] == way


@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_the_server_gets_what_the_client_answers_by_call_and_by_callback(client: Any, server: Server, way: str):
    question: list[Any] = ["how much", {"of": {"bytes": [1, 2, 255]}}]
    answer: list[Any] = ["this", {"bytes": EVERY_BYTE}]

    facts = client.run("answer", server, options=server.options(way), question=question, answer=answer)

    assert facts == {"called": {"answer": answer}, "answered": answer, "asked": [question, question]}


@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_a_call_returns_a_single_answer_as_it_is(client: Any, server: Server, way: str):
    facts = client.run("answer", server, options=server.options(way), question=["?"], answer=[{"a": 1}])

    assert facts["called"] == {"answer": {"a": 1}}


def test_five_hundred_events_in_a_row_by_polling_arrive_in_order(client: Any, server: Server):
    up = client.run("pourUp", server, options=server.options("polling", ORDERED), count=500)
    down = client.run("pourDown", server, options=server.options("polling"), count=500)

    assert up == {"count": 500, "in_order": True, "transport": "polling"}
    assert down == {"count": 500, "inOrder": True, "transport": "polling"}


def test_ten_thousand_events_by_websocket_are_handled_in_order_where_handlers_are_not_async(client: Any, server: Server):
    facts = client.run("pourUp", server, options=server.options("websocket", ORDERED), count=10_000)

    assert facts == {"count": 10_000, "in_order": True, "transport": "websocket"}


def test_ten_thousand_events_that_one_handler_emits_arrive_in_order(client: Any, server: Server):
    facts = client.run("pourDown", server, options=server.options("websocket"), count=10_000)

    assert facts == {"count": 10_000, "inOrder": True, "transport": "websocket"}


# Five at once: of one alone the websocket may be there before the first event.
def test_events_to_the_server_stay_in_order_while_clients_move_to_their_websockets(client: Any, server: Server):
    everyone = client.run("pourUpDuringUpgrade", server, options=server.options(path=ORDERED), clients=5, more=200)

    for facts in everyone:
        assert facts["transports"] == ["polling", "websocket"]
        assert (facts["all"], facts["in_order"]) == (True, True)


def test_events_from_the_server_stay_in_order_while_the_client_moves_to_its_websocket(client: Any, server: Server):
    facts = client.run("pourDown", server, options=server.options(), count=1_000, early=True)

    assert facts == {"count": 1_000, "inOrder": True, "transport": "websocket"}


# Each is a background task, in any order (async_handlers is true by default), and none is lost.
@in_node
@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_a_thousand_questions_at_once_have_each_its_own_answer(client: Any, server: Server, way: str):
    assert client.run("burst", server, options=server.options(way), count=1_000) == {"right": 1_000}


def test_background_tasks_and_http_routes_emit_to_clients(client: Any, server: Server):
    tag = f"listening {client.name}"
    running = client.start("listen", server, options=server.options(auth={"tag": tag}))
    server.wait_noted(tag)
    server.post("/announce", text="by a route")

    assert running.facts() == {"done": [["done", "by a task"]], "announced": [["announced", "by a route"]]}


@on_socketio
def test_each_client_has_a_session_of_its_own(client: Any, server: Server):
    assert client.run("session", server, options=server.options()) == {"one": ["blue", 1], "two": ["red", None]}
