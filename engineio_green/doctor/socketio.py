"""What a client of Socket.IO gets at an endpoint by each transport: the namespace that it asks for, or a refusal and its reason.

Owns this one examination and its sentences. It connects as every client of Socket.IO does and leaves again, so the
application's handlers for that run. Protocol: Socket.IO, revision 5, with the parser that all have by default.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from engineio_green.doctor.findings import Report
from engineio_green.doctor.wire import PATIENCE, Lost, Reply, Silent, Target, Visit, open_websocket, receive

DEFAULT_PATH = "/socket.io/"
SECOND_THOUGHTS = 0.3  # seconds in which a server that lets everybody in at once may still send a client away
PING, PONG = "2", "3"
CONNECT, DISCONNECT, CONNECT_ERROR = "40", "41", "44"


class Door(NamedTuple):
    """What a client asks for: *namespace*, with *auth*, which is JSON text or empty."""

    namespace: str = "/"
    auth: str = ""

    def packet(self, kind: str, data: str = "") -> str:
        """A packet of this *kind* for the namespace, as it goes over the wire."""
        return f"{kind}{'' if self.namespace == '/' else f'{self.namespace},'}{data}"

    def data_of(self, packet: str, kind: str) -> str | None:
        """What a packet of this *kind* for the namespace carries; ``None`` when it is another one."""
        begin = self.packet(kind)
        if packet.startswith(begin) and packet[len(begin) : len(begin) + 1] in ("", "{", '"', "["):
            return packet[len(begin) :]
        return None


class Entry(NamedTuple):
    """How it went: *outcome* is one of those below; *reason* was given with a refusal, *seconds* until the answer."""

    outcome: str
    reason: str = ""
    seconds: float = 0.0


IN, REFUSED, SENT_AWAY, SILENT, LOST = "in", "refused", "sent away", "silent", "lost"


def examine(target: Target, report: Report, door: Door, polling: bool, websocket: bool) -> None:
    """Ask to be let in by each transport that works, and write down how it went."""
    entries: dict[str, Entry] = {}
    for transport, works, enter in (("polling", polling, _by_polling), ("websocket", websocket, _by_websocket)):
        if works:
            report.progress(f"connecting to the namespace {door.namespace} by {transport}")
            try:
                entries[transport] = enter(target, door)
            except Lost as error:
                entries[transport] = Entry(LOST, f"{error}")
    for outcome, reason in dict.fromkeys((entry.outcome, entry.reason) for entry in entries.values()):
        alike = {name: entry.seconds for name, entry in entries.items() if (entry.outcome, entry.reason) == (outcome, reason)}
        _conclude(report, door, outcome, reason, alike)


def _conclude(report: Report, door: Door, outcome: str, reason: str, transports: dict[str, float]) -> None:
    by = " and ".join(f"by {transport}" for transport in transports)
    room = f"namespace {door.namespace}"
    if outcome == IN:
        after = " and ".join(f"by {transport} after {seconds * 1000:.0f} ms" for transport, seconds in transports.items())
        report.ok("Socket.IO", f"A client of Socket.IO reaches the {room}: {after}.")
    elif outcome == REFUSED and reason in _NO_SUCH:
        text = f"There is no {room} for clients of Socket.IO: {by} the answer is {reason!r}."
        report.fix("Socket.IO", text, _NO_HANDLERS)
    elif outcome in (REFUSED, SENT_AWAY):
        said = f"the reason given is {reason!r}" if reason else "no reason is given"
        what = "refuses it" if outcome == REFUSED else "lets it in and sends it away at once"
        report.fix("Socket.IO", f"A client of Socket.IO asks for the {room} {by}, which {what}: {said}.", _LET_IN)
    elif outcome == SILENT:
        text = f"A client of Socket.IO that asks for the {room} {by} gets no answer within {PATIENCE:g} s."
        report.fix("Socket.IO", text, _NO_ANSWER)
    else:
        report.fix("Socket.IO", f"The connection of a client of Socket.IO, {by}, {reason}.", _BROKEN)


def _judge(door: Door, packet: str, seconds: float) -> Entry | None:
    """What a packet says about the entry, if it does."""
    if door.data_of(packet, CONNECT) is not None:
        return Entry(IN, "", seconds)
    for kind, outcome in ((CONNECT_ERROR, REFUSED), (DISCONNECT, SENT_AWAY)):
        data = door.data_of(packet, kind)
        if data is not None:
            return Entry(outcome, _reason(data), seconds)
    return None


def _reason(data: str) -> str:
    """The words in a refusal: a text, or an object with a message."""
    try:
        found: Any = json.loads(data) if data else ""
    except ValueError:
        return data
    if isinstance(found, dict) and isinstance(found.get("message"), str):
        details = found.get("data")
        return f"{found['message']} ({json.dumps(details)})" if details else str(found["message"])
    return found if isinstance(found, str) else data


def _by_polling(target: Target, door: Door) -> Entry:
    visit = Visit(target)
    visit.open()
    try:
        return _enter(
            door,
            lambda packet: _faultless(visit.send(packet)),
            lambda patience: _faultless(visit.poll(patience)).text.split("\x1e"),
        )
    finally:
        try:
            visit.close()
        except Lost:
            pass  # the session ends by itself when its ping is not answered


def _by_websocket(target: Target, door: Door) -> Entry:
    connection = open_websocket(target)
    try:
        return _enter(door, connection.send, lambda patience: [str(receive(connection, patience))])
    finally:
        connection.close()


def _enter(door: Door, send: Callable[[str], Any], listen: Callable[[float], list[str]]) -> Entry:
    """Ask to be let in, and wait for the answer; when it is yes, for a moment longer. Raises `Lost`."""
    began = time.monotonic()
    deadline = began + PATIENCE
    entry = Entry(SILENT)
    send(door.packet(CONNECT, door.auth))
    while time.monotonic() < deadline:
        try:
            packets = listen(max(0.01, deadline - time.monotonic()))
        except Silent:
            break
        for packet in packets:
            if packet == PING:
                send(PONG)
            found = _judge(door, packet, time.monotonic() - began)
            if found is not None and found.outcome != IN:
                return found
            if found is not None:
                entry, deadline = found, time.monotonic() + SECOND_THOUGHTS
    return entry


def _faultless(reply: Reply) -> Reply:
    if reply.status != 200:
        raise Lost(f"was answered with {reply}")
    return reply


# What python-socketio and Node.js's socket.io say of a namespace that they do not have.
_NO_SUCH = ("Unable to connect", "Invalid namespace")
_NO_HANDLERS = (
    "Register a handler for it (Flask-SocketIO: @socketio.on(\"connect\", namespace=...)), or list it in the server's option "
    "namespaces; or name the one that is meant with --namespace."
)
_LET_IN = (
    "If clients need credentials here, give them: --auth '{\"token\": \"...\"}' as JSON, or --header. Else look into the "
    "namespace's connect handler."
)
_NO_ANSWER = (
    "The connect handler raises an exception, or does not come to an end; or nothing speaks Socket.IO here, or only with another "
    "parser than the default (msgpack). Look into the server's log."
)
_BROKEN = "Look into the logs of server and proxy: an exception in the connect handler ends up there."
