"""The contract of a concurrency model.

A driver runs *jobs* in workers, watches connections, holds one clock, and makes the waiting and queueing objects of its
model. A job's ``run`` may block; when it does, the driver calls the job's ``on_blocked`` soon after, once, from where
blocking is forbidden, so that somebody else can go on with the rest. Must not know sessions or packets.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engineio_green.websocket.connection import Connection

# One scale for all deadlines, never set back.
clock = time.monotonic


class Job(Protocol):
    """Something for a worker to do."""

    def run(self) -> None: ...

    def on_blocked(self) -> None: ...


class Wakeup(Protocol):
    """What one request waits on. Made for one wait; any thread may wake it, any number of times, also beforehand."""

    def wait(self, timeout: float | None) -> Any:
        """Return when woken, or after *timeout* seconds. On asyncio a coroutine, and only the loop's thread may wake it."""

    def wake(self) -> None: ...


class Model(Protocol):
    """The part of a driver that a server's clients need, of those that block and of asyncio alike."""

    name: str

    def run_soon(self, job: Job) -> None: ...

    def set_clock(self, when: float) -> None: ...

    def create_wakeup(self) -> Wakeup: ...

    def create_lock(self) -> Any: ...


class NativeWakeup:
    """A native lock that the waiter finds locked: it blocks the whole thread.

    :param lock: a fresh one.
    """

    __slots__ = ("_lock",)

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        lock.acquire()

    def wait(self, timeout: float | None) -> None:
        self._lock.acquire(True, -1 if timeout is None else timeout)

    def wake(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # woken before


class Driver(ABC):
    """See the module's text. Every method may be called from any thread unless it says otherwise.

    :param on_clock: the job to run when the moment of :meth:`set_clock` has come.
    """

    name: str
    """The value of ``async_mode``."""

    serves_websockets = False
    """Whether :meth:`take_websocket` works here."""

    def __init__(self, on_clock: Job) -> None:
        self.on_clock = on_clock

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """Return what keeps this model from working in this process, as a sentence that says what to change."""

    # --- connections ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def watch(self, connection: Connection) -> None:
        """Run *connection* as a job whenever it is readable, until :meth:`release`. Called in the request's thread."""

    @abstractmethod
    def release(self, connection: Connection) -> None:
        """Stop watching, and close the socket where that is safe."""

    @abstractmethod
    def pause(self, connection: Connection) -> None:
        """Do not run it before :meth:`resume`, or tolerate that it is run and does not read."""

    @abstractmethod
    def resume(self, connection: Connection) -> None:
        """Run it if there is something to read, then whenever it is readable."""

    @abstractmethod
    def read_again(self, connection: Connection) -> None:
        """It has not read everything: run it again."""

    @abstractmethod
    def watch_writable(self, connection: Connection) -> None:
        """Call its ``on_writable`` when it can be written to."""

    @abstractmethod
    def unwatch_writable(self, connection: Connection) -> None: ...

    def take_websocket(self) -> Any:
        """Take the current request's connection over, but let the server around take its frames apart.

        Returns what is both the socket and what the request waits on. Called in the request's thread.
        """
        raise NotImplementedError

    # --- work and time -------------------------------------------------------------------------------------------------

    @abstractmethod
    def run_soon(self, job: Job) -> None:
        """Run *job* in a worker."""

    @abstractmethod
    def set_clock(self, when: float) -> None:
        """Run the clock's job at *when* on the scale of ``clock()``, or earlier if it was set to an earlier moment."""

    @abstractmethod
    def stop_clock(self) -> None:
        """Forget the moment and stop background work; any later call starts it again."""

    @abstractmethod
    def create_wakeup(self) -> Wakeup: ...

    @staticmethod
    @abstractmethod
    def create_lock() -> Any:
        """Return a native lock, whatever has been monkey patched. It is held for moments only, never while waiting."""

    # --- the application's ---------------------------------------------------------------------------------------------

    @abstractmethod
    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return an object with ``join()``."""

    @abstractmethod
    def sleep(self, seconds: float) -> None: ...

    @abstractmethod
    def create_queue(self, *args: Any, **kwargs: Any) -> Any: ...

    @abstractmethod
    def queue_empty(self) -> type[Exception]: ...

    @abstractmethod
    def create_event(self, *args: Any, **kwargs: Any) -> Any: ...
