"""The synchronous server: one method per kind of request, and the API that applications call.

Owns the clients and the handlers. Waits, calls the core, calls the application, writes; decides nothing about the protocol.
API: that of the compatible Python implementation.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from engineio_green.clock import Clock
from engineio_green.core import request as ask
from engineio_green.core import response as answer
from engineio_green.core.admission import Admission
from engineio_green.core.callables import takes
from engineio_green.core.request import Refusal, Request, client_address, decide
from engineio_green.core.response import Response
from engineio_green.core.session import OPEN, Closed, Reason, Session
from engineio_green.core.settings import OPTION_NAMES, make_settings
from engineio_green.drivers.base import clock
from engineio_green.drivers.choice import choose_driver, load_driver, misfit, model_around
from engineio_green.exceptions import DriverError, PacketError
from engineio_green.link import Link
from engineio_green.packet import Data, Frame, Packet, encode_message
from engineio_green.websocket import handshake, takeover
from engineio_green.websocket.connection import Connection
from engineio_green.websocket.stream import Stream, encode_frame

EVENTS = ("connect", "message", "disconnect", "upgrade", "drain", "packet", "connection_error")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_log = logging.getLogger("engineio_green.server")
_SWITCHED = [("Connection", "close"), ("Content-Length", "0")]  # for the server around us only; the client got ours


class Server:
    """An Engine.IO server.

    :param async_mode: ``"threading"``, ``"gevent"`` ...; ``None`` chooses the first that has what it needs.
    :param logger: ``True`` logs to stderr, or a logger; ``False`` leaves only errors.
    :param options: see :class:`engineio_green.core.settings.Settings` for each with its unit and default.

    Every method may be called from any thread unless it says otherwise. Source: the documented API.
    """

    reason = Reason

    def __init__(self, async_mode: str | None = None, *, logger: Any = False, **options: Any) -> None:
        self.settings = make_settings(options)
        self.logger = _make_logger(logger)
        self._chosen = async_mode is None
        self._clock = Clock()
        self.driver = (load_driver(async_mode) if async_mode else choose_driver())(self._clock)
        self._clock.use(self.driver)
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.tap = False  # somebody wants every packet
        self.sockets: dict[str, Link] = {}
        self._sessions: dict[str, Session] = {}
        self._admission = Admission(self.settings)
        self._counts: Counter[str] = Counter()
        self._lock = self.driver.create_lock()  # guards the admission and the counts
        self._met = False  # a request has come, so that the model is settled
        deflate = self.settings.per_message_deflate
        self._deflate = None if deflate is None else handshake.deflate_factory(deflate)
        self._debug = self.logger.isEnabledFor(logging.DEBUG)
        for name in sorted(set(options) - OPTION_NAMES):
            self.logger.warning("unknown option %r is ignored; known are %s", name, ", ".join(sorted(OPTION_NAMES)))

    # --- the application's side ----------------------------------------------------------------------------------------

    @property
    def async_mode(self) -> str:
        return self.driver.name

    @property
    def async_handlers(self) -> bool:
        return self.settings.async_handlers

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register *handler* for an event; without it, act as a decorator. Raises ``ValueError`` for an unknown event.

        - ``connect(sid, environ)``: what it returns but ``None`` and ``True``, and an exception, rejects with 401.
        - ``message(sid, data)``: ``str``, ``bytes``, ``dict`` or ``list``.
        - ``disconnect(sid)`` or ``disconnect(sid, reason)``.
        - ``upgrade(sid)``: the client is on websocket now. ``drain(sid)``: nothing waits for it any more.
        - ``packet(sid, packet)``: every packet received. ``connection_error(code, message, context)``: a request refused.
        """
        if event not in EVENTS:
            raise ValueError(f"there is no event {event!r}; there are {', '.join(EVENTS)}")

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self.handlers[event] = function
            self.tap = "packet" in self.handlers
            return function

        return register if handler is None else register(handler)

    def send(self, sid: str, data: Any) -> None:
        """Send a message: ``str``, ``bytes``, ``dict`` or ``list``. Does nothing for a client that is gone.

        Blocks only with ``overflow="block"``. Raises ``UnicodeEncodeError`` for text that UTF-8 can't carry.
        """
        link = self.sockets.get(sid)
        if link is None:
            if self._debug:
                self.logger.debug("%s: send to a client that is gone", sid)
            return
        self._put(link, encode_message(data, self.settings.json))

    def send_packet(self, sid: str, pkt: Packet) -> None:
        """Send a raw packet. One packet may go to any number of clients on either transport."""
        link = self.sockets.get(sid)
        if link is None:
            return
        frame = pkt.frame(self.settings.json)
        if self.settings.overflow == "block":
            link.send_patiently(frame)
            return
        if pkt.wire is None:
            pkt.wire = encode_frame(frame)
        link.send_shared(frame, pkt.wire)

    def broadcast(self, data: Any, sids: Iterable[str] | None = None, skip: str | Iterable[str] | None = None) -> int:
        """Send a message to many: all clients or *sids*, but those in *skip*. It is encoded once.

        Returns how many took it. Blocks only with ``overflow="block"``.
        """
        frame = encode_message(data, self.settings.json)
        wire = encode_frame(frame)
        left_out = {skip} if isinstance(skip, str) else set(skip or ())
        patient = self.settings.overflow == "block"
        taken = 0
        for sid in list(self.sockets) if sids is None else sids:
            link = self.sockets.get(sid)
            if link is not None and sid not in left_out:
                taken += link.send_patiently(frame) if patient else link.send_shared(frame, wire)
        return taken

    def _put(self, link: Link, frame: Frame) -> None:
        if self.settings.overflow == "block":
            link.send_patiently(frame)
        else:
            link.send(frame)

    def get_session(self, sid: str) -> dict[str, Any]:
        """Return the user session of a client: a dictionary of the application's own. Raises ``KeyError``."""
        link = self._get_socket(sid)
        if link.user_session is None:
            link.user_session = {}
        return link.user_session

    def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Replace the user session of a client. Raises ``KeyError``."""
        self._get_socket(sid).user_session = session

    @contextmanager
    def session(self, sid: str) -> Iterator[dict[str, Any]]:
        """Give the user session for a ``with`` block, and save it at its end."""
        session = self.get_session(sid)
        yield session
        self.save_session(sid, session)

    def transport(self, sid: str) -> str:
        """Return ``'polling'`` or ``'websocket'``. Raises ``KeyError``."""
        return self._get_socket(sid).session.transport

    def _get_socket(self, sid: str) -> Link:
        return self.sockets[sid]

    def disconnect(self, sid: str | None = None) -> None:
        """Disconnect one client, or all. What was sent before is delivered first. Does nothing for one that is gone."""
        links = list(self.sockets.values()) if sid is None else [self.sockets.get(sid)]
        for link in links:
            if link is None:
                continue
            with link.lock:
                link.session.disconnect(clock())
                link.flush_locked()
            link.settle()
            self._schedule(link)

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

    def shutdown(self) -> None:
        """Stop background activity. To be called before the web server stops."""
        self.driver.stop_clock()

    def generate_id(self) -> str:
        """Return a new session id: 120 random bits in 20 characters."""
        return secrets.token_urlsafe(15)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Start *target* in the model's own way. Returns an object with ``join()``."""
        return self.driver.start_background_task(target, *args, **kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """Sleep without keeping others from running."""
        self.driver.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> Any:
        """Return a queue of the model. Arguments: those of ``queue.Queue``."""
        return self.driver.create_queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[Exception]:
        """Return what the model's queues raise when they are empty."""
        return self.driver.queue_empty()

    def create_event(self, *args: Any, **kwargs: Any) -> Any:
        """Return an event of the model, with ``set``, ``clear``, ``is_set`` and ``wait``."""
        return self.driver.create_event(*args, **kwargs)

    # --- requests ------------------------------------------------------------------------------------------------------

    def handle_request(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request: the WSGI entry point. Returns the body. Called in the request's own thread or greenlet."""
        if not self._met:
            self._meet()
        request = Request(environ)
        decision = decide(request, self.settings, self._sessions)
        sid, response = self._carry_out(decision, request, environ, start_response)
        if response is None:
            start_response("101 Switching Protocols", _SWITCHED)
            return []
        if self.settings.http_headers is not None:
            response.headers.extend(self._more_headers(sid, environ))
        if ("Connection", "close") in response.headers:
            takeover.end_after_response(start_response)
        start_response(response.status, response.headers)
        sock = takeover.find_socket(environ)
        return [response.body] if sock is None else takeover.OneWrite(response.body, sock)

    def _carry_out(
        self, decision: ask.Decision, request: Request, environ: Environ, start_response: StartResponse
    ) -> tuple[str | None, Response | None]:
        """Do what was decided. Returns the session id, and the response: ``None`` for a connection that was taken over."""
        if isinstance(decision, (ask.Poll, ask.Post, ask.Upgrade)):
            link = self.sockets.get(decision.session.sid)
            if link is None or not self._is_bound(link, environ):
                return None, self._refuse(Refusal(1, {"sid": request.sid}), request)
            if isinstance(decision, ask.Poll):
                return link.sid, self._poll(link, request)
            if isinstance(decision, ask.Post):
                return link.sid, self._post(link, request, environ, decision.length)
            return link.sid, self._upgrade(link, request, environ, start_response, decision.stale)
        if isinstance(decision, ask.Preflight):
            return None, answer.preflight_response(request, self.settings)
        if isinstance(decision, ask.Connect):
            refusal = self._admit(request, environ)
            if refusal is None:
                connect = self._connect_websocket if decision.transport == "websocket" else self._connect_polling
                return connect(request, environ, start_response)
            decision = refusal
        return None, self._refuse(decision, request)

    def _meet(self) -> None:
        """Settle the model when the first request has come: it shows what kind of server is around."""
        reason = misfit(self.driver.name)
        if reason is not None:
            if not self._chosen:
                raise DriverError(reason)
            self.driver = load_driver(model_around())(self._clock)
            self._clock.use(self.driver)
        self._met = True
        self.logger.info("async_mode %s; transports %s", self.driver.name, ", ".join(self.settings.transports))

    def _more_headers(self, sid: str | None, environ: Environ) -> list[tuple[str, str]]:
        """Return the application's own headers, but those that would break the response."""
        function = self.settings.http_headers
        if function is None:
            return []
        try:
            pairs = function(sid, environ) or ()
            headers = [(str(name), str(value)) for name, value in (pairs.items() if isinstance(pairs, dict) else pairs)]
            for name, value in headers:
                if any(char in name + value for char in "\r\n\0"):
                    raise ValueError(f"header {name!r} holds a line break")
        except Exception:
            self.logger.exception("http_headers has failed; its headers are left out")
            return []
        return headers

    def _is_bound(self, link: Link, environ: Environ) -> bool:
        bind = self.settings.bind_session
        return bind is None or bind(environ) == link.binding

    def _admit(self, request: Request, environ: Environ) -> Refusal | None:
        """Ask the limits and the application whether a session may be opened; it is counted from here on."""
        allow = self.settings.allow_request
        if allow is not None:
            try:
                verdict = allow(environ)
            except Exception:
                self.logger.exception("allow_request has failed")
                verdict = False
            if isinstance(verdict, str) or not verdict:
                return ask.forbidden(verdict or "")
        with self._lock:
            option = self._admission.try_enter(client_address(environ, self.settings), clock())
        return None if option is None else ask.full(option)

    def _refuse(self, refusal: Refusal, request: Request) -> Response:
        if self._debug:
            self.logger.debug("refused: %s %r", refusal.message, refusal.context)
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

    def _open(self, transport: str, environ: Environ) -> tuple[Link, Any]:
        """Make a session and ask the application. Returns it, and ``None`` or the value that it was rejected with."""
        sid = self.generate_id()
        session = Session(sid, self.settings, transport)
        link = Link(self, session, self.driver.create_lock(), client_address(environ, self.settings))
        if self.settings.bind_session is not None:
            link.binding = self.settings.bind_session(environ)
        self.sockets[sid], self._sessions[sid] = link, session
        handler = self.handlers.get("connect")
        verdict: Any = None
        if handler is not None:
            try:
                verdict = handler(sid, environ)
            except Exception:
                self.logger.exception("the connect handler has failed")
                verdict = False
            except BaseException:
                self._forget(link)
                raise
        if verdict is None or verdict is True:
            with self._lock:
                self._counts["opened"] += 1
            return link, None
        with link.lock:
            session.close(Reason.SERVER_DISCONNECT)
            session.take_closed()
        self._forget(link)
        return link, verdict

    def _connect_polling(
        self, request: Request, environ: Environ, start_response: StartResponse
    ) -> tuple[str | None, Response | None]:
        link, rejection = self._open("polling", environ)
        if rejection is not None:
            return None, answer.unauthorized_response(rejection, request, self.settings)
        extra = answer.cookie_headers(link.sid, request, self.settings)
        with link.lock:
            link.session.accept(clock(), takeover.can_take(environ))
            frames = link.session.take_frames()
        link.settle()
        self._schedule(link)
        return link.sid, answer.payload_response(frames, request, self.settings, extra)

    def _connect_websocket(
        self, request: Request, environ: Environ, start_response: StartResponse
    ) -> tuple[str | None, Response | None]:
        fault = self._websocket_fault(environ, start_response)
        if fault:
            with self._lock:
                self._admission.leave(client_address(environ, self.settings))
            return None, self._refuse(ask.bad_request("TRANSPORT_HANDSHAKE_ERROR", error=fault), request)
        link, rejection = self._open("websocket", environ)
        if rejection is not None:
            return None, answer.unauthorized_response(rejection, request, self.settings)
        try:
            connection = self._take_over(link, environ, answer.cookie_headers(link.sid, request, self.settings))
        except BaseException:
            with link.lock:
                link.session.close(Reason.TRANSPORT_ERROR)
            link.settle()
            raise
        with link.lock:
            link.websocket = connection
            link.session.accept(clock(), can_upgrade=False)
            link.flush_locked()
        link.settle()
        self._schedule(link)
        self._serve(connection)
        return link.sid, None

    def _upgrade(
        self, link: Link, request: Request, environ: Environ, start_response: StartResponse, stale: bool
    ) -> Response | None:
        fault = self._websocket_fault(environ, start_response)
        if fault:
            return self._refuse(ask.bad_request("TRANSPORT_HANDSHAKE_ERROR", error=fault), request)
        connection = self._take_over(link, environ, [])
        with link.lock:
            if not stale and link.session.begin_upgrade(clock()):
                link.probing = connection
            else:
                connection.close_locked(1000)
                self.schedule_close(connection)
        self._schedule(link)
        self._serve(connection)
        return None

    def _websocket_fault(self, environ: Environ, start_response: StartResponse) -> str | None:
        if not takeover.can_take(environ):
            return "this WSGI server does not give its socket away"
        return handshake.find_fault(environ, takeover.http_version(environ, start_response))

    def _take_over(self, link: Link, environ: Environ, headers: list[tuple[str, str]]) -> Connection:
        """Take the request's connection, and answer it with a 101."""
        headers = headers + self._more_headers(link.sid, environ)
        extension = None
        negotiated = None if self._deflate is None else handshake.negotiate_deflate(environ, self._deflate)
        if negotiated is not None:
            headers.append(("Sec-WebSocket-Extensions", negotiated[0]))
            extension = negotiated[1]
        head = handshake.accept_response(environ, headers)
        taken = takeover.take(environ)
        assert taken is not None
        deflate = self.settings.per_message_deflate
        stream = Stream(self.settings.max_http_buffer_size, extension, 0 if deflate is None else deflate.threshold)
        connection = Connection(taken.sock, stream, self.driver, link, taken.extra)
        if taken.attached:
            connection.attachment = self.driver.create_wakeup()
        with link.lock:
            connection.write_locked(head)
        return connection

    def _serve(self, connection: Connection) -> None:
        """Let the driver watch the websocket; an attached one keeps the request until it has closed."""
        if not connection.closed:
            self.driver.watch(connection)
            if connection.has_buffered:
                self.driver.run_soon(connection)
        if connection.attachment is not None and not connection.closed:
            connection.attachment.wait(None)

    def _poll(self, link: Link, request: Request) -> Response:
        session = link.session
        refusal = wakeup = None
        with link.lock:
            try:
                frames = session.begin_poll(clock())
            except PacketError as exc:
                refusal = ask.bad_request("POLL_REFUSED", detail=str(exc))
            else:
                if frames is not None:
                    link.on_drained_locked()
                else:
                    wakeup = link.wakeup = self.driver.create_wakeup()
                    patience = session.poll_seconds()
        if refusal is not None:
            link.settle()
            return self._refuse(refusal, request)
        if wakeup is not None:
            try:
                wakeup.wait(patience)
            finally:
                with link.lock:
                    link.wakeup = None
                    frames = session.end_poll()
                    link.on_drained_locked()
        link.settle()
        return answer.payload_response(frames or [], request, self.settings)

    def _post(self, link: Link, request: Request, environ: Environ, length: int | None) -> Response:
        session = link.session
        try:
            with link.lock:
                session.begin_post()
        except PacketError as exc:
            link.settle()
            return self._refuse(ask.bad_request("PAYLOAD_REFUSED", detail=str(exc)), request)
        link.reading_from = takeover.find_socket(environ)
        try:
            body = self._read_body(environ, length)
            if body is not None and len(body) > self.settings.max_http_buffer_size:
                return self._refuse(ask.bad_request("PAYLOAD_TOO_LARGE", close=session, status=413), request)
            with link.lock:
                messages = session.receive_payload(ask.post_body(body, request))
            wait = link.enqueue(messages) if messages else None
            if wait is not None:
                wait.wait(None)
        except PacketError as exc:
            link.settle()
            return self._refuse(ask.bad_request("PAYLOAD_REFUSED", detail=str(exc)), request)
        finally:
            link.reading_from = None
            with link.lock:
                session.finish_post()
        link.settle()
        return answer.ok_response(request, self.settings)

    def _read_body(self, environ: Environ, length: int | None) -> bytes | None:
        """Return the body: *length* bytes, or of a chunked one no more than one byte over the limit. ``None``: cut short."""
        source = environ["wsgi.input"]
        wanted = self.settings.max_http_buffer_size + 1 if length is None else length
        parts = []
        try:
            while wanted > 0:
                part = source.read(wanted)
                if not part:
                    break
                parts.append(part)
                wanted -= len(part)
        except Exception as exc:  # each server has its own errors for a client that goes away or sends nonsense
            if self._debug:
                self.logger.debug("a body could not be read: %r", exc)
            return None
        return None if length is not None and wanted else b"".join(parts)

    # --- what links call -----------------------------------------------------------------------------------------------

    def handle_message(self, sid: str, data: Data) -> None:
        """Call the application's handler; what it raises is logged and harms nobody."""
        handler = self.handlers.get("message")
        if handler is None:
            return
        try:
            handler(sid, data)
        except Exception:
            self.logger.exception("the message handler has failed")

    def trigger(self, event: str, *arguments: Any) -> None:
        """Call the handler of any other event, if there is one."""
        handler = self.handlers.get(event)
        try:
            if handler is not None:
                handler(*arguments)
        except Exception:
            self.logger.exception("the %s handler has failed", event)

    def tell_closed(self, link: Link, closed: Closed) -> None:
        """Tell the application that a client is gone, then forget it."""
        if self._debug:
            self.logger.debug("%s: %s %s", link.sid, closed.reason, closed.detail)
        with self._lock:
            self._counts[f"closed {closed.reason}"] += 1
        try:
            handler = self.handlers.get("disconnect")
            if handler is not None:
                self.trigger("disconnect", *(link.sid, closed.reason)[: 2 if takes(handler, 2) else 1])
        finally:
            self._forget(link)

    def _forget(self, link: Link) -> None:
        if self.sockets.pop(link.sid, None) is not None:
            self._sessions.pop(link.sid, None)
            with self._lock:
                self._admission.leave(link.address)

    def _schedule(self, link: Link) -> None:
        """Put the session's next moment on the clock."""
        when = link.session.next_moment()
        if when is None:
            return
        self.forget_deadline(link)
        link.deadline = self._clock.add(when, link)

    def forget_deadline(self, link: Link) -> None:
        entry, link.deadline = link.deadline, None
        if entry is not None:
            self._clock.cancel(entry)

    def schedule_close(self, connection: Connection) -> None:
        """Give the peer of a closing websocket its time to answer."""
        if not connection.closed:
            self._clock.add(clock() + self.settings.close_timeout, connection)


def _make_logger(logger: Any) -> Any:
    if not isinstance(logger, bool):
        return logger or _log
    if logger:
        _log.setLevel(logging.DEBUG)
        if not _log.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
            _log.addHandler(handler)
    return _log
