"""Handlers that block: one thread for all clients of the process sees to it that somebody else goes on reading.

A client's reading thread runs the handlers itself, which costs no hand-over per message. This thread looks now and then
whether a handler has not come back, and gives the client's *turn* to a new thread then. It sleeps while nothing happens, and
ends with the last client. Must not know what the clients do.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol

# How often it looks while there is work, and how many looks must see the same handler: too few, and a thread that only did
# not get the processor would be overtaken.
LOOK_SECONDS = 0.02
LOOKS_UNTIL_BLOCKED = 3
# How many looks that see nothing new make it sleep.
QUIET_LOOKS = 50


class Turn:
    """The right, held by one thread at a time, to read for a client and to run its handlers."""

    __slots__ = ("busy", "looks", "seen", "started", "thread")

    def __init__(self) -> None:
        self.thread = 0
        self.busy = False
        """A handler is running."""
        self.started = 0
        """How many handlers have been started."""
        self.seen = self.looks = 0


class Watched(Protocol):
    turn: Turn

    def hand_over(self, turn: Turn) -> None:
        """Let a new thread go on, if *turn* is still the one. Does not block."""


class Watch:
    """See the module's text. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.awake = False
        """Whether it is looking; whoever starts a handler wakes it if not."""
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()  # guards the clients and whether the thread runs
        self._alarm = threading.Event()
        self._clients: dict[Watched, None] = {}
        self._running = False
        self.awake = False

    def add(self, client: Watched) -> None:
        with self._lock:
            self._clients[client] = None
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="engineio-client-watch", daemon=True).start()

    def remove(self, client: Watched) -> None:
        with self._lock:
            self._clients.pop(client, None)
        self._alarm.set()

    def wake(self) -> None:
        self.awake = True
        self._alarm.set()

    def _run(self) -> None:
        quiet = 0
        while True:
            with self._lock:
                if not self._clients:
                    self._running = self.awake = False
                    return
                clients = list(self._clients)
            quiet = 0 if sum(self._look(client) for client in clients) else quiet + 1
            if quiet < QUIET_LOOKS:
                # A wait on the alarm, which also ends this thread at once after the last client.
                self._alarm.wait(LOOK_SECONDS)
                self._alarm.clear()
                continue
            self.awake = False  # first, so that a handler that starts from here on wakes it
            if not any(client.turn.busy for client in clients):
                self._alarm.wait()
            self._alarm.clear()
            self.awake = True
            quiet = 0

    @staticmethod
    def _look(client: Watched) -> bool:
        """Return whether anything has happened since the last look, or is under way."""
        turn = client.turn
        new = turn.started != turn.seen
        turn.looks = 0 if new or not turn.busy else turn.looks + 1
        turn.seen = turn.started
        if turn.looks >= LOOKS_UNTIL_BLOCKED:
            turn.looks = 0
            client.hand_over(turn)
        return new or turn.busy


watch = Watch()
# Threads don't survive a fork, and neither do the clients that they served.
os.register_at_fork(after_in_child=watch._reset)
