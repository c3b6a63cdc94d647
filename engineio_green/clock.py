"""The one clock of a server: a driver's timer in front of the heap of deadlines.

Owns the heap's lock and the running of what is due. Must not know what the targets are.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from engineio_green.core.deadlines import Deadlines, Entry, Target
from engineio_green.drivers.base import Model, clock


class Clock:
    """A job of the driver. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._deadlines = Deadlines()
        self._due: deque[Target] = deque()
        self._driver: Model | None = None
        self._lock: Any = None  # guards the heap and what is due

    def use(self, driver: Model) -> None:
        """Take *driver* as the clock's; only before the first deadline."""
        self._driver = driver
        self._lock = driver.create_lock()

    def add(self, when: float, target: Target) -> Entry:
        """Call *target* in a worker at *when*, on the scale of the driver's clock."""
        assert self._driver is not None
        with self._lock:
            entry = self._deadlines.add(when, target)
        self._driver.set_clock(when)  # which compares
        return entry

    def cancel(self, entry: Entry) -> None:
        with self._lock:
            self._deadlines.cancel(entry)

    def run(self) -> None:
        """Call every target that is due, then wait for the next."""
        assert self._driver is not None
        while True:
            with self._lock:
                if not self._due:
                    self._due.extend(self._deadlines.pop_due(clock()))
                target = self._due.popleft() if self._due else None
                when = self._deadlines.next_moment()
            if target is None:
                break
            try:
                target.on_deadline(clock())
            except BaseException:  # the worker is being killed: the others must not miss their moment
                self._driver.run_soon(self)
                raise
        if when is not None:
            self._driver.set_clock(when)

    def on_blocked(self) -> None:
        """A target has blocked, in a disconnect handler: the others go on."""
        assert self._driver is not None
        self._driver.run_soon(self)
