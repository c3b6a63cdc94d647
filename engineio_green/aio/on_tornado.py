"""Tornado: the handler class that an application routes requests to, and its streams as transports.

Owns the knowledge of Tornado. Must not know the protocol.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError
from tornado.web import RequestHandler, stream_request_body

from engineio_green.aio.environ import add_headers, make_environ
from engineio_green.aio.exchange import ClientGone, Taken, TransportExchange
from engineio_green.core.response import Response
from engineio_green.exceptions import DriverError

if TYPE_CHECKING:
    from engineio_green.aio.server import AsyncServer

READ_SIZE = 65536


async def handle_request(server: AsyncServer, handler: EngineHandler) -> None:
    """Answer one request of Tornado, whose *handler* feeds the body in meanwhile."""
    environ = environ_of(handler)
    exchange = TornadoExchange(server, environ, handler)
    try:
        response = await server.handle(environ, exchange)
    except ClientGone:
        return
    if response is None:
        exchange.begin()
    else:
        respond(handler, response)


def attach(server: AsyncServer, app: Any, engineio_path: str) -> None:
    raise DriverError(
        "async_mode='tornado' has no attach(): put (r'/engine.io/', engineio_green.get_tornado_handler(eio)) among the routes"
    )


def get_tornado_handler(eio: AsyncServer) -> type[EngineHandler]:
    """Return the request handler class for the route of the server."""
    return type("Handler", (EngineHandler,), {"server": eio})


@stream_request_body
class EngineHandler(RequestHandler):  # type: ignore[misc]  # the library has no types
    """A request with a body is answered from :meth:`prepare` on, when its head is there: what is to be refused is not read."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")
    server: AsyncServer

    def initialize(self) -> None:
        self.body: asyncio.Queue[bytes | None] = asyncio.Queue()  # parts, then ``None`` at the end
        self.wants_body: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answering: asyncio.Future[None] | None = None

    def check_xsrf_cookie(self) -> None:
        """The server has its own rule, which is about origins."""

    def compute_etag(self) -> None:
        return None

    async def prepare(self) -> None:
        headers = self.request.headers
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            return  # nothing to be read: Tornado would close a connection that is answered here
        self._answering = asyncio.ensure_future(self.server.handle_request(self))
        await asyncio.wait((self._answering, self.wants_body), return_when=asyncio.FIRST_COMPLETED)
        if self._answering.done():
            self._answering.result()

    def data_received(self, chunk: bytes) -> None:
        self.body.put_nowait(chunk)

    async def _finish_body(self) -> None:
        self.body.put_nowait(None)
        await (self._answering or self.server.handle_request(self))

    get = head = post = delete = patch = put = options = _finish_body

    def on_connection_close(self) -> None:
        super().on_connection_close()  # Tornado's own part of the request waits for the body, too
        self.body.put_nowait(None)


def environ_of(handler: RequestHandler) -> dict[str, Any]:
    """Return the request with WSGI names; its handler is ``tornado.handler``."""
    request = handler.request
    stream: Any = getattr(request.connection, "stream", None)
    try:
        address = stream.socket.getsockname()
    except (AttributeError, OSError):
        address = None
    environ = make_environ(
        request.method or "GET",
        request.path,
        request.query,
        request.protocol,
        request.version.partition("/")[2],
        (request.remote_ip, 0),
        address if isinstance(address, tuple) else None,
    )
    add_headers(environ, request.headers.get_all())
    environ["tornado.handler"] = handler
    return environ


def respond(handler: RequestHandler, response: Response) -> None:
    """Answer with a whole response; close behind it where it says so."""
    status, _, reason = response.status.partition(" ")
    handler.clear()
    handler.set_status(int(status), reason)
    handler.clear_header("Content-Type")
    for name, value in response.headers:
        handler.add_header(name, value)
    if handler.request.version == "HTTP/1.0":
        handler.set_header("Connection", "close")
    if ("Connection", "close") not in response.headers:
        handler.finish(response.body)
        return
    connection: Any = handler.request.connection
    connection._disconnect_on_finish = True  # or Tornado would look for the stream that is taken below
    handler.finish(response.body)
    if connection.stream is not None:
        # Tornado answers what it has read of a next request even of a stream that is closed; without a stream it does not.
        pending = connection._pending_write  # what finish() returns is never done once the stream is taken
        stream = connection.detach()
        if pending is None or pending.done():
            stream.close()
        else:
            pending.add_done_callback(lambda _: stream.close())


class TornadoExchange(TransportExchange):
    """One request."""

    def __init__(self, server: AsyncServer, environ: dict[str, Any], handler: EngineHandler) -> None:
        super().__init__(server, environ)
        self._handler = handler

    async def read_part(self) -> bytes | None:
        handler = self._handler
        if not handler.wants_body.done():
            handler.wants_body.set_result(None)
        return await handler.body.get()

    def find_socket(self) -> Any:
        return getattr(getattr(self._handler.request.connection, "stream", None), "socket", None)

    def take(self) -> Taken:
        if self._handler.request.connection is None:
            return Taken(None, None, b"")
        return Taken(StreamTransport(self._handler.detach()), None, b"")


class StreamTransport:
    """As much of an asyncio transport, on a stream of Tornado's, as a websocket needs."""

    def __init__(self, stream: IOStream) -> None:
        self._stream = stream
        self._protocol: Any = None
        self._reading = False
        self._wanted = False  # somebody wants to read
        self._closing = False
        self._eof = False
        self._unsent = 0
        stream.set_nodelay(True)
        stream.set_close_callback(self._on_close)

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """There is one limit: whether anything is left."""

    def get_write_buffer_size(self) -> int:
        return self._unsent

    def is_closing(self) -> bool:
        return self._closing or self._stream.closed()

    # --- reading -------------------------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        self._wanted = False

    def resume_reading(self) -> None:
        self._wanted = True
        if not self._reading:
            self._read()

    def _read(self) -> None:
        try:
            future = self._stream.read_bytes(READ_SIZE, partial=True)
        except StreamClosedError:
            return  # the close callback says so
        self._reading = True
        future.add_done_callback(self._on_read)

    def _on_read(self, future: asyncio.Future[bytes]) -> None:
        self._reading = False
        if future.cancelled() or future.exception() is not None:
            return
        self._protocol.data_received(future.result())
        if self._wanted and not self._reading:
            self._read()

    # --- writing and closing -------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        try:
            future = self._stream.write(data)
        except StreamClosedError:
            return
        if self._stream.writing():
            self._unsent += len(data)
            future.add_done_callback(self._written(len(data)))

    def _written(self, size: int) -> Callable[[Any], None]:
        def on_written(future: asyncio.Future[None]) -> None:
            self._unsent -= size
            if self._unsent or self._stream.closed():
                return
            if self._closing:
                self._stream.close()
            elif self._eof:
                self.write_eof()
            else:
                self._protocol.resume_writing()

        return on_written

    def can_write_eof(self) -> bool:
        return not isinstance(self._stream, SSLIOStream)

    def write_eof(self) -> None:
        self._eof = True
        if not self._unsent:
            try:
                self._stream.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.abort()

    def close(self) -> None:
        self._closing = True
        if not self._unsent:
            self._stream.close()

    def abort(self) -> None:
        self._closing = True
        self._stream.close()

    def _on_close(self) -> None:
        self._protocol.connection_lost(self._stream.error)
