"""The requests' half of an asyncio server: one coroutine per kind of request, and what its links call.

Waits, calls the application and lets the web framework write; the steps in between are those of ``registry.py``.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Coroutine
from typing import Any, Protocol

from engineio_green.aio.driver import AsyncDriver
from engineio_green.aio.link import AsyncLink
from engineio_green.application import Environ
from engineio_green.core import request as ask
from engineio_green.core import response as answer
from engineio_green.core.request import Refusal, Request, client_address
from engineio_green.core.response import Response
from engineio_green.core.session import Closed, Reason
from engineio_green.draining import GOING_AWAY
from engineio_green.link import Link
from engineio_green.packet import Data
from engineio_green.registry import Registry
from engineio_green.websocket.answers import limit_patience
from engineio_green.websocket.channel import Channel

Task = asyncio.Task[Any]

# What a handler may raise to end its task or the process.
LEAVING = (asyncio.CancelledError, KeyboardInterrupt, SystemExit)


class Exchange(Protocol):
    """One request of a web framework."""

    can_upgrade: bool
    """Whether websockets can be had here."""

    async def read_body(self, length: int | None, limit: int) -> bytes | None:
        """Return the body: *length* bytes, or of a chunked one no more than a little over *limit*. ``None``: cut short."""

    def find_socket(self) -> Any:
        """Return the connection's socket, for its options only; ``None`` where the server does not show it."""

    def find_fault(self) -> str | None:
        """Return what keeps this request from becoming a websocket, in a few words."""

    async def accept(self, link: Link, headers: list[tuple[str, str]]) -> Channel:
        """Make a websocket of the request, answered with *headers*. It is read only when the request's handling is over."""


class Reading:
    """The reading of a body, as the socket that a link shuts down when its session ends: a slow body must not outlive it."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._given_up = False

    def shutdown(self, how: int) -> None:
        if self._task is not None:
            self._given_up = True
            self._task.cancel()

    def end(self) -> bool:
        """Return whether the cancellation was ours, and is over."""
        if self._given_up and self._task is not None and sys.version_info >= (3, 11):
            self._task.uncancel()
        return self._given_up


class AsyncServing(Registry):
    """What answers requests. Everything is called on the event loop."""

    driver: AsyncDriver
    link_class = AsyncLink

    async def handle(self, environ: Environ, exchange: Exchange) -> Response | None:
        """Answer one request. Returns the response; ``None``: *exchange* has become a websocket."""
        request = Request(environ)
        decision, link = self._decide(request, environ)
        sid, response = await self._carry_out(decision, link, request, environ, exchange)
        if response is not None:
            # Frameworks wait without end for a peer that does not read its answer.
            limit_patience(exchange.find_socket(), self.settings.ping_interval + self.settings.ping_timeout)
            if self.settings.http_headers is not None:
                response.headers.extend(self.more_headers(sid, environ))
        return response

    async def _carry_out(
        self, decision: ask.Decision, link: Link | None, request: Request, environ: Environ, exchange: Exchange
    ) -> tuple[str | None, Response | None]:
        """Do what was decided. Returns the session id, and the response: ``None`` for a websocket."""
        if isinstance(decision, (ask.Poll, ask.Post, ask.Upgrade)):
            assert link is not None
            if isinstance(decision, ask.Poll):
                return link.sid, await self._poll(link, request)
            if isinstance(decision, ask.Post):
                return link.sid, await self._post(link, request, exchange, decision.length)
            return link.sid, await self._upgrade(link, request, environ, exchange, decision.stale)
        if isinstance(decision, ask.Preflight):
            return None, answer.preflight_response(request, self.settings)
        if isinstance(decision, ask.Connect):
            refusal = await self._admit(environ)
            if refusal is None:
                connect = self._connect_websocket if decision.transport == "websocket" else self._connect_polling
                return await connect(request, environ, exchange)
            decision = refusal
        return None, self._refuse(decision, request)

    async def _admit(self, environ: Environ) -> Refusal | None:
        """Ask the limits and the application whether a session may be opened; it is counted from here on."""
        return await self._ask_permission(environ) or self._enter(environ)

    async def _ask_permission(self, environ: Environ) -> Refusal | None:
        allow = self.settings.allow_request
        if allow is None:
            return None
        try:
            verdict = allow(environ)
            if inspect.isawaitable(verdict):
                verdict = await verdict
        except Exception:
            self.logger.exception("allow_request has failed")
            verdict = False
        return self.judge(verdict)

    async def _open(self, transport: str, environ: Environ) -> tuple[Link, Any]:
        """Make a session and ask the application. Returns it, and ``None`` or the value that it was rejected with."""
        link = self._create_link(transport, environ)
        handler = self.handlers.get("connect")
        verdict: Any = None
        if handler is not None:
            self._begin_opening(link)
            try:
                verdict = handler(link.sid, environ)
                if inspect.isawaitable(verdict):
                    verdict = await verdict
            except Exception:
                self.logger.exception("the connect handler has failed")
                verdict = False
            except BaseException:
                self._forget(link)
                raise
        return link, self._end_opening(link, verdict)

    async def _connect_polling(
        self, request: Request, environ: Environ, exchange: Exchange
    ) -> tuple[str | None, Response | None]:
        link, rejection = await self._open("polling", environ)
        if rejection is not None:
            return None, answer.unauthorized_response(rejection, request, self.settings)
        return link.sid, self._accept_polling(link, request, exchange.can_upgrade)

    async def _connect_websocket(
        self, request: Request, environ: Environ, exchange: Exchange
    ) -> tuple[str | None, Response | None]:
        fault = exchange.find_fault()
        if fault:
            self._leave(client_address(environ, self.settings))
            return None, self._refuse(ask.bad_request("TRANSPORT_HANDSHAKE_ERROR", error=fault), request)
        link, rejection = await self._open("websocket", environ)
        if rejection is not None:
            return None, answer.unauthorized_response(rejection, request, self.settings)
        try:
            cookie = answer.cookie_headers(link.sid, request, self.settings)
            connection = await exchange.accept(link, cookie + self.more_headers(link.sid, environ))
        except BaseException:
            self.abandon(link, Reason.TRANSPORT_ERROR)
            raise
        self._accept_websocket(link, connection)
        return link.sid, None

    async def _upgrade(
        self, link: Link, request: Request, environ: Environ, exchange: Exchange, stale: bool
    ) -> Response | None:
        fault = exchange.find_fault()
        if fault:
            return self._refuse(ask.bad_request("TRANSPORT_HANDSHAKE_ERROR", error=fault), request)
        connection = await exchange.accept(link, self.more_headers(link.sid, environ))
        self._put_on_probation(link, connection, stale)
        return None

    async def _poll(self, link: Link, request: Request) -> Response:
        held = self._begin_poll(link, request)
        if isinstance(held, Response):
            return held
        try:
            await held.wakeup.wait(held.seconds)
        finally:
            response = self._end_poll(link, request)
        return response

    async def _post(self, link: Link, request: Request, exchange: Exchange, length: int | None) -> Response:
        reading = Reading()
        refusal = self._begin_post(link, request, reading)
        if refusal is not None:
            return refusal
        try:
            try:
                body = await exchange.read_body(length, self.settings.max_http_buffer_size)
            except asyncio.CancelledError:
                if not reading.end():
                    raise
                body = None
            finally:
                link.reading_from = None
            refusal, wakeup = self._take_body(link, request, body)
            if wakeup is not None:
                await wakeup.wait(None)
        finally:
            self._end_post(link)
        return refusal or answer.ok_response(request, self.settings)

    # --- what links call -----------------------------------------------------------------------------------------------

    def handle_message(self, sid: str, data: Data) -> Task | None:
        """Call the application's handler. Returns the task of a coroutine that waits."""
        handler = self.handlers.get("message")
        if handler is None:
            return None
        try:
            result = handler(sid, data)
        except LEAVING:
            raise
        except BaseException:  # an exit of a greenlet, say, is nothing to end the loop for
            self.logger.exception("the message handler has failed")
            return None
        return None if result is None else self._go_on_with(result, "message")

    def trigger(self, event: str, *arguments: Any) -> Task | None:
        """Call the handler of any other event, if there is one. Returns the task of a coroutine that waits."""
        handler = self.handlers.get(event)
        if handler is None:
            return None
        try:
            result = handler(*arguments)
        except LEAVING:
            raise
        except BaseException:
            self.logger.exception("the %s handler has failed", event)
            return None
        return None if result is None else self._go_on_with(result, event)

    def _go_on_with(self, result: Any, event: str) -> Task | None:
        if not inspect.isawaitable(result):
            return None
        return self.driver.start(self._guard(result, event))

    async def _guard(self, handler: Any, event: str) -> None:
        try:
            await handler
        except LEAVING:
            raise
        except BaseException:
            self.logger.exception("the %s handler has failed", event)

    def tell_closed(self, link: Link, closed: Closed) -> Task | None:
        task: Task | None = self._tell_disconnect(link, closed)
        if task is None:
            self._forget(link)
        else:
            task.add_done_callback(lambda _: self._forget(link))
        return task

    async def part_with_all(self) -> None:
        """Tell every client that the server ends, for the hooks of web frameworks: they wait for what is under way."""
        for link in list(self.sockets.values()):
            self.part_with(link, GOING_AWAY, "the server is shutting down")
        self.driver.stop_clock()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine of our own, which must not raise, beside what is under way."""
        self.driver.start(coroutine)
