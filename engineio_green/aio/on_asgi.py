"""ASGI: one request of an ASGI server as an exchange, and the websocket that it may become.

Owns the events of ASGI. The server around us parses and writes the websocket's frames. Must not know routes or static files.
Rules: the ASGI specification, HTTP and WebSocket, version 2.4.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from engineio_green.aio.environ import add_headers, make_environ
from engineio_green.aio.exchange import ClientGone, socket_of
from engineio_green.aio.from_uvicorn import UvicornExchange, find_protocol, transport_of
from engineio_green.core.response import Response
from engineio_green.exceptions import DriverError
from engineio_green.link import Link
from engineio_green.websocket.channel import Owner
from engineio_green.websocket.stream import MAX_CLOSE_REASON, Message

if TYPE_CHECKING:
    from engineio_green.aio.server import AsyncServer

Event = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

# What waits for this many bytes or more is written by a task of its own, so that a slow reader is still read from.
INLINE_BYTES = 65536
POLICY_VIOLATION, MESSAGE_TOO_BIG = 1008, 1009  # RFC 6455, section 7.4.1


async def handle_request(server: AsyncServer, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request of an ASGI server."""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
    elif scope["type"] != "http":
        return
    exchange = await _answer(server, scope, receive, send)
    if exchange is not None:
        await exchange.serve()


async def _answer(
    server: AsyncServer, scope: Scope, receive: Receive, send: Send
) -> AsgiExchange | UvicornExchange | None:
    """Return the websocket that is to be served, if it is one."""
    environ = environ_of(scope, receive, send)
    protocol = find_protocol(send) if scope["type"] == "websocket" else None
    exchange: AsgiExchange | UvicornExchange
    if protocol is None:
        exchange = AsgiExchange(server, scope, receive, send)
    else:
        exchange = UvicornExchange(server, environ, protocol)
    try:
        response = await server.handle(environ, exchange)
    except ClientGone:
        return None
    if response is None:
        return exchange
    await respond(scope, send, response)
    if isinstance(exchange, UvicornExchange):
        exchange.refused()
    return None


def attach(server: AsyncServer, app: Any, engineio_path: str) -> None:
    raise DriverError("async_mode='asgi' has no attach(): wrap the application, as in ASGIApp(eio, other_asgi_app=app)")


def environ_of(scope: Scope, receive: Receive, send: Send) -> dict[str, Any]:
    """Return the request with WSGI names, and the three things of ASGI as ``asgi.scope``, ``asgi.receive``, ``asgi.send``."""
    environ = make_environ(
        scope.get("method", "GET"),
        scope["path"],
        scope.get("query_string", b"").decode("latin-1"),
        scope.get("scheme", "http"),
        scope.get("http_version", "1.1"),
        scope.get("client"),
        scope.get("server"),
    )
    add_headers(environ, ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]))
    if scope["type"] == "websocket":
        environ.setdefault("HTTP_UPGRADE", "websocket")  # HTTP/2 has no such header
    environ.update({"asgi.scope": scope, "asgi.receive": receive, "asgi.send": send})
    return environ


def encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def respond(scope: Scope, send: Send, response: Response) -> None:
    """Answer with a whole response; a websocket's request too, where the server has the extension for that."""
    prefix = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close"})  # which such a server answers with 403
            return
        prefix = "websocket.http"
    headers = encoded(response.headers)
    await send({"type": f"{prefix}.response.start", "status": int(response.status[:3]), "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": response.body})


class AsgiExchange:
    """One request."""

    def __init__(self, server: AsyncServer, scope: Scope, receive: Receive, send: Send) -> None:
        self._server = server
        self._scope = scope
        self._receive = receive
        self._send = send
        self.can_upgrade = True
        self._channel: AsgiChannel | None = None

    async def read_body(self, length: int | None, limit: int) -> bytes | None:
        parts, size = [], 0
        while size <= limit:
            event = await self._receive()
            if event["type"] != "http.request":
                return None
            part = event.get("body", b"")
            parts.append(part)
            size += len(part)
            if not event.get("more_body", False):
                break
        return None if length is not None and size != length else b"".join(parts)

    def find_socket(self) -> Any:
        return socket_of(transport_of(self._send))

    def find_fault(self) -> str | None:
        return None if self._scope["type"] == "websocket" else "the web server does not take this for a websocket's request"

    async def accept(self, link: Link, headers: list[tuple[str, str]]) -> AsgiChannel:
        try:
            await self._send({"type": "websocket.accept", "headers": encoded(headers)})
        except Exception as exc:  # each server has its own errors for a client that has gone
            raise ClientGone from exc
        limit = self._server.settings.max_http_buffer_size
        self._channel = AsgiChannel(link, self._receive, self._send, limit, self._server.start)
        return self._channel

    async def serve(self) -> None:
        """Return when the websocket has closed."""
        assert self._channel is not None
        await self._channel.serve()


def _close_event(code: int, reason: str) -> Event:
    text = reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore")
    return {"type": "websocket.close", "code": code, "reason": text}


class AsgiChannel:
    """One websocket. It is read in the coroutine that the server runs for it, and written there too or, where that would keep
    it from reading, in a task that lives for as long as there is something to write."""

    shares_frames = False

    def __init__(
        self, owner: Owner, receive: Receive, send: Send, limit: int, start: Callable[[Any], None]
    ) -> None:
        self.owner = owner
        self.closed = False
        self.ended = False
        self.failed = False
        self.unsent_bytes = 0
        self._receive = receive
        self._send = send
        self._limit = limit
        self._start = start
        self._incoming: list[Message] = []
        self._outgoing: deque[Message] = deque()
        self._closing: Event | None = None
        self._writing = False  # somebody is writing, or about to
        self._gone = False  # the server has said that there is nobody any more
        self._paused: asyncio.Future[None] | None = None

    # --- reading -------------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Read until the end."""
        try:
            while not self.closed:
                event = await self._receive()
                if event["type"] == "websocket.receive":
                    self._take(event)
                elif event["type"] == "websocket.disconnect":
                    self.ended = self._gone = True
                else:
                    continue
                await self._give()
                if self._gone:
                    return
        finally:
            self._lose()

    def _take(self, event: Event) -> None:
        text: str | None = event.get("text")
        message: Message = event.get("bytes") or b"" if text is None else text
        size = len(message)
        if text is not None and size <= self._limit < 4 * size:
            size = len(text.encode())
        if size > self._limit:
            self.failed = self.ended = True
            self._closing = self._closing or _close_event(MESSAGE_TOO_BIG, "message too big")
        else:
            self._incoming.append(message)

    async def _give(self) -> None:
        """Let the owner read what has come; wait for as long as it can't."""
        inline = not self._writing
        self._writing = True
        try:
            self.owner.on_readable(self)
        finally:
            if inline:
                self._writing = False
        while self._paused is not None:
            self._write_soon()
            await self._paused
            self._paused = None
            self.owner.on_readable(self)
        if not inline or self._writing:
            return
        if self.unsent_bytes < INLINE_BYTES:
            await self._write()
        else:
            self._write_soon()

    def read_locked(self) -> list[Message]:
        """Hand over what has come."""
        messages, self._incoming = self._incoming, []
        return messages

    def pause(self) -> None:
        if self._paused is None:
            self._paused = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        if self._paused is not None and not self._paused.done():
            self._paused.set_result(None)

    # --- writing -------------------------------------------------------------------------------------------------------

    def send_locked(self, messages: list[Message]) -> None:
        if self.closed or self._gone or self._closing is not None:
            return
        self._outgoing.extend(messages)
        for message in messages:
            self.unsent_bytes += len(message)
        self._write_soon()

    def write_locked(self, data: bytes) -> None:
        raise AssertionError("frames are the ASGI server's")

    def _write_soon(self) -> None:
        if not self._writing and (self._outgoing or self._closing is not None):
            self._writing = True
            self._start(self._write_beside())

    async def _write_beside(self) -> None:
        await self._write()
        if not self._outgoing and not self.closed:
            self.owner.on_drained_locked()

    async def _write(self) -> None:
        """Write what there is, and what comes meanwhile."""
        self._writing = True
        outgoing, send = self._outgoing, self._send
        try:
            while outgoing and not self.closed and not self._gone:
                message = outgoing.popleft()
                key = "text" if isinstance(message, str) else "bytes"
                await send({"type": "websocket.send", key: message})
                self.unsent_bytes -= len(message)
            if self._closing is not None and not self.closed and not self._gone:
                await send(self._closing)
                self.closed = True
        except Exception:  # each server has its own errors for a client that has gone; the reading side will find the end
            self.owner.on_lost_locked(self)
            self._forget_outgoing()
        finally:
            self._writing = False

    # --- closing -------------------------------------------------------------------------------------------------------

    def close_locked(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake, behind what was sent before."""
        if self._closing is None and not self.closed and not self._gone:
            self._closing = _close_event(code, reason)
            self._write_soon()

    def close_socket_locked(self) -> None:
        """Drop what waits and close; the rest is the server's, which alone has the socket."""
        if self.closed:
            return
        self._forget_outgoing()
        if self._closing is None:
            self._closing = _close_event(POLICY_VIOLATION, "")
        self.closed = self.ended = True
        self.resume()
        if not self._gone:
            self._start(self._close_beside(self._closing))

    async def _close_beside(self, event: Event) -> None:
        try:
            await self._send(event)
        except Exception:
            pass  # gone already

    def _forget_outgoing(self) -> None:
        self._outgoing.clear()
        self.unsent_bytes = 0

    def _lose(self) -> None:
        """The server has no more of this websocket."""
        if not self.closed:
            self.closed = self.ended = True
            self.owner.on_lost_locked(self)
        self._forget_outgoing()

    def on_deadline(self, now: float) -> None:
        """The peer had its time to close."""
        self.close_socket_locked()
