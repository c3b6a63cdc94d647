"""The application on Flask-SocketIO. See application.py; routes and events of its own are for Flask's request and session."""

from __future__ import annotations

from typing import Any

import flask
from flask import request, session
from flask_socketio import ConnectionRefusedError as Refused
from flask_socketio import Namespace, SocketIO, call, disconnect, emit, join_room, leave_room, rooms

from .application import FILES, STRICT, Drops, Journal, async_mode, engine_of, log_everything, returned

log_everything()
journal, drops = Journal(), Drops()
app = flask.Flask(__name__)
app.secret_key = "known to everybody"
# Each puts itself around the application; the last is the one that Flask-SocketIO's functions mean.
ordered = SocketIO(app, path="ordered.io", async_mode=async_mode(), async_handlers=False)
strict = SocketIO(app, path="strict.io", async_mode=async_mode(), **STRICT)
socketio = SocketIO(app, async_mode=async_mode())


@socketio.on("connect")
def on_connect(auth: Any = None) -> Any:
    wish = (auth or {}).get("refuse")
    if wish is not None:
        if wish is False:
            return False
        raise Refused(*wish)
    session["auth"] = auth
    journal.connected(request.sid, auth)
    return None


@socketio.on("disconnect")
def on_disconnect(reason: str) -> None:
    journal.disconnected(request.sid, reason)


@socketio.on("who")
def who() -> dict[str, Any]:
    transport = socketio.server.transport(request.sid)
    seen = {"sid": request.sid, "namespace": request.namespace, "transport": transport, "rooms": rooms()}
    return {**engine_of(socketio.server), **seen, "auth": session["auth"]}


@socketio.event
def echo(*args: Any) -> Any:
    return returned(args)


@socketio.event
def say(*args: Any) -> None:
    emit("said", args)


@socketio.event
def join(room: str) -> None:
    join_room(room)


@socketio.event
def leave(room: str) -> None:
    leave_room(room)


@socketio.event
def tell(wish: dict[str, Any]) -> None:
    emit("told", wish["data"], to=wish["room"], include_self=wish["to_self"])


@socketio.event
def mark(text: str) -> None:
    emit("marked", text, broadcast=True)


@socketio.event
def ask_me(*args: Any) -> dict[str, Any]:
    answer = call("question", args)
    return {"answer": list(answer) if isinstance(answer, tuple) else answer}  # bytes are found in lists only


@socketio.event
def ask_later(*args: Any) -> None:
    emit("question", args, callback=lambda *answer: emit("answered", answer))


@socketio.event
def pour(count: int) -> None:
    for number in range(count):
        emit("drop", number)


@socketio.event
def in_background(text: str) -> None:
    socketio.start_background_task(socketio.emit, "done", text, to=request.sid)


@socketio.event
def remember(name: str, value: Any) -> None:
    session[name] = value


@socketio.event
def recall(name: str) -> Any:
    return session.get(name)


@socketio.event
def note(text: str) -> None:
    journal.noted(request.sid, text)


@socketio.event
def put_out() -> None:
    disconnect()


@socketio.on("request")
def about_the_request(argument: Any) -> dict[str, Any]:
    seen = {"args": request.args.to_dict(), "header": request.headers.get("X-Test"), "host": request.host}
    return {**seen, "sid": request.sid, "namespace": request.namespace, "event": request.event}


class Other(Namespace):
    """The second namespace."""

    def on_connect(self, auth: Any = None) -> None:
        journal.connected(request.sid, auth)

    def on_disconnect(self, reason: str) -> None:
        journal.disconnected(request.sid, reason)

    def on_echo(self, *args: Any) -> Any:
        return "other", *args

    def on_join(self, room: str) -> None:
        join_room(room)

    def on_tell(self, wish: dict[str, Any]) -> None:
        emit("told", wish["data"], to=wish["room"], include_self=wish["to_self"])

    def on_request(self, argument: Any) -> dict[str, Any]:
        return about_the_request(argument)


socketio.on_namespace(Other("/other"))


@ordered.on("drop")
def ordered_drop(number: int) -> None:
    drops.add(request.sid, number)


@ordered.on("poured")
def ordered_poured() -> dict[str, Any]:
    return drops.summary(request.sid)


@strict.on("connect")
def strict_connect(auth: Any) -> None:
    journal.connected(request.sid, auth)


@strict.on("disconnect")
def strict_disconnect(reason: str) -> None:
    journal.disconnected(request.sid, reason)


@app.get("/engine")
def engine() -> dict[str, Any]:
    return engine_of(socketio.server)


@app.get("/journal")
def about_a_client() -> dict[str, Any]:
    return journal.about(request.args["tag"])


@app.post("/announce")
def announce() -> dict[str, Any]:
    socketio.emit("announced", request.args["text"])
    return {}


@app.get("/login")
def login() -> dict[str, Any]:
    session["user"] = request.args["user"]
    return {}


@app.get("/session")
def http_session() -> dict[str, Any]:
    return dict(session)


for path, file in FILES.items():
    app.add_url_rule(path, endpoint=path, view_func=lambda file=file: flask.send_file(file))
