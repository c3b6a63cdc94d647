"""A python-socketio server on asyncio, under uvicorn. Arguments: the port, and maybe a Redis's URL and a channel.

Its events are those of `server_program.py`.
"""

import sys

import socketio
import uvicorn
from json_lines import say

PORT = int(sys.argv[1])
REDIS, CHANNEL = sys.argv[2:] or (None, None)

options = {"client_manager": socketio.AsyncRedisManager(REDIS, channel=CHANNEL)} if REDIS else {}
sio = socketio.AsyncServer(async_mode="asgi", **options)


def add_handlers(namespace):
    """All events, in one namespace."""
    users = {}

    @sio.on("connect", namespace=namespace)
    async def connect(sid, environ, auth=None):
        user = (auth or {}).get("user") or environ["QUERY_STRING"].partition("user=")[2].partition("&")[0]
        if user == "nobody":
            raise socketio.exceptions.ConnectionRefusedError("who are you?", {"known": ["ann", "bob"]})
        users[sid] = user
        await sio.save_session(sid, {"user": user}, namespace=namespace)

    @sio.on("disconnect", namespace=namespace)
    async def disconnect(sid, *reason):
        say(gone=users.pop(sid, None), namespace=namespace, reason=list(reason))

    @sio.on("echo", namespace=namespace)
    async def echo(sid, *data):
        return data

    @sio.on("say", namespace=namespace)
    async def say_it(sid, *data):
        await sio.emit("said", data, to=sid, namespace=namespace)

    @sio.on("who am i", namespace=namespace)
    async def who_am_i(sid):
        return (await sio.get_session(sid, namespace=namespace))["user"]

    @sio.on("join", namespace=namespace)
    async def join(sid, room):
        joining = sio.enter_room(sid, room, namespace=namespace)
        if joining is not None:  # it is a coroutine in newer releases
            await joining
        return sorted(sio.rooms(sid, namespace=namespace)) == sorted({room, sid})

    @sio.on("leave", namespace=namespace)
    async def leave(sid, room):
        leaving = sio.leave_room(sid, room, namespace=namespace)
        if leaving is not None:
            await leaving
        return True

    @sio.on("tell", namespace=namespace)
    async def tell(sid, room, *data):
        await sio.emit("told", data, room=room, namespace=namespace)
        return True

    @sio.on("tell others", namespace=namespace)
    async def tell_others(sid, room, *data):
        await sio.emit("told", data, room=room, skip_sid=sid, namespace=namespace)
        return True

    @sio.on("close", namespace=namespace)
    async def close(sid, room):
        await sio.close_room(room, namespace=namespace)
        return True

    @sio.on("count", namespace=namespace)
    async def count(sid, number):
        for value in range(number):
            await sio.emit("number", value, to=sid, namespace=namespace)

    @sio.on("ask", namespace=namespace)
    async def ask(sid, other, question):
        async def answered(*answer):
            await sio.emit("answered", answer, to=sid, namespace=namespace)

        await sio.emit("question", question, to=other or sid, callback=answered, namespace=namespace)

    @sio.on("call", namespace=namespace)
    async def call(sid, other, question):
        return await sio.call("question", question, to=other or sid, namespace=namespace)

    @sio.on("end", namespace=namespace)
    async def end(sid, other):
        await sio.disconnect(other or sid, namespace=namespace)


add_handlers("/")
add_handlers("/second")
uvicorn.run(socketio.ASGIApp(sio), host="127.0.0.1", port=PORT, log_level="warning")
