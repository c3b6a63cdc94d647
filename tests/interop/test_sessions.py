"""How sessions begin, live and end, as the official client and our application see it."""

from __future__ import annotations

from typing import Any

import pytest

from .clients import Client
from .servers import ServerPool, ServerProcess
from .test_messages import POLLING, WAYS, WEBSOCKET

# Short enough to see several beats, with a timeout that no busy machine runs into.
BEATING = {"ping_interval": 0.3, "ping_timeout": 8}
# A silent client is given up after 1.5 s. Its own patience lasts a whole interval longer, so which end gives up first is no race.
STRICT = {"ping_interval": 1, "ping_timeout": 0.5}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def assert_sid_is_dead(server: ServerProcess, sid: str) -> None:
    status, body = server.get("/engine.io/", EIO="4", transport="polling", sid=sid)
    assert (status, body) == (400, b'{"code":1,"message":"Session ID unknown"}')


# --- beginning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_connection_that_the_application_refuses_surfaces_as_an_error(
    client: Client, servers: ServerPool, transport: str
) -> None:
    options = {"transports": [transport], "query": {"refuse": "not today"}}

    facts = client.run("refused", servers.get(), options=options)

    assert facts["events"] == ["error", "close"]
    assert facts["details"]["close"] == "transport error"
    if transport == "polling":
        assert facts["details"]["error"] == {"message": "xhr poll error", "status": 401, "body": '"not today"'}
    else:
        assert facts["details"]["error"]["message"] == "websocket error"


def test_a_path_without_the_last_slash_is_the_same_endpoint(client: Client, servers: ServerPool) -> None:
    facts = client.run("echo", servers.get(), options={"addTrailingSlash": False}, messages=[{"text": "hello"}])

    assert facts["transport"] == "websocket"
    assert facts["received"] == [{"text": "hello"}]


def test_without_allow_upgrades_the_client_stays_on_polling(client: Client, servers: ServerPool) -> None:
    server = servers.get(allow_upgrades=False)

    facts = client.run("echo", server, options={"upgrade": False}, messages=[{"text": "hello"}])

    assert facts["details"]["handshake"]["upgrades"] == []
    assert facts["transport"] == "polling"
    assert facts["received"] == [{"text": "hello"}]


def test_a_client_that_tries_all_transports_gets_in_by_the_one_that_the_server_has(
    client: Client, servers: ServerPool
) -> None:
    server = servers.get(transports=["websocket"])
    options = {"transports": ["polling", "websocket"], "tryAllTransports": True}

    facts = client.run("echo", server, options=options, messages=[{"text": "hello"}])

    assert facts["firstTransport"] == "websocket"
    assert facts["received"] == [{"text": "hello"}]


# --- living ------------------------------------------------------------------------------------------------------------


def test_the_heartbeat_keeps_an_idle_session_alive(client: Client, servers: ServerPool, way: str) -> None:
    facts = client.run("heartbeat", servers.get(**BEATING), options=WAYS[way], pings=4)

    handshake = facts["details"]["handshake"]
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 8_000)
    assert facts["events"][-1] in ("open", "upgrade"), facts
    assert facts["received"] == [{"text": "still here"}]


def test_a_client_that_goes_silent_is_given_up_after_interval_and_timeout(
    client: Client, servers: ServerPool, way: str
) -> None:
    server = servers.get(**STRICT)

    facts = client.run("mute", server, options=WAYS[way])

    assert facts["details"]["close"] == "transport close"
    assert facts["closedAfter"] < 2_400, "the client's own patience ends at 2.5 s"
    assert server.wait_until_closed(sid=facts["sid"])["disconnects"] == ["ping timeout"]
    assert_sid_is_dead(server, facts["sid"])


def test_a_client_whose_server_hangs_notices_by_itself(client: Client, servers: ServerPool, way: str) -> None:
    server = servers.get(ping_interval=0.5, ping_timeout=1)
    tag = f"hang {client.name} {way}"
    running = client.start("waitForTheEnd", server, options={**WAYS[way], "query": {"tag": tag}})
    server.wait_until_received("ready", tag=tag)

    server.freeze()
    try:
        facts = running.facts()
    finally:
        server.thaw()

    assert facts["details"]["close"] == "ping timeout"
    disconnects = server.wait_until_closed(sid=facts["sid"])["disconnects"]
    # Awake again, the server finds both at once: a client that has said goodbye and a ping that is overdue.
    assert disconnects in (["ping timeout"], ["transport close"], ["client disconnect"])


# --- ending ------------------------------------------------------------------------------------------------------------


def test_when_the_server_disconnects_the_client_still_gets_what_was_sent_before(
    client: Client, servers: ServerPool, way: str
) -> None:
    server = servers.get()

    facts = client.run("closedByServer", server, options=WAYS[way])

    assert facts["received"] == [{"text": "bye"}]
    assert facts["events"][-1] == "close"
    assert "error" not in facts["events"]
    assert facts["details"]["close"] == "transport close"
    assert server.wait_until_closed(sid=facts["sid"])["disconnects"] == ["server disconnect"]
    assert_sid_is_dead(server, facts["sid"])


def test_when_the_client_closes_the_server_still_gets_what_was_sent_before(
    client: Client, servers: ServerPool, way: str
) -> None:
    server = servers.get()
    messages: list[dict[str, Any]] = [{"text": "one"}, {"bytes": [2], "as": "Uint8Array"}, {"text": "three"}]

    facts = client.run("closedByClient", server, options={**WAYS[way], "query": {"collect": 1}}, messages=messages)

    assert facts["details"]["close"] == "forced close"
    assert "error" not in facts["events"]
    journal = server.wait_until_closed(sid=facts["sid"])
    assert journal["received"] == [["str", "one"], ["bytes", [2]], ["str", "three"]]
    # On a websocket this client says goodbye with a close frame, not with a packet of the protocol.
    assert journal["disconnects"] == ["client disconnect" if way == "polling" else "transport close"]
    assert_sid_is_dead(server, facts["sid"])


def test_a_client_that_vanishes_from_its_websocket_is_noticed_at_once(client: Client, servers: ServerPool) -> None:
    server = servers.get()
    tag = f"vanish {client.name}"
    running = client.start("waitForTheEnd", server, options={**WEBSOCKET, "query": {"tag": tag}})
    server.wait_until_received("ready", tag=tag)

    running.abandon()

    assert server.wait_until_closed(tag=tag)["disconnects"] == ["transport close"]


def test_a_client_that_vanishes_from_polling_is_noticed_by_the_heartbeat(client: Client, servers: ServerPool) -> None:
    server = servers.get(**STRICT)
    tag = f"vanish from polling {client.name}"
    running = client.start("waitForTheEnd", server, options={**POLLING, "query": {"tag": tag}})
    server.wait_until_received("ready", tag=tag)

    running.abandon()

    assert server.wait_until_closed(tag=tag)["disconnects"] == ["ping timeout"]
