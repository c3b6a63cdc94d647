"""The synchronous server as applications see it.

Owns the handlers' registration and the API, which is that of the compatible Python implementation, with what this package
adds. The requests are answered in ``serving.py``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from engineio_green.core.session import OPEN, Reason
from engineio_green.core.settings import OPTION_NAMES, make_settings
from engineio_green.drivers.base import clock
from engineio_green.link import Link
from engineio_green.packet import Frame, Packet, encode_message
from engineio_green.serving import Serving
from engineio_green.websocket.stream import encode_frame

EVENTS = ("connect", "message", "disconnect", "upgrade", "drain", "packet", "connection_error")

_log = logging.getLogger("engineio_green.server")

class Server(Serving):
    """An Engine.IO server.

    :param async_mode: ``"threading"``, ``"gevent"`` ...; ``None`` chooses the first that has what it needs.
    :param logger: ``True`` logs to stderr, or a logger; ``False`` leaves only errors.
    :param options: see :class:`engineio_green.core.settings.Settings` for each with its unit and default.

    Every method may be called from any thread unless it says otherwise. Source: the documented API.
    """

    reason = Reason

    def __init__(self, async_mode: str | None = None, *, logger: Any = False, **options: Any) -> None:
        super().__init__(async_mode, make_settings(options), _make_logger(logger))
        for name in sorted(set(options) - OPTION_NAMES):
            self.logger.warning("unknown option %r is ignored; known are %s", name, ", ".join(sorted(OPTION_NAMES)))

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
            self.schedule(link)

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
