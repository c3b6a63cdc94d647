"""A process that has no clients, and emits to those of others by way of Redis, in each of the documented ways.

Arguments: RedisManager, AsyncRedisManager or SocketIO; the Redis's URL, the channel, the room; and maybe `forever`.
"""

import asyncio
import sys
import time

import socketio

KIND, URL, CHANNEL, ROOM = sys.argv[1:5]
FOREVER = sys.argv[5:] == ["forever"]
PAUSE = 0.05
DATA = ("from outside", b"bytes")


def emit_with_redis_manager():
    manager = socketio.RedisManager(URL, channel=CHANNEL, write_only=True)
    manager.emit("told", DATA, namespace="/", room=ROOM)
    while FOREVER:
        time.sleep(PAUSE)
        manager.emit("told", DATA, namespace="/", room=ROOM)


async def emit_with_async_redis_manager():
    manager = socketio.AsyncRedisManager(URL, channel=CHANNEL, write_only=True)
    await manager.emit("told", DATA, namespace="/", room=ROOM)


def emit_with_flask_socketio():
    import flask_socketio

    flask_socketio.SocketIO(message_queue=URL, channel=CHANNEL).emit("told", DATA, room=ROOM)


if KIND == "AsyncRedisManager":
    asyncio.run(emit_with_async_redis_manager())
elif KIND == "SocketIO":
    emit_with_flask_socketio()
else:
    emit_with_redis_manager()
