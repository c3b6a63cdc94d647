"""The clients of a server and all that is done with them without waiting: for the shells that block and for asyncio alike.

Owns the links by session id, the counts, the limits on who comes in, and the steps of a request before and after each wait.
Must not know WSGI, ASGI or any framework, nor wait for anything. Decides nothing about the protocol.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from engineio_green.application import Application, Environ
from engineio_green.clock import Clock
from engineio_green.core import request as ask
from engineio_green.core import response as answer
from engineio_green.core.admission import Admission
from engineio_green.core.callables import takes
from engineio_green.core.handlers import register
from engineio_green.core.request import Refusal, Request, client_address
from engineio_green.core.response import Response
from engineio_green.core.session import OPEN, Closed, Reason, Session
from engineio_green.core.settings import OPTION_NAMES, Settings
from engineio_green.drivers.base import Model, Wakeup, clock
from engineio_green.exceptions import PacketError
from engineio_green.packet import Frame
from engineio_green.socketio.attributes import Instrumented, OptionAttributes
from engineio_green.websocket import handshake
from engineio_green.websocket.stream import Stream

if TYPE_CHECKING:
    from engineio_green.link import Link
    from engineio_green.websocket.channel import Channel

EVENTS = ("connect", "message", "disconnect", "upgrade", "drain", "packet", "connection_error")


LOGGER = "engineio_green.server"


class Held(NamedTuple):
    """A poll that has no answer yet: what it waits on, and for how many seconds at most."""

    wakeup: Wakeup
    seconds: float | None


class Registry(Application, OptionAttributes, Instrumented):
    """What every server has. A subclass sets ``driver`` and ``link_class``, and puts the waits between the steps."""

    reason = Reason
    driver: Model
    link_class: type[Link]

    def __init__(self, settings: Settings, logger: Any) -> None:
        super().__init__(settings, logger)
        self._clock = Clock()
        self.drops, self.patient = settings.overflow == "drop", settings.overflow == "block"
        self.sockets: dict[str, Link] = {}
        self._sessions: dict[str, Session] = {}
        self._admission = Admission(settings)
        self._counts: Counter[str] = Counter()
        self._lock: Any = None  # guards the admission and the counts
        deflate = settings.per_message_deflate
        self._deflate = None if deflate is None else handshake.deflate_factory(deflate)
        self._debug = logger.isEnabledFor(logging.DEBUG)

    def use(self, driver: Model) -> None:
        """Take *driver* as the server's concurrency model; only before the first client."""
        self.driver = driver
        self._clock.use(driver)
        self._lock = driver.create_lock()

    def _warn_of_unknown(self, options: Mapping[str, Any]) -> None:
        for name in sorted(set(options) - OPTION_NAMES):
            self.logger.warning("unknown option %r is ignored; known are %s", name, ", ".join(sorted(OPTION_NAMES)))

    # --- the API that needs no waiting ---------------------------------------------------------------------------------

    @property
    def async_mode(self) -> str:
        return self.driver.name

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register *handler* for an event; without it, act as a decorator.

        - ``connect(sid, environ)``: what it returns but ``None`` and ``True``, and an exception, rejects with 401.
        - ``message(sid, data)``: ``str``, ``bytes``, ``dict`` or ``list``.
        - ``disconnect(sid)`` or ``disconnect(sid, reason)``.
        - ``upgrade(sid)``: the client is on websocket now. ``drain(sid)``: nothing waits for it any more.
        - ``packet(sid, packet)``: every packet received. ``connection_error(code, message, context)``: a request refused.

        Raises ``ValueError`` for an unknown event and for a handler that can't be called.
        """
        registered = register(self.handlers, EVENTS, event, handler)
        self.tap = self.tap or event == "packet"
        return registered

    def generate_id(self) -> str:
        """Return a new session id: 120 random bits in 20 characters. To be overridden by who wants others."""
        return secrets.token_urlsafe(15)

    def transport(self, sid: str) -> str:
        """Return ``'polling'`` or ``'websocket'``. Raises ``KeyError``."""
        return self._get_socket(sid).session.transport

    def _get_user_session(self, sid: str) -> dict[str, Any]:
        link = self._get_socket(sid)
        if link.user_session is None:
            link.user_session = {}
        return link.user_session

    def _get_socket(self, sid: str) -> Link:
        return self.sockets[sid]

    def stats(self) -> dict[str, Any]:
        """Return counts: ``sessions``, of these ``polling``, ``websocket``, ``upgrading``; ``buffered_bytes``; and since the
        start ``opened``, ``refused`` by code, ``closed`` by reason."""
        links = list(self.sockets.values())
        with self._lock:
            counts = dict(self._counts)
        transports = Counter(link.session.transport for link in links)
        return {
            "sessions": len(links),
            "polling": transports["polling"],
            "websocket": transports["websocket"],
            "upgrading": sum(link.session.upgrading for link in links),
            "buffered_bytes": sum(link.buffered for link in links),
            "opened": counts.pop("opened", 0),
            "refused": {int(key[8:]): value for key, value in counts.items() if key.startswith("refused ")},
            "closed": {key[7:]: value for key, value in counts.items() if key.startswith("closed ")},
        }

    def clients(self) -> list[dict[str, Any]]:
        """Return a record of each client: ``sid``, ``transport``, ``upgraded``, ``address``, ``seconds`` (connected for),
        ``buffered_bytes``."""
        moment = clock()
        return [
            {
                "sid": link.sid,
                "transport": link.session.transport,
                "upgraded": link.session.upgraded,
                "address": link.address,
                "seconds": moment - link.connected_at,
                "buffered_bytes": link.buffered,
            }
            for link in list(self.sockets.values())
            if link.session.state == OPEN
        ]

    # --- coming in -----------------------------------------------------------------------------------------------------

    def _decide(self, request: Request, environ: Environ) -> tuple[ask.Decision, Link | None]:
        """Return what the request asks for, and the client that it is about. A client that is not this request's is unknown to
        it, and can't be ended by it either; a server that drains opens no session."""
        decision = ask.decide(request, self.settings, self._sessions)
        if isinstance(decision, ask.Connect):
            return ask.shutting_down() if self._admission.draining else decision, None
        session = decision.close if isinstance(decision, Refusal) else getattr(decision, "session", None)
        if session is None:
            return decision, None
        link = self.sockets.get(session.sid)
        if link is None or not self.is_bound(link.binding, environ):
            return Refusal(1, {"sid": request.sid}), None
        return decision, link

    def _enter(self, environ: Environ) -> Refusal | None:
        """Ask the limits whether a session may be opened; it is counted from here on."""
        with self._lock:
            option = self._admission.try_enter(client_address(environ, self.settings), clock())
        return None if option is None else ask.full(option)

    def _leave(self, address: str) -> None:
        with self._lock:
            self._admission.leave(address)

    def _create_link(self, transport: str, environ: Environ) -> Link:
        """Make a session, which nobody can use before :meth:`_end_opening`."""
        address = client_address(environ, self.settings)
        try:
            sid = self.generate_id()
            session = Session(sid, self.settings, transport)
            link = self._link_class_now()(self, session, self.driver.create_lock(), address)
            if self.settings.bind_session is not None:
                link.binding = self.settings.bind_session(environ)
        except BaseException:  # the application's functions: the place that was taken is free again
            self._leave(address)
            raise
        self.sockets[sid], self._sessions[sid] = link, session
        return link

    def _begin_opening(self, link: Link) -> None:
        with link.lock:
            link.session.begin_opening(clock())
        self.schedule(link)

    def _end_opening(self, link: Link, verdict: Any) -> Any:
        """Take the connect handler's answer. Returns ``None``, or the value that the client is rejected with."""
        with link.lock:
            if not link.session.end_opening():
                verdict = False  # disconnected by its own connect handler, or meanwhile, or it took too long
        if verdict is None or verdict is True:
            with self._lock:
                self._counts["opened"] += 1
            return None
        with link.lock:
            link.session.close(Reason.SERVER_DISCONNECT)
            link.session.take_closed()
        self._forget(link)
        return verdict

    def _accept_polling(self, link: Link, request: Request, can_upgrade: bool) -> Response:
        try:
            extra = answer.cookie_headers(link.sid, request, self.settings)
            with link.lock:
                link.session.accept(clock(), can_upgrade)
                frames = link.session.take_frames()
        except BaseException:
            self.abandon(link, Reason.TRANSPORT_ERROR)
            raise
        link.settle()
        self.schedule(link)
        return self._payload_response(link, frames, request, extra)

    def _accept_websocket(self, link: Link, connection: Channel) -> None:
        """The websocket is there: what waits for its client goes out."""
        with link.lock:
            link.websocket = connection
            link.session.accept(clock(), can_upgrade=False)
            link.flush_locked()
            if link.session.gone:
                connection.close_locked(1000)
                self.schedule_close(connection)
        link.settle()
        self.schedule(link)

    def _put_on_probation(self, link: Link, connection: Channel, stale: bool) -> None:
        with link.lock:
            if not stale and link.session.begin_upgrade(clock()):
                link.probing = connection
            else:
                connection.close_locked(1000)
                self.schedule_close(connection)
        self.schedule(link)

    def make_stream(self, environ: Environ, headers: list[tuple[str, str]], answered: bool = False) -> tuple[bytes, Stream]:
        """Return the 101 with *headers*, and the websocket behind it; no 101 where somebody has *answered* already."""
        extension = None
        negotiated = None
        if self._deflate is not None and not answered:
            negotiated = handshake.negotiate_deflate(environ, self._deflate)
        if negotiated is not None:
            headers = [*headers, ("Sec-WebSocket-Extensions", negotiated[0])]
            extension = negotiated[1]
        head = b"" if answered else handshake.accept_response(environ, headers)
        deflate = self.settings.per_message_deflate
        return head, Stream(self.settings.max_http_buffer_size, extension, 0 if deflate is None else deflate.threshold)

    # --- the steps of a poll and of a POST -----------------------------------------------------------------------------

    def _begin_poll(self, link: Link, request: Request) -> Response | Held:
        """Return the answer, or what to wait for before :meth:`_end_poll`."""
        try:
            with link.lock:
                frames = link.session.begin_poll(clock())
                if frames is None:
                    link.wakeup = self.driver.create_wakeup()
                    return Held(link.wakeup, link.session.poll_seconds())
                link.on_drained_locked()
        except PacketError as exc:
            link.settle()
            return self._refuse(ask.bad_request("POLL_REFUSED", detail=str(exc)), request)
        link.settle()
        return self._payload_response(link, frames, request)

    def _end_poll(self, link: Link, request: Request) -> Response:
        with link.lock:
            link.wakeup = None
            frames = link.session.end_poll()
            link.on_drained_locked()
        link.settle()
        return self._payload_response(link, frames, request)

    def _payload_response(
        self, link: Link, frames: list[Frame], request: Request, extra: answer.Headers | None = None
    ) -> Response:
        link.on_polled(frames)
        return answer.payload_response(frames, request, self.settings, extra)

    def _begin_post(self, link: Link, request: Request, source: Any = None) -> Response | None:
        """Return the refusal, if the body is not to be read. *source*: the socket that it is read from, if that blocks."""
        try:
            with link.lock:
                link.session.begin_post()
                link.reading_from = source
        except PacketError as exc:
            link.settle()
            return self._refuse(ask.bad_request("PAYLOAD_REFUSED", detail=str(exc)), request)
        return None

    def _take_body(self, link: Link, request: Request, body: bytes | None) -> tuple[Response | None, Wakeup | None]:
        """Take a POST's body in. Returns the refusal, if it is one, and what the answer must wait for, if anything."""
        session = link.session
        if body is not None and len(body) > self.settings.max_http_buffer_size:
            return self._refuse(ask.bad_request("PAYLOAD_TOO_LARGE", close=session, status=413), request), None
        try:
            with link.lock:
                messages = session.receive_payload(ask.post_body(body, request), link.packet_notice if self.tap else None)
                return None, link.enqueue_locked(messages) if messages else None
        except PacketError as exc:
            link.settle()
            refusal = ask.bad_request("PAYLOAD_REFUSED", detail=str(exc))
            refusal.body_read = body is not None
            return self._refuse(refusal, request), None

    def _end_post(self, link: Link) -> None:
        with link.lock:
            link.session.finish_post()
        link.settle()

    def _refuse(self, refusal: Refusal, request: Request) -> Response:
        if self._debug:
            self.logger.debug("refused: %s %.300r", refusal.message, refusal.context)
        with self._lock:
            self._counts[f"refused {refusal.code}"] += 1
        if refusal.close is not None:
            link = self.sockets.get(refusal.close.sid)
            if link is not None:
                with link.lock:
                    link.session.close(Reason.TRANSPORT_ERROR, detail=refusal.context.get("name", ""))
                link.settle()
        if "connection_error" in self.handlers:
            self.trigger("connection_error", refusal.code, refusal.message, {**refusal.context, "environ": request.headers})
        return answer.refusal_response(refusal, request, self.settings)

    # --- going out -----------------------------------------------------------------------------------------------------

    def tell_closed(self, link: Link, closed: Closed) -> Any:
        """Tell the application that a client is gone, then forget it."""
        raise NotImplementedError

    def part_with(self, link: Link, code: int = 1000, detail: str = "") -> None:
        """Disconnect a client, after what was sent before; *code* and *detail* are for a websocket's close frame."""
        with link.lock:
            link.session.disconnect(clock(), code, detail)
            link.flush_locked()
        link.settle()
        self.schedule(link)

    def abandon(self, link: Link, reason: str) -> None:
        """End a session at once: nothing more can be sent to its client."""
        with link.lock:
            link.session.close(reason)
        link.settle()

    def give_up_opening(self, link: Link) -> None:
        """The connect handler has not come back in time: its client is not let in."""
        self.logger.warning("a connect handler took longer than connect_timeout=%g s", self.settings.connect_timeout)
        self._forget(link)

    def _tell_disconnect(self, link: Link, closed: Closed) -> Any:
        """Count the end of a session, and call the application's handler in its short or its long form."""
        if self._debug:
            self.logger.debug("%s: %s %s", link.sid, closed.reason, closed.detail)
        with self._lock:
            self._counts[f"closed {closed.reason}"] += 1
        handler = self.handlers.get("disconnect")
        if handler is None:
            return None
        return self.trigger("disconnect", *(link.sid, closed.reason)[: 2 if takes(handler, 2) else 1])

    def _forget(self, link: Link) -> None:
        with link.lock:
            self.forget_deadline_locked(link)
        if self.sockets.pop(link.sid, None) is not None:
            self._sessions.pop(link.sid, None)
            self._leave(link.address)

    def refuse_handshakes(self) -> None:
        """Let nobody in any more: the answer is a 503."""
        self._admission.draining = True

    # --- time ----------------------------------------------------------------------------------------------------------

    def schedule(self, link: Link) -> None:
        """Put the session's next moment on the clock, in place of the one that is there."""
        with link.lock:
            self.forget_deadline_locked(link)
            when = link.session.next_moment()
            if when is not None:
                link.deadline = self._clock.add(when, link)

    def forget_deadline_locked(self, link: Link) -> None:
        entry, link.deadline = link.deadline, None
        if entry is not None:
            self._clock.cancel(entry)

    def schedule_close(self, connection: Channel) -> None:
        """Give the peer of a closing websocket its time to answer."""
        if not connection.closed:
            self._clock.add(clock() + self.settings.close_timeout, connection)
