"""The asyncio server as applications see it.

Owns the API that waits or sends, which is that of the compatible Python implementation, with what this package adds. The
rest of the API is in ``registry.py``; the requests are answered in ``serving.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from engineio_green.aio import on_asgi
from engineio_green.aio.driver import AsyncDriver
from engineio_green.aio.helpers import Helpers
from engineio_green.aio.modes import choose_mode, load_mode
from engineio_green.aio.serving import AsyncServing
from engineio_green.core.settings import make_settings
from engineio_green.draining import PAUSE_SECONDS, Farewell
from engineio_green.link import Link
from engineio_green.logs import make_logger
from engineio_green.packet import Frame, Packet, encode_message
from engineio_green.registry import LOGGER
from engineio_green.websocket.stream import encode_frame


class AsyncServer(AsyncServing, Helpers):
    """An Engine.IO server for asyncio.

    :param async_mode: ``"aiohttp"``, ``"sanic"``, ``"tornado"`` or ``"asgi"``; ``None`` chooses the first that is installed.
    :param logger: ``True`` logs to stderr, or a logger; ``False`` leaves only errors.
    :param options: see :class:`engineio_green.core.settings.Settings` for each with its unit and default. Functions among
        them may not be coroutine functions, but for ``allow_request``.

    Handlers may be functions, which are called in place, or coroutine functions. Every method must be called on the event
    loop that serves the requests; from other threads use ``asyncio.run_coroutine_threadsafe``. Source: the documented API.
    """

    def __init__(self, async_mode: str | None = None, *, logger: Any = False, **options: Any) -> None:
        super().__init__(make_settings(options), make_logger(logger, LOGGER))
        self.given_options = options
        name, self._framework = (async_mode, load_mode(async_mode)) if async_mode else choose_mode()
        self.use(AsyncDriver(name, self._clock))
        self._warn_of_unknown(options)
        self.logger.info("async_mode %s; transports %s", name, ", ".join(self.settings.transports))

    def attach(self, app: Any, engineio_path: str = "engine.io") -> None:
        """Let *app*, an application of aiohttp or Sanic, give the requests below *engineio_path* to this server.

        Raises :class:`DriverError` in the other modes, which are attached in their own ways.
        """
        self._framework.attach(self, app, f"/{engineio_path.strip('/')}")

    async def handle_request(self, *args: Any) -> Any:
        """Answer one request: the entry point. Arguments and result are those of the framework: ``scope, receive, send`` on
        ASGI, the request on aiohttp and Sanic, the handler on Tornado."""
        if len(args) == 3:  # scope, receive, send: whatever mode was named, this is ASGI
            return await on_asgi.handle_request(self, *args)
        return await self._framework.handle_request(self, *args)

    async def send(self, sid: str, data: Any) -> None:
        """Send a message: ``str``, ``bytes``, ``dict`` or ``list``. Does nothing for a client that is gone.

        Waits only with ``overflow="block"``. Raises ``UnicodeEncodeError`` for text that UTF-8 can't carry.
        """
        link = self.sockets.get(sid)
        if link is None:
            if self._debug:
                self.logger.debug("%s: send to a client that is gone", sid)
            return
        frame = encode_message(data, self.settings.json)
        if self.patient:
            await self._send_patiently(link, frame)
        else:
            link.send(frame)

    async def send_packet(self, sid: str, pkt: Packet) -> None:
        """Send a raw packet. One packet may go to any number of clients on either transport."""
        link = self.sockets.get(sid)
        if link is None:
            return
        frame = pkt.frame(self.settings.json)
        if self.patient:
            await self._send_patiently(link, frame)
            return
        if pkt.wire is None:
            pkt.wire = encode_frame(frame)
        link.send(frame, pkt.wire)

    async def broadcast(
        self, data: Any, sids: Iterable[str] | None = None, skip: str | Iterable[str] | None = None
    ) -> int:
        """Send a message to many: all clients or *sids*, but those in *skip*. It is encoded once.

        Returns how many took it. Waits only with ``overflow="block"``.
        """
        frame = encode_message(data, self.settings.json)
        wire = encode_frame(frame)
        left_out = {skip} if isinstance(skip, str) else set(skip or ())
        taken = 0
        for sid in list(self.sockets) if sids is None else sids:
            link = self.sockets.get(sid)
            if link is not None and sid not in left_out:
                taken += await self._send_patiently(link, frame) if self.patient else link.send(frame, wire)
        return taken

    async def _send_patiently(self, link: Link, frame: Frame) -> bool:
        """Send *frame*, and wait for room behind it."""
        sent, wakeup = link.begin_send(frame)
        if wakeup is not None:
            await wakeup.wait(None)
            sent = not link.session.gone
        return sent

    async def get_session(self, sid: str) -> dict[str, Any]:
        """Return the user session of a client: a dictionary of the application's own. Raises ``KeyError``."""
        return self._get_user_session(sid)

    async def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Replace the user session of a client. Raises ``KeyError``."""
        self._get_socket(sid).user_session = session

    @asynccontextmanager
    async def session(self, sid: str) -> AsyncIterator[dict[str, Any]]:
        """Give the user session for an ``async with`` block, and save it at its end."""
        session = self._get_user_session(sid)
        yield session
        self._get_socket(sid).user_session = session

    async def disconnect(self, sid: str | None = None) -> None:
        """Disconnect one client, or all. What was sent before is delivered first. Does nothing for one that is gone."""
        links = list(self.sockets.values()) if sid is None else [self.sockets.get(sid)]
        for link in links:
            if link is not None:
                self.part_with(link)

    async def drain(self, timeout: float = 25, spread: float = 5) -> int:
        """Let the clients go, before this process ends. Returns when all have left; see :meth:`Server.drain`.

        :param timeout: seconds after which those that are still there are cut off.
        :param spread: seconds over which they are told, at random moments, so that they don't all come back at once.
        :return: how many had to be cut off.
        """
        farewell = Farewell([self], timeout, spread)
        while farewell.go_on():
            await asyncio.sleep(PAUSE_SECONDS)
        return farewell.cut_off()

    async def shutdown(self) -> None:
        """Stop background activity. To be called before the web server stops, after :meth:`drain` for a clean end."""
        self.driver.stop_clock()
