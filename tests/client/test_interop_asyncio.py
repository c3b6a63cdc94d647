"""The asyncio client against the same servers of others as the other client."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from engineio_green import AsyncClient
from engineio_green.exceptions import ConnectionError

from .recording import TRANSPORTS
from .test_interop import PING, foreign  # noqa: F401


class Recorder(AsyncClient):
    """A client that notes its events."""

    def __init__(self, **options: Any) -> None:
        super().__init__(handle_sigint=False, **{"request_timeout": 5, **options})
        self.messages: list[Any] = []
        self.ends: list[str] = []
        self.on("message", self.messages.append)
        self.on("disconnect", self.ends.append)


async def until(condition: Callable[[], Any], what: str, timeout: float = 10) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.01)


async def connected(url: str, transports: Any, **options: Any) -> Recorder:
    client = Recorder(**options)
    await client.connect(url, transports=transports)
    wanted = "polling" if transports == ["polling"] else "websocket"
    await until(lambda: client.transport() == wanted, wanted)
    return client


def test_messages_of_every_kind_come_back_and_the_goodbye_arrives(foreign, transports):  # noqa: F811
    sent = ["text", "ä€😀", b"\0\xff", {"a": [1, None]}, ["x"], "12", "x" * 50_000, b"y" * 50_000]

    async def run() -> str:
        client = await connected(foreign.url, transports)
        sid = str(client.sid)
        # The Python server starts a thread for each message: what it echoes keeps its order only one by one.
        for number, data in enumerate(sent):
            await client.send(data)
            await until(lambda number=number: len(client.messages) > number, "the echo")
        assert client.messages == sent
        await client.disconnect()
        assert client.ends == ["client disconnect"]
        return sid

    assert foreign.closed(asyncio.run(run())) in ("client disconnect", "transport close")


def test_burst_is_delivered_whole_in_order_and_before_the_goodbye(foreign, transports, request):  # noqa: F811
    async def run() -> list[str]:
        client = Recorder()
        await client.connect(foreign.url, transports=transports)  # the upgrade comes meanwhile
        for number in range(500):
            await client.send(f"n{number}")
        await until(lambda: len(client.messages) == 500, "the echoes", 30)
        await client.disconnect()
        return client.messages

    messages = asyncio.run(run())
    expected = [f"n{number}" for number in range(500)]
    assert (messages if "node" in request.node.name else sorted(messages, key=lambda text: int(text[1:]))) == expected


def test_goodbye_of_the_server_comes_behind_its_messages(foreign, transports, request):  # noqa: F811
    async def run() -> Recorder:
        client = await connected(foreign.url, transports, reconnection=False)
        await client.send({"cmd": "disconnect", "n": 5})
        await until(lambda: client.ends, "the goodbye")
        return client

    client = asyncio.run(run())
    # The Python server may let a poll that comes a moment later find no session, nor what waited for it.
    assert client.ends[0] in ("server disconnect", "transport close", "transport error")
    expected = [f"{number}:" for number in range(5)]
    least = 5 if "node" in request.node.name or transports == ["websocket"] else 0
    assert len(client.messages) >= least
    assert client.messages == expected[: len(client.messages)]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_refusal_is_an_error(foreign, transport):  # noqa: F811
    with pytest.raises(ConnectionError) as caught:
        asyncio.run(connected(f"{foreign.url}/?reject=1", [transport]))
    assert caught.value.status in (400, 401, 403)
    # Who fails to open a websocket is not told why: aiohttp reads no body of such an answer.
    assert "go away" in str(caught.value) or transport == "websocket"


def test_heartbeats_keep_it_and_a_server_that_stops_is_noticed(foreign):  # noqa: F811
    async def run() -> None:
        clients = [await connected(foreign.url, transports, request_timeout=1) for transports in TRANSPORTS.values()]
        await asyncio.sleep(PING * 1.2)  # heartbeats
        for client in clients:
            await client.send("still here")
            await until(lambda client=client: client.messages, "the echo")
        foreign.signal(signal.SIGSTOP)
        try:
            for client in clients:
                await until(lambda client=client: client.ends, "the end", PING + 2)
                assert client.ends == ["ping timeout"]
        finally:
            foreign.signal(signal.SIGCONT)

    asyncio.run(run())
