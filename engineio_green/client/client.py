"""The synchronous client as applications see it.

Owns the API, which is that of the compatible Python implementation with what this package adds, the handlers, and connecting
again. One connection at a time is a `Link`, see `link.py`, which also says which threads there are. `requests` and
websocket-client are imported when a client is made, not before.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engineio_green import json as default_json
from engineio_green.client import interrupt
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

if TYPE_CHECKING:
    import requests

    from engineio_green.client.link import Link



class Client:
    """An Engine.IO client, for plain threads and for programs that gevent or eventlet have patched.

    :param logger: ``True`` logs to stderr, or a logger; ``False`` leaves only errors.
    :param json: a module with ``dumps`` and ``loads``.
    :param request_timeout: seconds that the server has for an answer (not for a held poll), ``None``: no limit.
    :param http_session: a ``requests.Session`` whose cookies, headers, authentication, proxies, CA bundle and certificate
        serve both transports, or a function that makes one for each connection. A session of yours is never closed.
    :param ssl_verify: ``False`` accepts any certificate.
    :param handle_sigint: say goodbye on Ctrl-C; only where the client is made in the main thread.
    :param websocket_extra_options: keyword arguments for ``websocket.create_connection()``; they win over all others.
    :param timestamp_requests: put the time into each address, against caches.
    :param reconnection: connect again by itself, after a loss and after a goodbye of the server, which may only be making
        room for its next version; not after :meth:`disconnect`.
    :param reconnection_attempts: how often at most, 0: no end.
    :param reconnection_delay: seconds before the first attempt; each further delay is twice as long,
    :param reconnection_delay_max: ... but no longer than this,
    :param randomization_factor: ... and is drawn from plus or minus this part of it.

    Handlers of one client start in the order of the messages; one that blocks delays neither later messages nor other clients.
    Threads: on websocket one per client; on polling one that waits in the held GET, and one more for as long as there is
    something to send; besides, one for the whole process. Every method may be called from any thread and any handler.
    Source: the documented API.
    """

    reason = Reason

    def __init__(
        self,
        logger: Any = False,
        json: JsonModule | None = None,
        request_timeout: float | None = 5,
        http_session: requests.Session | Callable[[], requests.Session] | None = None,
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
        _import_transports()
        self.logger = make_logger(logger, "engineio_green.client")
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.state = "disconnected"
        """``'disconnected'``, ``'connecting'``, ``'connected'``, ``'disconnecting'``. In a disconnect handler it still is
        ``'connected'`` after a loss."""
        self._json = default_json if json is None else json
        self._request_timeout = check_timeout(request_timeout)
        self._http_session = http_session
        self._ssl_verify = ssl_verify
        self._handle_sigint = handle_sigint
        self._websocket_options = dict(websocket_extra_options or {})
        self._timestamp_requests = timestamp_requests
        backoff = Backoff(reconnection_delay, reconnection_delay_max, randomization_factor, reconnection_attempts)
        self._backoff = backoff if reconnection else None
        self._link: Link | None = None  # the current connection, until its disconnect handler has returned
        self._transport: str | None = None
        self._sid: str | None = None
        self._changed = threading.Condition()  # guards state, _link and what follows
        self._attempt: object | None = None  # the connect() under way; cancelled by taking it away
        self._reconnecting = False
        self._ending: list[int] = []  # the threads that are in a handler which wait() would wait for
        if handle_sigint:
            interrupt.install()

    # --- the documented methods ------------------------------------------------------------------------------------

    @property
    def sid(self) -> str | None:
        """The session's id, ``None`` while there is no session."""
        link = self._link
        return link.session.sid if link is not None else self._sid

    @sid.setter
    def sid(self, value: str | None) -> None:
        """What is told while there is no session, in tests of applications (compatibility)."""
        self._sid = value

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register *handler* for an event; without it, act as a decorator.

        - ``connect()``: the session is open.
        - ``message(data)``: ``str``, ``bytes``, ``dict`` or ``list``.
        - ``disconnect()`` or ``disconnect(reason)``: once for each ``connect``, with one of :attr:`reason`'s.
        - ``connect_error(error)``: an attempt to connect again has failed; a ``ConnectionError``.

        Raises ``ValueError`` for an unknown event and for a handler that can't be called.
        """
        return register(self.handlers, EVENTS, event, handler)

    def connect(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        transports: str | list[str] | None = None,
        engineio_path: str = "engine.io",
    ) -> None:
        """Connect, and return when the session is open and its connect handler has returned.

        :param url: ``http://host:port`` or ``https://...``; a query is kept.
        :param headers: sent with every request of both transports.
        :param transports: ``['polling']``, ``['websocket']``, or both in this order, which is the default: polling first, then
            an upgrade. This waits for the upgrade no longer than the handshake took; after that it goes on in the background.
        :param engineio_path: where the server is mounted.

        Raises :class:`engineio_green.exceptions.ConnectionError` with the server's own reason, ``ValueError`` for arguments
        that can't work and for a client that is connected.
        """
        order = make_settings({"transports": transports}).transports
        target = make_target(url, engineio_path)
        arguments = (target, check_headers(headers), order)
        with self._changed:
            if self._attempt is not None or (self._link is not None and not self._link.closed):
                raise ValueError("this client is connected or about to connect: disconnect() it first")
            attempt = self._attempt = object()
            self._reconnecting = False
            self.state = "connecting"
            self._changed.notify_all()
        self._connect(attempt, arguments)

    def wait(self) -> None:
        """Wait until the connection has ended, its disconnect handler has returned, and nothing will connect again.

        Returns at once in a handler of ``disconnect`` or ``connect_error``, for whose return it would have to wait.
        """
        if threading.get_ident() in self._ending:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._link is None and self._attempt is None and not self._reconnecting)
        interrupt.await_farewell()

    def send(self, data: Any) -> None:
        """Send a message: ``str``, ``bytes``, ``dict`` or ``list``. The order is kept for each thread.

        On websocket this blocks while the server does not read. Raises :class:`~engineio_green.exceptions.NotConnectedError`
        (also when the connection turns out to be dead), :class:`~engineio_green.exceptions.MessageSizeError` for a message that
        the server would refuse, ``UnicodeEncodeError`` for text that UTF-8 can't carry.
        """
        link = self._link
        if link is None:
            raise NotConnectedError("the client is not connected: connect() first")
        link.send(encode_message(data, self._json))

    def disconnect(self, abort: bool = False) -> None:
        """End the connection, after what was sent before has been delivered; the disconnect handler has returned then.

        With *abort*, what has not been sent yet is lost and nothing is waited for. Also stops a :meth:`connect` that is under
        way in another thread, and connecting again. Does nothing for a client that is not connected.
        """
        with self._changed:
            self._attempt = None
            self._reconnecting = False
            link = self._link
            if link is None:
                self.state = "disconnected"
            elif not link.closed:
                self.state = "disconnecting"
            self._changed.notify_all()
        if link is not None:
            link.disconnect(abort)

    def transport(self) -> str | None:
        """Return ``'polling'`` or ``'websocket'``: the current transport, or that of the last connection."""
        link = self._link
        return link.session.transport if link is not None else self._transport

    current_transport = property(transport)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> threading.Thread:
        """Start *target* in a daemon thread. Returns an object with ``join()``."""
        thread = threading.Thread(target=target, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def sleep(self, seconds: float = 0) -> None:
        """Sleep for so many seconds."""
        time.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> queue.Queue[Any]:
        """Return a queue. Arguments: those of ``queue.Queue``."""
        return queue.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[Exception]:
        """Return what the queues raise when they are empty."""
        return queue.Empty

    def create_event(self, *args: Any, **kwargs: Any) -> threading.Event:
        """Return an event, with ``set``, ``clear``, ``is_set`` and ``wait``."""
        return threading.Event(*args, **kwargs)

    # --- connecting ------------------------------------------------------------------------------------------------

    def _connect(self, attempt: object, arguments: Any) -> None:
        target, headers, order = arguments
        try:
            link = self._make_link(target, headers)
            link.open(order[0])
        except BaseException:
            self._give_up(attempt)
            raise
        turn = link.take_turn()
        with self._changed:
            if self._attempt is not attempt:
                link.cancel()
                raise ConnectionError("disconnect() was called meanwhile", kind="cancelled")
            link.arguments = arguments
            self._attempt = None
            self._reconnecting = False
            self._link = link
            self.state = "connected"
        if self._handle_sigint:
            interrupt.add(self)
        self.logger.info("connected to %s by %s, sid %s", target.address, order[0], short(link.session.sid))
        self._call("connect")
        link.begin(turn, upgrade="websocket" in order)

    def _make_link(self, target: Any, headers: dict[str, str]) -> Link:
        from engineio_green.client.http import Http
        from engineio_green.client.link import Link

        http = Http(
            self._http_session, target, headers, self._ssl_verify, self._request_timeout, stamp=self._timestamp_requests
        )
        return Link(self, http, self._json, self._websocket_options, self._request_timeout)

    def _give_up(self, attempt: object) -> None:
        with self._changed:
            if self._attempt is attempt:
                self._attempt = None
                self.state = "disconnected"
            self._changed.notify_all()

    # --- what a link tells -----------------------------------------------------------------------------------------

    def deliver(self, data: Data) -> None:
        """A message has come: run its handler."""
        handler = self.handlers.get("message")
        if handler is None:
            return
        try:
            handler(data)
        except Exception:
            self.logger.exception("the message handler failed")

    def on_link_closed(self, link: Link, closed: Closed) -> None:
        """The connection has ended: run the handler, then connect again if that is wanted."""
        interrupt.discard(self)
        self.logger.info("disconnected: %s %s", closed.reason, closed.detail)
        lost = closed.reason in LOSSES
        with self._changed:
            current = self._link is link
            if current and not lost:
                self.state = "disconnecting"
            again = current and may_return(closed.reason) and self._backoff is not None
            if again:
                self._reconnecting = True
        self._call("disconnect", closed.reason)
        with self._changed:
            if self._link is link:
                self._transport = link.session.transport
                self._link = None
                self.state = "disconnected" if self._attempt is None else self.state
            self._changed.notify_all()
        if again and self._backoff is not None:
            self._connect_again(link.arguments, self._backoff)

    def _call(self, event: str, *arguments: Any) -> None:
        handler = self.handlers.get(event)
        if handler is None:
            return
        ending = [] if event == "connect" else self._ending
        ending.append(threading.get_ident())
        try:
            if event == "disconnect" and not takes(handler, 1):
                handler()
            else:
                handler(*arguments)
        except Exception:
            self.logger.exception("the %s handler failed", event)
        finally:
            ending.remove(threading.get_ident())

    def _connect_again(self, arguments: Any, backoff: Backoff) -> None:
        """Try until it succeeds, the attempts are used up, or somebody calls connect() or disconnect()."""
        number = 0
        while True:
            number += 1
            delay = backoff.delay(number, random.random())
            with self._changed:
                if delay is None:
                    self._reconnecting = False
                elif self._reconnecting:
                    self._changed.wait_for(lambda: not self._reconnecting, delay)
                if not self._reconnecting:
                    self._changed.notify_all()
                    return
                attempt = self._attempt = object()
                self.state = "connecting"
            try:
                self._connect(attempt, arguments)
            except ConnectionError as exc:
                if exc.kind == "cancelled":
                    return
                self.logger.info("attempt %d to connect again failed: %s", number, exc)
                self._call("connect_error", exc)
            else:
                return


def _import_transports() -> None:
    try:
        import requests  # noqa: F401  # only to see whether it is there
        import websocket  # noqa: F401  # the same
    except ImportError as exc:
        raise ImportError(f'Client needs requests and websocket-client ({exc}): pip install "engineio_green[client]"') from exc
