"""Ctrl-C: clients that asked for it say goodbye before the program goes.

Owns the process's one SIGINT handler, which is installed by the first such client and hands on to the one before it. In a
program that gevent or eventlet has patched, the signal mostly comes to the hub, which can't wait: the farewell goes on by
itself then, and interrupts the main greenlet when it is over. Must not know how a client disconnects.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from types import BuiltinFunctionType
from typing import Any, Protocol

# How long the goodbyes of all clients may hold up the end of the program, in seconds.
FAREWELL_SECONDS = 2.0


class Interruptible(Protocol):
    def disconnect(self) -> None: ...


_clients: set[Interruptible] = set()
_before: Any = None
_installed = False
_busy = False
_farewell: _Farewell | None = None  # one that will interrupt the program by itself


def install() -> None:
    """Catch SIGINT, once. Does nothing outside of the main thread, or where the process ignores the signal."""
    global _before, _installed
    if _installed:
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        return  # ignored, or not Python's to handle
    try:
        # Which thread is the main one only this knows for sure: in a program that eventlet has patched, threading does not.
        signal.signal(signal.SIGINT, _on_interrupt)
    except ValueError:
        return
    _before, _installed = before, True


def add(client: Interruptible) -> None:
    """*client* is connected."""
    _clients.add(client)


def discard(client: Interruptible) -> None:
    _clients.discard(client)


def await_farewell() -> None:
    """Hold a client's end back from the program until the interrupt that caused it is there as well."""
    farewell = _farewell
    if farewell is not None:
        farewell.over.wait(FAREWELL_SECONDS)


def _on_interrupt(number: int, frame: Any) -> Any:
    global _busy, _farewell
    if _busy or not _clients:  # a second Ctrl-C does not wait for the first
        return _before(number, frame)
    _busy = True
    # In a thread of its own: the main one may have been interrupted while it held a client's lock.
    farewell = _Farewell(number, frame)
    _thread.start_new_thread(farewell.run, ())
    if _is_side_greenlet():
        _farewell = farewell
        return None
    farewell.over.wait(FAREWELL_SECONDS)
    return _before(number, frame)


def _is_side_greenlet() -> bool:
    """Whether this is a patched program's hub, which can't wait, or a greenlet that the goodbye may need, a client's reader."""
    patched = not isinstance(_thread.start_new_thread, BuiltinFunctionType)
    return patched and "greenlet" in sys.modules and sys.modules["greenlet"].getcurrent().parent is not None


def _interrupt_main(number: int, frame: Any) -> None:
    """Do what the handler before would have done; what it raises is for the main greenlet, not for the caller's own."""
    try:
        _before(number, frame)
    except BaseException as exc:
        main = sys.modules["greenlet"].getcurrent()
        while main.parent is not None:
            main = main.parent
        main.throw(exc.with_traceback(None))


class _Farewell:
    """All clients say goodbye at once."""

    def __init__(self, number: int, frame: Any) -> None:
        self.over = threading.Event()
        self._signal = number, frame

    def run(self) -> None:
        global _busy, _farewell
        threads = [threading.Thread(target=client.disconnect, daemon=True) for client in list(_clients)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + FAREWELL_SECONDS
        for thread in threads:
            thread.join(max(0, until - time.monotonic()))
        _busy = False
        self.over.set()
        if _farewell is self:
            _farewell = None
            _interrupt_main(*self._signal)
