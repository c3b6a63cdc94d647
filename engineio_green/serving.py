"""The requests' half of a server: one method per kind of request, and what its links call.

Owns the clients. Waits, calls the core, calls the application, writes; decides nothing about the protocol.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from engineio_green.body import read_body
from engineio_green.clock import Clock
from engineio_green.core import request as ask
from engineio_green.core import response as answer
from engineio_green.core.admission import Admission
from engineio_green.core.callables import takes
from engineio_green.core.request import Refusal, Request, client_address, decide
from engineio_green.core.response import Response
from engineio_green.core.session import Closed, Reason, Session
from engineio_green.core.settings import TOKEN as HEADER_NAME
from engineio_green.core.settings import Settings
from engineio_green.drivers.base import clock
from engineio_green.drivers.choice import choose_driver, load_driver, misfit, model_around
from engineio_green.exceptions import DriverError, PacketError
from engineio_green.link import Link
from engineio_green.packet import Data
from engineio_green.websocket import handshake, takeover
from engineio_green.websocket.answers import respond
from engineio_green.websocket.connection import Connection
from engineio_green.websocket.stream import Stream

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_SWITCHED = [("Connection", "close"), ("Content-Length", "0")]  # for the server around us only; the client got ours


class Serving:
    """What answers requests. Its methods are called in the request's own thread or greenlet, or by links."""

    def __init__(self, async_mode: str | None, settings: Settings, logger: Any) -> None:
        self.settings = settings
        self.logger = logger
        self._chosen = async_mode is None
        self._clock = Clock()
        self.driver = (load_driver(async_mode) if async_mode else choose_driver())(self._clock)
        self._clock.use(self.driver)
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.tap = False  # somebody wants every packet
        self.drops = settings.overflow == "drop"
        self.sockets: dict[str, Link] = {}
        self._sessions: dict[str, Session] = {}
        self._admission = Admission(settings)
        self._counts: Counter[str] = Counter()
        self._lock = self.driver.create_lock()  # guards the admission and the counts
        self._met = False  # a request has come, so that the model is settled
        deflate = settings.per_message_deflate
        self._deflate = None if deflate is None else handshake.deflate_factory(deflate)
        self._debug = logger.isEnabledFor(logging.DEBUG)

    def generate_id(self) -> str:
        """Return a new session id: 120 random bits in 20 characters. To be overridden by who wants others."""
        return secrets.token_urlsafe(15)

    def handle_request(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request: the WSGI entry point. Returns the body. Called in the request's own thread or greenlet."""
        if not self._met:
            with self._lock:
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
        return respond(response.status, response.headers, response.body, environ, start_response)

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
        if isinstance(decision, Refusal) and decision.close is not None:
            link = self.sockets.get(decision.close.sid)
            if link is None or not self._is_bound(link, environ):
                decision = Refusal(1, {"sid": request.sid})  # whose request it is not can't end the session either
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
                value.encode("latin-1")
                if not HEADER_NAME.fullmatch(name) or any(char in value for char in "\r\n\0"):
                    raise ValueError(f"header {name!r} holds a character that a header can't")
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
        address = client_address(environ, self.settings)
        try:
            sid = self.generate_id()
            session = Session(sid, self.settings, transport)
            link = Link(self, session, self.driver.create_lock(), address)
            if self.settings.bind_session is not None:
                link.binding = self.settings.bind_session(environ)
        except BaseException:  # the application's functions: the place that was taken is free again
            with self._lock:
                self._admission.leave(address)
            raise
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
        if session.gone:
            verdict = False  # disconnected by its own connect handler, or meanwhile
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
        try:
            extra = answer.cookie_headers(link.sid, request, self.settings)
            with link.lock:
                link.session.accept(clock(), takeover.can_take(environ))
                frames = link.session.take_frames()
        except BaseException:
            self._give_up(link)
            raise
        link.settle()
        self.schedule(link)
        return link.sid, answer.payload_response(frames, request, self.settings, extra)

    def _give_up(self, link: Link) -> None:
        """The application has accepted a client that could not be answered."""
        with link.lock:
            link.session.close(Reason.TRANSPORT_ERROR)
        link.settle()

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
            self._give_up(link)
            raise
        with link.lock:
            link.websocket = connection
            link.session.accept(clock(), can_upgrade=False)
            link.flush_locked()
            if link.session.gone:
                connection.close_locked(1000)
                self.schedule_close(connection)
        link.settle()
        self.schedule(link)
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
        self.schedule(link)
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
        answered = bool(environ.get("wsgi.websocket"))  # gevent-websocket's handler has sent the 101 before it called us
        negotiated = None
        if self._deflate is not None and not answered:
            negotiated = handshake.negotiate_deflate(environ, self._deflate)
        if negotiated is not None:
            headers.append(("Sec-WebSocket-Extensions", negotiated[0]))
            extension = negotiated[1]
        head = b"" if answered else handshake.accept_response(environ, headers)
        taken = takeover.take(environ)
        assert taken is not None
        deflate = self.settings.per_message_deflate
        stream = Stream(self.settings.max_http_buffer_size, extension, 0 if deflate is None else deflate.threshold)
        connection = Connection(taken.sock, stream, self.driver, link, taken.extra)
        if taken.attached:
            connection.attachment = self.driver.create_wakeup()
        if head:
            with link.lock:
                connection.write_locked(head)
        return connection

    def _serve(self, connection: Connection) -> None:
        """Let the driver watch the websocket; an attached one keeps the request until it has closed."""
        with connection.owner.lock:
            if not connection.closed:
                self.driver.watch(connection)
                if connection.unsent_bytes:
                    self.driver.watch_writable(connection)
        if connection.has_buffered:
            self.driver.run_soon(connection)
        if connection.attachment is not None and not connection.closed:
            try:
                connection.attachment.wait(None)
            finally:  # the server may have killed the request, and closes the socket now
                with connection.owner.lock:
                    connection.close_socket_locked()

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
                link.reading_from = takeover.find_socket(environ)
        except PacketError as exc:
            link.settle()
            return self._refuse(ask.bad_request("PAYLOAD_REFUSED", detail=str(exc)), request)
        try:
            try:
                body = read_body(environ, length, self.settings.max_http_buffer_size, self.logger)
            finally:
                with link.lock:
                    link.reading_from = None
            if body is not None and len(body) > self.settings.max_http_buffer_size:
                return self._refuse(ask.bad_request("PAYLOAD_TOO_LARGE", close=session, status=413), request)
            with link.lock:
                messages = session.receive_payload(ask.post_body(body, request), link.packet_notice if self.tap else None)
                wait = link.enqueue_locked(messages) if messages else None
            if wait is not None:
                wait.wait(None)
        except PacketError as exc:
            link.settle()
            refusal = ask.bad_request("PAYLOAD_REFUSED", detail=str(exc))
            refusal.body_read = body is not None
            return self._refuse(refusal, request)
        finally:
            with link.lock:
                session.finish_post()
        link.settle()
        return answer.ok_response(request, self.settings)

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

    def schedule_close(self, connection: Connection) -> None:
        """Give the peer of a closing websocket its time to answer."""
        if not connection.closed:
            self._clock.add(clock() + self.settings.close_timeout, connection)
