"""Run the scenario application on a server for asyncio: `python -m scenarios.aio_serve SERVER PORT`.

Owns how each server is started, and how the journal gets out of it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import sys
from typing import Any

import engineio_green

from .aio_app import load
from .serve import tls_files

application = load()
eio: engineio_green.AsyncServer = application.eio
LIMIT = eio.settings.max_http_buffer_size


def journal(path: str, query: str) -> tuple[int, dict[str, str], bytes]:
    """What the synchronous application answers to requests that are not Engine.IO's."""
    answer: list[Any] = []
    body = application.other_app({"PATH_INFO": path, "QUERY_STRING": query}, lambda *args: answer.extend(args))
    return int(answer[0][:3]), dict(answer[1]), b"".join(body)


async def journal_asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    status, headers, body = journal(scope["path"], scope["query_string"].decode())
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def tls_context() -> ssl.SSLContext | None:
    files = tls_files()
    if files is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    return context


def serve_uvicorn(port: int) -> None:
    import uvicorn

    files = tls_files()
    uvicorn.run(
        engineio_green.ASGIApp(eio, journal_asgi),
        host="127.0.0.1",
        port=port,
        ws_max_size=LIMIT,
        ws_per_message_deflate=eio.settings.per_message_deflate is not None,
        proxy_headers=False,  # the server has its own rule
        timeout_graceful_shutdown=2,
        log_level="warning",
        ssl_certfile=files and files[0],
        ssl_keyfile=files and files[1],
    )


def serve_hypercorn(port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.websocket_max_message_size = LIMIT
    config.graceful_timeout = 2
    config.loglevel = "warning"

    async def main() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        await serve(engineio_green.ASGIApp(eio, journal_asgi), config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]

    asyncio.run(main())


def serve_aiohttp(port: int) -> None:
    from aiohttp import web
    from aiohttp.http_exceptions import HttpProcessingError

    async def other(request: web.Request) -> web.Response:
        status, headers, body = journal(request.path, request.query_string)
        return web.Response(status=status, headers=headers, body=body)

    # It calls a client's faulty HTTP an error, with a traceback.
    ours = logging.getLogger("aiohttp.server")
    ours.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
    app = web.Application()
    eio.attach(app)
    app.router.add_get("/{path:.*}", other)
    web.run_app(app, host="127.0.0.1", port=port, ssl_context=tls_context(), print=None, shutdown_timeout=2)


def serve_tornado(port: int) -> None:
    import tornado.web

    class Other(tornado.web.RequestHandler):
        def get(self) -> None:
            status, headers, body = journal(self.request.path, self.request.query)
            self.set_status(status)
            for name, value in headers.items():
                self.set_header(name, value)
            self.finish(body)

    async def main() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        routes = [(r"/engine.io/?", engineio_green.get_tornado_handler(eio)), (r".*", Other)]
        app = tornado.web.Application(routes, log_function=lambda handler: None)  # it warns of every refusal
        server = app.listen(port, "127.0.0.1", ssl_options=tls_context())
        await ended.wait()
        server.stop()
        await eio.drain(1, 0)
        await eio.shutdown()
        await server.close_all_connections()

    asyncio.run(main())


def serve_sanic(port: int) -> None:
    from sanic import Sanic, response

    app = Sanic("scenarios", configure_logging=False)
    eio.attach(app)

    @app.get("/<path:path>")
    async def other(request: Any, path: str) -> Any:
        status, headers, body = journal(request.path, request.query_string)
        return response.raw(body, status=status, headers=headers)

    app.run(host="127.0.0.1", port=port, single_process=True, access_log=False, motd=False, ssl=tls_context())


SERVERS = {
    "uvicorn": serve_uvicorn,
    "hypercorn": serve_hypercorn,
    "aiohttp": serve_aiohttp,
    "tornado": serve_tornado,
    "sanic": serve_sanic,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
