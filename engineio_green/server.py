"""The synchronous server as applications see it.

Owns the API that waits or sends, which is that of the compatible Python implementation, with what this package adds. The
rest of the API is in ``registry.py``; the requests are answered in ``serving.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from engineio_green.core.settings import make_settings
from engineio_green.draining import drain, remember
from engineio_green.link import Link
from engineio_green.logs import make_logger
from engineio_green.packet import Frame, Packet, encode_message
from engineio_green.registry import LOGGER
from engineio_green.serving import Serving
from engineio_green.websocket.stream import encode_frame


class Server(Serving):
    """An Engine.IO server.

    :param async_mode: ``"threading"``, ``"gevent"`` ...; ``None`` chooses the first that has what it needs.
    :param logger: ``True`` logs to stderr, or a logger; ``False`` leaves only errors.
    :param options: see :class:`engineio_green.core.settings.Settings` for each with its unit and default.

    Every method may be called from any thread unless it says otherwise. Source: the documented API.
    """

    def __init__(self, async_mode: str | None = None, *, logger: Any = False, **options: Any) -> None:
        super().__init__(async_mode, make_settings(options), make_logger(logger, LOGGER))
        self.given_options = options
        remember(self)
        self._warn_of_unknown(options)

    def send(self, sid: str, data: Any) -> None:
        """Send a message: ``str``, ``bytes``, ``dict`` or ``list``. Does nothing for a client that is gone.

        Blocks only with ``overflow="block"``. Raises ``UnicodeEncodeError`` for text that UTF-8 can't carry.
        """
        link = self.sockets.get(sid)
        if link is None:
            if self._debug:
                self.logger.debug("%s: send to a client that is gone", sid)
            return
        frame = encode_message(data, self.settings.json)
        if self.patient:
            self._send_patiently(link, frame)
        else:
            link.send(frame)

    def send_packet(self, sid: str, pkt: Packet) -> None:
        """Send a raw packet. One packet may go to any number of clients on either transport."""
        link = self.sockets.get(sid)
        if link is None:
            return
        frame = pkt.frame(self.settings.json)
        if self.patient:
            self._send_patiently(link, frame)
            return
        if pkt.wire is None:
            pkt.wire = encode_frame(frame)
        link.send(frame, pkt.wire)

    def broadcast(self, data: Any, sids: Iterable[str] | None = None, skip: str | Iterable[str] | None = None) -> int:
        """Send a message to many: all clients or *sids*, but those in *skip*. It is encoded once.

        Returns how many took it. Blocks only with ``overflow="block"``.
        """
        frame = encode_message(data, self.settings.json)
        wire = encode_frame(frame)
        left_out = {skip} if isinstance(skip, str) else set(skip or ())
        taken = 0
        for sid in list(self.sockets) if sids is None else sids:
            link = self.sockets.get(sid)
            if link is not None and sid not in left_out:
                taken += self._send_patiently(link, frame) if self.patient else link.send(frame, wire)
        return taken

    def _send_patiently(self, link: Link, frame: Frame) -> bool:
        """Send *frame*, and wait for room behind it."""
        sent, wakeup = link.begin_send(frame)
        if wakeup is not None:
            wakeup.wait(None)
            sent = not link.session.gone
        return sent

    def get_session(self, sid: str) -> dict[str, Any]:
        """Return the user session of a client: a dictionary of the application's own. Raises ``KeyError``."""
        return self._get_user_session(sid)

    def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Replace the user session of a client. Raises ``KeyError``."""
        self._get_socket(sid).user_session = session

    @contextmanager
    def session(self, sid: str) -> Iterator[dict[str, Any]]:
        """Give the user session for a ``with`` block, and save it at its end."""
        session = self.get_session(sid)
        yield session
        self.save_session(sid, session)

    def disconnect(self, sid: str | None = None) -> None:
        """Disconnect one client, or all. What was sent before is delivered first. Does nothing for one that is gone."""
        links = list(self.sockets.values()) if sid is None else [self.sockets.get(sid)]
        for link in links:
            if link is not None:
                self.part_with(link)

    def drain(self, timeout: float = 25, spread: float = 5) -> int:
        """Let the clients go, before this process ends. Blocks, in the caller's model, until all have left.

        New handshakes get a 503 with ``Retry-After`` from now on. What was sent goes out, then each client is told with a
        close packet, and a close frame with code 1001 on websocket.

        :param timeout: seconds after which those that are still there are cut off.
        :param spread: seconds over which they are told, at random moments, so that they don't all come back at once; a
            few clients take less.
        :return: how many had to be cut off.
        """
        return drain([self], timeout, spread)

    def shutdown(self) -> None:
        """Stop background activity. To be called before the web server stops, after :meth:`drain` for a clean end."""
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
