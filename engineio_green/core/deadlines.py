"""One heap of next moments for everything that waits: sessions (ping due, pong due, probe due) and closing websockets.

Owns the order of moments. Must not know the clock: it is told ``now``. An entry fires once.
"""

from __future__ import annotations

import heapq
from typing import Protocol


class Target(Protocol):
    """Something with a next moment."""

    def on_deadline(self, now: float) -> None:
        """React to *now*; a target that has another moment adds itself again."""


class Entry:
    """One moment of one target."""

    __slots__ = ("serial", "target", "when")

    def __init__(self, when: float, serial: int, target: Target) -> None:
        self.when = when
        self.serial = serial
        self.target: Target | None = target

    def __lt__(self, other: Entry) -> bool:
        return (self.when, self.serial) < (other.when, other.serial)


class Deadlines:
    """Not thread-safe: the caller holds its lock around every method (and not around ``on_deadline``)."""

    __slots__ = ("_cancelled", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._serial = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def add(self, when: float, target: Target) -> Entry:
        """Call *target* at *when*. The entry is for :meth:`cancel`."""
        self._serial += 1
        entry = Entry(when, self._serial, target)
        heapq.heappush(self._heap, entry)
        return entry

    def cancel(self, entry: Entry) -> None:
        """Let go of the target at once; what is left of the entry leaves with the next clean-up."""
        if entry.target is None:
            return
        entry.target = None
        self._cancelled += 1
        self._tidy()

    def _tidy(self) -> None:
        if self._cancelled > 1000 and self._cancelled * 2 > len(self._heap):
            self._heap = [kept for kept in self._heap if kept.target is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_moment(self) -> float | None:
        return self._heap[0].when if self._heap else None

    def pop_due(self, now: float) -> list[Target]:
        """Take out every target whose moment has come, earliest first."""
        due = []
        heap = self._heap
        while heap and heap[0].when <= now:
            entry = heapq.heappop(heap)
            if entry.target is None:
                self._cancelled -= 1
            else:
                due.append(entry.target)
                entry.target = None
        self._tidy()  # what was cancelled may be most of what is left
        return due
