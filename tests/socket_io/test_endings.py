"""How connections end, what each side is told, and how the client comes back."""

from __future__ import annotations

from typing import Any

import pytest

from .places import in_node
from .servers import STRICT, Server


@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_a_client_that_disconnects_is_a_client_disconnect(client: Any, server: Server, way: str):
    tag = f"leaves {client.name} {way}"

    facts = client.run("leave", server, options=server.options(way, auth={"tag": tag}))

    assert facts == {"reasons": ["io client disconnect"]}
    assert server.wait_disconnected(tag) == ["client disconnect"]


@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_a_client_that_the_server_disconnects_is_told_so_and_does_not_come_back(client: Any, server: Server, way: str):
    tag = f"put out {client.name} {way}"

    facts = client.run("putOut", server, options=server.options(way, auth={"tag": tag}))

    assert facts == {"reasons": ["io server disconnect"], "active": False}
    assert server.wait_disconnected(tag) == ["server disconnect"]


def test_a_client_that_vanishes_from_its_websocket_is_a_transport_close(vanishing: Any, server: Server):
    tag = f"vanishes {vanishing.name}"
    running = vanishing.start("stay", server, options=server.options("websocket", auth={"tag": tag}))
    server.wait_connected(tag)

    running.abandon()

    assert server.wait_disconnected(tag) == ["transport close"]


def test_a_client_that_vanishes_from_polling_is_a_ping_timeout(vanishing: Any, server: Server):
    tag = f"vanishes from polling {vanishing.name}"
    running = vanishing.start("stay", server, options=server.options("polling", STRICT, auth={"tag": tag}))
    server.wait_connected(tag)

    running.abandon()

    assert server.wait_disconnected(tag) == ["ping timeout"]


@in_node
def test_a_client_comes_back_by_itself_when_the_server_is_restarted(client: Any, server: Server):
    tag = "comes back"
    running = client.start("comeBack", server, options=server.options(auth={"tag": tag}))
    server.wait_noted(tag)

    server.restart()

    facts = running.facts()
    assert facts["reasons"] == ["transport close"]
    assert facts["transport"] == "websocket"
    before, after = facts["ids"]
    assert before != after == facts["who"]["sid"]
    # The new process knows only of the second connection, and gets what the client has kept meanwhile.
    journal = server.journal(tag)
    assert journal["connected"] == [after]
    assert journal["notes"] == ["kept by the client until it is back"]
