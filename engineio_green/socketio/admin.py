"""What ``sio.instrument()`` of python-socketio needs: classes that it patches, and links that call what it has put there.

It replaces ``_ok`` of the server and methods of the classes ``Socket`` and ``AsyncSocket``, and counts one packet and its bytes
each time that they are called. So they are called here once for each packet, with that packet's size. A server that nobody
has instrumented makes ordinary links, which know nothing of this. Everything in this module is (compatibility).
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from engineio_green.link import Link, Notice
from engineio_green.packet import PING_FRAME, Frame, Packet, to_payload_form

if TYPE_CHECKING:
    from engineio_green.core.session import Session
    from engineio_green.registry import Registry


class BaseSocket:
    """One client, as the patched methods see it."""

    def __init__(self, server: Any, sid: str) -> None:
        self.server = server
        self.sid = sid


class Socket(BaseSocket):
    """The methods that are patched, on threads, gevent and eventlet."""

    def handle_post_request(self, environ: dict[str, Any]) -> None:
        """A packet has come by polling; its size is ``environ["CONTENT_LENGTH"]``."""

    def _websocket_handler(self, ws: Any) -> None:
        """A client is on websocket; each packet passes through ``ws.send`` or ``ws.wait``."""

    def _send_ping(self) -> None:
        """The client is sent a ping."""

    def schedule_ping(self) -> None:
        """The heartbeat begins; python-socketio's own tests replace it."""


class AsyncSocket(BaseSocket):
    """The methods that are patched, on asyncio."""

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """See :meth:`Socket.handle_post_request`."""

    async def _websocket_handler(self, ws: Any) -> None:
        """See :meth:`Socket._websocket_handler`."""

    async def _send_ping(self) -> None:
        """See :meth:`Socket._send_ping`."""

    def schedule_ping(self) -> None:
        """See :meth:`Socket.schedule_ping`."""


class Passage:
    """What ``_websocket_handler`` gets for a websocket. Its methods are replaced, one by one, on the object."""

    def __init__(self) -> None:
        self.came: bytes = b""

    def send(self, data: bytes) -> None:
        """A packet goes out."""

    def wait(self) -> bytes:
        """Return the packet that has come."""
        return self.came


class AsyncPassage(Passage):
    """The same for asyncio."""

    async def send(self, data: bytes) -> None:  # type: ignore[override]  # it is awaited where it is called
        """A packet goes out."""

    async def wait(self) -> bytes:  # type: ignore[override]  # it is awaited where it is called
        """Return the packet that has come."""
        return self.came


class Meter:
    """Tells the patched methods of one client's packets. Called with the client's lock held; they must not wait for it."""

    def __init__(self, link: Link, lock: Any) -> None:
        server: Any = link.server
        self._server = server
        self._lock = lock  # of the server: the counters know no threads
        self._asyncio = inspect.iscoroutinefunction(server.send)
        self._socket = (AsyncSocket if self._asyncio else Socket)(server, link.sid)
        self._passage: Passage | None = None

    def sent(self, frames: Iterable[Frame], websocket: bool) -> None:
        """*frames* go out."""
        for frame in frames:
            if websocket:
                self._call(self._websocket().send, _bytes_of(frame))
            else:
                packet = Packet(encoded_packet=frame)
                self._call(self._server._ok, packets=[packet])
            if frame == PING_FRAME:
                self._tell_ping()

    def received(self, frame: Frame, websocket: bool) -> None:
        """*frame* has come."""
        if websocket:
            passage = self._websocket()
            passage.came = _bytes_of(frame)
            self._call(passage.wait)
        else:
            size = len(to_payload_form(frame).encode())
            self._call(self._socket.handle_post_request, {"CONTENT_LENGTH": str(size)})

    def _websocket(self) -> Passage:
        if self._passage is None:
            self._passage = AsyncPassage() if self._asyncio else Passage()
            self._call(self._socket._websocket_handler, self._passage)
        return self._passage

    def _call(self, method: Any, *arguments: Any, **options: Any) -> None:
        with self._lock:
            try:
                result = method(*arguments, **options)
                if inspect.iscoroutine(result):
                    _run_through(result)
            except Exception:
                self._server.logger.exception("what counts packets for the admin page has failed")

    def _tell_ping(self) -> None:
        """This sends to the admin page, so it is done when no lock is held."""
        if self._asyncio:
            self._server.start(self._ping_and_log())
        else:
            self._server.driver.run_soon(Ping(self._socket, self._server))

    async def _ping_and_log(self) -> None:
        try:
            await self._socket._send_ping()  # type: ignore[misc]  # it is the asynchronous one
        except Exception:
            self._server.logger.exception("what tells the admin page of a client has failed")


class Ping:
    """The job that tells of a ping."""

    def __init__(self, socket: Any, server: Any) -> None:
        self._socket = socket
        self._server = server

    def run(self) -> None:
        try:
            self._socket._send_ping()
        except Exception:
            self._server.logger.exception("what tells the admin page of a client has failed")

    def on_blocked(self) -> None:
        """Nothing else waits for this job."""


class MeteredLink(Link):
    """A link that shows every packet to a :class:`Meter`. To be combined with the class of links that a server has."""

    __slots__ = ("meter",)

    def __init__(self, server: Registry, session: Session, lock: Any, address: str) -> None:
        super().__init__(server, session, lock, address)
        self.meter: Meter = Meter(self, vars(server).setdefault("_meters_lock", server.driver.create_lock()))
        server.tap = True

    def send(self, frame: Frame, wire: bytes | None = None) -> bool:
        """Send *frame* by way of the outbox, past which nothing goes. See :meth:`Outbound.send`."""
        with self.lock:
            return self._put_locked(frame) and self._has_room_locked()

    def flush_locked(self) -> None:
        if self.websocket is not None:
            self.meter.sent(self.session.outbox, websocket=True)
        super().flush_locked()

    def on_polled(self, frames: list[Frame]) -> None:
        self.meter.sent(frames, websocket=False)

    def on_probed(self, message: Frame, answer: Frame | None) -> None:
        self.meter.received(message, websocket=True)
        if answer is not None:
            self.meter.sent([answer], websocket=True)

    def packet_notice(self, frame: Frame) -> Notice | None:
        self.meter.received(frame, self.session.transport == "websocket")
        return super().packet_notice(frame) if "packet" in self.server.handlers else None


_metered: dict[type[Link], type[Link]] = {}


def metered(link_class: type[Link]) -> type[Link]:
    """Return *link_class* with a meter."""
    if link_class not in _metered:
        _metered[link_class] = type(f"Metered{link_class.__name__}", (MeteredLink, link_class), {"__slots__": ()})
    return _metered[link_class]


def _bytes_of(frame: Frame) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


def _run_through(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine that does not wait for anything."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("it waits, where packets are counted and nothing may wait")
