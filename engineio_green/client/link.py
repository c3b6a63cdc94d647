"""One connection of a client, from the handshake to the end: its session, its locks, its threads.

Threads, all daemons: one reads (it waits for the websocket, or in the held GET) and runs the handlers; on polling a second
one posts while there is something to post and goes when it has been idle; during an upgrade one more makes the websocket.
Where a handler blocks, `watch.py` gives the turn to read to a new thread, so handlers start in the order of the messages and
delay nobody. A websocket is written by whoever sends. A held GET can't be called off: its thread outlives a connection that
ended otherwise, idle, until the server answers or its time (ping interval and timeout) is up.

This file reads, upgrades and ends; what is sent leaves through `outbound.py`, which also says what the locks guard. Must not
know the application: it tells its owner.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Protocol

from engineio_green.client.clock import clock
from engineio_green.client.errors import Lost
from engineio_green.client.http import Http
from engineio_green.client.outbound import Outbound, start_thread
from engineio_green.client.watch import Turn, watch
from engineio_green.client.websocket import Wire
from engineio_green.core.client_session import END, POLL, READ, WAIT, ClientSession
from engineio_green.core.session import CLOSED, OPEN, OPENING, Closed, Reason
from engineio_green.exceptions import ConnectionError, PacketError
from engineio_green.packet import Data, JsonModule

# connect() waits for the upgrade as long as the handshake took, a round trip at least, but not less than this.
UPGRADE_WAIT_SECONDS = 0.05


class Owner(Protocol):
    """Who is told. No lock is held meanwhile."""

    logger: Any

    def deliver(self, data: Data) -> None:
        """A message has come. Never raises."""

    def on_link_closed(self, link: Link, closed: Closed) -> None:
        """The connection has ended: called once, for a connection that had been established."""


class Link(Outbound):
    """See the module's text.

    :param http: the requests of this connection.
    :param websocket_options: what the user adds to those of the websocket.
    :param timeout: seconds for the answers of a handshake, ``None``: no limit.
    """

    def __init__(
        self, owner: Owner, http: Http, json: JsonModule, websocket_options: dict[str, Any], timeout: float | None
    ) -> None:
        super().__init__(ClientSession(json), http)
        self._owner = owner
        self._websocket_options = websocket_options
        self._timeout = timeout
        self._inbox: deque[Data] = deque()
        self._upgrading = False
        self._leaving = False  # whoever has called disconnect() tells the owner of the end
        self._opened_in = 0.0
        self.arguments: Any = None
        """The owner's: what to connect with again."""
        self.turn = Turn()

    @property
    def closed(self) -> bool:
        return self.session.state == CLOSED

    # --- opening ---------------------------------------------------------------------------------------------------

    def open(self, transport: str) -> None:
        """Shake hands with the server. Raises :class:`ConnectionError`."""
        began = clock()
        try:
            if transport == "polling":
                self._inbox.extend(self.session.open_payload(self._http.open(), clock()))
            else:
                self._open_websocket()
        except PacketError as exc:
            self._discard()
            raise ConnectionError(f"the server does not speak Engine.IO, revision 4: {exc}", kind="protocol") from None
        except BaseException:
            self._discard()
            raise
        self._opened_in = clock() - began
        watch.add(self)

    def _open_websocket(self) -> None:
        wire = self._wire = self._connect_wire("")
        try:
            first, *rest = wire.read()
        except Lost as exc:
            kind = "timeout" if exc.reason == Reason.PING_TIMEOUT else "unreachable"
            raise ConnectionError(f"the server gave no open packet: {exc}", kind=kind) from None
        self.session.open(first, "websocket", clock())
        self._inbox.extend(self.session.receive(rest, clock()))
        self._calm(wire)

    def _connect_wire(self, sid: str) -> Wire:
        wire = Wire(self._http.websocket_url(sid), self._http.websocket_options(sid, self._websocket_options), self)
        self._http.take_cookies(wire.cookies)
        return wire

    def _calm(self, wire: Wire) -> None:
        wire.set_silence(self.session.look_in(clock()))

    def _discard(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._http.close()

    def cancel(self) -> None:
        """Nobody wants the connection that was just opened."""
        watch.remove(self)
        self.session.disconnect(abort=True)
        if self._wire is not None:
            self._wire.abort(self.session.take_frames())
            self._wire.close()
            self._http.close()
        else:
            self.post_soon()

    def begin(self, turn: Turn, upgrade: bool) -> None:
        """The connect handler is back: read, and with *upgrade* try for a websocket, for which this waits a little.

        :param turn: the connect handler's.
        """
        turn.busy = False
        self.flush()  # a pong, if a ping came with the open packet
        if upgrade and self.session.can_upgrade:
            self._upgrading = True
            start_thread(self._upgrade, "upgrade")
            with self.changed:
                self.changed.wait_for(lambda: not self._upgrading, max(self._opened_in, UPGRADE_WAIT_SECONDS))
        self.hand_over(turn)

    # --- the turn --------------------------------------------------------------------------------------------------

    def hand_over(self, turn: Turn) -> None:
        """Let a new thread go on, if *turn* is still the one. Does not block."""
        with self.lock:
            if self.turn is not turn:
                return
            turn = self.turn = Turn()
        start_thread(self._run, "reader", turn)

    def take_turn(self) -> Turn:
        """The calling thread runs a handler."""
        turn = self.turn
        turn.thread = threading.get_ident()
        turn.started += 1
        turn.busy = True
        if not watch.awake:
            watch.wake()
        return turn

    def _run(self, turn: Turn) -> None:
        """Read and run handlers until the session ends or another thread has the turn."""
        turn.thread = threading.get_ident()
        session = self.session
        while self._dispatch(turn):
            step = session.next_step()
            if step == READ:
                going = self._read(turn)
            elif step == POLL:
                going = self._poll(turn)
            elif step == END:
                self._settle()
                return
            else:
                with self.changed:
                    going = self.changed.wait_for(lambda: session.next_step() != WAIT)
            if not going:
                return

    def _dispatch(self, turn: Turn) -> bool:
        """Hand the messages over. Returns whether *turn* is still the one."""
        inbox, lock, deliver = self._inbox, self.lock, self._owner.deliver
        while True:
            with lock:
                if self.turn is not turn:
                    return False
                turn.busy = False
                if not inbox:
                    return True
                data = inbox.popleft()
                turn.started += 1
                turn.busy = True
            if not watch.awake:
                watch.wake()
            deliver(data)

    def wake_reader(self) -> None:
        """The session has ended under the reader's hands: make it see that."""
        if self._wire is not None and self.session.transport == "websocket":
            self._wire.abort()
            return
        turn = self.turn
        if not turn.busy:  # it is in a GET that nobody will answer soon; if it is busy, it comes to see by itself
            self.hand_over(turn)

    # --- reading ---------------------------------------------------------------------------------------------------

    def _read(self, turn: Turn) -> bool:
        """Read the websocket once. Returns whether *turn* is still the one."""
        assert self._wire is not None
        session = self.session
        try:
            frames = self._wire.read()
        except Lost as exc:
            with self.lock:
                session.close(exc.reason, detail=str(exc))
                return self.turn is turn
        with self.lock:
            if self.turn is not turn:
                return False
            self._inbox.extend(session.receive(frames, clock()))
        if session.outbox:
            self.flush(wait=False)
        return True

    def _poll(self, turn: Turn) -> bool:
        """Send one GET. Returns whether *turn* is still the one."""
        session = self.session
        with self.lock:
            if self.turn is not turn or not session.begin_poll():
                return self.turn is turn
        body, failure = b"", None
        try:
            body = self._http.poll(session.sid, session.patience)
        except ConnectionError as exc:
            failure = exc
        with self.changed:
            if self.turn is not turn:
                self._http.close()
                return False
            if failure is None:
                self._inbox.extend(session.end_poll(body, clock()))
            else:
                session.polling = False
                reason = Reason.PING_TIMEOUT if failure.kind == "timeout" else Reason.TRANSPORT_ERROR
                session.close(reason, detail=str(failure))
            self.changed.notify_all()
        self.flush()
        return True

    def tick(self, wire: Wire) -> bool:
        """A websocket was silent for a while. Returns whether to go on: while it shakes hands, once is too long."""
        with self.lock:
            going = wire is self._wire and self.session.state != OPENING and self.session.tick(clock())
        if going:
            self._calm(wire)
        return going

    # --- upgrade ---------------------------------------------------------------------------------------------------

    def _upgrade(self) -> None:
        """Make a websocket and move the session to it; polling goes on until then, and after a failure."""
        wire, failure, done = None, "", False
        try:
            wire = self._connect_wire(self.session.sid)
            done = self._probe(wire)
        except (ConnectionError, Lost, OSError) as exc:
            failure = str(exc)
        except Exception as exc:
            failure = f"{exc.__class__.__name__}: {exc}"
        with self.changed:
            if not done:
                self.session.end_upgrade()
            self._upgrading = False
            self.changed.notify_all()
        if done:
            self._owner.logger.info("upgraded to websocket")
            return
        self._owner.logger.info("the upgrade to websocket failed, polling goes on: %s", failure or "the server said no")
        if wire is not None:
            wire.close()
        self.flush()

    def _probe(self, wire: Wire) -> bool:
        """Returns whether the websocket is the transport now."""
        session = self.session
        with self.lock:
            probe = session.begin_upgrade()
        if probe is None:
            return False
        wire.write([probe])
        answer = wire.read()[0]
        with self.changed:
            if not session.receive_probe(answer):
                return False
            # The server ends a held GET as soon as it has seen the probe.
            self.changed.wait_for(lambda: session.quiet or session.state != OPEN, self._timeout)
            if not session.complete_upgrade(clock()):
                return False
            self._calm(wire)
            self._wire = wire
        self.flush()
        return True

    # --- the end ---------------------------------------------------------------------------------------------------

    def disconnect(self, abort: bool) -> None:
        """End the connection: what was sent goes out first, unless *abort*. Does nothing when it is ending already."""
        session = self.session
        with self.changed:
            if not session.disconnect(abort):
                return
            self._leaving = True
            self._inbox.clear()
            polling = session.transport == "polling"
            turn = self.turn
            self.changed.notify_all()
        if polling:
            self.post_soon()
            if not abort:
                with self.changed:
                    self.changed.wait_for(lambda: session.drained or session.state == CLOSED, self._timeout)
                    session.close(Reason.CLIENT_DISCONNECT)
                    self.changed.notify_all()
        elif abort:
            self._abort_websocket()
        else:
            self._leave_websocket(turn)
        self._tell()

    def _abort_websocket(self) -> None:
        assert self._wire is not None
        alone = self._write_lock.acquire(False)  # or the goodbye would land in the middle of somebody's message
        try:
            self._wire.abort(self.session.take_frames() if alone else ())
        finally:
            if alone:
                self._write_lock.release()

    def _leave_websocket(self, turn: Turn) -> None:
        assert self._wire is not None
        if turn.busy and turn.thread == threading.get_ident():
            self.hand_over(turn)  # called by a handler: somebody has to read until the server has closed
        self.flush()
        with self.changed:
            self.changed.wait_for(lambda: self.session.state == CLOSED, self._timeout)
            self.session.close(Reason.CLIENT_DISCONNECT)
        self._wire.abort()

    def _settle(self) -> None:
        """Called by the reader at the end."""
        if self._wire is not None:
            self._wire.abort()
            with self._write_lock:  # nobody writes to a descriptor that may be somebody else's the next moment
                self._wire.close()
        self._http.close()
        with self.changed:
            self.changed.notify_all()
            if self._leaving:
                return
        self._tell()

    def _tell(self) -> None:
        watch.remove(self)
        with self.lock:
            closed = self.session.take_closed()
        if closed is not None:
            self._owner.on_link_closed(self, closed)
