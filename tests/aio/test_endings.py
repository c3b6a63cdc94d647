"""How it ends: servers that stop with clients connected, clients that vanish, requests that are cancelled. Nothing is left."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from engineio_green import ASGIApp, AsyncServer

from .hosts import Peer, on_aiohttp, on_hypercorn, on_uvicorn, until


class Noted:
    """A server that echoes and notes who has left."""

    def __init__(self, mode: str, **options: Any) -> None:
        self.eio = eio = AsyncServer(async_mode=mode, **options)
        self.left: list[str] = []
        eio.on("disconnect", lambda sid, reason: self.left.append(reason))

        @eio.on("message")
        async def message(sid: str, data: Any) -> None:
            await eio.send(sid, data)

    def host(self) -> Any:
        if self.eio.async_mode == "aiohttp":
            app = web.Application()
            self.eio.attach(app)
            return on_aiohttp(app)
        return on_uvicorn(ASGIApp(self.eio))


MODES = pytest.mark.parametrize("mode", ["aiohttp", "asgi"])


@MODES
async def test_a_server_that_stops_tells_its_websockets_at_once(mode: str):
    noted = Noted(mode)
    host = noted.host()
    url = await host.__aenter__()
    async with Peer(url) as peer:
        sockets = [(await peer.open_websocket())[0] for _ in range(5)]
        began = time.monotonic()
        stopping = asyncio.create_task(host.__aexit__(None, None, None))
        for ws in sockets:
            last = await ws.receive()
            while last.type == aiohttp.WSMsgType.TEXT:
                last = await ws.receive()
            assert last.type == aiohttp.WSMsgType.CLOSE
            assert last.data in (1001, 1012)
            await ws.close()
        await stopping
        assert time.monotonic() - began < 3
    await until(lambda: len(noted.left) == 5, "the disconnect events")
    assert set(noted.left) <= {"server disconnect", "transport close"}
    await noted.eio.shutdown()


@MODES
async def test_drain_lets_everybody_go_and_nobody_in(mode: str):
    noted = Noted(mode)
    async with noted.host() as url, Peer(url) as peer:
        ws, _ = await peer.open_websocket()
        sid = (await peer.open_polling())["sid"]
        poll = asyncio.create_task(peer.poll(sid))
        await until(lambda: noted.eio.sockets[sid].session.poll_held, "the poll to be held")
        draining = asyncio.create_task(noted.eio.drain(5, 0.1))
        assert await ws.receive_str() == "1"
        assert (await ws.receive()).data == 1001
        assert await poll == ["1"]
        assert await draining == 0
        async with peer.http.get(peer.url, params={"EIO": "4", "transport": "polling"}) as answer:
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)


@MODES
async def test_what_is_left_after_a_drain_is_cut_off(mode: str):
    noted = Noted(mode)
    async with noted.host() as url, Peer(url) as peer:
        await peer.open_polling()
        assert await noted.eio.drain(0.2, 0) == 1
        assert noted.eio.sockets == {}


@MODES
async def test_a_peer_that_is_half_open_is_given_up(mode: str):
    """It neither answers pings nor closes: as one behind a cable that was pulled."""
    noted = Noted(mode, ping_interval=0.2, ping_timeout=0.1, close_timeout=0.2)
    async with noted.host() as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        head = f"Host: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n"
        writer.write(f"GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\n{head}".encode())
        await reader.readuntil(b"\r\n\r\n")
        await until(lambda: noted.left, "the end of the session")
        assert noted.left == ["ping timeout"]
        await asyncio.wait_for(reader.read(), 5)  # until the server has let go of the connection, too
        writer.close()


@MODES
async def test_clients_that_vanish_leave_nothing(mode: str):
    noted = Noted(mode)
    async with noted.host() as url:
        for number in range(20):
            peer = Peer(url)
            ws, _ = await peer.open_websocket()
            await ws.send_str("4x")
            assert await ws.receive_str() == "4x"
            transport: Any = ws._response.connection.transport  # type: ignore[union-attr]
            if number % 2:
                raw = transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            transport.abort()
            await peer.http.close()
        await until(lambda: len(noted.left) == 20, "the disconnect events")
        assert set(noted.left) <= {"transport close", "transport error"}
        assert noted.eio.stats()["sessions"] == 0


@MODES
async def test_a_poll_that_is_cancelled_frees_its_place(mode: str):
    noted = Noted(mode)
    async with noted.host() as url, Peer(url) as peer:
        sid = (await peer.open_polling())["sid"]
        poll = asyncio.create_task(peer.poll(sid))
        link = noted.eio.sockets[sid]
        await until(lambda: link.session.poll_held, "the poll to be held")
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
        await noted.eio.send(sid, "into the void")
        await until(lambda: not link.session.poll_held, "the poll to be let go")
        await noted.eio.send(sid, "later")
        assert await peer.poll(sid) == ["4later"]
        await noted.eio.disconnect()


async def test_a_connect_handler_that_is_cancelled_leaves_no_session():
    eio, app = AsyncServer(async_mode="aiohttp"), web.Application()
    eio.attach(app)
    begun: list[str] = []

    @eio.on("connect")
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        begun.append(sid)
        await asyncio.sleep(60)

    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with Peer(f"http://127.0.0.1:{port}") as peer:
        opening = asyncio.create_task(peer.open_polling())
        await until(lambda: begun, "the connect handler")
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await until(lambda: not eio.sockets, "the session to be forgotten")
        assert eio.stats()["sessions"] == 0
    await runner.cleanup()
    await eio.shutdown()


async def test_a_slow_reader_behind_plain_asgi_waits_without_delaying_others():
    """On hypercorn, which gives its transport to nobody."""
    noted = Noted("asgi", max_buffered_bytes=50_000_000)
    async with on_hypercorn(ASGIApp(noted.eio)) as url, Peer(url) as slow, Peer(url) as quick:
        lazy, opened = await slow.open_websocket()
        ws, _ = await quick.open_websocket()
        text = "x" * 100_000
        for _ in range(200):
            await noted.eio.send(opened["sid"], text)
        for number in range(20):
            await ws.send_str(f"4{number}")
            assert await asyncio.wait_for(ws.receive_str(), 2) == f"4{number}"
        for _ in range(200):
            assert await lazy.receive_str() == f"4{text}"
        await lazy.close()
        await ws.close()
        await until(lambda: len(noted.left) == 2, "the disconnect events")


async def test_too_much_for_one_reader_behind_plain_asgi_ends_it():
    noted = Noted("asgi", max_buffered_bytes=500_000)
    async with on_hypercorn(ASGIApp(noted.eio)) as url, Peer(url) as slow:
        lazy, opened = await slow.open_websocket()
        for _ in range(600):
            await noted.eio.send(opened["sid"], "x" * 100_000)
            await asyncio.sleep(0)
        await until(lambda: noted.left, "the disconnect event")
        assert noted.left == ["transport error"]
        assert noted.eio.stats()["sessions"] == 0
        await lazy.close()


@pytest.mark.parametrize("leaving", ["close", "abort"])
@pytest.mark.parametrize("host", [on_hypercorn, on_uvicorn])
async def test_a_client_that_leaves_while_it_is_not_read_is_noticed_afterwards(host: Any, leaving: str):
    """Its handlers run one after the other, and the first one waits."""
    eio, gate, steps = AsyncServer(async_mode="asgi", async_handlers=False), asyncio.Event(), []

    @eio.on("message")
    async def message(sid: str, data: str) -> None:
        await gate.wait()
        steps.append(data)

    eio.on("disconnect", lambda sid, reason: steps.append(reason))
    async with host(ASGIApp(eio)) as url, Peer(url) as peer:
        ws, _ = await peer.open_websocket()
        for number in range(3):
            await ws.send_str(f"4{number}")
        await asyncio.sleep(0.1)
        if leaving == "abort":
            ws._response.connection.transport.abort()  # type: ignore[union-attr]
        else:
            await ws.send_str("1")
        await asyncio.sleep(0.1)
        assert steps == []
        gate.set()
        await until(lambda: len(steps) >= 2 and steps[-1].endswith(("close", "error", "disconnect")), "the disconnect event")
        assert steps[:-1] == ["0", "1", "2"][: len(steps) - 1]
        await ws.close()
        await until(lambda: not eio.sockets, "the session to be forgotten")


async def test_a_server_outlives_its_loop():
    """A second loop in another thread, one after the other: the clock starts anew."""
    eio = AsyncServer(async_mode="asgi", ping_interval=0.1)

    async def one_life() -> None:
        async with on_uvicorn(ASGIApp(eio)) as url, Peer(url) as peer:
            ws, _ = await peer.open_websocket()
            assert await ws.receive_str() == "2"
            await ws.close()
            await until(lambda: not eio.sockets, "the session to end")

    await one_life()
    await asyncio.to_thread(lambda: asyncio.run(one_life()))
