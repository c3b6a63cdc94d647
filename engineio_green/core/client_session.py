"""The client's half of one session: from the open packet to the one moment at which it ends.

Owns what may happen when, what is still to be sent and in which portions, and what the server's silence means. Must not know
sockets, threads, event loops, HTTP or the application: it is fed frames and ``now``, and returns what happened. Not
thread-safe: a shell holds its lock around each call. Rules: the Engine.IO protocol, revision 4; the order of an upgrade is
that of the JavaScript client.

How a shell drives it: :meth:`ClientSession.next_step` says what to read next; :meth:`~ClientSession.send` queues, then a
websocket writes :meth:`~ClientSession.take_frames`, polling posts :meth:`~ClientSession.begin_post`; whoever gets the
:class:`Closed` from :meth:`~ClientSession.take_closed` tells the application.
"""

from __future__ import annotations

import json as stdlib_json
from collections.abc import Iterable
from typing import Any

from engineio_green import json as default_json
from engineio_green.core.session import CLOSED, CLOSING, OPEN, OPENING, Closed, Reason
from engineio_green.exceptions import MessageSizeError, NotConnectedError, PacketError
from engineio_green.packet import CLOSE_FRAME, PONG_FRAME, Data, Frame, JsonModule, decode_text, to_payload_form
from engineio_green.payload import SEPARATOR, decode_payload

# The events of a client.
EVENTS = ("connect", "message", "disconnect", "connect_error")
# Ends that nobody wanted: the state is still 'connected' when their handler runs, by which libraries on top tell them.
LOSSES = (Reason.PING_TIMEOUT, Reason.TRANSPORT_CLOSE, Reason.TRANSPORT_ERROR)
# A server that has ended the session refuses what is posted to it, while its goodbye, and the messages before that, are on their
# way in the answer to a poll: so long a refused post waits for the poll to say what has happened.
LAST_WORDS_SECONDS = 1.0


# A silent connection is looked after this many times before the server's time is up: a computer that slept notices soon.
LOOKS_IN_SILENCE = 4
# ... and no sooner than this after the last look.
LEAST_LOOK_SECONDS = 0.01


def may_return(reason: str) -> bool:
    """Tell whether a client that wants to connect again does so after this end: after each that it did not ask for."""
    return reason != Reason.CLIENT_DISCONNECT


# The steps of an upgrade: none under way; the websocket's probe is out; it was answered, and polling comes to rest.
NO_PROBE, PROBING, PAUSED = range(3)

# What to read next: see next_step.
POLL, READ, WAIT, END = "poll", "read", "wait", "end"

PROBE_FRAME, PROBE_ANSWER, UPGRADE_FRAME = "2probe", "3probe", "5"

# Servers bound the packets of one body as well as its bytes, and have no way to say so: this is the lowest bound in use.
MAX_PACKETS_PER_POST = 16
# A server's answer is bounded by nothing but what the server holds for its client.
MAX_PACKETS_PER_POLL = 10_000_000


class ClientSession:
    """The state of one connection. See the module's text for who may call it and when.

    :param json: the module for ``dict`` and ``list`` messages.
    """

    __slots__ = (
        "_closed",
        "heard_at",
        "json",
        "max_payload",
        "outbox",
        "ping_interval",
        "ping_timeout",
        "polling",
        "posting",
        "probe",
        "sid",
        "state",
        "transport",
        "upgrades",
    )

    def __init__(self, json: JsonModule = default_json) -> None:
        self.json = json
        self.state = OPENING
        self.sid = ""
        self.transport = ""
        self.upgrades: tuple[str, ...] = ()
        self.ping_interval = self.ping_timeout = 0.0
        self.max_payload = 0
        """Bytes that the server takes in one body or message; 0: it did not say."""
        self.outbox: list[Frame] = []
        self.heard_at = 0.0
        self.polling = self.posting = False
        self.probe = NO_PROBE
        self._closed: Closed | None = None

    # --- opening ---------------------------------------------------------------------------------------------------

    def open(self, frame: Frame, transport: str, now: float) -> None:
        """Take in the server's first packet. Raises :class:`PacketError` when it is not an open packet."""
        if not isinstance(frame, str) or frame[:1] != "0":
            raise PacketError("the server's first packet is not an open packet")
        try:
            handshake = stdlib_json.loads(frame[1:])
            self.sid = _text(handshake["sid"])
            self.ping_interval = _milliseconds(handshake["pingInterval"])
            self.ping_timeout = _milliseconds(handshake["pingTimeout"])
            if not self.patience:
                raise ValueError("pingInterval and pingTimeout leave no time")
            self.upgrades = tuple(_text(name) for name in handshake.get("upgrades", ()))
            self.max_payload = int(handshake.get("maxPayload") or 0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise PacketError(f"the server's open packet is malformed ({exc.__class__.__name__}: {exc})") from None
        self.transport = transport
        self.heard_at = now
        self.state = OPEN

    def open_payload(self, body: bytes, now: float) -> list[Data]:
        """Take in the answer of the first poll. Returns the messages that came along. Raises :class:`PacketError`."""
        first, *rest = decode_payload(body, MAX_PACKETS_PER_POLL)
        self.open(first, "polling", now)
        return self.receive(rest, now)

    @property
    def can_upgrade(self) -> bool:
        return self.state == OPEN and self.transport == "polling" and "websocket" in self.upgrades

    # --- receiving -------------------------------------------------------------------------------------------------

    def receive(self, frames: Iterable[Frame], now: float) -> list[Data]:
        """Take frames in, in order. Returns the data of the messages among them; answers may be in the outbox now."""
        self.heard_at = now
        messages: list[Data] = []
        for frame in frames:
            if isinstance(frame, str) and frame[:1] != "4":
                self._receive_control(frame)
            elif self.state == OPEN:  # after our goodbye nobody wants it any more
                if isinstance(frame, str):
                    frame = frame[1:]
                    messages.append(decode_text(frame, self.json) if frame[:1] in ("{", "[") else frame)
                else:
                    messages.append(frame)
        return messages

    def _receive_control(self, frame: str) -> None:
        kind = frame[:1]
        if kind == "2":
            if self.state == OPEN:
                self.outbox.append(PONG_FRAME + frame[1:])
        elif frame == CLOSE_FRAME:
            self.close(Reason.SERVER_DISCONNECT)
        elif kind not in ("3", "6"):  # a pong nobody asked for and a noop change nothing
            self.close(Reason.TRANSPORT_ERROR, 1002, "not a packet that a server may send now")

    # --- sending ---------------------------------------------------------------------------------------------------

    def send(self, frame: Frame, now: float) -> None:
        """Queue *frame*. Raises :class:`NotConnectedError`, and :class:`MessageSizeError` when the server would refuse it.

        When the server has been silent for too long (the computer slept, say), this is found here, and ends the session.
        """
        if self.state != OPEN or not self.tick(now):
            raise NotConnectedError("the client is not connected: nothing can be sent before connect() or after the end")
        limit = self.max_payload
        if limit and len(frame) >= limit >> 2 and self._size(frame) > limit:
            raise MessageSizeError(f"the server takes messages of {limit} bytes (maxPayload), and this has {self._size(frame)}")
        self.outbox.append(frame)

    def _size(self, frame: Frame) -> int:
        """Return the bytes that *frame* takes in a polling body, or as the payload of a websocket message."""
        if isinstance(frame, str):
            return len(frame) if frame.isascii() else len(frame.encode())
        return 1 + (len(frame) + 2) // 3 * 4 if self.transport == "polling" else len(frame)

    def take_frames(self) -> list[Frame]:
        """Hand over everything that a websocket is to send."""
        frames = self.outbox
        self.outbox = []
        return frames

    # --- polling ---------------------------------------------------------------------------------------------------

    def next_step(self) -> str:
        """Return what the reader does next: ``POLL``, ``READ`` the websocket, ``WAIT`` for an upgrade to settle, ``END``."""
        if self.state == CLOSED:
            return END
        if self.transport == "websocket":
            return READ
        return WAIT if self.probe == PAUSED else POLL

    def begin_poll(self) -> bool:
        """A GET is about to be sent. Returns whether it may be."""
        if self.next_step() != POLL or self.polling:
            return False
        self.polling = True
        return True

    def end_poll(self, body: bytes, now: float) -> list[Data]:
        """The GET was answered. Returns the messages; a body that is no payload ends the session."""
        self.polling = False
        if self.state == CLOSED:
            return []
        try:
            return self.receive(decode_payload(body, MAX_PACKETS_PER_POLL), now)
        except PacketError as exc:
            self.close(Reason.TRANSPORT_ERROR, detail=str(exc))
            return []

    @property
    def wants_post(self) -> bool:
        return bool(self.outbox) and self.transport == "polling" and not self.posting and self.probe != PAUSED

    def begin_post(self) -> bytes | None:
        """Return the body of the next POST, ``None`` when there is none now. It is under way until :meth:`end_post`.

        It holds what fits the server's limit; the rest waits for the next one.
        """
        if not self.wants_post:
            return None
        parts: list[str] = []
        size = -1
        for frame in self.outbox[:MAX_PACKETS_PER_POST]:
            size += 1 + self._size(frame)
            if parts and self.max_payload and size > self.max_payload:
                break
            parts.append(to_payload_form(frame))
        del self.outbox[: len(parts)]
        self.posting = True
        return SEPARATOR.join(parts).encode()

    def end_post(self) -> None:
        """The POST was answered, or has failed."""
        self.posting = False

    @property
    def drained(self) -> bool:
        """Whether everything that was sent is with the server."""
        return not self.outbox and not self.posting

    # --- upgrade ---------------------------------------------------------------------------------------------------

    def begin_upgrade(self) -> Frame | None:
        """A websocket is open for this session. Returns what to send on it; ``None``: close it."""
        if not self.can_upgrade or self.probe != NO_PROBE:
            return None
        self.probe = PROBING
        return PROBE_FRAME

    def receive_probe(self, frame: Frame) -> bool:
        """Take in the answer to the probe. If it is right, polling pauses: complete the upgrade once it is :attr:`quiet`."""
        if self.state != OPEN or self.probe != PROBING or frame != PROBE_ANSWER:
            self.end_upgrade()
            return False
        self.probe = PAUSED
        return True

    @property
    def quiet(self) -> bool:
        """Whether no request is under way."""
        return not self.polling and not self.posting

    def complete_upgrade(self, now: float) -> bool:
        """Polling has come to rest: make the websocket the transport. What was sent meanwhile follows on it, in order."""
        completed = self.state == OPEN and self.probe == PAUSED and self.quiet
        if completed:
            self.transport = "websocket"
            self.outbox.insert(0, UPGRADE_FRAME)
            self.heard_at = now
        self.end_upgrade()
        return completed

    def end_upgrade(self) -> None:
        """The websocket on probation is gone, or has become the transport."""
        self.probe = NO_PROBE

    # --- the end ---------------------------------------------------------------------------------------------------

    def disconnect(self, abort: bool = False) -> bool:
        """The application ends the session. Returns whether it was open.

        What was sent before goes out first, then a goodbye, and the shell calls :meth:`close`. *abort* ends it here and
        leaves no more than the goodbye to be sent.
        """
        if self.state != OPEN:
            return False
        self.state = CLOSING
        self.end_upgrade()
        self.outbox.append(CLOSE_FRAME)
        if abort:
            self.close(Reason.CLIENT_DISCONNECT)
            self.outbox = [CLOSE_FRAME]
        return True

    def close(self, reason: str, code: int = 1000, detail: str = "") -> Closed | None:
        """End the session at once. Returns what happened, or ``None`` when it had ended before.

        Once the application has ended it, nothing else is the reason.
        """
        if self.state == CLOSED:
            return None
        if self.state == CLOSING:
            reason = Reason.CLIENT_DISCONNECT
        self.state = CLOSED
        self.end_upgrade()
        self.outbox = []
        self._closed = Closed(reason, code, detail)
        return self._closed

    def take_closed(self) -> Closed | None:
        """Hand over the end of the session, once."""
        closed, self._closed = self._closed, None
        return closed

    # --- time ------------------------------------------------------------------------------------------------------

    @property
    def patience(self) -> float:
        """How long the server may be silent, in seconds."""
        return self.ping_interval + self.ping_timeout

    def look_in(self, now: float) -> float:
        """Return in how many seconds of silence :meth:`tick` wants to be called: no later than the server's time is up."""
        due = self.heard_at + self.patience - now
        return max(min(self.patience / LOOKS_IN_SILENCE, due), LEAST_LOOK_SECONDS)

    def tick(self, now: float) -> bool:
        """Return whether the session goes on; a silent server ends it here."""
        if self.state < CLOSED and now - self.heard_at > self.patience:
            self.close(Reason.PING_TIMEOUT, detail=f"nothing heard for {self.patience:g} s")
        return self.state < CLOSED


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a name")
    return value


def _milliseconds(value: Any) -> float:
    """The seconds of a time in the open packet; one of both may be 0, where a server rounds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"{value!r} is not a time")
    return value / 1000
