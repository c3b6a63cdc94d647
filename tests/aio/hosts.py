"""Real web servers on the running loop, and the shortest client that can talk to them.

Owns starting and stopping. The client is aiohttp's, so nothing of the package tests itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import hypercorn.asyncio
import uvicorn
from aiohttp import web
from hypercorn.config import Config
from programs import free_port


async def until(condition: Any, what: str, timeout: float = 5) -> Any:
    """Return the first true value of `condition()`."""
    end = asyncio.get_running_loop().time() + timeout
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.01)
    return value


@asynccontextmanager
async def on_uvicorn(app: Any, **options: Any) -> AsyncIterator[str]:
    port = free_port()
    options = {"log_level": "warning", "timeout_graceful_shutdown": 3, **options}
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, **options))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve())  # serve() would take the signals of the test run
    try:
        await until(lambda: server.started or task.done(), "uvicorn to start", 10)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def on_hypercorn(app: Any) -> AsyncIterator[str]:
    config, port = Config(), free_port()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 3
    ended = asyncio.Event()
    task = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=ended.wait))  # type: ignore[arg-type]
    try:
        await until(lambda: _listens(port), "hypercorn to start", 10)
        yield f"http://127.0.0.1:{port}"
    finally:
        ended.set()
        await task


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def on_aiohttp(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=5)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


class Peer:
    """Engine.IO by hand, on aiohttp."""

    def __init__(self, url: str, path: str = "/engine.io/") -> None:
        self.http = aiohttp.ClientSession()
        self.url = f"{url}{path}"

    async def __aenter__(self) -> Peer:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.http.close()

    async def open_polling(self, **query: str) -> dict[str, Any]:
        async with self.http.get(self.url, params={"EIO": "4", "transport": "polling", **query}) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return dict(json.loads(text.split("\x1e")[0][1:]))

    async def poll(self, sid: str) -> list[str]:
        async with self.http.get(self.url, params={"EIO": "4", "transport": "polling", "sid": sid}) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.text()).split("\x1e")

    async def post(self, sid: str, *packets: str) -> None:
        query = {"EIO": "4", "transport": "polling", "sid": sid}
        async with self.http.post(self.url, params=query, data="\x1e".join(packets)) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")

    async def open_websocket(self, sid: str | None = None) -> tuple[aiohttp.ClientWebSocketResponse, dict[str, Any]]:
        """A websocket and its open packet; none for that of a session that is there already."""
        query = {"EIO": "4", "transport": "websocket", **({"sid": sid} if sid else {})}
        ws = await self.http.ws_connect(self.url, params=query)
        return ws, {} if sid else json.loads((await ws.receive_str())[1:])

    async def echo(self) -> None:
        """One echo by each transport, and one across an upgrade."""
        sid = (await self.open_polling())["sid"]
        await self.post(sid, "4one")
        assert await self.poll(sid) == ["4one"]
        ws, _ = await self.open_websocket(sid)
        await ws.send_str("2probe")
        assert await ws.receive_str() == "3probe"
        await ws.send_str("5")
        await ws.send_str("4two")
        assert await ws.receive_str() == "4two"
        await ws.close()
        ws, _ = await self.open_websocket()
        for number in range(20):
            await ws.send_str(f"4{number}")
        assert [await ws.receive_str() for _ in range(20)] == [f"4{number}" for number in range(20)]
        await ws.send_bytes(b"\x01\x02")
        assert await ws.receive_bytes() == b"\x01\x02"
        await ws.close()
