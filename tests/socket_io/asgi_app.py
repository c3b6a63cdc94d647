"""The application on python-socketio's `socketio.AsyncServer`: five ways to put it before uvicorn. See application.py."""

from __future__ import annotations

from typing import Any

import fastapi
import socketio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from .application import FILES, STRICT, Drops, Journal, engine_of, returned

journal, drops = Journal(), Drops()
sio = socketio.AsyncServer(async_mode="asgi")
ordered = socketio.AsyncServer(async_mode="asgi", async_handlers=False)
strict = socketio.AsyncServer(async_mode="asgi", **STRICT)


@sio.event
async def connect(sid: str, environ: dict[str, Any], auth: Any = None) -> Any:
    wish = (auth or {}).get("refuse")
    if wish is not None:
        if wish is False:
            return False
        raise socketio.exceptions.ConnectionRefusedError(*wish)
    await sio.save_session(sid, {"auth": auth})
    journal.connected(sid, auth)
    return None


@sio.event
def disconnect(sid: str, reason: str) -> None:
    journal.disconnected(sid, reason)


@sio.event
async def who(sid: str) -> dict[str, Any]:
    seen = {"sid": sid, "namespace": "/", "transport": sio.transport(sid), "rooms": sio.rooms(sid)}
    return {**engine_of(sio), **seen, "auth": (await sio.get_session(sid))["auth"]}


@sio.event
def echo(sid: str, *args: Any) -> Any:
    return returned(args)


@sio.event
async def say(sid: str, *args: Any) -> None:
    await sio.emit("said", args, to=sid)


@sio.event
async def join(sid: str, room: str) -> None:
    await sio.enter_room(sid, room)


@sio.event
async def leave(sid: str, room: str) -> None:
    await sio.leave_room(sid, room)


@sio.event
async def tell(sid: str, wish: dict[str, Any]) -> None:
    await sio.emit("told", wish["data"], room=wish["room"], skip_sid=None if wish["to_self"] else sid)


@sio.event
async def mark(sid: str, text: str) -> None:
    await sio.emit("marked", text)


@sio.event
async def ask_me(sid: str, *args: Any) -> dict[str, Any]:
    answer = await sio.call("question", args, to=sid)
    return {"answer": list(answer) if isinstance(answer, tuple) else answer}  # bytes are found in lists only


@sio.event
async def ask_later(sid: str, *args: Any) -> None:
    async def answered(*answer: Any) -> None:
        await sio.emit("answered", answer, to=sid)

    await sio.emit("question", args, to=sid, callback=answered)


@sio.event
async def pour(sid: str, count: int) -> None:
    for number in range(count):
        await sio.emit("drop", number, to=sid)


@sio.event
def in_background(sid: str, text: str) -> None:
    sio.start_background_task(sio.emit, "done", text, to=sid)


@sio.event
async def remember(sid: str, name: str, value: Any) -> None:
    async with sio.session(sid) as session:
        session[name] = value


@sio.event
async def recall(sid: str, name: str) -> Any:
    async with sio.session(sid) as session:
        return session.get(name)


@sio.event
def note(sid: str, text: str) -> None:
    journal.noted(sid, text)


@sio.event
async def put_out(sid: str) -> None:
    await sio.disconnect(sid)


class Other(socketio.AsyncNamespace):
    """The second namespace."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        journal.connected(sid, auth)

    def on_disconnect(self, sid: str, reason: str) -> None:
        journal.disconnected(sid, reason)

    async def on_echo(self, sid: str, *args: Any) -> Any:
        return "other", *args

    async def on_join(self, sid: str, room: str) -> None:
        await self.enter_room(sid, room)

    async def on_tell(self, sid: str, wish: dict[str, Any]) -> None:
        await self.emit("told", wish["data"], room=wish["room"], skip_sid=None if wish["to_self"] else sid)


sio.register_namespace(Other("/other"))


@ordered.on("drop")
def ordered_drop(sid: str, number: int) -> None:
    drops.add(sid, number)


@ordered.on("poured")
def ordered_poured(sid: str) -> dict[str, Any]:
    return drops.summary(sid)


@strict.on("connect")
def strict_connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
    journal.connected(sid, auth)


@strict.on("disconnect")
def strict_disconnect(sid: str, reason: str) -> None:
    journal.disconnected(sid, reason)


# --- the rest of the application, and what is around it ----------------------------------------------------------------------


async def engine(request: Request) -> Response:
    return JSONResponse(engine_of(sio))


async def about_a_client(request: Request) -> Response:
    return JSONResponse(journal.about(request.query_params["tag"]))


async def announce(request: Request) -> Response:
    await sio.emit("announced", request.query_params["text"])
    return JSONResponse({})


async def file(request: Request) -> Response:
    return FileResponse(FILES[request.url.path])


# The rest of the application over HTTP, and what serves the pages where the server does not do it by `static_files`.
OWN = [Route("/engine", engine), Route("/journal", about_a_client), Route("/announce", announce, methods=["POST"])]
PAGES = [Route(path, file) for path in FILES]


def mounted(name: str, server: socketio.AsyncServer) -> Mount:
    """A server below a path that the framework picks: then it is none of the server's business."""
    return Mount(f"/{name}", socketio.ASGIApp(server, socketio_path=None))


def new_fastapi() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/hello/{name}")
    def hello(name: str, excited: bool = False) -> dict[str, str]:
        return {"hello": f"{name}!" if excited else name}

    app.router.routes.extend([*OWN, *PAGES, mounted("ordered.io", ordered), mounted("strict.io", strict)])
    return app


def fastapi_at_root() -> Any:
    app = new_fastapi()
    app.mount("/", socketio.ASGIApp(sio))
    return app


def fastapi_below_ws() -> Any:
    app = new_fastapi()
    app.mount("/ws", socketio.ASGIApp(sio))
    return app


def fastapi_below_ws_by_its_whole_path() -> Any:
    app = new_fastapi()
    app.mount("/ws", socketio.ASGIApp(sio, socketio_path="/ws/socket.io"))
    return app


def starlette() -> Any:
    beside = [mounted("ordered.io", ordered), mounted("strict.io", strict)]
    return Starlette(routes=[*OWN, *PAGES, *beside, Mount("/", socketio.ASGIApp(sio))])


def plain() -> Any:
    """No framework on the way to Socket.IO; one gets what is left."""
    app: Any = Starlette(routes=OWN)
    app = socketio.ASGIApp(strict, app, socketio_path="strict.io")
    app = socketio.ASGIApp(ordered, app, socketio_path="ordered.io")
    return socketio.ASGIApp(sio, app, static_files={path: str(file) for path, file in FILES.items()})
