"""The Engine.IO application that the interop tests talk to. Runs in the server's child process, never in pytest's.

What a client wants is in the query of its handshake:

    (nothing)        every message comes back as it is
    collect=1        messages are only written down
    stream=<count>   as collect, and the server sends `count` numbered messages of its own accord, upgrade or not
    refuse=<text>    the connect handler refuses with that text
    tag=<text>       a name that the test has made up, to find this client in the journal while it runs

and `{"do": "disconnect"}` as a message makes the server say "bye" and end the session. `GET /journal?sid=...` (or `tag=`)
tells, as JSON, what the application has seen of a client: that is how a test compares both ends.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any
from urllib.parse import parse_qs

from .toolchain import HERE, NODE_MODULES

# Told by servers.py through the environment: gunicorn imports this module by name and takes no arguments for it.
MODE_VARIABLE = "INTEROP_ASYNC_MODE"
OPTIONS_VARIABLE = "INTEROP_SERVER_OPTIONS"

LONGEST_KEPT = 2_000  # of a longer message the journal keeps the length only
STREAM_PAUSE = 0.002  # seconds between two messages of a stream that waits for the upgrade

PAGES = {
    "/page.html": str(HERE / "page.html"),
    "/cases.js": str(HERE / "cases.js"),
    "/engine.io.min.js": str(NODE_MODULES / "engine.io-client" / "dist" / "engine.io.min.js"),
}


class Journal:
    """What the application has seen of each client, by sid. Only ever grows: a child lives for a few dozen sessions."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}

    def open(self, sid: str, wishes: dict[str, str]) -> None:
        self.entries[sid] = {"sid": sid, "wishes": wishes, "received": [], "disconnects": []}

    def find(self, sid: str | None, tag: str | None) -> dict[str, Any] | None:
        if sid is not None:
            return self.entries.get(sid)
        return next((entry for entry in list(self.entries.values()) if entry["wishes"].get("tag") == tag), None)

    def received(self, sid: str, data: Any) -> None:
        shown = list(data) if isinstance(data, bytes) else data
        if isinstance(data, str | bytes) and len(data) > LONGEST_KEPT:
            shown = len(data)
        self.entries[sid]["received"].append([type(data).__name__, shown])

    def disconnected(self, sid: str, reason: str) -> None:
        self.entries[sid]["disconnects"].append(reason)


class InteropApp:
    """An `engineio_green.Server` with the handlers described above, and the WSGI application around it."""

    def __init__(self, async_mode: str, options: dict[str, Any]) -> None:
        import engineio_green

        self.journal = Journal()
        self.eio = engineio_green.Server(async_mode=async_mode, logger=logging.getLogger("interop.server"), **options)
        self.eio.on("connect", self.on_connect)
        self.eio.on("message", self.on_message)
        self.eio.on("disconnect", self.on_disconnect)
        self.wsgi = engineio_green.WSGIApp(self.eio, self.other_requests, static_files=PAGES)

    def on_connect(self, sid: str, environ: dict[str, Any]) -> Any:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        wishes = {name: query[name][0] for name in ("collect", "stream", "refuse", "tag") if name in query}
        if "refuse" in wishes:
            return wishes["refuse"]
        self.journal.open(sid, wishes)
        if "stream" in wishes:
            self.eio.start_background_task(self.stream, sid, int(wishes["stream"]))
        return None

    def on_message(self, sid: str, data: Any) -> None:
        self.journal.received(sid, data)
        if isinstance(data, dict) and data.get("do") == "disconnect":
            self.eio.send(sid, "bye")
            self.eio.disconnect(sid)
        elif not {"collect", "stream"} & set(self.journal.entries[sid]["wishes"]):
            self.eio.send(sid, data)

    def on_disconnect(self, sid: str, reason: str) -> None:
        self.journal.disconnected(sid, reason)

    def stream(self, sid: str, count: int) -> None:
        """Number after number, slowly until the client is on its websocket: the change of transport falls in the middle."""
        kept_for_later = count // 10
        for number in range(count):
            while self.transport_of(sid) == "polling":
                self.eio.sleep(STREAM_PAUSE)
                if number < count - kept_for_later:
                    break
            if self.transport_of(sid) is None:
                return
            self.eio.send(sid, f"server {number}")

    def transport_of(self, sid: str) -> str | None:
        """The transport of a client, None once it is gone."""
        if self.journal.entries[sid]["disconnects"]:
            return None
        try:
            return str(self.eio.transport(sid))
        except KeyError:  # gone, and the disconnect handler has not run yet
            return None

    def other_requests(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        entry = self.journal.find(query.get("sid", [None])[0], query.get("tag", [None])[0])
        if environ["PATH_INFO"] != "/journal" or entry is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such client\n"]
        body = json.dumps({**entry, "transport": self.transport_of(entry["sid"])}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def create() -> Any:
    """The WSGI application that the environment asks for; gunicorn calls this by name."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    return InteropApp(os.environ[MODE_VARIABLE], json.loads(os.environ[OPTIONS_VARIABLE])).wsgi
