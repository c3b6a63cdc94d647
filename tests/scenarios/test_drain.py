"""The way out: nobody comes in any more, everybody who is there is told, and those who don't listen don't hold it up."""

from __future__ import annotations

import time

import pytest

from .client import Client, Polling, SessionSocket, target_of
from .servers import Server
from .waiting import wait_until

pytestmark = [pytest.mark.fresh_server, pytest.mark.server_options(close_timeout=30)]


def drain(ws: SessionSocket, server: Server, timeout: float = 10, spread: float = 0.3) -> float:
    """Let *ws* start it; returns when it began."""
    ws.send_data({"cmd": "drain", "timeout": timeout, "spread": spread})
    wait_until(lambda: server.events("drain"), "the drain to start")
    return time.monotonic()


def cut_off(server: Server, within: float) -> int:
    """How many clients the drain had to cut off."""
    wait_until(lambda: len(server.events("drain")) == 2, "the drain to end", within)
    count: int = server.events("drain")[1][1]
    return count


def read_farewell(ws: SessionSocket) -> int | None:
    """Read until the close packet, then the close frame: its code."""
    while ws.receive() != "1":
        pass
    return ws.expect_close()


def packets_to_the_end(session: Polling) -> list[str]:
    packets: list[str] = []
    while "1" not in packets:
        packets += session.poll()
    return packets


def test_every_client_is_told_and_leaves_and_nobody_comes_in(client: Client, server: Server):
    sockets = [client.open_websocket() for _ in range(20)]
    upgrading = client.open_polling()
    upgraded, _ = upgrading.upgrade()
    polling = [client.open_polling() for _ in range(5)]
    held = [session.begin_poll() for session in polling[:4]]
    drain(sockets[0], server)
    assert [read_farewell(ws) for ws in sockets] == [1001] * 20
    assert upgraded.receive() == "1"
    assert upgraded.expect_close() == 1001
    upgrading.over = True
    assert [poll.packets() for poll in held] == [["1"]] * 4
    assert packets_to_the_end(polling[4]) == ["1"]
    for session in polling:
        session.over = True
    assert cut_off(server, within=5) == 0
    reasons = [server.wait_disconnected(session.sid) for session in [*sockets, upgrading, *polling]]
    assert set(reasons) == {"server disconnect"}
    refused = client.http("GET", target_of("polling"))
    assert (refused.status, refused.json()["message"]) == (503, "Server is shutting down")
    assert int(refused.header("Retry-After")) > 0
    assert client.refused_websocket(target_of("websocket")).status == 503


def test_what_was_sent_before_goes_out_first(client: Client, server: Server):
    ws, session = client.open_websocket(), client.open_polling()
    ws.send_data({"cmd": "send_to", "sid": session.sid, "data": "for later"})
    ws.send_data({"cmd": "send_many", "n": 300, "size": 10_000})
    drain(ws, server)
    messages = []
    while "1" not in messages:
        messages.append(ws.receive())
    assert [str(message)[1:].split(":")[0] for message in messages[:-1]] == [str(number) for number in range(300)]
    assert ws.expect_close() == 1001
    assert packets_to_the_end(session) == ["4for later", "1"]
    session.over = True
    assert cut_off(server, within=5) == 0


def test_who_does_not_listen_is_cut_off_at_the_end_of_the_time(client: Client, server: Server):
    deaf = client.open_websocket()  # answers no close frame
    silent: Polling = client.open_polling()  # never polls again
    starter = client.open_websocket()
    began = drain(starter, server, timeout=1.5)
    assert read_farewell(starter) == 1001
    assert cut_off(server, within=5) == 1
    assert 1.2 < time.monotonic() - began < 4
    assert server.disconnects(deaf.sid) == server.disconnects(silent.sid) == ["server disconnect"]
    silent.over = True
    assert server.stats()["sessions"] == 0
