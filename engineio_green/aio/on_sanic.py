"""Sanic: one request as an exchange, and the routes of :meth:`AsyncServer.attach`.

Owns the knowledge of Sanic. Must not know the protocol. A Sanic application that an ASGI server runs is answered by ASGI.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sanic import HTTPResponse, Request, Sanic

from engineio_green.aio import on_asgi
from engineio_green.aio.environ import add_headers, make_environ
from engineio_green.aio.exchange import ClientGone, Taken, TransportExchange, socket_of
from engineio_green.core.response import Response

if TYPE_CHECKING:
    from engineio_green.aio.server import AsyncServer

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


async def handle_request(server: AsyncServer, request: Request) -> HTTPResponse | None:
    """Answer one request of Sanic. Returns ``None`` for one that has become a websocket, and has closed."""
    if request.app.asgi:  # an ASGI server runs it
        transport: Any = request.transport
        await on_asgi.handle_request(server, transport.scope, transport.receive, transport.send)
        return None
    environ = environ_of(request)
    exchange = SanicExchange(server, environ, request)
    try:
        response = await server.handle(environ, exchange)
    except ClientGone:
        return None
    if response is not None:
        return to_sanic(request, response)
    await exchange.serve()
    exchange.finish()
    return None


def attach(server: AsyncServer, app: Sanic[Any, Any], engineio_path: str) -> None:
    """Route the path, with and without a slash at its end; all clients are told to go before Sanic stops."""

    async def engineio_green(request: Request) -> HTTPResponse | None:
        return await handle_request(server, request)

    async def shut_down(app: Sanic[Any, Any]) -> None:
        await server.part_with_all()

    engineio_green.is_websocket = True  # type: ignore[attr-defined]  # it may return None
    for number, path in enumerate((engineio_path, engineio_path.rstrip("/") + "/")):
        name = f"engineio_green_{number}"
        app.add_route(engineio_green, path, methods=METHODS, name=name, stream=True, strict_slashes=True)
    app.before_server_stop(shut_down)


def environ_of(request: Request) -> dict[str, Any]:
    """Return the request with WSGI names; itself is ``sanic.request``."""
    transport = request.transport
    peer = transport.get_extra_info("peername")
    name = transport.get_extra_info("sockname")
    environ = make_environ(
        request.method,
        request.path,
        request.query_string,
        "https" if transport.get_extra_info("sslcontext") else "http",
        request.version,
        peer if isinstance(peer, tuple) else None,
        name if isinstance(name, tuple) else None,
    )
    add_headers(environ, request.headers.items())
    environ["sanic.request"] = request
    return environ


def to_sanic(request: Request, response: Response) -> HTTPResponse:
    status = int(response.status[:3])
    headers = dict(response.headers)
    kind = headers.pop("Content-Type", None)
    if headers.pop("Connection", None) == "close" and request.stream is not None:
        request.stream.keep_alive = False
    return HTTPResponse(response.body, status, headers, kind)


class SanicExchange(TransportExchange):
    """One request."""

    def __init__(self, server: AsyncServer, environ: dict[str, Any], request: Request) -> None:
        super().__init__(server, environ)
        self._request = request
        self._protocol: Any = None

    async def read_part(self) -> bytes | None:
        stream: Any = self._request.stream
        try:
            part: bytes | None = await stream.read()
        except asyncio.CancelledError:
            if self._request.transport.is_closing():
                stream.request_body = None  # or Sanic waits for the rest of it, and keeps all this, until its timeouts
            raise
        return part

    def find_socket(self) -> Any:
        return socket_of(self._request.transport)

    def take(self) -> Taken:
        transport: Any = self._request.transport
        self._protocol = protocol = transport.get_protocol()
        read_ahead = bytes(protocol.recv_buffer)
        protocol.recv_buffer.clear()
        return Taken(transport, None, read_ahead)

    def finish(self) -> None:
        """The websocket has closed: let Sanic forget the connection, which no event tells it any more."""
        self._protocol.connections.discard(self._protocol)
