"""The measured asyncio server: one application, whichever package serves it.

    python aio.py PACKAGE KIND FD

PACKAGE is an importable module with the compatible API (``AsyncServer``, ``ASGIApp``), KIND names the web server and FD is
a listening socket inherited from the benchmark. Both packages run this very file, on the standard library's event loop. It
must not import anything of the benchmark: the peer runs it in its own environment.
"""

import asyncio
import importlib
import socket
import sys

ASYNC_MODE = {"uvicorn": "asgi", "aiohttp": "aiohttp"}


def build(module, kind):
    """The server: echo by ``send``, or ``send`` to everyone when the text asks for it. Default options."""
    server = module.AsyncServer(async_mode=ASYNC_MODE[kind])
    connected = set()

    @server.on("connect")
    async def connect(sid, environ):
        connected.add(sid)

    @server.on("disconnect")
    def disconnect(sid, *reason):
        connected.discard(sid)

    @server.on("message")
    async def message(sid, data):
        if data.__class__ is str and data.startswith("broadcast:"):
            for receiver in tuple(connected):
                await server.send(receiver, data)
        else:
            await server.send(sid, data)

    return server


def serve_uvicorn(module, server, fd):
    import uvicorn

    uvicorn.run(module.ASGIApp(server), fd=fd, log_level="error", loop="asyncio")


def serve_aiohttp(module, server, fd):
    from aiohttp import web

    app = web.Application()
    server.attach(app)
    web.run_app(app, sock=socket.socket(fileno=fd), print=None, access_log=None, loop=asyncio.new_event_loop())


SERVE = {"uvicorn": serve_uvicorn, "aiohttp": serve_aiohttp}


def main():
    package, kind, fd = sys.argv[1], sys.argv[2], int(sys.argv[3])
    module = importlib.import_module(package)
    SERVE[kind](module, build(module, kind), fd)


if __name__ == "__main__":
    main()
