"""The shell's record of one client: its session, its lock, its held poll, its websockets, and the messages under way.

Owns the path from a readable socket to the handlers and the order in which they start. One worker at a time is at work for a
client; when a handler blocks it, the driver says so and another worker goes on with the rest. Must not know HTTP, nor decide
anything about the protocol: it asks the session.
"""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engineio_green.core.session import Closed, Reason, Session
from engineio_green.drivers.base import Wakeup, clock
from engineio_green.exceptions import PacketError
from engineio_green.logs import short
from engineio_green.outbound import Outbound
from engineio_green.packet import Data, Frame, Packet
from engineio_green.websocket.channel import Channel

if TYPE_CHECKING:
    from engineio_green.core.deadlines import Entry
    from engineio_green.registry import Registry


# Messages that may wait for a worker before the POST that brought more of them is held.
MAX_INBOX = 1000


@dataclass(slots=True)
class Notice:
    """An event for the application other than a message, in its place among the messages."""

    event: str
    arguments: tuple[Any, ...]


class Link(Outbound):
    """See the module's text. ``lock`` guards everything here and is never held while a handler runs or something waits."""

    __slots__ = (
        "__weakref__",
        "_blocked",
        "_epoch",
        "_inbox",
        "_paused",
        "_running",
        "_waiting_post",
        "address",
        "binding",
        "connected_at",
        "deadline",
        "probing",
        "reading_from",
        "user_session",
    )

    def __init__(self, server: Registry, session: Session, lock: Any, address: str) -> None:
        super().__init__(server, session, lock)
        self.address = address
        self.connected_at = clock()
        self.binding: Any = None
        self.reading_from: Any = None  # the HTTP server's socket, while the body of a POST is read from it
        self.user_session: dict[str, Any] | None = None
        self.probing: Channel | None = None
        self.deadline: Entry | None = None
        self._inbox: deque[Data | Closed | Notice] = deque()  # what waits for its handler
        self._waiting_post: Wakeup | None = None  # of a POST whose answer waits for its handlers to start
        self._running = False  # a worker is at work here
        self._epoch = 0  # changes when the work is taken from a blocked worker
        self._blocked = 0  # workers whose handler has not come back since
        self._paused: Channel | None = None  # had something to read when it could not be read

    @property
    def upgraded(self) -> bool:
        return self.session.transport == "websocket"

    # --- receiving -----------------------------------------------------------------------------------------------------

    def on_readable(self, connection: Channel) -> None:
        """Read once, then run the handlers of what has come. Called in a worker."""
        with self.lock:
            inbox = self._inbox
            busy = self._running or self._blocked >= self.server.settings.max_blocked_handlers
            if connection is not self.websocket:
                self._read_probe_locked(connection)  # needs no handler
            elif busy:
                self._paused = connection
                self._hold_up_locked()
                connection.pause()
                return
            else:
                self._read_locked(connection)
            closed = None if self.session.closed is None else self.session.take_closed()
            if closed is None:
                if busy or not inbox:
                    return
                item = inbox.popleft()
            if not busy:
                self._running = True
                epoch = self._epoch
                if inbox:
                    self._corked = True
        if closed is not None:
            if busy:
                self.finish(closed)
                return
            self.shut_down(closed)
            inbox.append(closed)
            item = inbox.popleft()
        self._work(item, epoch)

    def _hold_up_locked(self) -> None:
        """This client is not read: its silence is ours, unless we wait for it to take what a send has for it."""
        if not self._waiting_sends:
            self.session.hold_up()

    def _read_locked(self, connection: Channel) -> None:
        receive, inbox = self.session.receive, self._inbox
        tap = self.server.tap
        for message in connection.read_locked():
            if tap:
                self._tap_locked(message)
            event = receive(message)
            if event is None:
                continue
            if event.__class__ is Closed:
                return
            inbox.append(event)
        if connection.ended:
            self._end_locked(connection)

    def packet_notice(self, frame: Frame) -> Notice | None:
        """Return the event that shows a received frame, if somebody wants it. Raises :class:`PacketError`."""
        packet = Packet()
        packet.decode(frame)
        return Notice("packet", (self.sid, packet))

    def _tap_locked(self, message: Frame) -> None:
        try:
            notice = self.packet_notice(message)
        except PacketError:
            return  # the session is about to say so
        if notice is not None:
            self._inbox.append(notice)

    def _end_locked(self, connection: Channel) -> None:
        self.session.close(Reason.TRANSPORT_ERROR if connection.failed else Reason.TRANSPORT_CLOSE)

    def _read_probe_locked(self, connection: Channel) -> None:
        """Read from a websocket on probation, or from one that only waits for its end."""
        messages = connection.read_locked()
        session = self.session
        if connection is not self.probing:
            return
        for index, message in enumerate(messages):
            answer = session.receive_probe(message)
            self.on_probed(message, answer)
            if answer is not None:
                connection.send_locked([answer])
                self._wake_poll_locked()
            elif session.upgraded:
                self._adopt_locked(connection, messages[index + 1 :])
                return
            else:
                break
        if connection.ended or not session.upgrading:
            session.end_upgrade()
            self._drop_probe_locked()

    def _adopt_locked(self, connection: Channel, messages: list[Any]) -> None:
        """The websocket on probation is the transport now."""
        self.probing, self.websocket = None, connection
        self._wake_poll_locked()
        self.flush_locked()
        if not connection.unsent_bytes:
            self._wake_sends_locked()
        if "upgrade" in self.server.handlers:
            self._inbox.append(Notice("upgrade", (self.sid,)))
        for message in messages:
            if self.server.tap:
                self._tap_locked(message)
            event = self.session.receive(message)
            if event.__class__ is Closed:
                return
            if event is not None:
                self._inbox.append(event)
        if connection.ended:
            self._end_locked(connection)

    def _wake_poll_locked(self) -> None:
        if self.wakeup is not None:
            self.wakeup.wake()

    def _drop_probe_locked(self) -> None:
        connection, self.probing = self.probing, None
        if connection is not None:
            connection.close_locked(1000)
            self.server.schedule_close(connection)

    def enqueue_locked(self, messages: list[Data | Notice]) -> Wakeup | None:
        """Let workers run the handlers of *messages*, which have come by POST.

        Returns what the answer must wait for, when the client is ahead of its handlers.
        """
        scheduled = len(self._inbox) > 0
        self._inbox.extend(messages)
        if not self._running and not self._lagging and not scheduled:
            self.server.driver.run_soon(self)
        elif self._lagging or not self.server.settings.async_handlers or len(self._inbox) > MAX_INBOX:
            self._hold_up_locked()
            self._waiting_post = self.server.driver.create_wakeup()
        return self._waiting_post

    def _notify_locked(self, event: str, *arguments: Any) -> None:
        self._inbox.append(Notice(event, arguments))
        if not self._running and not self._lagging:
            self.server.driver.run_soon(self)

    # --- working -------------------------------------------------------------------------------------------------------

    @property
    def _lagging(self) -> bool:
        return self._blocked >= self.server.settings.max_blocked_handlers

    def run(self) -> None:
        """Run the handlers of what waits. Called in a worker."""
        with self.lock:
            if self._running or self._lagging or not self._inbox:
                return
            item = self._inbox.popleft()
            self._running = True
            epoch = self._epoch
            self._corked = len(self._inbox) > 0
        self._work(item, epoch)

    def _work(self, item: Data | Closed | Notice, epoch: int) -> None:
        handle = self.server.handle_message
        session, inbox = self.session, self._inbox
        try:
            while True:
                if isinstance(item, Closed):
                    self.server.tell_closed(self, item)
                elif isinstance(item, Notice):
                    self.server.trigger(item.event, *item.arguments)
                else:
                    handle(session.sid, item)
                with self.lock:
                    if self._epoch != epoch:
                        self._come_back_locked()
                        return
                    if not inbox:
                        self._stop_working_locked()
                        return
                    item = inbox.popleft()
        except BaseException:  # the worker is being killed: another one goes on with this client
            with self.lock:
                if self._epoch != epoch:
                    self._come_back_locked()
                else:
                    self._stop_working_locked()
                    self._go_on_locked()
            raise

    def _stop_working_locked(self) -> None:
        self._running = False
        if self._corked:
            self._corked = False
            self.flush_locked()
        if self._paused is not None:
            self._resume_locked()
        if self._waiting_post is not None:
            self._wake_post_locked()

    def _wake_post_locked(self) -> None:
        wakeup, self._waiting_post = self._waiting_post, None
        if wakeup is not None:
            self.session.go_on(clock())
            wakeup.wake()

    def _resume_locked(self) -> None:
        connection, self._paused = self._paused, None
        if connection is not None:
            self.session.go_on(clock())
            if not connection.closed:
                connection.resume()

    def on_blocked(self) -> None:
        """A handler has blocked its worker: what was sent goes out, and another worker goes on. Never blocks."""
        with self.lock:
            if not self._running:
                return
            self._corked = False
            self.flush_locked()
            if not self.server.settings.async_handlers:
                return
            self._epoch += 1
            self._running = False
            self._blocked += 1
            self._go_on_locked()

    def _come_back_locked(self) -> None:
        """The handler of a worker that was given up for blocked has returned."""
        self._blocked -= 1
        if not self._running:
            self._go_on_locked()

    def _go_on_locked(self) -> None:
        if not self._inbox:
            self._wake_post_locked()
        if self._lagging:
            return
        if self._inbox:
            self.server.driver.run_soon(self)
        self._resume_locked()

    def on_polled(self, frames: list[Frame]) -> None:
        """A poll is answered with *frames*."""

    def on_probed(self, message: Frame, answer: Frame | None) -> None:
        """A websocket on probation has sent *message*, and gets *answer*."""

    # --- time and end --------------------------------------------------------------------------------------------------

    def on_deadline(self, now: float) -> None:
        """Do what is due, and ask for the next moment; the server's clock calls this in a worker."""
        session = self.session
        with self.lock:
            session.tick(now)
            if self.probing is not None and not session.upgrading:
                self._drop_probe_locked()
            if not self._corked:
                self.flush_locked()
        if session.never_opened:
            self.server.give_up_opening(self)
            return
        self.settle()
        self.server.schedule(self)

    def settle(self) -> None:
        """Carry out the end of the session if it has just ended. Called without the lock after any call of the session."""
        with self.lock:
            closed = self.session.take_closed()
        if closed is not None:
            self.finish(closed)

    def finish(self, closed: Closed) -> None:
        """Shut down and tell the application, after the messages that came before."""
        self.shut_down(closed)
        with self.lock:
            if self._inbox or (self._running and not self.server.settings.async_handlers):
                self._inbox.append(closed)
                waiting = not self._running and not self._lagging
            else:
                waiting = None
        if waiting is None:
            self.server.tell_closed(self, closed)
        elif waiting:
            self.server.driver.run_soon(self)

    def _end_soon_locked(self, closed: Closed) -> None:
        self.server.driver.run_soon(Farewell(self, closed))

    def shut_down(self, closed: Closed) -> None:
        """End what the session had: its held poll, its websockets, its deadline."""
        with self.lock:
            self._corked = False
            self.flush_locked()
            self._wake_poll_locked()
            self._wake_post_locked()
            self._wake_sends_locked()
            for connection in (self.websocket, self.probing):
                if connection is not None and not connection.closed:
                    connection.close_locked(closed.code, closed.detail)
                    self.server.schedule_close(connection)
            self.probing = None
            self.server.forget_deadline_locked(self)
            if self.reading_from is not None:
                try:
                    self.reading_from.shutdown(socket.SHUT_RD)  # a body slower than its session must not keep a worker
                except OSError:
                    pass


class Farewell:
    """The job that ends a client for which too much waits, so that its handlers do not run within somebody's send."""

    def __init__(self, link: Link, closed: Closed) -> None:
        self.link = link
        self.closed = closed

    def run(self) -> None:
        self.link.server.logger.info("%s: closed, %s", short(self.link.sid), self.closed.detail)
        self.link.finish(self.closed)

    def on_blocked(self) -> None:
        """Nothing else waits for this job."""
