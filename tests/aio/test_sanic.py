"""Sanic under an ASGI server: as the other application of ASGIApp, and with the server below one of its own paths."""

from __future__ import annotations

from typing import Any

from sanic import Sanic, response

from engineio_green import ASGIApp, AsyncServer

from .hosts import Peer, on_uvicorn

Sanic.test_mode = True


def make_application(name: str) -> Sanic[Any, Any]:
    app = Sanic(name, configure_logging=False)

    @app.get("/")
    async def front(request: Any) -> Any:
        return response.text("front")

    return app


def echo_server(mode: str) -> AsyncServer:
    eio = AsyncServer(async_mode=mode)

    @eio.on("message")
    async def message(sid: str, data: Any) -> None:
        await eio.send(sid, data)

    return eio


async def test_sanic_gets_what_is_not_engineios():
    app, eio = make_application("behind_asgi"), echo_server("asgi")
    async with on_uvicorn(ASGIApp(eio, app)) as url, Peer(url) as peer:
        await peer.echo()
        async with peer.http.get(f"{url}/") as answer:
            assert await answer.text() == "front"
        await eio.disconnect()


async def test_a_server_that_is_attached_speaks_asgi_when_an_asgi_server_runs_sanic():
    app, eio = make_application("run_by_asgi"), echo_server("sanic")
    eio.attach(app)
    async with on_uvicorn(app) as url, Peer(url) as peer:
        await peer.echo()
        await eio.disconnect()
