"""One connection of an asyncio client, from the handshake to the end: its session and its tasks.

Owns the tasks: one reads (it waits for the websocket, or in the held GET), on polling a second one posts while there is
something to post, and during an upgrade one more makes the websocket. Must not know the application: it tells its owner.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from yarl import URL

from engineio_green.client.clock import clock
from engineio_green.client.errors import explain
from engineio_green.core.client_request import Target, refusal
from engineio_green.core.client_session import END, LAST_WORDS_SECONDS, POLL, READ, WAIT, ClientSession
from engineio_green.core.session import CLOSED, OPEN, Closed, Reason
from engineio_green.exceptions import ConnectionError, PacketError
from engineio_green.packet import Data, Frame, JsonModule

if TYPE_CHECKING:
    WebSocket = aiohttp.ClientWebSocketResponse[bool]

# connect() waits for the upgrade as long as the handshake took, a round trip at least, but not less than this.
UPGRADE_WAIT_SECONDS = 0.05


class Owner(Protocol):
    """Who is told."""

    logger: Any

    def deliver(self, data: Data) -> None:
        """A message has come. Never raises."""

    async def on_link_closed(self, link: ClientLink, closed: Closed) -> None:
        """The connection has ended: called once, for a connection that had been begun."""


class ClientLink:
    """See the module's text.

    :param http: aiohttp's session; it is closed with the connection if it is *owned*.
    :param options: keyword arguments of aiohttp for the requests of both transports.
    :param websocket_options: what the user adds to those of the websocket.
    :param timeout: seconds for an answer, ``None``: no limit.
    """

    def __init__(
        self,
        owner: Owner,
        http: aiohttp.ClientSession,
        owned: bool,
        target: Target,
        options: dict[str, Any],
        websocket_options: Mapping[str, Any],
        json: JsonModule,
        timeout: float | None,
        stamp: bool,
    ) -> None:
        self.session = ClientSession(json)
        self.arguments: Any = None
        """The owner's: what to connect with again."""
        self._owner = owner
        self._http = http
        self._owned = owned
        self._target = target
        self._options = options
        self._websocket_options = websocket_options
        self._timeout = timeout
        self._stamp = stamp
        self._first: list[Data] = []
        self._ws: WebSocket | None = None
        self._writing = asyncio.Lock()  # the order on the websocket is the order of the sends
        self._changed = asyncio.Condition()
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._silence: asyncio.TimerHandle | None = None
        self._opened_in = 0.0

    @property
    def closed(self) -> bool:
        return self.session.state == CLOSED

    # --- opening -------------------------------------------------------------------------------------------------------

    async def open(self, transport: str) -> None:
        """Shake hands with the server. Raises :class:`ConnectionError`."""
        began = clock()
        try:
            if transport == "polling":
                self._first = self.session.open_payload(await self._request("GET", None, self._timeout), clock())
            else:
                self._ws = await self._connect_websocket()
                self.session.open(await self._receive_first(self._ws), "websocket", clock())
        except PacketError as exc:
            await self.discard()
            raise ConnectionError(f"the server does not speak Engine.IO, revision 4: {exc}", kind="protocol") from None
        except BaseException:
            await self.discard()
            raise
        self._opened_in = clock() - began

    async def _receive_first(self, ws: WebSocket) -> Any:
        try:
            message = await ws.receive(self._timeout)
        except asyncio.TimeoutError:
            raise ConnectionError("the server gave no open packet in time (request_timeout)", kind="timeout") from None
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            raise ConnectionError("the server gave no open packet: it closed the websocket", kind="unreachable")
        return message.data

    async def _connect_websocket(self) -> WebSocket:
        url = self._target.url("websocket", self.session.sid, self._new_stamp(), websocket=True)
        options = {"max_msg_size": 0, **self._options, **self._websocket_options}

        async def shake_hands() -> WebSocket:
            return await self._http.ws_connect(URL(url, encoded=True), **options)

        try:
            return await asyncio.wait_for(shake_hands(), self._timeout)
        except aiohttp.WSServerHandshakeError as exc:
            raise refusal(exc.status, b"") from None
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            raise self._explain(exc) from None

    async def _request(self, method: str, body: bytes | None, timeout: float | None) -> bytes:
        url = URL(self._target.url("polling", self.session.sid, self._new_stamp()), encoded=True)
        options = dict(self._options)
        if body is not None:
            options["headers"] = {**options.get("headers", {}), "Content-Type": "text/plain;charset=UTF-8"}
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._http.request(method, url, data=body, timeout=limit, **options) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            raise self._explain(exc) from None
        if not 200 <= answer.status < 300:
            raise refusal(answer.status, content)
        return content

    def _explain(self, error: BaseException) -> ConnectionError:
        return explain(getattr(error, "certificate_error", error), self._target.address)

    def _new_stamp(self) -> str:
        return f"{time.time():.6f}" if self._stamp else ""

    async def discard(self) -> None:
        """Let go of what there is of a connection."""
        if self._ws is not None:
            await self._ws.close()
        if self._owned:
            await self._http.close()

    async def begin(self, upgrade: bool) -> None:
        """The connect handler is back: read, and with *upgrade* try for a websocket, for which this waits a little."""
        self._look()
        self._start("reader", self._run())
        self.flush()  # a pong, if a ping came with the open packet
        if upgrade and self.session.can_upgrade:
            task = self._start("upgrade", self._upgrade())
            await asyncio.wait([task], timeout=max(self._opened_in, UPGRADE_WAIT_SECONDS))

    def _start(self, name: str, coroutine: Any) -> asyncio.Task[Any]:
        task = self._tasks[name] = asyncio.get_running_loop().create_task(coroutine)
        return task

    def _runs(self, name: str) -> bool:
        return name in self._tasks and not self._tasks[name].done()

    # --- reading -------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Read and deliver until the session ends, then tell the owner."""
        session = self.session
        self._deliver(self._first)
        try:
            while (step := session.next_step()) != END:
                if step == READ:
                    await self._read()
                elif step == POLL:
                    await self._poll()
                else:
                    await self._wait_for(lambda: session.next_step() != WAIT, None)
        except asyncio.CancelledError:  # the loop is being ended under our hands
            session.close(Reason.TRANSPORT_CLOSE)
            raise
        finally:
            await self._settle()

    def _deliver(self, messages: list[Data]) -> None:
        for data in messages:
            self._owner.deliver(data)

    async def _read(self) -> None:
        """Read one message of the websocket."""
        assert self._ws is not None
        message = await self._ws.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            self._deliver(self.session.receive((message.data,), clock()))
            if self.session.outbox:
                await self._write_websocket()
        elif message.type == aiohttp.WSMsgType.ERROR:
            self.session.close(Reason.TRANSPORT_ERROR, detail=str(message.data))
        else:
            self.session.close(Reason.TRANSPORT_CLOSE, detail="the websocket was closed")

    async def _poll(self) -> None:
        """Send one GET."""
        session = self.session
        if not session.begin_poll():
            return
        task = self._start("poll", self._request("GET", None, session.patience))
        messages: list[Data] = []
        try:
            messages = session.end_poll(await task, clock())
        except ConnectionError as exc:
            session.polling = False
            self._fail(exc)
        except asyncio.CancelledError:
            session.polling = False
            if not self.closed:
                raise
        await self._tell_changed()
        self._deliver(messages)
        self.flush()

    def _fail(self, failure: ConnectionError) -> None:
        reason = Reason.PING_TIMEOUT if failure.kind == "timeout" else Reason.TRANSPORT_ERROR
        self.session.close(reason, detail=str(failure))

    def _look(self) -> None:
        """Find out from time to time whether the server is silent for too long."""
        if not self.session.tick(clock()):
            self._wake_reader()
            return
        self._silence = asyncio.get_running_loop().call_later(self.session.look_in(clock()), self._look)

    def _wake_reader(self) -> None:
        """The session has ended under the reader's hands: make it see that."""
        if self.session.transport == "websocket" and self._ws is not None:
            if not self._runs("closing"):
                self._start("closing", self._ws.close())
        elif self._runs("poll"):
            self._tasks["poll"].cancel()

    # --- sending -------------------------------------------------------------------------------------------------------

    async def send(self, frame: Frame) -> None:
        """Send *frame*; on websocket wait while the server does not read. Raises what the session raises."""
        try:
            self.session.send(frame, clock())
        finally:
            if self.closed:
                self._wake_reader()
        if self.session.transport == "websocket":
            await self._write_websocket()
        else:
            self.flush()

    def flush(self) -> None:
        """Let go out what waits, beside whatever runs."""
        if self.session.transport == "websocket":
            if self.session.outbox and not self._runs("writer"):
                self._start("writer", self._write_websocket())
        elif self.session.wants_post and not self._runs("writer"):
            self._start("writer", self._post())

    async def _write_websocket(self) -> None:
        ws = self._ws
        assert ws is not None
        async with self._writing:
            try:
                for frame in self.session.take_frames():
                    await (ws.send_str(frame) if isinstance(frame, str) else ws.send_bytes(frame))
            except (ConnectionResetError, OSError, aiohttp.ClientError) as exc:
                if self.session.close(Reason.TRANSPORT_CLOSE, detail=str(exc)) is not None:
                    self._wake_reader()

    async def _post(self) -> None:
        session = self.session
        while (body := session.begin_post()) is not None:
            try:
                await self._request("POST", body, self._timeout)
            except ConnectionError as exc:
                await self._wait_for(lambda: session.state != OPEN, LAST_WORDS_SECONDS)
                self._fail(exc)
                self._wake_reader()
            finally:
                session.end_post()
            await self._tell_changed()

    # --- upgrade -------------------------------------------------------------------------------------------------------

    async def _upgrade(self) -> None:
        """Make a websocket and move the session to it; polling goes on until then, and after a failure."""
        session, ws, done, failure = self.session, None, False, "the server said no"
        try:
            ws = await self._connect_websocket()
            done = await self._probe(ws)
        except (ConnectionError, OSError, aiohttp.ClientError, asyncio.TimeoutError) as exc:
            failure = str(exc) or exc.__class__.__name__
        finally:
            if not done:
                session.end_upgrade()
                if ws is not None:
                    await ws.close()
        await self._tell_changed()
        if done:
            self._owner.logger.info("upgraded to websocket")
            await self._write_websocket()
            return
        self._owner.logger.info("the upgrade to websocket failed, polling goes on: %s", failure)
        self.flush()

    async def _probe(self, ws: WebSocket) -> bool:
        """Return whether the websocket is the transport now."""
        session = self.session
        probe = session.begin_upgrade()
        if not isinstance(probe, str):
            return False
        await ws.send_str(probe)
        answer = await ws.receive(self._timeout)
        if answer.type != aiohttp.WSMsgType.TEXT or not session.receive_probe(answer.data):
            return False
        # The server ends a held GET as soon as it has seen the probe.
        await self._wait_for(lambda: session.quiet or session.state != OPEN, self._timeout)
        if not session.complete_upgrade(clock()):
            return False
        self._ws = ws
        return True

    # --- the end -------------------------------------------------------------------------------------------------------

    async def disconnect(self, abort: bool) -> None:
        """End the connection: what was sent goes out first, unless *abort*; its end has been told then."""
        session = self.session
        if session.disconnect(abort):
            if session.transport == "polling":
                self.flush()
                if not abort:
                    await self._wait_for(lambda: session.drained or self.closed, self._timeout)
            elif not abort:
                await self._write_websocket()
                self._wake_reader()  # there are servers that know no goodbye but the websocket's own
                await self._wait_for(lambda: self.closed, self._timeout)
            elif not self._writing.locked():
                await self._write_websocket()
            session.close(Reason.CLIENT_DISCONNECT)
            self._wake_reader()
        reader = self._tasks.get("reader")
        if reader is not None and reader is not asyncio.current_task() and not reader.done() and not abort:
            await asyncio.wait([reader])

    async def _settle(self) -> None:
        """Called by the reader at the end."""
        if self._silence is not None:
            self._silence.cancel()
        await self._tell_changed()
        for name in ("poll", "upgrade"):
            if self._runs(name):
                self._tasks[name].cancel()
        others = [task for task in self._tasks.values() if task is not asyncio.current_task() and not task.done()]
        closed = self.session.take_closed()
        if others:
            # A server that says nothing any more will not say goodbye either.
            silent = closed is not None and closed.reason == Reason.PING_TIMEOUT
            _, late = await asyncio.wait(others, timeout=0 if silent else self._timeout)
            for task in late:
                task.cancel()
        await self.discard()
        if closed is not None:
            await self._owner.on_link_closed(self, closed)

    # --- waiting for one another ---------------------------------------------------------------------------------------

    async def _tell_changed(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _wait_for(self, condition: Any, timeout: float | None) -> None:
        """Return when *condition* is true, or after *timeout* seconds."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(condition), timeout)
            except asyncio.TimeoutError:
                pass
