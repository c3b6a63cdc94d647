"""The requests' half of a server: one method per kind of request, and what its links call.

Owns the clients. Waits, calls the core, calls the application, writes; decides nothing about the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engineio_green.application import Environ
from engineio_green.body import read_body
from engineio_green.core import request as ask
from engineio_green.core import response as answer
from engineio_green.core.request import Refusal, Request, client_address
from engineio_green.core.response import Response
from engineio_green.core.session import Closed, Reason
from engineio_green.core.settings import Settings
from engineio_green.drivers.base import Driver
from engineio_green.drivers.choice import choose_driver, load_driver, misfit, model_around
from engineio_green.exceptions import DriverError
from engineio_green.link import Link
from engineio_green.registry import Registry
from engineio_green.websocket import handshake, takeover
from engineio_green.websocket.answers import end_taken, respond
from engineio_green.websocket.connection import Connection
from engineio_green.workers.advice import find_faults

StartResponse = Callable[..., Any]


class Serving(Registry):
    """What answers requests. Its methods are called in the request's own thread or greenlet, or by links."""

    driver: Driver
    link_class = Link

    def __init__(self, async_mode: str | None, settings: Settings, logger: Any) -> None:
        super().__init__(settings, logger)
        self._chosen = async_mode is None
        self._met = False  # a request has come, so that the model is settled
        self._native = False  # websockets are served by what is around, not by us
        self.use((load_driver(async_mode) if async_mode else choose_driver())(self._clock))

    def handle_request(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request: the WSGI entry point. Returns the body. Called in the request's own thread or greenlet."""
        if not self._met:
            with self._lock:
                if not self._met:
                    self._meet(environ)
        request = Request(environ)
        decision, link = self._decide(request, environ)
        sid, response = self._carry_out(decision, link, request, environ, start_response)
        if response is None:
            return end_taken(start_response)
        if self.settings.http_headers is not None:
            response.headers.extend(self.more_headers(sid, environ))
        patience = self.settings.ping_interval + self.settings.ping_timeout
        return respond(response.status, response.headers, response.body, environ, start_response, patience)

    def _carry_out(
        self, decision: ask.Decision, link: Link | None, request: Request, environ: Environ, start_response: StartResponse
    ) -> tuple[str | None, Response | None]:
        """Do what was decided. Returns the session id, and the response: ``None`` for a connection that was taken over."""
        if isinstance(decision, (ask.Poll, ask.Post, ask.Upgrade)):
            assert link is not None
            if isinstance(decision, ask.Poll):
                return link.sid, self._poll(link, request)
            if isinstance(decision, ask.Post):
                return link.sid, self._post(link, request, environ, decision.length)
            return link.sid, self._upgrade(link, request, environ, start_response, decision.stale)
        if isinstance(decision, ask.Preflight):
            return None, answer.preflight_response(request, self.settings)
        if isinstance(decision, ask.Connect):
            refusal = self._admit(environ)
            if refusal is None:
                connect = self._connect_websocket if decision.transport == "websocket" else self._connect_polling
                return connect(request, environ, start_response)
            decision = refusal
        return None, self._refuse(decision, request)

    def _meet(self, environ: Environ) -> None:
        """Settle the model when the first request has come: it shows what kind of server is around."""
        reason = misfit(self.driver.name)
        if reason is not None:
            if not self._chosen:
                raise DriverError(reason)
            self.use(load_driver(model_around())(self._clock))
        if self.settings.uwsgi_websocket == "native" and self.driver.serves_websockets:
            self._native, self._deflate = True, None
        self._met = True
        self.logger.info("async_mode %s; transports %s", self.driver.name, ", ".join(self.settings.transports))
        for fault in find_faults(environ, model_around(), self.settings.transports):
            self.logger.warning(fault)

    def _admit(self, environ: Environ) -> Refusal | None:
        """Ask the limits and the application whether a session may be opened; it is counted from here on."""
        return self.ask_permission(environ) or self._enter(environ)

    def _open(self, transport: str, environ: Environ) -> tuple[Link, Any]:
        """Make a session and ask the application. Returns it, and ``None`` or the value that it was rejected with."""
        link = self._create_link(transport, environ)
        handler = self.handlers.get("connect")
        verdict: Any = None
        if handler is not None:
            self._begin_opening(link)
            try:
                verdict = handler(link.sid, environ)
            except Exception:
                self.logger.exception("the connect handler has failed")
                verdict = False
            except BaseException:
                self._forget(link)
                raise
        return link, self._end_opening(link, verdict)

    def _connect_polling(
        self, request: Request, environ: Environ, start_response: StartResponse
    ) -> tuple[str | None, Response | None]:
        link, rejection = self._open("polling", environ)
        if rejection is not None:
            return None, answer.unauthorized_response(rejection, request, self.settings)
        return link.sid, self._accept_polling(link, request, takeover.can_take(environ))

    def _connect_websocket(
        self, request: Request, environ: Environ, start_response: StartResponse
    ) -> tuple[str | None, Response | None]:
        fault = self._websocket_fault(environ, start_response)
        if fault:
            self._leave(client_address(environ, self.settings))
            return None, self._refuse(ask.bad_request("TRANSPORT_HANDSHAKE_ERROR", error=fault), request)
        link, rejection = self._open("websocket", environ)
        if rejection is not None:
            return None, answer.unauthorized_response(rejection, request, self.settings)
        try:
            cookies = answer.cookie_headers(link.sid, request, self.settings)
            connection = self._take_over(link, environ, cookies)
        except BaseException:
            self.abandon(link, Reason.TRANSPORT_ERROR)
            raise
        self._accept_websocket(link, connection)
        self._serve(connection)
        return link.sid, None

    def _upgrade(
        self, link: Link, request: Request, environ: Environ, start_response: StartResponse, stale: bool
    ) -> Response | None:
        fault = self._websocket_fault(environ, start_response)
        if fault:
            return self._refuse(ask.bad_request("TRANSPORT_HANDSHAKE_ERROR", error=fault), request)
        connection = self._take_over(link, environ, [])
        self._put_on_probation(link, connection, stale)
        self._serve(connection)
        return None

    def _websocket_fault(self, environ: Environ, start_response: StartResponse) -> str | None:
        if not takeover.can_take(environ):
            return "this WSGI server does not give its socket away"
        return handshake.find_fault(environ, takeover.http_version(environ, start_response))

    def _take_over(self, link: Link, environ: Environ, headers: list[tuple[str, str]]) -> Connection:
        """Take the request's connection, and answer it with a 101."""
        headers = headers + self.more_headers(link.sid, environ)
        answered = bool(environ.get("wsgi.websocket"))  # gevent-websocket's handler has sent the 101 before it called us
        head, stream = self.make_stream(environ, headers, answered)
        if self._native:
            sock = self.driver.take_websocket()
            connection = Connection(sock, stream, self.driver, link)
            connection.attachment = sock
        else:
            taken = takeover.take(environ)
            assert taken is not None
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
        held = self._begin_poll(link, request)
        if isinstance(held, Response):
            return held
        try:
            held.wakeup.wait(held.seconds)
        finally:
            response = self._end_poll(link, request)
        return response

    def _post(self, link: Link, request: Request, environ: Environ, length: int | None) -> Response:
        refusal = self._begin_post(link, request, takeover.find_socket(environ))
        if refusal is not None:
            return refusal
        try:
            try:
                body = read_body(environ, length, self.settings.max_http_buffer_size, self.logger)
            finally:
                with link.lock:
                    link.reading_from = None
            refusal, wakeup = self._take_body(link, request, body)
            if wakeup is not None:
                wakeup.wait(None)
        finally:
            self._end_post(link)
        return refusal or answer.ok_response(request, self.settings)

    def tell_closed(self, link: Link, closed: Closed) -> None:
        try:
            self._tell_disconnect(link, closed)
        finally:
            self._forget(link)
