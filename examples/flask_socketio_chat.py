"""A chat with rooms on Flask-SocketIO, which runs on engineio_green by the first line below and is otherwise unchanged.

    npm install --prefix examples    (the official client for the page, once)

    python examples/flask_socketio_chat.py --async-mode gevent
    python examples/flask_socketio_chat.py --async-mode threading --port 8000
    gunicorn -k gevent -w 1 examples.flask_socketio_chat:app
    ASYNC_MODE=threading gunicorn -k gthread -w 1 --threads 8 examples.flask_socketio_chat:app

No handler here waits for anything. One that asks a database, on gevent or eventlet, needs the standard library patched in the
very first line: `from gevent import monkey; monkey.patch_all()`.
"""
# ruff: noqa: E402, E702, I001  # the call has to come before flask_socketio is imported

import engineio_green; engineio_green.install_as_engineio()

import argparse
import os
from collections import deque
from pathlib import Path
from uuid import uuid4

from flask import Flask, request, send_from_directory
from flask_socketio import SocketIO, emit, join_room, leave_room

FOLDER = Path(__file__).parent
CLIENT = FOLDER / "node_modules" / "socket.io-client" / "dist"
CLIENT_SCRIPT = "socket.io.esm.min.js"
GET_CLIENT = "The page needs the official Socket.IO client, which is not in this repository. Get it, once, with: "
GET_CLIENT += f"npm install --prefix {os.path.relpath(FOLDER)}"
MOST_NAME, MOST_TEXT, MOST_HISTORY, MOST_ROOMS = 30, 2000, 50, 1000

app = Flask(__name__)
socketio = SocketIO()
people = {}  # sid -> (name, room)
history = {}  # room -> the last messages


def clean(text, most):
    return text.strip()[:most] if isinstance(text, str) else ""


def names_in(room):
    return sorted(name for name, where in list(people.values()) if where == room)


def leave():
    name, room = people.pop(request.sid, (None, None))
    if room is not None:
        leave_room(room)
        emit("people", {"event": f"{name} has left", "names": names_in(room)}, to=room)


@socketio.on("join")
def join(data=None):
    """The answer, which the client gets as the acknowledgement, has the room's history."""
    fields = data if isinstance(data, dict) else {}
    name, room = clean(fields.get("name"), MOST_NAME), clean(fields.get("room"), MOST_NAME)
    if not name or not room:
        return {"error": "A name and a room are needed."}
    leave()
    join_room(room)
    people[request.sid] = (name, room)
    names = names_in(room)
    emit("people", {"event": f"{name} has joined", "names": names}, to=room, include_self=False)
    return {"name": name, "room": room, "names": names, "history": list(history.get(room, ()))}


@socketio.on("say")
def say(text=None):
    """The others get the message; who sent it gets it, too, as the acknowledgement that it went out."""
    if request.sid not in people:
        return {"error": "Join a room first."}
    text = clean(text, MOST_TEXT)
    if not text:
        return {"error": "There is nothing to send."}
    name, room = people[request.sid]
    message = {"id": uuid4().hex, "from": name, "text": text}
    history.setdefault(room, deque(maxlen=MOST_HISTORY)).append(message)
    if len(history) > MOST_ROOMS:
        history.pop(next(iter(history)))  # of the room that was the first to have one
    emit("message", message, to=room, include_self=False)
    return message


@socketio.on("disconnect")
def disconnect(reason=None):
    leave()


@app.get("/")
def index():
    if not (CLIENT / CLIENT_SCRIPT).exists():
        return GET_CLIENT, 503, {"Content-Type": "text/plain; charset=utf-8"}
    return send_from_directory(FOLDER / "static", "flask_socketio_chat.html")


@app.get(f"/{CLIENT_SCRIPT}")
def client_script():
    return send_from_directory(CLIENT, CLIENT_SCRIPT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--async-mode", choices=["gevent", "threading", "eventlet"], default="threading")
    parser.add_argument("--port", type=int, default=5000)
    args = parser.parse_args()
    socketio.init_app(app, async_mode=args.async_mode)
    if not (CLIENT / CLIENT_SCRIPT).exists():
        print(GET_CLIENT, flush=True)
    print(f"http://127.0.0.1:{args.port}/", flush=True)
    socketio.run(app, port=args.port, allow_unsafe_werkzeug=True)
else:
    socketio.init_app(app, async_mode=os.environ.get("ASYNC_MODE"))
