"""The package's own clients through nginx and HAProxy: by polling, by websocket, moving from one to the other, over TLS."""

from __future__ import annotations

import asyncio
import queue
from pathlib import Path
from typing import Any

import pytest
import requests
from scenarios.waiting import wait_until

import engineio_green

from .running import Site

TRANSPORTS = pytest.mark.parametrize("transports", [["polling"], ["websocket"], None], ids=["polling", "websocket", "both"])
TEXTS = [str(number) for number in range(200)]


@pytest.fixture(params=["http", "https"])
def url(request: pytest.FixtureRequest, site: Site) -> str:
    return site.url if request.param == "http" else site.secure_url


@TRANSPORTS
def test_the_client_says_and_hears_everything_in_order(url: str, certificate: tuple[Path, Path], transports: Any):
    session = requests.Session()
    session.verify = str(certificate[0])
    client = engineio_green.Client(http_session=session, handle_sigint=False)
    heard: queue.Queue[Any] = queue.Queue()
    gone: queue.Queue[str] = queue.Queue()
    client.on("message", heard.put)
    client.on("disconnect", gone.put)
    client.connect(url, transports=transports)
    for text in TEXTS:
        client.send(text)
    assert [heard.get(timeout=20) for _ in TEXTS] == TEXTS
    if transports is None:
        wait_until(lambda: client.transport() == "websocket", "the upgrade")
    client.send(b"4" + bytes(1000))
    assert heard.get(timeout=20) == b"4" + bytes(1000)
    client.disconnect()
    assert gone.get(timeout=20) == client.reason.CLIENT_DISCONNECT


@TRANSPORTS
def test_the_asyncio_client_says_and_hears_everything_in_order(url: str, transports: Any):
    async def talk() -> list[Any]:
        client = engineio_green.AsyncClient(ssl_verify=False, handle_sigint=False)
        heard: asyncio.Queue[Any] = asyncio.Queue()
        client.on("message", heard.put_nowait)
        await client.connect(url, transports=transports)
        for text in TEXTS:
            await client.send(text)
        answers = [await asyncio.wait_for(heard.get(), 20) for _ in TEXTS]
        await client.disconnect()
        return answers

    assert asyncio.run(talk()) == TEXTS
