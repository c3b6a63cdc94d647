"""The sending half of a link: from ``send`` to its websocket or its held poll, and what happens when too much waits.

Owns corking and the ``overflow`` policies. Must not know what is received, nor decide anything about the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engineio_green.core.session import OPENING, Closed, Reason, Session
from engineio_green.drivers.base import Wakeup, clock
from engineio_green.packet import Frame
from engineio_green.websocket.channel import Channel
from engineio_green.websocket.stream import encode_frame

if TYPE_CHECKING:
    from engineio_green.registry import Registry

# Frames that a handler may send within a batch before they go out all the same.
MAX_CORKED_FRAMES = 256


class Outbound:
    """``lock`` guards everything here and is never held while a handler runs or something waits."""

    __slots__ = ("_corked", "_waiting_sends", "lock", "server", "session", "wakeup", "websocket")

    def __init__(self, server: Registry, session: Session, lock: Any) -> None:
        self.server = server
        self.session = session
        self.lock = lock
        self.wakeup: Wakeup | None = None  # of the held poll
        self.websocket: Channel | None = None
        self._waiting_sends: list[Wakeup] = []  # of sends that wait for room
        self._corked = False  # what is sent waits for the end of the batch

    @property
    def sid(self) -> str:
        return self.session.sid

    def send(self, frame: Frame, wire: bytes | None = None) -> bool:
        """Send *frame*, from any thread. Returns whether the session could take it.

        :param wire: what :func:`encode_frame` makes of it, for who has that already.
        """
        with self.lock:
            connection = self.websocket
            if connection is None or self._corked or self.session.outbox or (self.server.drops and connection.unsent_bytes):
                return self._put_locked(frame) and self._has_room_locked()
            if not self.session.can_send:
                return False
            if connection.shares_frames:
                connection.write_locked(encode_frame(frame) if wire is None else wire)
            else:
                connection.send_locked([frame])
            return not connection.unsent_bytes or self._has_room_locked()

    def begin_send(self, frame: Frame) -> tuple[bool, Wakeup | None]:
        """Send *frame*. Returns whether the session could take it, and what to wait for when there is too much behind it:
        ``overflow='block'``."""
        with self.lock:
            if not self._put_locked(frame):
                return False, None
            room = self._buffered_locked() <= self.server.settings.max_buffered_bytes
            if room or self.session.state == OPENING:  # it can't take anything before its connect handler has returned
                return True, None
            wakeup = self.server.driver.create_wakeup()
            self._waiting_sends.append(wakeup)
            self.session.go_on(clock())  # from here on its silence ends it, and this wait
        return True, wakeup

    def _put_locked(self, frame: Frame) -> bool:
        session = self.session
        if self.server.drops and self._is_full_locked(len(frame)):
            return False
        if not session.send(frame):
            return False
        if self.websocket is None:
            session.buffered += len(frame)
        if self._corked and len(session.outbox) < MAX_CORKED_FRAMES:
            return True
        if self.websocket is not None:
            self.flush_locked()
        elif self.wakeup is not None:
            self.wakeup.wake()
        return True

    def flush_locked(self) -> None:
        """Hand what the session has to its websocket, or wake its held poll."""
        session = self.session
        if not session.outbox:
            return
        connection = self.websocket
        if connection is not None:
            connection.send_locked(session.take_frames())
        elif self.wakeup is not None:
            self.wakeup.wake()

    # --- too much to send ----------------------------------------------------------------------------------------------

    def _buffered_locked(self) -> int:
        connection = self.websocket
        return connection.unsent_bytes if connection is not None else self.session.buffered

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client."""
        with self.lock:
            return self._buffered_locked()

    def _has_room_locked(self) -> bool:
        """Whether what was sent last may stay; if not, do what the ``overflow`` option says."""
        settings = self.server.settings
        connection = self.websocket
        if (connection.unsent_bytes if connection is not None else self.session.buffered) <= settings.max_buffered_bytes:
            return True
        if settings.overflow == "drop":
            return True  # one message that alone is more; the next ones are dropped
        detail = f"more than max_buffered_bytes={settings.max_buffered_bytes} waited"
        closed = self.session.close(Reason.TRANSPORT_ERROR, 1008, detail)
        self.session.take_frames()
        if connection is not None:
            connection.close_socket_locked()  # it does not read: a close frame would only wait behind the rest
        if closed is not None:
            self.session.take_closed()
            self._end_soon_locked(closed)
        return False

    def _is_full_locked(self, size: int) -> bool:
        buffered = self._buffered_locked()
        return buffered > 0 and buffered + size > self.server.settings.max_buffered_bytes

    def on_lost_locked(self, connection: Channel) -> None:
        """The websocket can't be written to. Its reading side finds the end, unless it waits for a handler that waits here."""
        if connection is self.websocket and self._waiting_sends:
            closed = self.session.close(Reason.TRANSPORT_CLOSE)
            if closed is not None:
                self.session.take_closed()
                self._end_soon_locked(closed)
            self._wake_sends_locked()

    def on_drained_locked(self) -> None:
        """Nothing waits for the client any more."""
        self._wake_sends_locked()
        if "drain" in self.server.handlers and not self.session.gone:
            self._notify_locked("drain", self.sid)

    def _wake_sends_locked(self) -> None:
        for wakeup in self._waiting_sends:
            wakeup.wake()
        self._waiting_sends = []

    def _notify_locked(self, event: str, *arguments: Any) -> None:
        """Tell the application of an event, in its place among the messages."""
        raise NotImplementedError

    def _end_soon_locked(self, closed: Closed) -> None:
        """End the client, but not within this call: the caller is somebody's send."""
        raise NotImplementedError
