"""How connections begin: transports, what the connect handler says, namespaces, and what the program runs on."""

from __future__ import annotations

from typing import Any

import pytest

from .places import in_node
from .servers import WAYS, Server

ENGINES = {"asgi": "engineio_green.aio.server"}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@in_node
def test_the_program_runs_on_this_package(server: Server):
    mode = server.setup.async_mode
    assert server.get("/engine") == {"engine": ENGINES.get(mode, "engineio_green.server"), "async_mode": mode}


def test_a_client_connects_by_each_transport_and_by_the_upgrade_and_both_sides_agree(client: Any, server: Server, way: str):
    facts = client.run("connect", server, options=server.options(way))

    expected = "polling" if way == "polling" else "websocket"
    assert (facts["transport"], facts["who"]["transport"]) == (expected, expected)
    assert facts["happened"] == [["connect", facts["id"]]]
    assert facts["who"]["sid"] == facts["id"]
    assert facts["who"]["engine"].startswith("engineio_green")


def test_the_connect_handler_gets_what_the_client_gave_as_auth(client: Any, server: Server):
    auth = {"token": "ünïcode", "rights": ["read", "write"], "deep": {"n": None}}

    facts = client.run("connect", server, options=server.options(auth=auth))

    assert facts["who"]["auth"] == auth


@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_a_client_that_the_handler_refuses_gets_the_message_and_the_data_of_the_exception(client: Any, server: Server, way: str):
    wishes: dict[str, tuple[Any, dict[str, Any]]] = {
        "message and data": (["go away", {"code": 7}], {"message": "go away", "data": {"code": 7}}),
        "message": (["go away"], {"message": "go away", "data": None}),
        "return False": (False, {"message": "Connection rejected by server", "data": None}),
    }
    for name, (wish, error) in wishes.items():
        facts = client.run("refused", server, options=server.options(way, auth={"refuse": wish, "tag": name}))

        assert facts == {"happened": [["connect_error", error]], "connected": False}, name
        assert server.journal(name)["connected"] == []


def test_namespaces_share_a_connection_and_nothing_else(client: Any, server: Server):
    auth = {"tag": f"namespaces {client.name}"}

    facts = client.run("namespaces", server, options=server.options(auth=auth))

    assert facts["acks"] == {"main": ["hello"], "other": ["other", "hello"]}
    assert facts["told"] == {"main": [["told", "from main"]], "other": [["told", "from other"]]}
    assert facts["ids"]["main"] != facts["ids"]["other"]
    assert facts["unknown"] is False
    assert (facts["reasons"], facts["mainAfter"]) == (["io client disconnect"], ["still here"])
    assert sorted(server.journal(auth["tag"])["connected"]) == sorted(facts["ids"].values())
