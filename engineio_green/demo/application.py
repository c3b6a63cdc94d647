"""The server behind the demo page: returns each message at once and writes a terminal line per event.

Owns what is echoed and what is printed. Must not know which web server runs it or how it was started.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import engineio_green
from engineio_green.demo import STATIC_FILES

SUMMARY_INTERVAL = 2.0
"""Seconds between two lines about the messages of one client."""

FAREWELL_TIMEOUT = 2.0
"""Seconds that clients get to be told when the server stops."""


@dataclass(slots=True)
class _Client:
    """What the terminal has to know of one session."""

    transport: str
    messages: int = 0
    counted: int = 0
    counted_at: float = field(default_factory=time.monotonic)


class Terminal:
    """One line per event: time, the beginning of the session id (all of it would be a key), what happened."""

    def __init__(self) -> None:
        self.clients: dict[str, _Client] = {}  # by session id, those that are connected
        # Handlers run in several threads: guards the counters, and keeps two lines from mixing.
        self._lock = threading.Lock()
        self._dims = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def connect(self, sid: str, transport: str, address: str) -> None:
        """A session has been opened."""
        with self._lock:
            self.clients[sid] = _Client(transport)
            self._line(sid, "connect", f"{transport} from {address}")

    def message(self, sid: str, transport: str) -> None:
        """A message has been answered; a line follows when the last one about this client is old enough."""
        with self._lock:
            client = self.clients.get(sid)
            if client is None:
                return
            if client.transport != transport:
                self._line(sid, "upgrade", f"{client.transport} to {transport}")
                client.transport = transport
            client.messages += 1
            now = time.monotonic()
            elapsed = now - client.counted_at
            if elapsed >= SUMMARY_INTERVAL:
                rate = (client.messages - client.counted) / elapsed
                self._line(sid, "messages", f"{rate:.0f}/s by {transport}", dim=True)
                client.counted, client.counted_at = client.messages, now

    def disconnect(self, sid: str, reason: str) -> None:
        """A session has ended."""
        with self._lock:
            client = self.clients.get(sid)
            count = client.messages if client else 0
            self._line(sid, "disconnect", f"{reason}, after {count} messages")
            self.clients.pop(sid, None)

    def _line(self, sid: str, event: str, text: str, dim: bool = False) -> None:
        line = f"{time.strftime('%H:%M:%S')}  {sid[:6]}  {event:<10}  {text}"
        print(f"\x1b[2m{line}\x1b[0m" if dim and self._dims else line, flush=True)


class Demo:
    """The Engine.IO server with its handlers, and the WSGI application that serves it together with the page."""

    def __init__(self, async_mode: str) -> None:
        # The page checks that echoes come back in order, so the handlers of one client run one after the other.
        self.eio = engineio_green.Server(async_mode=async_mode, async_handlers=False)
        self.application = engineio_green.WSGIApp(self.eio, static_files=STATIC_FILES)
        self._terminal = Terminal()
        self._greeting = {"mode": async_mode, "version": engineio_green.__version__}
        self.eio.on("connect", self._on_connect)
        self.eio.on("message", self._on_message)
        self.eio.on("disconnect", self._terminal.disconnect)

    def _on_connect(self, sid: str, environ: dict[str, Any]) -> None:
        self._terminal.connect(sid, self.eio.transport(sid), environ.get("REMOTE_ADDR", "somewhere"))
        self.eio.send(sid, self._greeting)

    def _on_message(self, sid: str, data: Any) -> None:
        self.eio.send(sid, data)
        try:
            transport = self.eio.transport(sid)
        except KeyError:
            return  # gone while its last messages were worked off
        self._terminal.message(sid, transport)

    def close(self) -> None:
        """Tell every client, wait a moment until they have been told, and stop."""
        self.eio.disconnect()
        deadline = time.monotonic() + FAREWELL_TIMEOUT
        while self._terminal.clients and time.monotonic() < deadline:
            self.eio.sleep(0.01)
        self.eio.shutdown()
