"""The application on python-socketio's `socketio.Server`, with `socketio.WSGIApp` around it. See application.py."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import socketio

from .application import FILES, STRICT, Drops, Journal, async_mode, engine_of, log_everything, returned

log_everything()
journal, drops = Journal(), Drops()
sio = socketio.Server(async_mode=async_mode())
ordered = socketio.Server(async_mode=async_mode(), async_handlers=False)
strict = socketio.Server(async_mode=async_mode(), **STRICT)


@sio.event
def connect(sid: str, environ: dict[str, Any], auth: Any = None) -> Any:
    wish = (auth or {}).get("refuse")
    if wish is not None:
        if wish is False:
            return False
        raise socketio.exceptions.ConnectionRefusedError(*wish)
    sio.save_session(sid, {"auth": auth})
    journal.connected(sid, auth)
    return None


@sio.event
def disconnect(sid: str, reason: str) -> None:
    journal.disconnected(sid, reason)


@sio.event
def who(sid: str) -> dict[str, Any]:
    seen = {"sid": sid, "namespace": "/", "transport": sio.transport(sid), "rooms": sio.rooms(sid)}
    return {**engine_of(sio), **seen, "auth": sio.get_session(sid)["auth"]}


@sio.event
def echo(sid: str, *args: Any) -> Any:
    return returned(args)


@sio.event
def say(sid: str, *args: Any) -> None:
    sio.emit("said", args, to=sid)


@sio.event
def join(sid: str, room: str) -> None:
    sio.enter_room(sid, room)


@sio.event
def leave(sid: str, room: str) -> None:
    sio.leave_room(sid, room)


@sio.event
def tell(sid: str, wish: dict[str, Any]) -> None:
    sio.emit("told", wish["data"], room=wish["room"], skip_sid=None if wish["to_self"] else sid)


@sio.event
def mark(sid: str, text: str) -> None:
    sio.emit("marked", text)


@sio.event
def ask_me(sid: str, *args: Any) -> dict[str, Any]:
    answer = sio.call("question", args, to=sid)
    return {"answer": list(answer) if isinstance(answer, tuple) else answer}  # bytes are found in lists only


@sio.event
def ask_later(sid: str, *args: Any) -> None:
    sio.emit("question", args, to=sid, callback=lambda *answer: sio.emit("answered", answer, to=sid))


@sio.event
def pour(sid: str, count: int) -> None:
    for number in range(count):
        sio.emit("drop", number, to=sid)


@sio.event
def in_background(sid: str, text: str) -> None:
    sio.start_background_task(sio.emit, "done", text, to=sid)


@sio.event
def remember(sid: str, name: str, value: Any) -> None:
    with sio.session(sid) as session:
        session[name] = value


@sio.event
def recall(sid: str, name: str) -> Any:
    with sio.session(sid) as session:
        return session.get(name)


@sio.event
def note(sid: str, text: str) -> None:
    journal.noted(sid, text)


@sio.event
def put_out(sid: str) -> None:
    sio.disconnect(sid)


class Other(socketio.Namespace):
    """The second namespace."""

    def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        journal.connected(sid, auth)

    def on_disconnect(self, sid: str, reason: str) -> None:
        journal.disconnected(sid, reason)

    def on_echo(self, sid: str, *args: Any) -> Any:
        return "other", *args

    def on_join(self, sid: str, room: str) -> None:
        self.enter_room(sid, room)

    def on_tell(self, sid: str, wish: dict[str, Any]) -> None:
        self.emit("told", wish["data"], room=wish["room"], skip_sid=None if wish["to_self"] else sid)


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


def other_requests(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The rest of the application: plain WSGI."""
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    path = environ["PATH_INFO"]
    if path == "/announce":
        sio.emit("announced", query["text"])
    found = {"/engine": engine_of(sio), "/announce": {}, "/journal": journal.about(query.get("tag", ""))}.get(path)
    body = json.dumps(found).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("404 Not Found" if found is None else "200 OK", headers)
    return [body]


app = socketio.WSGIApp(strict, other_requests, socketio_path="strict.io")
app = socketio.WSGIApp(ordered, app, socketio_path="ordered.io")
app = socketio.WSGIApp(sio, app, static_files={path: str(file) for path, file in FILES.items()})
