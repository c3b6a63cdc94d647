"""One client's state machine: opening, open, closing, closed; polling, upgrading, upgraded; alive or silent.

Owns what may happen when, what is still to be sent, and the one moment at which the session ends. Must not know sockets,
threads, HTTP or the application: it is fed frames and ``now``, and returns what happened. Not thread-safe: the shell holds
its lock around each call. Rules: the Engine.IO protocol, revision 4, and the behaviour of the JavaScript reference server.
"""

from __future__ import annotations

import json as stdlib_json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engineio_green.core.settings import Settings
from engineio_green.exceptions import PacketError
from engineio_green.packet import CLOSE_FRAME, NOOP_FRAME, PING_FRAME, Data, Frame, decode_text, encode_message
from engineio_green.payload import decode_payload

# The states, in the order in which they are passed.
OPENING, OPEN, CLOSING, CLOSED = range(4)

# The steps of an upgrade: no websocket on probation, one that owes its probe, one that owes the upgrade packet.
NO_PROBE, PROBE_EXPECTED, UPGRADE_EXPECTED = range(3)

# How long a poll is held while a client upgrades, so that one that polls in a loop does not spin. The protocol wants such
# polls to be answered soon: the client may be waiting for the answer before it completes the upgrade.
UPGRADING_POLL_SECONDS = 0.1

NEVER = float("inf")


class Reason:
    """The reasons that a disconnect handler can get."""

    SERVER_DISCONNECT = "server disconnect"
    CLIENT_DISCONNECT = "client disconnect"
    PING_TIMEOUT = "ping timeout"
    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"


@dataclass(slots=True)
class Closed:
    """The session has ended. *code* is for a websocket's close frame (RFC 6455, section 7.4.1)."""

    reason: str
    code: int = 1000
    detail: str = ""


class Session:
    """The state of one client. See the module's text for who may call it and when."""

    __slots__ = (
        "_last_frame",
        "awaiting_pong",
        "buffered",
        "closed",
        "closing_due",
        "held_up",
        "opening_due",
        "outbox",
        "ping_due",
        "poll_held",
        "pong_due",
        "posting",
        "probe",
        "probe_due",
        "settings",
        "sid",
        "state",
        "transport",
        "upgraded",
    )

    def __init__(self, sid: str, settings: Settings, transport: str) -> None:
        self.sid = sid
        self.settings = settings
        self.transport = transport
        self.state = OPENING
        self.outbox: list[Frame] = []
        self.buffered = 0
        """Bytes of the outbox, counted while they wait for a poll."""
        self.held_up = False
        """The server itself does not read from this client: its silence is not its fault."""
        self.upgraded = False
        self.probe = NO_PROBE
        self.poll_held = False
        self.posting = False
        self.awaiting_pong = False
        self.ping_due = self.pong_due = self.probe_due = self.closing_due = self.opening_due = NEVER
        self.closed: Closed | None = None
        """How it has ended, until somebody takes that over."""
        self._last_frame = CLOSE_FRAME

    @property
    def gone(self) -> bool:
        return self.state == CLOSED

    @property
    def upgrading(self) -> bool:
        return self.probe != NO_PROBE

    # --- opening and closing -------------------------------------------------------------------------------------

    def begin_opening(self, now: float) -> None:
        """The application is asked, and has ``connect_timeout`` for its answer."""
        self.opening_due = now + self.settings.connect_timeout

    def end_opening(self) -> bool:
        """The application has answered. Returns whether the session is still there to be opened."""
        self.opening_due = NEVER
        return self.state == OPENING

    @property
    def never_opened(self) -> bool:
        """Whether it has ended without an answer of the application: nobody is told of such an end."""
        return self.state == CLOSED and self.opening_due != NEVER

    def accept(self, now: float, can_upgrade: bool) -> None:
        """The application has accepted: the open packet goes out first, then what was sent meanwhile."""
        if self.state != OPENING:
            return
        self.state = OPEN
        self.ping_due = now + self.settings.ping_interval
        self.outbox.insert(0, self._open_frame(can_upgrade))
        initial = self.settings.initial_packet
        if initial is not None:
            self.outbox.insert(1, encode_message(initial, self.settings.json))

    def _open_frame(self, can_upgrade: bool) -> str:
        settings = self.settings
        allowed = can_upgrade and settings.allow_upgrades and "websocket" in settings.transports
        upgrades = ("websocket",) if allowed and self.transport == "polling" else ()
        interval, timeout = settings.ping_interval + settings.ping_grace, settings.ping_timeout
        return f'0{{"sid":{stdlib_json.dumps(self.sid)},{_handshake(upgrades, interval, timeout, settings.max_http_buffer_size)}'

    def close(self, reason: str, code: int = 1000, detail: str = "") -> Closed | None:
        """End the session at once. Returns what happened, or ``None`` when it had ended before."""
        if self.state == CLOSED:
            return None
        self.state = CLOSED
        self._last_frame = NOOP_FRAME if reason == Reason.CLIENT_DISCONNECT else CLOSE_FRAME
        self.probe = NO_PROBE
        self.closed = Closed(reason, code, detail)
        return self.closed

    def disconnect(self, now: float, code: int = 1000, detail: str = "") -> Closed | None:
        """The server ends the session: what is buffered and a close packet go out first.

        On polling with no poll held the session stays until the next one has taken them, or ``close_timeout`` is over.
        """
        if self.state >= CLOSING:
            return None
        if self.state == OPEN and self.transport == "polling" and not self.poll_held:
            self.state = CLOSING
            self.closing_due = now + self.settings.close_timeout
            return None
        if self.transport == "websocket":
            self.outbox.append(CLOSE_FRAME)
        return self.close(Reason.SERVER_DISCONNECT, code, detail)

    @property
    def hears_at_once(self) -> bool:
        """Whether a disconnect would reach the client now, and not with a poll that it has yet to send."""
        return self.state == OPEN and (self.transport == "websocket" or self.poll_held)

    def take_closed(self) -> Closed | None:
        """Hand over the end of the session, once: whoever gets it tells the application."""
        closed, self.closed = self.closed, None
        return closed

    # --- both transports -------------------------------------------------------------------------------------------

    @property
    def can_send(self) -> bool:
        return self.state < CLOSING

    def send(self, frame: Frame) -> bool:
        """Queue *frame*. Returns whether the session can still deliver it."""
        if self.state >= CLOSING:
            return False
        self.outbox.append(frame)
        return True

    def take_frames(self) -> list[Frame]:
        """Hand over everything that is to be sent."""
        frames = self.outbox
        self.outbox = []
        self.buffered = 0
        return frames

    def receive(self, frame: Frame) -> Data | Closed | None:
        """Take one frame in. Returns the data of a message, the end of the session, or ``None``."""
        if self.state == CLOSED:
            return None
        if isinstance(frame, str):
            if frame[:1] == "4":
                if frame[1:2] in ("{", "["):
                    return decode_text(frame[1:], self.settings.json)
                return frame[1:]
            return self._receive_control(frame)
        return frame

    def _receive_control(self, frame: str) -> Closed | None:
        kind = frame[:1]
        if kind == "3":
            self.awaiting_pong = False
            return None
        if frame == CLOSE_FRAME:
            return self.close(Reason.CLIENT_DISCONNECT)
        return self.close(Reason.TRANSPORT_ERROR, 1002, "not a packet that a client may send now")

    # --- polling ---------------------------------------------------------------------------------------------------

    def begin_poll(self, now: float) -> list[Frame] | None:
        """A GET has come. Returns the frames to answer with, or ``None``: hold it until :meth:`end_poll`.

        Raises :class:`PacketError` when the poll must be refused; the session has then ended.
        """
        self.tick(now)
        if self.state == CLOSED:
            raise PacketError("the session has ended")
        if self.transport != "polling":  # the upgrade was completed a moment ago
            return [NOOP_FRAME]
        if self.poll_held:
            self.close(Reason.TRANSPORT_ERROR, detail="a second poll while one is held")
            raise PacketError("a second poll while one is held")
        if self.state == CLOSING:
            self.close(Reason.SERVER_DISCONNECT)
            return [*self.take_frames(), CLOSE_FRAME]
        if self.outbox:
            return self.take_frames()
        self.poll_held = True
        return None

    def poll_seconds(self) -> float | None:
        """Return how long the held poll may wait for its end; ``None``: until it is ended."""
        return UPGRADING_POLL_SECONDS if self.probe == UPGRADE_EXPECTED else None

    def end_poll(self) -> list[Frame]:
        """Return the answer of the held poll: what there is by now, never nothing."""
        self.poll_held = False
        if self.transport != "polling":  # what there is goes out on the websocket
            return [NOOP_FRAME]
        if self.state == CLOSED:
            return [*self.take_frames(), self._last_frame]
        if not self.outbox:
            return [NOOP_FRAME]
        return self.take_frames()

    def begin_post(self) -> None:
        """A POST has come, its body is about to be read. Raises :class:`PacketError` when it must be refused."""
        if self.state != OPEN:
            raise PacketError("the session has ended")
        if self.posting:
            self.close(Reason.TRANSPORT_ERROR, detail="a second POST while one is being read")
            raise PacketError("a second POST while one is being read")
        self.posting = True

    def receive_payload(self, body: bytes | None, tap: Callable[[Frame], Any] | None = None) -> list[Any]:
        """Take the body in: all of its packets or none. ``None``: it never came whole. Returns the data of its messages.

        What *tap* makes of each frame, if anything, stands before the frame's own message. The POST is under way until
        :meth:`finish_post`. Raises :class:`PacketError` when it must be refused; the session has then ended.
        """
        if self.state != OPEN:
            raise PacketError("the session has ended")
        try:
            if body is None:
                raise PacketError("the body ended early")
            frames = decode_payload(body, self.settings.max_packets_per_payload)
            _check_client_frames(frames)
        except PacketError as exc:
            self.close(Reason.TRANSPORT_ERROR, detail=str(exc))
            raise
        messages: list[Any] = []
        for frame in frames:
            if tap is not None and (shown := tap(frame)) is not None:
                messages.append(shown)
            event = self.receive(frame)
            if event is not None and event.__class__ is not Closed:
                messages.append(event)
        return messages

    def finish_post(self) -> None:
        """The POST is answered."""
        self.posting = False

    # --- upgrade ---------------------------------------------------------------------------------------------------

    def begin_upgrade(self, now: float) -> bool:
        """A websocket has come for this session. Returns whether it may try; if not, close it: the session is as it was."""
        if self.state != OPEN or self.transport != "polling" or self.probe != NO_PROBE:
            return False
        self.probe = PROBE_EXPECTED
        self.probe_due = now + self.settings.upgrade_timeout
        return True

    def receive_probe(self, frame: Frame) -> Frame | None:
        """Take in a frame of the websocket on probation. Returns the frame to answer with, if any.

        Afterwards ``upgraded`` tells whether the websocket is the transport now, and ``upgrading`` whether it still may be.
        """
        if self.probe == PROBE_EXPECTED and frame == "2probe":
            self.probe = UPGRADE_EXPECTED
            return "3probe"
        if self.probe == UPGRADE_EXPECTED and frame == "5":
            self.transport = "websocket"
            self.upgraded = True
            if self.state == CLOSING:  # the farewell goes out here, not with a poll
                self.outbox.append(CLOSE_FRAME)
                self.close(Reason.SERVER_DISCONNECT)
        self.end_upgrade()
        return None

    def end_upgrade(self) -> None:
        """The websocket on probation is gone, or has become the transport."""
        self.probe = NO_PROBE
        self.probe_due = NEVER

    def hold_up(self) -> None:
        """The server stops reading from this client."""
        self.held_up = True

    def go_on(self, now: float) -> None:
        """The server reads again: the client gets its time anew."""
        self.held_up = False
        if self.awaiting_pong:
            self.pong_due = now + self.settings.ping_timeout

    # --- time ------------------------------------------------------------------------------------------------------

    def next_moment(self) -> float | None:
        """Return when :meth:`tick` is due, ``None`` after the end."""
        if self.state == CLOSED:
            return None
        if self.state == OPENING:
            return self.opening_due
        if self.state == CLOSING:
            return min(self.probe_due, self.closing_due)
        heartbeat = self.ping_due
        if self.awaiting_pong and self.pong_due < heartbeat:
            heartbeat = self.pong_due
        return min(heartbeat, self.probe_due, self.closing_due)

    def tick(self, now: float) -> None:
        """Do what is due at *now*: a ping to the outbox, the end of a silent client, of a stalled upgrade, of a farewell."""
        if self.state == CLOSED or now < (self.next_moment() or 0):
            return
        if self.state == OPENING:
            self.state = CLOSED
            return
        if now >= self.probe_due:
            self.end_upgrade()
        if self.state == CLOSING:
            if now >= self.closing_due:
                self.close(Reason.SERVER_DISCONNECT)
            return
        if self.awaiting_pong:
            if now >= self.pong_due and self.held_up:
                self.pong_due = now + self.settings.ping_timeout
            elif now >= self.pong_due and self.settings.monitor_clients:
                self.close(Reason.PING_TIMEOUT)
                return
            if now >= self.pong_due:
                self.pong_due = NEVER  # nobody minds (monitor_clients=False); a late pong still starts the next round
        if now >= self.ping_due:
            self._ping(now)

    def _ping(self, now: float) -> None:
        self.ping_due = now + self.settings.ping_interval
        if not self.awaiting_pong:
            self.awaiting_pong = True
            self.pong_due = now + self.settings.ping_timeout
            self.outbox.append(PING_FRAME)


@lru_cache(maxsize=16)
def _handshake(upgrades: tuple[str, ...], interval: float, timeout: float, max_payload: int) -> str:
    """Return what open packets hold behind the session id: of one server they are all the same, of two kinds."""
    offer = {
        "upgrades": upgrades,
        "pingInterval": round(interval * 1000),
        "pingTimeout": round(timeout * 1000),
        "maxPayload": max_payload,
    }
    return stdlib_json.dumps(offer, separators=(",", ":"))[1:]


def _check_client_frames(frames: list[Frame]) -> None:
    for index, frame in enumerate(frames):
        if isinstance(frame, bytes) or frame[:1] in ("4", "3"):
            continue
        if frame != CLOSE_FRAME:
            raise PacketError("not a packet that a client may send now")
        if index != len(frames) - 1:
            raise PacketError("packets after the close packet")
