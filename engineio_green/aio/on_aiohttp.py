"""aiohttp: one request as an exchange, and the routes of :meth:`AsyncServer.attach`.

Owns the knowledge of aiohttp. Must not know the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from multidict import CIMultiDict

from engineio_green.aio.environ import add_headers, make_environ
from engineio_green.aio.exchange import ClientGone, Taken, TransportExchange, socket_of
from engineio_green.core.response import Response

if TYPE_CHECKING:
    from engineio_green.aio.server import AsyncServer


async def handle_request(server: AsyncServer, request: web.Request) -> web.StreamResponse:
    """Answer one request of aiohttp."""
    environ = environ_of(request)
    exchange = AiohttpExchange(server, environ, request)
    try:
        response = await server.handle(environ, exchange)
    except ClientGone:
        return _Switched()
    if response is None:
        await exchange.serve()
        return _Switched()
    return to_aiohttp(response)


def attach(server: AsyncServer, app: web.Application, engineio_path: str) -> None:
    """Route the path, with and without a slash at its end; websockets are closed when the application shuts down."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handle_request(server, request)

    async def shut_down(app: web.Application) -> None:
        await server.part_with_all()

    app.router.add_route("*", engineio_path, handle)
    app.router.add_route("*", engineio_path.rstrip("/") + "/", handle)
    app.on_shutdown.append(shut_down)


def environ_of(request: web.Request) -> dict[str, Any]:
    """Return the request with WSGI names; itself is ``aiohttp.request``."""
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport is not None else None
    name = transport.get_extra_info("sockname") if transport is not None else None
    environ = make_environ(
        request.method,
        request.path,
        request.rel_url.raw_query_string,
        request.scheme,
        f"{request.version.major}.{request.version.minor}",
        peer if isinstance(peer, tuple) else None,
        name if isinstance(name, tuple) else None,
    )
    add_headers(environ, request.headers.items())
    environ["aiohttp.request"] = request
    return environ


def to_aiohttp(response: Response) -> web.Response:
    status, _, reason = response.status.partition(" ")
    headers = CIMultiDict(response.headers)
    last = headers.get("Connection") == "close"
    answer = web.Response(status=int(status), reason=reason, headers=headers, body=response.body)
    if last:
        answer.force_close()
    return answer


class AiohttpExchange(TransportExchange):
    """One request."""

    def __init__(self, server: AsyncServer, environ: dict[str, Any], request: web.Request) -> None:
        super().__init__(server, environ)
        self._request = request

    async def read_part(self) -> bytes:
        return await self._request.content.readany()

    def find_socket(self) -> Any:
        return socket_of(self._request.transport)

    def take(self) -> Taken:
        protocol = self._request.protocol
        tail = _Tail()
        protocol.set_parser(tail)  # type: ignore[arg-type]  # it has all that is called
        protocol.keep_alive(False)  # no timer of a connection that waits for requests
        return Taken(self._request.transport, protocol, tail.data)


class _Tail:
    """A parser of aiohttp's that keeps what it is fed: what has been read beyond the request."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        pass


class _Switched(web.StreamResponse):
    """What aiohttp may log of a request that has become a websocket: the answer is long gone."""

    def __init__(self) -> None:
        super().__init__(status=101)

    async def prepare(self, request: web.BaseRequest) -> Any:
        return None

    async def write_eof(self, data: Any = b"") -> None:
        return None
