"""A Flask-SocketIO application. Arguments: threading or gevent, the port, and maybe a Redis's URL and a channel.

Its events are those of `server_program.py`.
"""

import sys
from importlib import metadata

MODE, PORT = sys.argv[1], int(sys.argv[2])
REDIS, CHANNEL = sys.argv[3:] or (None, None)

if MODE == "gevent":
    from gevent import monkey

    monkey.patch_all()

import flask_socketio  # noqa: E402  # after monkey patching
from flask import Flask, request, session  # noqa: E402
from flask_socketio import emit, join_room, leave_room, rooms  # noqa: E402
from json_lines import say  # noqa: E402

RELEASE = tuple(int(part) for part in metadata.version("flask-socketio").split("."))
app = Flask(__name__)
app.config["SECRET_KEY"] = "secret"
options = {"message_queue": REDIS, "channel": CHANNEL} if REDIS else {}
sio = flask_socketio.SocketIO(app, async_mode=MODE, **options)


@app.route("/")
def index():
    return "a page of Flask"


def add_handlers(namespace):
    """All events, in one namespace."""
    users = {}

    @sio.on("connect", namespace=namespace)
    def connect(auth=None):
        user = (auth or {}).get("user") or request.args.get("user", "")
        if user == "nobody":
            raise flask_socketio.ConnectionRefusedError("who are you?", {"known": ["ann", "bob"]})
        users[request.sid] = user
        session["user"] = user

    @sio.on("disconnect", namespace=namespace)
    def disconnect(*reason):
        say(gone=users.pop(request.sid, None), namespace=namespace, reason=list(reason))

    @sio.on("echo", namespace=namespace)
    def echo(*data):
        return data

    @sio.on("say", namespace=namespace)
    def say_it(*data):
        emit("said", data)

    @sio.on("who am i", namespace=namespace)
    def who_am_i():
        return session["user"]

    @sio.on("join", namespace=namespace)
    def join(room):
        join_room(room)
        return sorted(rooms()) == sorted({room, request.sid})

    @sio.on("leave", namespace=namespace)
    def leave(room):
        leave_room(room)
        return True

    @sio.on("tell", namespace=namespace)
    def tell(room, *data):
        # The name of this argument has changed with the releases; this one all of them know.
        emit("told", data, room=room, broadcast=True) if room else emit("told", data, broadcast=True)
        return True

    @sio.on("tell others", namespace=namespace)
    def tell_others(room, *data):
        emit("told", data, room=room, broadcast=True, include_self=False)
        return True

    @sio.on("close", namespace=namespace)
    def close(room):
        flask_socketio.close_room(room)
        return True

    @sio.on("count", namespace=namespace)
    def count(number):
        for value in range(number):
            emit("number", value)

    @sio.on("ask", namespace=namespace)
    def ask(other, question):
        sid = request.sid

        def answered(*answer):
            sio.emit("answered", answer, room=sid, namespace=namespace)

        emit("question", question, room=other or sid, callback=answered)

    @sio.on("call", namespace=namespace)
    def call(other, question):
        return sio.server.call("question", question, to=other or request.sid, namespace=namespace)

    @sio.on("end", namespace=namespace)
    def end(other):
        flask_socketio.disconnect(other or request.sid, namespace=namespace)


add_handlers("/")
add_handlers("/second")
development = {"allow_unsafe_werkzeug": True} if MODE == "threading" and RELEASE >= (5, 3) else {}
sio.run(app, host="127.0.0.1", port=PORT, **development)
