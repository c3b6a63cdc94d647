"""Rooms, with members on both transports at once."""

from __future__ import annotations

from typing import Any

import pytest

from .places import in_chromium
from .servers import WAYS, Server

# The last is the one that does not join.
MEMBERS = [WAYS["polling"], WAYS["websocket"], WAYS["upgrade"], WAYS["upgrade"]]
BYTES = {"bytes": list(range(256))}


@pytest.mark.parametrize("data", [{"text": "hello"}, BYTES, {"deep": [BYTES]}], ids=["json", "bytes", "bytes within json"])
def test_a_room_gets_what_is_told_to_it_on_both_transports_and_nobody_else_does(client: Any, server: Server, data: Any):
    facts = client.run("rooms", server, options=server.options(), members=MEMBERS, data=data)

    assert facts["transports"] == ["polling", "websocket", "websocket", "websocket"]
    assert facts["toAll"] == [[data], [data], [data], []]
    assert facts["notToSelf"] == [[], [data], [data], []]
    assert facts["fromOutside"] == [[data], [data], [data], []]
    assert facts["afterLeaving"] == [[data], [], [data], []]
    assert facts["rooms"] == ["room"]


@in_chromium
def test_two_windows_talk_to_each_other(client: Any, server: Server):
    tags = {name: f"window {name}" for name in ("ann", "bob")}
    options = {name: server.options(auth={"tag": tag}) for name, tag in tags.items()}
    first = client.start("talk", server, options=options["ann"], name="ann", second=False, turns=20)
    server.wait_noted(tags["ann"])
    second = client.start("talk", server, options=options["bob"], name="bob", second=True, turns=20)

    assert first.facts() == {"heard": [f"bob {turn}" for turn in range(20)]}
    assert second.facts() == {"heard": [f"ann {turn}" for turn in range(20)]}
