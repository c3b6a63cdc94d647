"""How worker threads wait for sockets: on one epoll where there is one, else in turns on ``poll()``.

Owns the interest in each descriptor and the bell that wakes a waiter. Must not know connections or jobs. Every method may be
called from any thread, and any number of threads may wait.
"""

from __future__ import annotations

import os
import select
import threading
from typing import Protocol

# The numbers are the same for epoll and poll, on every system.
IN, OUT = 1, 4
ENDED = 0x2000 | 0x10 | 0x8  # RDHUP (Linux), HUP, ERR


class Bell:
    """A descriptor that becomes readable when somebody rings."""

    def __init__(self) -> None:
        self._eventfd = hasattr(os, "eventfd")  # on Linux
        if self._eventfd:
            self._out = self._in = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._out, self._in = os.pipe()
            os.set_blocking(self._out, False)
            os.set_blocking(self._in, False)

    def __del__(self) -> None:
        for descriptor in {self._in, self._out}:
            os.close(descriptor)

    def fileno(self) -> int:
        return self._out

    def ring(self) -> None:
        try:
            if self._eventfd:
                os.eventfd_write(self._in, 1)
            else:
                os.write(self._in, b"!")
        except BlockingIOError:
            pass  # full: it rings already

    def silence(self) -> None:
        try:
            if self._eventfd:
                os.eventfd_read(self._out)
            else:
                os.read(self._out, 4096)
        except BlockingIOError:
            pass  # somebody else was faster


class Poller(Protocol):
    """What the pool of threads needs. An event is ``(descriptor, flags)``; the bell's descriptor stands for a ring."""

    bell: Bell
    rearms: bool
    """Whether a descriptor is silent after an event until :meth:`rearm`."""

    def add(self, descriptor: int) -> None: ...

    def remove(self, descriptor: int) -> None: ...

    def set_writing(self, descriptor: int, on: bool) -> None: ...

    def set_reading(self, descriptor: int, on: bool) -> None: ...

    def rearm(self, descriptor: int) -> None: ...

    def wait(self, seconds: float, count: int) -> list[tuple[int, int]]: ...


class EdgePoller:
    """epoll, edge-triggered: a socket is registered once, and tells of each arrival once, to one of those who wait."""

    rearms = False

    def __init__(self) -> None:
        self.bell = Bell()
        self._epoll = select.epoll()
        self._interest = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
        self._epoll.register(self.bell.fileno(), select.EPOLLIN | select.EPOLLET)  # never silenced: each ring is an edge

    def add(self, descriptor: int) -> None:
        self._epoll.register(descriptor, self._interest)

    def remove(self, descriptor: int) -> None:
        try:
            self._epoll.unregister(descriptor)
        except OSError:
            pass  # the system has dropped it already

    def set_writing(self, descriptor: int, on: bool) -> None:
        self._epoll.modify(descriptor, self._interest | OUT if on else self._interest)

    def set_reading(self, descriptor: int, on: bool) -> None:
        pass  # the one event of what has come is used up

    def rearm(self, descriptor: int) -> None:
        pass

    def wait(self, seconds: float, count: int) -> list[tuple[int, int]]:
        return self._epoll.poll(seconds, count)


class TurnPoller:
    """``poll()``, which macOS and the BSDs have: one thread waits for all, and each event silences its descriptor."""

    rearms = True

    def __init__(self) -> None:
        self.bell = Bell()
        self._turn = threading.Lock()
        self._lock = threading.Lock()  # guards the two below
        self._wanted: dict[int, int] = {}
        self._armed: dict[int, int] = {}

    def add(self, descriptor: int) -> None:
        with self._lock:
            self._wanted[descriptor] = self._armed[descriptor] = IN
        self.bell.ring()

    def remove(self, descriptor: int) -> None:
        with self._lock:
            self._wanted.pop(descriptor, None)
            self._armed.pop(descriptor, None)
        self.bell.ring()

    def set_writing(self, descriptor: int, on: bool) -> None:
        self._change(descriptor, OUT, on)

    def set_reading(self, descriptor: int, on: bool) -> None:
        self._change(descriptor, IN, on)

    def _change(self, descriptor: int, kind: int, on: bool) -> None:
        with self._lock:
            if descriptor not in self._wanted:
                return
            for interest in (self._wanted, self._armed):
                interest[descriptor] = interest[descriptor] | kind if on else interest[descriptor] & ~kind
        self.bell.ring()

    def rearm(self, descriptor: int) -> None:
        with self._lock:
            wanted = self._wanted.get(descriptor)
            if wanted is None or self._armed[descriptor] == wanted:
                return
            self._armed[descriptor] = wanted
        self.bell.ring()

    def wait(self, seconds: float, count: int) -> list[tuple[int, int]]:
        if not self._turn.acquire(timeout=seconds):
            return []
        try:
            poll = select.poll()
            poll.register(self.bell.fileno(), IN)
            with self._lock:
                for descriptor, armed in self._armed.items():
                    if armed:
                        poll.register(descriptor, armed)
            events = poll.poll(seconds * 1000)[:count]
            with self._lock:
                for descriptor, _ in events:
                    if descriptor in self._armed:
                        self._armed[descriptor] = 0
            if any(descriptor == self.bell.fileno() for descriptor, _ in events):
                self.bell.silence()
            return events
        finally:
            self._turn.release()


def make_poller() -> Poller:
    """Return the best that this system has."""
    return EdgePoller() if hasattr(select, "epoll") else TurnPoller()
