"""What the green models share: workers that a hub's callbacks switch into, and the driver on top of them.

A readable socket makes the hub switch into a parked worker greenlet; when that comes back to the hub, it has either
finished or blocked, which the hub's callback sees at once: no task is spawned for a message, and none waits. Everything here
runs in the hub's thread but for what a foreign thread calls, which is handed over.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent, greenlet

from engineio_green.drivers.base import Driver, Job, NativeWakeup, Wakeup, clock

if TYPE_CHECKING:
    from engineio_green.drivers.green_tasks import GreenTask
    from engineio_green.websocket.connection import Connection

# Parked workers beyond this many are let go: a burst of blocking handlers must not keep its greenlets for ever.
MAX_PARKED = 64

log = logging.getLogger("engineio_green.drivers")


class Hub(ABC):
    """One thread's hub and its workers. Subclasses are all that differs between the models."""

    thread: int
    """Identity of the native thread."""
    wait: Callable[[], Any]
    """Leaves the current greenlet; it comes back when something switches to it."""

    def __init__(self) -> None:
        self.parked: list[Worker] = []
        self._tasks: deque[GreenTask] = deque()  # that have been started, and not begun
        self._starting = False  # a job has the processor, and we have it next

    # --- the model's part ------------------------------------------------------------------------------------------------

    @abstractmethod
    def greenlet(self) -> Any:
        """Return the hub greenlet."""

    @abstractmethod
    def end_program(self, exc: BaseException) -> None:
        """Raise *exc* in the main greenlet. Only from the hub greenlet."""

    @abstractmethod
    def is_here(self) -> bool:
        """Whether this is the hub's native thread."""

    @abstractmethod
    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call *function* from the hub greenlet, soon. From any thread."""

    @abstractmethod
    def call_later(self, seconds: float, keep_running: bool, function: Callable[..., Any], *args: Any) -> Callable[[], None]:
        """Call *function* from the hub greenlet after *seconds*. Returns what cancels that. Only in the hub's thread.

        With *keep_running* false, the timer is no reason for the hub to go on when nothing else is.
        """

    @abstractmethod
    def watch(self, connection: Connection) -> Any:
        """Start ``start(connection)`` whenever it is readable. Returns what the three methods below get as *watch*."""

    @abstractmethod
    def switch_reading(self, watch: Any, on: bool) -> None: ...

    @abstractmethod
    def switch_writing(self, watch: Any, on: bool) -> None:
        """Call ``on_writable()`` of the connection when it is writable."""

    @abstractmethod
    def unwatch(self, watch: Any) -> None: ...

    # --- shared --------------------------------------------------------------------------------------------------------

    def start(self, job: Job, *_: Any) -> None:
        """Run *job*, and the tasks that it has started, until they end or block. Only from the hub greenlet."""
        self._starting = True
        self._run(job)
        if self._tasks:
            self._start_tasks()
        self._starting = False

    def start_task(self, task: GreenTask) -> None:
        """Run *task* as soon as the hub has the processor. Only in the hub's thread."""
        if not self._starting and not self._tasks:
            self.call(self._start_tasks)
        self._tasks.append(task)

    def _start_tasks(self) -> None:
        """Those that the tasks start in turn wait until the hub has looked at everything else."""
        self._starting = True
        for _ in range(len(self._tasks)):
            self._run(self._tasks.popleft())
        self._starting = False
        if self._tasks:
            self.call(self._start_tasks)

    def create_wakeup(self) -> Wakeup:
        """Return what one greenlet of this hub waits on."""
        return GreenWakeup(self)

    def _run(self, job: Job) -> None:
        parked = self.parked
        worker = parked.pop() if parked else Worker(self)
        while worker.dead:  # somebody has killed it while it was parked
            worker = parked.pop() if parked else Worker(self)
        worker.job = job
        worker.switch()
        if worker.job is not None:
            try:
                job.on_blocked()
            except Exception:  # must not reach the hub, which would stop watching
                log.exception("a blocked job could not be given up")

    def do(self, function: Callable[..., Any], *args: Any) -> None:
        """Call *function* in the hub's thread: now when that is here."""
        if self.is_here():
            function(*args)
        else:
            self.call(function, *args)


class Worker(greenlet):  # type: ignore[misc]  # the library has no types
    """A greenlet that runs one job after the other, parked in between. To each it looks like a new one.

    Values that belong to a greenlet (``gevent.local``, ``threading.local`` when it is patched) are kept by others, who want to
    be told of its end, or keep them under the greenlet as a key. The first are told after each job; the others can't be, so
    a greenlet that has been used as a key is not used again.
    """

    def __init__(self, hub: Hub) -> None:
        super().__init__(None, hub.greenlet())
        self.hub = hub
        self.job: Job | None = None
        self._links: list[Callable[[Any], Any]] = []
        self._is_key = False

    def __hash__(self) -> int:
        self._is_key = True
        return id(self)

    __eq__ = object.__eq__

    def rawlink(self, callback: Callable[[Any], Any]) -> None:
        """Call *callback* with this greenlet when the job has ended: what gevent offers to those who keep something for one."""
        self._links.append(callback)

    def unlink(self, callback: Callable[[Any], Any]) -> None:
        """Take back what :meth:`rawlink` was given."""
        if callback in self._links:
            self._links.remove(callback)

    def _renew(self) -> None:
        """Leave nothing of the job's."""
        self.gr_context = None
        while self._links:
            try:
                self._links.pop()(self)
            except Exception:
                log.exception("what was kept for a greenlet could not be let go")

    def run(self) -> None:
        hub = self.hub
        parked = hub.parked
        while True:
            job = self.job
            assert job is not None
            try:
                job.run()
            except GreenletExit:
                pass
            except (KeyboardInterrupt, SystemExit) as exc:
                hub.call(hub.end_program, exc)
            except BaseException:
                log.exception("a job has failed")
            finally:
                self.job = job = None
                self._renew()
            if self._is_key or len(parked) >= MAX_PARKED:
                return
            parked.append(self)
            try:
                hub.wait()
            except BaseException:  # a timeout that a handler has left behind, or a kill; the next job gets another worker
                return


class GreenWakeup:
    """Switches the waiting greenlet back in."""

    __slots__ = ("_hub", "_waiting", "_woken")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._woken = False
        self._waiting: Any = None

    def wait(self, timeout: float | None) -> None:
        if self._woken:
            return
        self._waiting = getcurrent()
        cancel = None if timeout is None else self._hub.call_later(timeout, True, self._switch)
        try:
            self._hub.wait()
        finally:
            self._waiting = None
            if cancel is not None:
                cancel()

    def wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._hub.call(self._switch)

    def _switch(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.switch()


class GreenDriver(Driver):
    """Everything of the contract but what the application gets. ``connection.watch`` is ``(hub, the hub's own watch)``."""

    def __init__(self, on_clock: Job) -> None:
        super().__init__(on_clock)
        self._clock_hub: Hub | None = None
        self._cancel_clock: Callable[[], None] | None = None
        self._moment = float("inf")
        self._clock_lock = self.create_lock()

    @abstractmethod
    def hub(self) -> Hub:
        """Return the hub of this thread."""

    def watch(self, connection: Connection) -> None:
        hub = self.hub()
        self._clock_hub = self._clock_hub or hub
        connection.watch = (hub, hub.watch(connection))

    def release(self, connection: Connection) -> None:
        watch, connection.watch = connection.watch, None
        if watch is None:
            connection.sock.close()
        else:
            # A hub's watchers are for its own thread only, and the descriptor must outlive them.
            watch[0].do(_release, watch, connection.sock)

    def pause(self, connection: Connection) -> None:
        if connection.watch is not None:
            connection.watch[0].do(_switch_reading, connection, False)

    def resume(self, connection: Connection) -> None:
        if connection.watch is not None:
            connection.watch[0].do(_switch_reading, connection, True)
        if connection.has_buffered:
            self.run_soon(connection)

    def read_again(self, connection: Connection) -> None:
        # The hub tells again and again while the kernel has data; only the TLS layer's own buffer is out of its sight.
        if connection.attachment is not None:
            self.run_soon(connection)

    def watch_writable(self, connection: Connection) -> None:
        if connection.watch is not None:
            connection.watch[0].do(_switch_writing, connection, True)

    def unwatch_writable(self, connection: Connection) -> None:
        if connection.watch is not None:
            connection.watch[0].do(_switch_writing, connection, False)

    def run_soon(self, job: Job) -> None:
        hub = self._clock_hub if self._clock_hub is not None else self.hub()
        hub.call(hub.start, job)

    def set_clock(self, when: float) -> None:
        with self._clock_lock:
            if when >= self._moment:
                return
            self._moment = when
        hub = self._clock_hub = self._clock_hub or self.hub()
        hub.do(self._start_timer, hub)

    def _start_timer(self, hub: Hub) -> None:
        if self._moment == float("inf"):
            return  # the clock has run meanwhile, and sets itself when it is done
        if self._cancel_clock is not None:
            self._cancel_clock()
        self._cancel_clock = hub.call_later(max(self._moment - clock(), 0.0), False, self._on_timer, hub)

    def _on_timer(self, hub: Hub) -> None:
        self._moment = float("inf")
        hub.start(self.on_clock)

    def stop_clock(self) -> None:
        self._moment = float("inf")
        hub = self._clock_hub
        if hub is not None and self._cancel_clock is not None:
            hub.do(self._cancel_clock)

    @abstractmethod
    def has_hub(self) -> bool:
        """Whether this thread runs a hub."""

    def create_wakeup(self) -> Wakeup:
        return GreenWakeup(self.hub()) if self.has_hub() else NativeWakeup(self.create_lock())


def _release(watch: tuple[Hub, Any], sock: Any) -> None:
    watch[0].unwatch(watch[1])
    sock.close()


def _switch_reading(connection: Connection, on: bool) -> None:
    if connection.watch is not None:
        hub, watch = connection.watch
        hub.switch_reading(watch, on)


def _switch_writing(connection: Connection, on: bool) -> None:
    if connection.watch is not None:
        hub, watch = connection.watch
        hub.switch_writing(watch, on)
