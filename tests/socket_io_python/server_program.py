"""A python-socketio server on threads or gevent. Arguments: threading or gevent, the port, and maybe a Redis's URL and a channel.

Its events are the ones of `flask_program.py`, `asyncio_program.py` and `node_server.js`, so that one test can talk to any of
them.
"""

import sys

MODE, PORT = sys.argv[1], int(sys.argv[2])
REDIS, CHANNEL = sys.argv[3:] or (None, None)

if MODE == "gevent":
    from gevent import monkey

    monkey.patch_all()

import socketio  # noqa: E402  # after monkey patching
from json_lines import say  # noqa: E402

options = {"client_manager": socketio.RedisManager(REDIS, channel=CHANNEL)} if REDIS else {}
sio = socketio.Server(async_mode=MODE, **options)


def add_handlers(namespace):
    """All events, in one namespace."""
    users = {}

    @sio.on("connect", namespace=namespace)
    def connect(sid, environ, auth=None):
        user = (auth or {}).get("user") or environ["QUERY_STRING"].partition("user=")[2].partition("&")[0]
        if user == "nobody":
            raise socketio.exceptions.ConnectionRefusedError("who are you?", {"known": ["ann", "bob"]})
        users[sid] = user
        sio.save_session(sid, {"user": user}, namespace=namespace)

    @sio.on("disconnect", namespace=namespace)
    def disconnect(sid, *reason):
        say(gone=users.pop(sid, None), namespace=namespace, reason=list(reason))

    @sio.on("echo", namespace=namespace)
    def echo(sid, *data):
        return data

    @sio.on("say", namespace=namespace)
    def say_it(sid, *data):
        sio.emit("said", data, to=sid, namespace=namespace)

    @sio.on("who am i", namespace=namespace)
    def who_am_i(sid):
        return sio.get_session(sid, namespace=namespace)["user"]

    @sio.on("join", namespace=namespace)
    def join(sid, room):
        sio.enter_room(sid, room, namespace=namespace)
        return sorted(sio.rooms(sid, namespace=namespace)) == sorted({room, sid})

    @sio.on("leave", namespace=namespace)
    def leave(sid, room):
        sio.leave_room(sid, room, namespace=namespace)
        return True

    @sio.on("tell", namespace=namespace)
    def tell(sid, room, *data):
        sio.emit("told", data, room=room, namespace=namespace)
        return True

    @sio.on("tell others", namespace=namespace)
    def tell_others(sid, room, *data):
        sio.emit("told", data, room=room, skip_sid=sid, namespace=namespace)
        return True

    @sio.on("close", namespace=namespace)
    def close(sid, room):
        sio.close_room(room, namespace=namespace)
        return True

    @sio.on("count", namespace=namespace)
    def count(sid, number):
        for value in range(number):
            sio.emit("number", value, to=sid, namespace=namespace)

    @sio.on("ask", namespace=namespace)
    def ask(sid, other, question):
        def answered(*answer):
            sio.emit("answered", answer, to=sid, namespace=namespace)

        sio.emit("question", question, to=other or sid, callback=answered, namespace=namespace)

    @sio.on("call", namespace=namespace)
    def call(sid, other, question):
        return sio.call("question", question, to=other or sid, namespace=namespace)

    @sio.on("end", namespace=namespace)
    def end(sid, other):
        sio.disconnect(other or sid, namespace=namespace)


add_handlers("/")
add_handlers("/second")
app = socketio.WSGIApp(sio)

if MODE == "gevent":
    from gevent import pywsgi

    pywsgi.WSGIServer(("127.0.0.1", PORT), app, log=None).serve_forever()
else:
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", PORT, app, threaded=True)
