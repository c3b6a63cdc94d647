"""The asyncio client as applications see it.

Owns the API, which is that of the compatible Python implementation with what this package adds, the handlers, and connecting
again. One connection at a time is a `ClientLink`.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from engineio_green import json as default_json
from engineio_green.aio import interrupt
from engineio_green.aio.client_link import ClientLink
from engineio_green.aio.helpers import Helpers, Tasks
from engineio_green.core.backoff import Backoff
from engineio_green.core.callables import takes
from engineio_green.core.client_request import check_headers, check_timeout, make_target
from engineio_green.core.client_session import EVENTS, LOSSES, may_return
from engineio_green.core.handlers import register
from engineio_green.core.session import Closed, Reason
from engineio_green.core.settings import make_settings
from engineio_green.exceptions import ConnectionError, NotConnectedError
from engineio_green.logs import make_logger, short
from engineio_green.packet import Data, JsonModule, encode_message


class AsyncClient(Helpers):
    """An Engine.IO client for asyncio.

    :param logger: ``True`` logs to stderr, or a logger; ``False`` leaves only errors.
    :param json: a module with ``dumps`` and ``loads``.
    :param request_timeout: seconds that the server has for an answer (not for a held poll), ``None``: no limit.
    :param http_session: an ``aiohttp.ClientSession`` of yours, which is never closed.
    :param ssl_verify: ``False`` accepts any certificate.
    :param handle_sigint: say goodbye on Ctrl-C; only on the loop of the main thread.
    :param websocket_extra_options: keyword arguments for ``ws_connect()``; they win over all others.
    :param timestamp_requests: put the time into each address, against caches.
    :param reconnection: connect again by itself, after a loss and after a goodbye of the server, which may only be making
        room for its next version; not after :meth:`disconnect`.
    :param reconnection_attempts: how often at most, 0: no end.
    :param reconnection_delay: seconds before the first attempt; each further delay is twice as long,
    :param reconnection_delay_max: ... but no longer than this,
    :param randomization_factor: ... and is drawn from plus or minus this part of it.

    Handlers may be functions, called in place, or coroutine functions: these start in the order of the messages, and one that
    waits delays no later one. Every method must be called on the loop that :meth:`connect` runs on. Source: the documented API.
    """

    reason = Reason

    def __init__(
        self,
        logger: Any = False,
        json: JsonModule | None = None,
        request_timeout: float | None = 5,
        http_session: aiohttp.ClientSession | None = None,
        ssl_verify: bool = True,
        handle_sigint: bool = True,
        websocket_extra_options: Mapping[str, Any] | None = None,
        timestamp_requests: bool = True,
        *,
        reconnection: bool = False,
        reconnection_attempts: int = 0,
        reconnection_delay: float = 1,
        reconnection_delay_max: float = 30,
        randomization_factor: float = 0.5,
    ) -> None:
        self.logger = make_logger(logger, "engineio_green.client")
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.state = "disconnected"
        """``'disconnected'``, ``'connecting'``, ``'connected'``, ``'disconnecting'``."""
        self._json = default_json if json is None else json
        self._request_timeout = check_timeout(request_timeout)
        self._http_session = http_session
        self._ssl_verify = ssl_verify
        self._handle_sigint = handle_sigint
        self._websocket_options = dict(websocket_extra_options or {})
        self._timestamp_requests = timestamp_requests
        backoff = Backoff(reconnection_delay, reconnection_delay_max, randomization_factor, reconnection_attempts)
        self._backoff = backoff if reconnection else None
        self._link: ClientLink | None = None  # the current connection, until its disconnect handler has returned
        self._transport: str | None = None
        self._sid: str | None = None
        self._attempt: asyncio.Task[Any] | None = None  # the connect() under way
        self._reconnecting: asyncio.Task[Any] | None = None
        self._returns = False  # the end that is being told is not the last word
        self._tasks = Tasks()
        self._ending: list[asyncio.Task[Any] | None] = []  # those in a handler which wait() would wait for
        self._over: asyncio.Future[None] | None = None  # of those who wait

    @property
    def sid(self) -> str | None:
        """The session's id, ``None`` while there is no session."""
        return self._link.session.sid if self._link is not None else self._sid

    @sid.setter
    def sid(self, value: str | None) -> None:
        """What is told while there is no session, in tests of applications (compatibility)."""
        self._sid = value

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register *handler* for an event; without it, act as a decorator. The events are those of :meth:`Client.on`."""
        return register(self.handlers, EVENTS, event, handler)

    async def connect(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        transports: str | list[str] | None = None,
        engineio_path: str = "engine.io",
    ) -> None:
        """Connect, and return when the session is open and its connect handler has returned. See :meth:`Client.connect`.

        Raises :class:`engineio_green.exceptions.ConnectionError` with the server's own reason, ``ValueError`` for arguments
        that can't work and for a client that is connected.
        """
        order = make_settings({"transports": transports}).transports
        arguments = (make_target(url, engineio_path), check_headers(headers), order)
        if self._attempt is not None or (self._link is not None and not self._link.closed):
            raise ValueError("this client is connected or about to connect: disconnect() it first")
        self._stop_reconnecting()
        await self._connect(arguments)

    async def wait(self) -> None:
        """Wait until the connection has ended, its disconnect handler has returned, and nothing will connect again.

        Returns at once in a handler of ``disconnect`` or ``connect_error``, for whose return it would have to wait.
        """
        if asyncio.current_task() in self._ending:
            return
        while self._link is not None or self._attempt is not None or self._reconnecting is not None:
            if self._over is None or self._over.done():
                self._over = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._over)

    async def send(self, data: Any) -> None:
        """Send a message: ``str``, ``bytes``, ``dict`` or ``list``. On websocket it waits while the server does not read.

        Raises :class:`~engineio_green.exceptions.NotConnectedError`, :class:`~engineio_green.exceptions.MessageSizeError`
        for a message that the server would refuse, ``UnicodeEncodeError`` for text that UTF-8 can't carry.
        """
        if self._link is None:
            raise NotConnectedError("the client is not connected: connect() first")
        await self._link.send(encode_message(data, self._json))

    async def disconnect(self, abort: bool = False) -> None:
        """End the connection, after what was sent before has been delivered; the disconnect handler has returned then.

        With *abort*, what has not been sent yet is lost and nothing is waited for. Also stops a :meth:`connect` that is under
        way in another task, and connecting again. Does nothing for a client that is not connected.
        """
        self._stop_reconnecting()
        if self._attempt is not None and self._attempt is not asyncio.current_task():
            self._attempt.cancel()
        if self._link is None:
            self.state = "disconnected"
            self._tell_over()
            return
        if not self._link.closed:
            self.state = "disconnecting"
        await self._link.disconnect(abort)

    def transport(self) -> str | None:
        """Return ``'polling'`` or ``'websocket'``: the current transport, or that of the last connection."""
        return self._link.session.transport if self._link is not None else self._transport

    current_transport = property(transport)

    # --- connecting ----------------------------------------------------------------------------------------------------

    async def _connect(self, arguments: Any) -> None:
        target, headers, order = arguments
        self._attempt = asyncio.current_task()
        self.state = "connecting"
        owned = self._http_session is None
        http = aiohttp.ClientSession() if self._http_session is None else self._http_session
        options: dict[str, Any] = {"headers": headers} if headers else {}
        if not self._ssl_verify:
            options["ssl"] = False
        link = ClientLink(
            self,
            http,
            owned,
            target,
            options,
            self._websocket_options,
            self._json,
            self._request_timeout,
            self._timestamp_requests,
        )
        try:
            await link.open(order[0])
        except BaseException:
            self._attempt = None
            self.state = "disconnected"
            self._tell_over()
            raise
        link.arguments = arguments
        self._attempt = None
        self._link = link
        self.state = "connected"
        if self._handle_sigint:
            interrupt.add(self)
        self.logger.info("connected to %s by %s, sid %s", target.address, order[0], short(link.session.sid))
        await self._call("connect")
        await link.begin("websocket" in order)

    def _stop_reconnecting(self) -> None:
        self._returns = False
        task, self._reconnecting = self._reconnecting, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _tell_over(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    # --- what a link tells ---------------------------------------------------------------------------------------------

    def deliver(self, data: Data) -> None:
        """A message has come: run its handler."""
        handler = self.handlers.get("message")
        if handler is None:
            return
        try:
            result = handler(data)
        except Exception:
            self.logger.exception("the message handler failed")
            return
        if inspect.isawaitable(result):
            self._tasks.start(self._guard(result))

    async def _guard(self, handler: Any) -> None:
        try:
            await handler
        except Exception:
            self.logger.exception("the message handler failed")

    async def on_link_closed(self, link: ClientLink, closed: Closed) -> None:
        """The connection has ended: run the handler, then connect again if that is wanted."""
        interrupt.discard(self)
        self.logger.info("disconnected: %s %s", closed.reason, closed.detail)
        self._returns = self._link is link and may_return(closed.reason) and self._backoff is not None
        if self._link is link and closed.reason not in LOSSES:
            self.state = "disconnecting"
        await self._call("disconnect", closed.reason)
        if self._link is link:
            self._transport = link.session.transport
            self._link = None
            self.state = "disconnected"
            if self._returns:
                self._reconnecting = self._tasks.start(self._connect_again(link.arguments))
        self._tell_over()

    async def _call(self, event: str, *arguments: Any) -> None:
        handler = self.handlers.get(event)
        if handler is None:
            return
        ending = [] if event == "connect" else self._ending
        ending.append(asyncio.current_task())
        try:
            result = handler() if event == "disconnect" and not takes(handler, 1) else handler(*arguments)
            if inspect.isawaitable(result):
                await result
        except Exception:
            self.logger.exception("the %s handler failed", event)
        finally:
            ending.remove(asyncio.current_task())

    async def _connect_again(self, arguments: Any) -> None:
        """Try until it succeeds, the attempts are used up, or somebody calls connect() or disconnect()."""
        assert self._backoff is not None
        number = 1
        try:
            while (delay := self._backoff.delay(number, random.random())) is not None:
                await asyncio.sleep(delay)
                try:
                    await self._connect(arguments)
                    return
                except ConnectionError as exc:
                    self.logger.info("attempt %d to connect again failed: %s", number, exc)
                    await self._call("connect_error", exc)
                number += 1
        finally:
            if self._reconnecting is asyncio.current_task():
                self._reconnecting = None
            self._tell_over()
