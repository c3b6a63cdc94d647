"""Ctrl-C: asyncio clients that asked for it say goodbye before the program goes.

Owns the SIGINT handler of the main thread's loop, for as long as there is such a client, and hands on to the one before it.
Must not know how a client disconnects.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any, Protocol

from engineio_green.client.interrupt import FAREWELL_SECONDS


class Interruptible(Protocol):
    async def disconnect(self) -> None: ...


_clients: set[Interruptible] = set()
_loop: asyncio.AbstractEventLoop | None = None
_before: Any = None
_farewell: asyncio.Task[None] | None = None


def add(client: Interruptible) -> None:
    """*client* is connected. Does nothing outside of the main thread, or where the process ignores the signal."""
    global _loop, _before
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGINT)
    if _loop is not loop:
        if not callable(before):
            return  # ignored, or not Python's to handle
        try:
            loop.add_signal_handler(signal.SIGINT, _on_interrupt)
        except NotImplementedError:  # a loop without signals
            return
        _loop, _before = loop, before
    _clients.add(client)


def discard(client: Interruptible) -> None:
    """*client* is not connected any more."""
    _clients.discard(client)
    if not _clients and _farewell is None:
        _restore()


def _restore() -> None:
    global _loop, _before
    if _loop is not None and not _loop.is_closed():
        _loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, _before)
    _loop = _before = None


def _on_interrupt() -> None:
    global _farewell
    if _farewell is None:
        _farewell = asyncio.get_running_loop().create_task(_say_goodbye())
    else:  # a second Ctrl-C does not wait for the first
        _interrupt_again()


async def _say_goodbye() -> None:
    global _farewell
    goodbyes = [asyncio.ensure_future(client.disconnect()) for client in list(_clients)]
    if goodbyes:
        await asyncio.wait(goodbyes, timeout=FAREWELL_SECONDS)
    _farewell = None
    _interrupt_again()


def _interrupt_again() -> None:
    """Let the handler that was there before do what it does."""
    _restore()
    os.kill(os.getpid(), signal.SIGINT)
