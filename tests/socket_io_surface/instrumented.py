"""An instrumented Socket.IO server: `python -m socket_io_surface.instrumented MODEL PORT`. `/counts` tells what it has counted.

Owns one application on each model. The counts are taken where the admin page's are, and only there.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import engineio_green

engineio_green.install_as_engineio()

# Longer than a test that counts, shorter than one that waits for pings.
PING_INTERVAL = 2.0



class Counts:
    """Stands beside the admin page's buffer, which is emptied whenever that page is told: adds the same up for `/counts`."""

    def __init__(self, admin: Any) -> None:
        self._counts: Counter[str] = Counter()
        push = admin.event_buffer.push

        def push_both(kind: str, count: int = 1) -> None:
            push(kind, count)
            self._counts[kind] += count

        admin.event_buffer.push = push_both

    def take(self) -> bytes:
        counts, self._counts = self._counts, Counter()
        return json.dumps(counts).encode()


def serve_asyncio(port: int) -> None:
    import socketio
    import uvicorn

    sio = socketio.AsyncServer(async_mode="asgi", ping_interval=PING_INTERVAL)
    counts = Counts(sio.instrument(auth=False, server_stats_interval=0.5))

    @sio.on("echo")
    async def echo(sid: str, data: Any) -> None:
        await sio.emit("echo", data, to=sid)

    async def count(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": counts.take()})

    uvicorn.run(socketio.ASGIApp(sio, count), port=port, log_level="warning", lifespan="off")


def serve(model: str, port: int) -> None:
    import socketio

    sio = socketio.Server(async_mode=model, ping_interval=PING_INTERVAL)
    counts = Counts(sio.instrument(auth=False, server_stats_interval=0.5))

    @sio.on("echo")
    def echo(sid: str, data: Any) -> None:
        sio.emit("echo", data, to=sid)

    def count(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [counts.take()]

    app = socketio.WSGIApp(sio, count)
    if model == "gevent":
        from gevent import pywsgi

        pywsgi.WSGIServer(("127.0.0.1", port), app, log=None).serve_forever()
    elif model == "eventlet":
        import eventlet
        import eventlet.wsgi

        eventlet.wsgi.server(eventlet.listen(("127.0.0.1", port)), app, log_output=False)
    else:
        from werkzeug.serving import run_simple

        run_simple("127.0.0.1", port, app, threaded=True)


if __name__ == "__main__":
    if sys.argv[1] == "asyncio":
        serve_asyncio(int(sys.argv[2]))
    else:
        serve(sys.argv[1], int(sys.argv[2]))
