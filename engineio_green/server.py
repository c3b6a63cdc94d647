"""The synchronous server: one method per kind of request, and the API that applications call.

Owns the clients and the handlers. Waits, calls the core, calls the application, writes; decides nothing about the protocol.
API: that of the compatible Python implementation.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from engineio_green.clock import Clock
from engineio_green.core import request as ask
from engineio_green.core import response as answer
from engineio_green.core.request import Refusal, Request, decide
from engineio_green.core.response import Response
from engineio_green.core.session import Closed, Reason, Session
from engineio_green.core.settings import OPTION_NAMES, make_settings
from engineio_green.drivers.base import clock
from engineio_green.drivers.choice import choose_driver, load_driver
from engineio_green.exceptions import PacketError
from engineio_green.link import Link
from engineio_green.packet import Data, Packet, encode_message
from engineio_green.websocket import handshake, takeover
from engineio_green.websocket.connection import Connection
from engineio_green.websocket.stream import Stream

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
        self.driver = (load_driver(async_mode) if async_mode else choose_driver())(clock_job := Clock())
        clock_job.use(self.driver)
        self._clock = clock_job
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.sockets: dict[str, Link] = {}
        self._sessions: dict[str, Session] = {}
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
        """Register *handler* for ``'connect'``, ``'message'`` or ``'disconnect'``; without it, act as a decorator.

        Raises ``ValueError`` for another event.
        """
        if event not in ("connect", "message", "disconnect"):
            raise ValueError(f"there is no event {event!r}: use 'connect', 'message' or 'disconnect'")

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self.handlers[event] = function
            return function

        return register if handler is None else register(handler)

    def send(self, sid: str, data: Any) -> None:
        """Send a message: ``str``, ``bytes``, ``dict`` or ``list``. Does nothing for a client that is gone. Never blocks.

        Raises ``UnicodeEncodeError`` for text that UTF-8 can't carry.
        """
        link = self.sockets.get(sid)
        if link is None:
            if self._debug:
                self.logger.debug("%s: send to a client that is gone", sid)
            return
        link.send(encode_message(data, self.settings.json))

    def send_packet(self, sid: str, pkt: Packet) -> None:
        """Send a raw packet. One packet may go to any number of clients."""
        link = self.sockets.get(sid)
        if link is not None:
            link.send(pkt.frame())

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
        request = Request(environ)
        decision = decide(request, self.settings, self._sessions)
        response: Response | None
        match decision:
            case ask.Poll(session):
                response = self._poll(self.sockets[session.sid], request)
            case ask.Post(session, length):
                response = self._post(self.sockets[session.sid], request, environ, length)
            case ask.Connect("polling"):
                response = self._connect_polling(request, environ)
            case ask.Connect():
                response = self._connect_websocket(request, environ)
            case ask.Upgrade(session, stale):
                response = self._upgrade(self.sockets[session.sid], request, environ, stale)
            case ask.Preflight():
                response = answer.preflight_response(request, self.settings)
            case _:
                response = self._refuse(decision, request)
        if response is None:
            start_response("101 Switching Protocols", _SWITCHED)
            return []
        if ("Connection", "close") in response.headers:
            takeover.end_after_response(start_response)
        start_response(response.status, response.headers)
        sock = takeover.find_socket(environ)
        return [response.body] if sock is None else takeover.OneWrite(response.body, sock)

    def _refuse(self, refusal: Refusal, request: Request) -> Response:
        if self._debug:
            self.logger.debug("refused: %s %r", refusal.message, refusal.context)
        if refusal.close is not None:
            link = self.sockets.get(refusal.close.sid)
            if link is not None:
                with link.lock:
                    link.session.close(Reason.TRANSPORT_ERROR, detail=refusal.context.get("name", ""))
                link.settle()
        return answer.refusal_response(refusal, request, self.settings)

    def _open(self, transport: str, environ: Environ) -> tuple[Link, Any]:
        """Make a session and ask the application. Returns it, and ``None`` or the value that it was rejected with."""
        sid = self.generate_id()
        session = Session(sid, self.settings, transport)
        link = Link(self, session, self.driver.create_lock())
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
            return link, None
        with link.lock:
            session.close(Reason.SERVER_DISCONNECT)
            session.take_closed()
        self._forget(link)
        return link, verdict

    def _connect_polling(self, request: Request, environ: Environ) -> Response:
        link, rejection = self._open("polling", environ)
        if rejection is not None:
            return answer.unauthorized_response(rejection, request, self.settings)
        extra = answer.cookie_headers(link.sid, request, self.settings)
        with link.lock:
            link.session.accept(clock(), takeover.can_take(environ))
            frames = link.session.take_frames()
        self._schedule(link)
        return answer.payload_response(frames, request, self.settings, extra)

    def _connect_websocket(self, request: Request, environ: Environ) -> Response | None:
        fault = self._websocket_fault(environ)
        if fault:
            return self._refuse(ask.bad_request("TRANSPORT_HANDSHAKE_ERROR", error=fault), request)
        link, rejection = self._open("websocket", environ)
        if rejection is not None:
            return answer.unauthorized_response(rejection, request, self.settings)
        headers = answer.cookie_headers(link.sid, request, self.settings)
        connection = self._take_over(link, environ, headers)
        with link.lock:
            link.websocket = connection
            link.session.accept(clock(), can_upgrade=False)
            link.flush_locked()
        self._schedule(link)
        self._serve(connection, environ)
        return None

    def _upgrade(self, link: Link, request: Request, environ: Environ, stale: bool) -> Response | None:
        fault = self._websocket_fault(environ)
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
        self._serve(connection, environ)
        return None

    def _websocket_fault(self, environ: Environ) -> str | None:
        if not takeover.can_take(environ):
            return "this WSGI server does not give its socket away"
        return handshake.find_fault(environ)

    def _take_over(self, link: Link, environ: Environ, headers: list[tuple[str, str]]) -> Connection:
        head = handshake.accept_response(environ, headers)
        taken = takeover.take(environ)
        assert taken is not None
        stream = Stream(self.settings.max_http_buffer_size)
        connection = Connection(taken.sock, stream, self.driver, link, taken.extra)
        if taken.attached:
            connection.attachment = self.driver.create_wakeup()
        with link.lock:
            connection.write_locked(head)
        return connection

    def _serve(self, connection: Connection, environ: Environ) -> None:
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
                if frames is None:
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
        link.settle()
        return answer.payload_response(frames or [], request, self.settings)

    def _post(self, link: Link, request: Request, environ: Environ, length: int | None) -> Response:
        session = link.session
        try:
            with link.lock:
                session.begin_post()
            body = self._read_body(environ, length)
            if body is not None and len(body) > self.settings.max_http_buffer_size:
                return self._refuse(ask.bad_request("PAYLOAD_TOO_LARGE", close=session, status=413), request)
            with link.lock:
                messages = session.end_post(ask.post_body(body, request))
        except PacketError as exc:
            link.settle()
            return self._refuse(ask.bad_request("PAYLOAD_REFUSED", detail=str(exc)), request)
        if messages:
            link.enqueue(messages)
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

    def tell_closed(self, link: Link, closed: Closed) -> None:
        """Tell the application that a client is gone, then forget it."""
        if self._debug:
            self.logger.debug("%s: %s %s", link.sid, closed.reason, closed.detail)
        handler = self.handlers.get("disconnect")
        try:
            if handler is not None:
                handler(link.sid, closed.reason)
        except Exception:
            self.logger.exception("the disconnect handler has failed")
        finally:
            self._forget(link)

    def _forget(self, link: Link) -> None:
        self.sockets.pop(link.sid, None)
        self._sessions.pop(link.sid, None)

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
