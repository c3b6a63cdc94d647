"""What a client's connection sends: straight to the websocket, or through the thread that posts while there is something to post.

Locks: `lock` (as the condition `changed`) guards the session and the turn, for moments only. `_write_lock` is held while a
websocket is written, so the order of the calls is the order on the wire; who holds it looks again for what others have
queued meanwhile, so nobody has to wait for it just to leave an answer. Must not know who reads, but that it can be woken.
"""

from __future__ import annotations

import threading
from typing import Any

from engineio_green.client.clock import clock
from engineio_green.client.http import Http
from engineio_green.client.websocket import Wire
from engineio_green.core.client_session import LAST_WORDS_SECONDS, ClientSession
from engineio_green.core.session import CLOSED, OPEN, Reason
from engineio_green.exceptions import ConnectionError, NotConnectedError
from engineio_green.packet import CLOSE_FRAME, Frame

# How long the posting thread waits for more before it ends.
WRITER_IDLE_SECONDS = 2.0


def start_thread(target: Any, name: str, *arguments: Any) -> None:
    threading.Thread(target=target, name=f"engineio-client-{name}", args=arguments, daemon=True).start()


class Outbound:
    """The sending half of a link. See the module's text."""

    def __init__(self, session: ClientSession, http: Http) -> None:
        self.session = session
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self._http = http
        self._wire: Wire | None = None
        self._write_lock = threading.Lock()
        self._writing = False  # there is a posting thread

    def send(self, frame: Frame) -> None:
        """Send *frame*, or raise: see :meth:`ClientSession.send`."""
        try:
            with self.lock:
                self.session.send(frame, clock())
        except NotConnectedError:
            self.wake_reader()  # it was this that has found the server silent for too long
            raise
        self.flush()

    def flush(self, wait: bool = True) -> None:
        """Bring what is to be sent on its way. Without *wait*, leave it to whoever is writing at the moment."""
        session, wire = self.session, self._wire
        if session.transport == "polling" or wire is None:
            self.post_soon()
            return
        while session.outbox or wire.control:
            if not self._write_lock.acquire(wait):
                return
            try:
                with self.lock:
                    frames = session.take_frames()
                wire.write(frames, farewell=bool(frames) and frames[-1] == CLOSE_FRAME)
            except OSError as exc:
                with self.lock:
                    session.close(Reason.TRANSPORT_CLOSE, detail=str(exc))
                self.wake_reader()
                return
            finally:
                self._write_lock.release()

    def flush_control(self, wire: Wire) -> None:
        """The websocket library has something to send, in the reading thread."""
        if wire is self._wire:
            self.flush(wait=False)
        else:
            wire.write(())

    def wake_reader(self) -> None:
        """The session has ended under the reader's hands: make it see that."""
        raise NotImplementedError

    def post_soon(self) -> None:
        with self.changed:
            if not self.session.wants_post:
                return
            if self._writing:
                self.changed.notify_all()
                return
            self._writing = True
        start_thread(self._write, "writer")

    def _write(self) -> None:
        """Post what there is, and go after a while without anything."""
        session = self.session
        while True:
            with self.changed:
                self.changed.wait_for(self._writer_wanted, WRITER_IDLE_SECONDS)
                body = session.begin_post()
                if body is None:
                    self._writing = False
                    break
            failure = ended = None
            try:
                self._http.post(session.sid, body)
            except ConnectionError as exc:
                failure = exc
            with self.changed:
                if failure is not None:
                    self.changed.wait_for(lambda: session.state != OPEN, LAST_WORDS_SECONDS)
                    ended = session.close(Reason.TRANSPORT_ERROR, detail=str(failure))
                session.end_post()
                self.changed.notify_all()
            if ended is not None:
                self.wake_reader()
        if session.state == CLOSED:
            self._http.close()

    def _writer_wanted(self) -> bool:
        session = self.session
        return session.wants_post or session.state == CLOSED or session.transport != "polling"
