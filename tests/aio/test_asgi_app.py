"""ASGIApp: who gets which request, static files, lifespan; on real servers, alone and mounted in other applications."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from engineio_green import ASGIApp, AsyncServer

from .hosts import Peer, on_hypercorn, on_uvicorn


def echo_server(**options: Any) -> AsyncServer:
    eio = AsyncServer(async_mode="asgi", **options)

    @eio.on("message")
    async def message(sid: str, data: Any) -> None:
        await eio.send(sid, data)

    return eio


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application without a lifespan."""
    if scope["type"] != "http":
        raise ValueError(f"what is {scope['type']}?")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def get(url: str, **options: Any) -> tuple[int, str, Any]:
    async with aiohttp.ClientSession() as http, http.get(url, **options) as answer:
        return answer.status, await answer.text(), answer.headers


@pytest.mark.parametrize("host", [on_uvicorn, on_hypercorn])
async def test_an_echo_comes_back_by_each_transport(host: Any):
    eio = echo_server()
    async with host(ASGIApp(eio)) as url, Peer(url) as peer:
        await peer.echo()
        await eio.disconnect()


@pytest.mark.parametrize("options", [{"ws": "wsproto"}, {"ws": "websockets-sansio"}, {"http": "h11"}])
async def test_each_implementation_of_uvicorn_serves(options: dict[str, str]):
    eio = echo_server()
    async with on_uvicorn(ASGIApp(eio), **options) as url, Peer(url) as peer:
        await peer.echo()
        await eio.disconnect()


async def test_what_stands_between_uvicorn_and_us_is_respected():
    """A wrapped send is spoken to in ASGI's way."""
    eio, seen = echo_server(), []

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def noting_send(event: Any) -> None:
            seen.append(event["type"])
            await send(event)

        await ASGIApp(eio)(scope, receive, noting_send)

    async with on_uvicorn(wrapped, lifespan="off") as url, Peer(url) as peer:
        await peer.echo()
        await eio.disconnect()
    assert seen.count("websocket.accept") == 2
    assert seen.count("websocket.send") >= 23


@pytest.mark.parametrize("message", ["4" + "x" * 1000, "4" + "ü" * 500, b"x" * 1001])
async def test_a_message_over_the_limit_closes_behind_plain_asgi_too(message: Any):
    eio, ends = echo_server(max_http_buffer_size=1000), []
    eio.on("disconnect", lambda sid, reason: ends.append(reason))
    async with on_hypercorn(ASGIApp(eio)) as url, Peer(url) as peer:
        ws, _ = await peer.open_websocket()
        await ws.send_str("4" + "x" * 999)
        assert await ws.receive_str() == "4" + "x" * 999
        await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
        closed = await ws.receive()
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1009)
        assert ends == ["transport error"]


async def test_paths_are_told_apart():
    async with on_uvicorn(ASGIApp(echo_server(), hello, engineio_path="/a/b/")) as url, Peer(url, "/a/b") as peer:
        await peer.echo()
        assert (await get(f"{url}/a/bc?EIO=4&transport=polling"))[1] == "hello"
        assert (await get(f"{url}/"))[1] == "hello"
        assert (await get(f"{url}/a/b/?EIO=4&transport=none"))[0] == 400


async def test_without_a_path_every_request_is_ours():
    async with on_uvicorn(ASGIApp(echo_server(), engineio_path=None)) as url, Peer(url, "/where/ever") as peer:
        await peer.echo()


async def test_nobody_is_there_for_other_requests():
    async with on_uvicorn(ASGIApp(echo_server())) as url, Peer(url, "/elsewhere") as peer:
        assert (await get(f"{url}/"))[:2] == (404, "Not Found")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await peer.open_websocket()
        assert caught.value.status == 403


async def test_static_files_are_served_as_documented(tmp_path: Path):
    (tmp_path / "index.html").write_text("<p>here</p>")
    (tmp_path / "large.txt").write_bytes(b"x" * 300_000)
    files = {"/": str(tmp_path / "index.html"), "/static": str(tmp_path), "/data": {"filename": str(tmp_path / "large.txt")}}
    async with on_uvicorn(ASGIApp(echo_server(), hello, static_files=files)) as url:
        status, text, headers = await get(f"{url}/")
        assert (status, text, headers["Content-Type"]) == (200, "<p>here</p>", "text/html")
        assert len((await get(f"{url}/static/large.txt"))[1]) == 300_000
        status, text, headers = await get(f"{url}/data", headers={"Range": "bytes=10-19"})
        assert (status, text, headers["Content-Range"]) == (206, "x" * 10, "bytes 10-19/300000")
        assert (await get(f"{url}/data", headers={"If-None-Match": headers["ETag"]}))[0] == 304
        assert (await get(f"{url}/static/../secret"))[1] == "hello"


def starlette_around(app: Any) -> Any:
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            return await call_next(request)

    routes = [Route("/", lambda request: PlainTextResponse("front")), Mount("/sub", app)]
    return Starlette(routes=routes, middleware=[Middleware(Passing)])


def fastapi_around(app: Any) -> Any:
    around = FastAPI()

    @around.get("/")
    def front() -> str:
        return "front"

    around.mount("/sub", app)
    return around


@pytest.mark.parametrize("around", [starlette_around, fastapi_around])
@pytest.mark.parametrize("host", [on_uvicorn, on_hypercorn])
async def test_it_works_mounted_in_another_application(host: Any, around: Any):
    eio = echo_server()
    async with host(around(ASGIApp(eio))) as url, Peer(url, "/sub/engine.io/") as peer:
        await peer.echo()
        assert "front" in (await get(f"{url}/"))[1]
        await eio.disconnect()


@pytest.mark.parametrize("around", [starlette_around, fastapi_around])
@pytest.mark.parametrize("path", ["sub/engine.io", "/sub/engine.io/", "engine.io"])
async def test_below_a_mount_the_path_may_be_named_with_the_prefix_or_without_it(around: Any, path: str):
    eio = echo_server()
    async with on_uvicorn(around(ASGIApp(eio, engineio_path=path))) as url, Peer(url, "/sub/engine.io/") as peer:
        await peer.echo()
        assert (await get(f"{url}/sub/other/"))[0] == 404
        await eio.disconnect()


async def test_a_server_of_another_protocol_is_asked_for_nothing_but_its_answers():
    class Server:
        def __init__(self, inner: AsyncServer) -> None:
            self._inner = inner

        async def handle_request(self, scope: Any, receive: Any, send: Any) -> None:
            await self._inner.handle_request(scope, receive, send)

        async def shutdown(self) -> None:
            await self._inner.shutdown()

    steps: list[str] = []
    eio = echo_server()
    app = ASGIApp(Server(eio), on_startup=lambda: steps.append("in"), on_shutdown=lambda: steps.append("out"))
    async with on_uvicorn(app, lifespan="on") as url, Peer(url) as peer:
        await peer.echo()
        await eio.disconnect()
    assert steps == ["in", "out"]


@pytest.mark.parametrize("mode", [None, "asgi", "aiohttp", "sanic", "tornado"])
async def test_a_request_of_asgi_is_one_whatever_mode_was_chosen(mode: str | None):
    eio = AsyncServer(async_mode=mode)
    eio.on("message", eio.send)
    async with on_uvicorn(ASGIApp(eio)) as url, Peer(url) as peer:
        await peer.echo()
        await eio.disconnect()


class TestLifespan:
    async def test_an_application_without_a_lifespan_does_not_keep_the_hooks_from_being_called(self):
        steps: list[str] = []
        app = ASGIApp(
            echo_server(), hello, on_startup=lambda: steps.append("startup"), on_shutdown=lambda: steps.append("shutdown")
        )
        async with on_uvicorn(app, lifespan="on") as url:
            assert steps == ["startup"]
            assert (await get(f"{url}/"))[1] == "hello"
        assert steps == ["startup", "shutdown"]

    @pytest.mark.parametrize("kind", ["function", "coroutine function"])
    @pytest.mark.parametrize("other", [None, "with a lifespan of its own"])
    async def test_the_hooks_are_called_in_order(self, kind: str, other: str | None):
        steps: list[str] = []

        def hook(name: str) -> Any:
            async def later() -> None:
                await asyncio.sleep(0.01)
                steps.append(name)

            return later if kind == "coroutine function" else lambda: steps.append(name)

        async def inner(scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "lifespan"
            for step in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{step}"
                steps.append(f"inner {step}")
                await send({"type": f"lifespan.{step}.complete"})

        app = ASGIApp(echo_server(), inner if other else None, on_startup=hook("startup"), on_shutdown=hook("shutdown"))
        async with on_uvicorn(app, lifespan="on"):
            assert steps == (["startup", "inner startup"] if other else ["startup"])
        assert steps[-1] == "shutdown"
        assert steps.count("inner shutdown") == (1 if other else 0)

    @pytest.mark.expected_log("on_startup function has failed")
    @pytest.mark.parametrize("other", [None, Starlette()])
    async def test_a_startup_that_fails_is_told_to_the_server_once(self, other: Any):
        def fail() -> None:
            raise RuntimeError("no luck today")

        told = []

        async def receive() -> Any:
            return {"type": "lifespan.startup"}

        async def send(event: Any) -> None:
            told.append(event)

        await ASGIApp(echo_server(), other, on_startup=fail)({"type": "lifespan", "state": {}}, receive, send)
        assert told == [{"type": "lifespan.startup.failed", "message": "no luck today"}]

    async def test_the_lifespan_of_the_other_application_is_its_own_business(self):
        steps: list[str] = []

        async def lifespan(app: Any) -> Any:
            steps.append("in")
            yield
            steps.append("out")

        async with on_uvicorn(ASGIApp(echo_server(), Starlette(lifespan=asynccontextmanager(lifespan))), lifespan="on"):
            assert steps == ["in"]
        assert steps == ["in", "out"]
