"""Functions and coroutine functions as handlers and as options: when they run, what they cost, what their errors harm."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from engineio_green import AsyncServer

from .hosts import Peer, on_aiohttp, until


def server(**options: Any) -> tuple[AsyncServer, web.Application]:
    eio, app = AsyncServer(async_mode="aiohttp", **options), web.Application()
    eio.attach(app)
    return eio, app


class Counting:
    """A factory of tasks that remembers what it has made."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        self.names.append(getattr(coro, "__qualname__", repr(coro)))
        return asyncio.Task(coro, loop=loop, **options)


async def test_a_plain_function_gets_its_messages_without_a_task():
    eio, app = server()
    got: list[Any] = []
    eio.on("message", lambda sid, data: got.append(data))
    async with on_aiohttp(app) as url, Peer(url) as peer:
        ws, _ = await peer.open_websocket()
        await ws.send_str("4first")
        await until(lambda: got, "the first message")
        counting = Counting()
        asyncio.get_running_loop().set_task_factory(counting)
        for number in range(100):
            await ws.send_str(f"4{number}")
        await until(lambda: len(got) == 101, "all messages")
        asyncio.get_running_loop().set_task_factory(None)
        assert counting.names == []
        await ws.close()


async def test_coroutines_start_in_order_and_one_that_waits_delays_nobody():
    eio, app = server()
    started: list[str] = []
    gate = asyncio.Event()

    @eio.on("message")
    async def message(sid: str, data: str) -> None:
        started.append(data)
        if data == "wait":
            await gate.wait()
        await eio.send(sid, data)

    async with on_aiohttp(app) as url, Peer(url) as peer:
        ws, _ = await peer.open_websocket()
        for data in ("a", "wait", "b", "c"):
            await ws.send_str(f"4{data}")
        assert [await ws.receive_str() for _ in range(3)] == ["4a", "4b", "4c"]
        gate.set()
        assert await ws.receive_str() == "4wait"
        assert started == ["a", "wait", "b", "c"]
        await ws.close()


async def test_a_task_of_a_handler_is_the_current_task_and_may_time_out():
    eio, app = server()

    @eio.on("message")
    async def message(sid: str, data: str) -> None:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError:
            await eio.send(sid, f"in time {asyncio.current_task() is not None}")

    async with on_aiohttp(app) as url, Peer(url) as peer:
        ws, _ = await peer.open_websocket()
        await ws.send_str("4x")
        assert await ws.receive_str() == "4in time True"
        await ws.close()


@pytest.mark.expected_log("handler has failed")
async def test_handlers_that_raise_harm_nobody():
    eio, app = server()

    @eio.on("message")
    async def message(sid: str, data: str) -> None:
        await asyncio.sleep(0)
        if data == "fail":
            raise RuntimeError("the test fails here")
        await eio.send(sid, data)

    @eio.on("disconnect")
    async def disconnect(sid: str) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("and here")

    async with on_aiohttp(app) as url, Peer(url) as peer:
        ws, _ = await peer.open_websocket()
        await ws.send_str("4fail")
        await ws.send_str("4fine")
        assert await ws.receive_str() == "4fine"
        await ws.close()
        await until(lambda: not eio.sockets, "the session to end")


@pytest.mark.parametrize("kind", ["function", "coroutine function"])
async def test_who_may_come_in_is_asked_of_either_kind(kind: str):
    def judge(environ: dict[str, Any]) -> Any:
        return "not you" if "bad=1" in environ["QUERY_STRING"] else True

    async def judge_later(environ: dict[str, Any]) -> Any:
        await asyncio.sleep(0.01)
        return judge(environ)

    eio, app = server(allow_request=judge if kind == "function" else judge_later)
    async with on_aiohttp(app) as url, Peer(url) as peer:
        await peer.open_polling()
        async with peer.http.get(peer.url, params={"EIO": "4", "transport": "polling", "bad": "1"}) as answer:
            assert (answer.status, (await answer.json())["message"]) == (403, "not you")
        await eio.disconnect()


async def test_the_user_session_is_there_until_the_disconnect_handler_has_ended():
    eio, app = server()
    names: list[str] = []

    @eio.on("connect")
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        async with eio.session(sid) as session:
            session["name"] = "ann"
        assert await eio.get_session(sid) == {"name": "ann"}

    @eio.on("disconnect")
    async def disconnect(sid: str, reason: str) -> None:
        await asyncio.sleep(0.01)
        async with eio.session(sid) as session:
            names.append(f"{session['name']}, {reason}")

    async with on_aiohttp(app) as url, Peer(url) as peer:
        ws, opened = await peer.open_websocket()
        await eio.save_session(opened["sid"], {"name": "eve"})
        await ws.close()
        await until(lambda: names, "the disconnect handler")
        assert names == ["eve, transport close"]
        await until(lambda: not eio.sockets, "the session to be forgotten")
        with pytest.raises(KeyError):
            await eio.get_session(opened["sid"])


async def test_the_helpers_are_asyncios_own():
    eio, _ = server()
    queue, event = eio.create_queue(maxsize=1), eio.create_event()

    async def produce(text: str, times: int = 1) -> str:
        await eio.sleep(0)
        event.set()
        queue.put_nowait(text * times)
        return "produced"

    task = eio.start_background_task(produce, "x", times=3)
    assert isinstance(task, asyncio.Task)
    assert await task == "produced"
    assert (event.is_set(), queue.get_nowait()) == (True, "xxx")
    with pytest.raises(eio.get_queue_empty_exception()):
        queue.get_nowait()
    assert await eio.start_background_task(lambda: 7) == 7


async def test_a_send_to_a_client_that_is_gone_does_nothing():
    eio, app = server()
    async with on_aiohttp(app) as url, Peer(url) as peer:
        await eio.send("nobody", "x")
        await eio.disconnect("nobody")
        ws, _ = await peer.open_websocket()
        assert await eio.broadcast("to all") == 1
        assert (await ws.receive()).data == "4to all"
        assert isinstance(ws, aiohttp.ClientWebSocketResponse)
        await ws.close()
