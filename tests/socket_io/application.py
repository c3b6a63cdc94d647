"""What the three applications do, and what they remember for the tests. Runs in the server's process.

Each application has three Socket.IO servers, and each offers these events. What a handler returns is the client's ack.

At `/socket.io` (or below `/ws`), with the options that python-socketio has by itself, in the namespace `/`:

    connect      with auth {"refuse": [message, data]} raises ConnectionRefusedError(message, data), with {"refuse": false}
                 returns False; {"tag": text} is a name that the test has made up, to find this client in the journal
    who          {"engine", "transport", "auth", "sid", "namespace", "rooms"} of the client
    echo ...     returns its arguments: one as it is, several as a tuple
    say ...      emits "said" with the arguments, to the sender
    join, leave  a room, by its name
    tell         {"room", "data", "to_self"}: emits "told" with the data to a room
    mark text    emits "marked" to everybody: to each client, behind all that was told before
    ask_me ...   calls the client with "question", returns {"answer": what the client has answered, several values as a list}
    ask_later .. emits "question" with a callback, which emits "answered" with what the client has answered
    pour count   emits so many numbered "drop"
    in_background text    emits "done" from a background task
    remember name value, recall name    the session of the client
    note text    is written into the journal
    put_out      disconnects the sender

and in `/other`, a class of the package's `Namespace`, connect, echo (its ack begins with "other"), join, tell.

At `/ordered.io`, with async_handlers=False: `drop number`, and `poured`, which returns {"count", "in_order"} of the drops so far.
At `/strict.io`, with a short heartbeat: connect and disconnect only.

Over HTTP: `/engine` tells on what the program runs, `/journal?tag=...` what was seen of a client, a POST to `/announce?text=...`
emits "announced" to everybody. The page for Chromium and the client's own bundle are served beside them.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Told by servers.py through the environment: gunicorn and uWSGI import an application by name and take no arguments for it.
MODE_VARIABLE = "SOCKET_IO_ASYNC_MODE"

FILES = {
    "/page.html": HERE / "page.html",
    "/cases.js": HERE / "cases.js",
    "/socket.io.js": HERE / "node_modules" / "socket.io-client" / "dist" / "socket.io.js",
}
STRICT = {"ping_interval": 0.5, "ping_timeout": 1}


def async_mode() -> str:
    return os.environ[MODE_VARIABLE]


def log_everything() -> None:
    """A level in front of every line, so that servers.py can tell a complaint from a remark."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


def engine_of(sio: Any) -> dict[str, Any]:
    """On what a Socket.IO server runs."""
    return {"engine": type(sio.eio).__module__, "async_mode": sio.async_mode}


class Journal:
    """What was seen of the clients that have a tag. Only ever grows: a process lives for a few dozen clients."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, list[str]]] = {}
        self._tags: dict[str, str] = {}

    def connected(self, sid: str, auth: Any) -> None:
        tag = auth.get("tag") if isinstance(auth, dict) else None
        if tag is not None:
            self._tags[sid] = tag
            self._of(tag)["connected"].append(sid)

    def noted(self, sid: str, text: str) -> None:
        self._of(self._tags[sid])["notes"].append(text)

    def disconnected(self, sid: str, reason: str) -> None:
        if sid in self._tags:
            self._of(self._tags[sid])["reasons"].append(reason)

    def about(self, tag: str) -> dict[str, list[str]]:
        """The session ids of a client, what it has had noted, and why its sessions have ended."""
        return self._seen.get(tag) or self._new()

    def _of(self, tag: str) -> dict[str, list[str]]:
        return self._seen.setdefault(tag, self._new())

    @staticmethod
    def _new() -> dict[str, list[str]]:
        return {"connected": [], "notes": [], "reasons": []}


class Drops:
    """The numbers that each client has sent, in the order in which their handlers were called."""

    def __init__(self) -> None:
        self._of: dict[str, list[int]] = {}

    def add(self, sid: str, number: int) -> None:
        self._of.setdefault(sid, []).append(number)

    def summary(self, sid: str) -> dict[str, Any]:
        numbers = self._of.pop(sid, [])
        return {"count": len(numbers), "in_order": numbers == list(range(len(numbers)))}


def returned(args: tuple[Any, ...]) -> Any:
    """What a handler returns to send *args* as its ack: python-socketio takes a tuple for several values."""
    return args[0] if len(args) == 1 else args
