"""gevent: jobs run in greenlets started straight from the hub's callbacks.

A readable socket makes the hub switch into a parked worker greenlet; when that comes back to the hub, it has either
finished or blocked, which the hub callback sees at once: no task is spawned for a message, and none waits. Everything here
runs in the hub's thread but for what a foreign thread calls, which is handed over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event
import gevent.monkey
import gevent.queue
from greenlet import greenlet

from engineio_green.drivers.base import Driver, Job, clock

if TYPE_CHECKING:
    from engineio_green.websocket.connection import Connection

_allocate_lock = gevent.monkey.get_original("_thread", "allocate_lock")
_get_ident = gevent.monkey.get_original("_thread", "get_ident")

READ, WRITE = 1, 2
# Parked workers beyond this many are let go: a burst of blocking handlers must not keep its greenlets for ever.
MAX_PARKED = 64

log = logging.getLogger("engineio_green.drivers")


class Watch:
    """The hub's watchers of one connection."""

    __slots__ = ("pool", "readable", "writable")

    def __init__(self, pool: Pool, readable: Any) -> None:
        self.pool = pool
        self.readable = readable
        self.writable: Any = None


class Pool:
    """The workers of one hub."""

    def __init__(self) -> None:
        self.hub = gevent.get_hub()
        self.thread = _get_ident()
        self._parked: list[Worker] = []

    def start(self, job: Job) -> None:
        """Run *job* until it ends or blocks. Only from the hub greenlet."""
        worker = self._parked.pop() if self._parked else Worker(self)
        worker.job = job
        worker.switch()
        if worker.job is not None:
            job.on_blocked()

    def park(self, worker: Worker) -> bool:
        if len(self._parked) >= MAX_PARKED:
            return False
        self._parked.append(worker)
        return True

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call *function* from the hub greenlet, soon."""
        if _get_ident() == self.thread:
            self.hub.loop.run_callback(function, *args)
        else:
            self.hub.loop.run_callback_threadsafe(function, *args)


class Worker(greenlet):  # type: ignore[misc]
    """A greenlet that runs one job after the other, parked in between."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(None, pool.hub)
        self.pool = pool
        self.job: Job | None = None

    def run(self) -> None:
        pool = self.pool
        to_hub = pool.hub.switch
        while True:
            job = self.job
            assert job is not None
            try:
                job.run()
            except gevent.GreenletExit:
                pass
            except Exception:
                log.exception("a job has failed")
            finally:
                self.job = job = None
            if not pool.park(self):
                return
            to_hub()


class GeventWakeup:
    """Switches the waiting greenlet back in."""

    __slots__ = ("_pool", "_waiting", "_woken")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._woken = False
        self._waiting: Any = None

    def wait(self, timeout: float | None) -> None:
        if self._woken:
            return
        self._waiting = gevent.getcurrent()
        try:
            if timeout is None:
                self._pool.hub.switch()
            else:
                timer = self._pool.hub.loop.timer(timeout)
                timer.start(self._switch)
                try:
                    self._pool.hub.switch()
                finally:
                    timer.stop()
                    timer.close()
        finally:
            self._waiting = None

    def wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._pool.call(self._switch)

    def _switch(self) -> None:
        waiting = self._waiting
        if waiting is not None:
            self._waiting = None
            waiting.switch()


class GeventDriver(Driver):
    name = "gevent"

    def __init__(self, on_clock: Job) -> None:
        super().__init__(on_clock)
        self._pools: dict[int, Pool] = {}
        self._clock_pool: Pool | None = None
        self._timer: Any = None
        self._moment = float("inf")
        self._clock_lock = _allocate_lock()

    @classmethod
    def missing(cls) -> str | None:
        return None

    def _pool(self) -> Pool:
        """Return the pool of this thread's hub."""
        ident = _get_ident()
        pool = self._pools.get(ident)
        if pool is None or pool.hub is not gevent.get_hub():
            pool = self._pools[ident] = Pool()
            self._clock_pool = self._clock_pool or pool
        return pool

    def watch(self, connection: Connection) -> None:
        pool = self._pool()
        readable = pool.hub.loop.io(connection.sock.fileno(), READ)
        connection.watch = Watch(pool, readable)
        readable.start(pool.start, connection)

    def release(self, connection: Connection) -> None:
        watch, connection.watch = connection.watch, None
        if watch is None:
            connection.sock.close()
        elif _get_ident() == watch.pool.thread:
            _release(watch, connection.sock)
        else:
            # libev is for its own thread only, and the descriptor must outlive its watchers.
            watch.pool.call(_release, watch, connection.sock)

    def pause(self, connection: Connection) -> None:
        self._in_hub(connection, "stop")

    def resume(self, connection: Connection) -> None:
        self._in_hub(connection, "start")

    def _in_hub(self, connection: Connection, action: str) -> None:
        watch = connection.watch
        if watch is None:
            return
        if _get_ident() == watch.pool.thread:
            _switch_reading(connection, action)
        else:
            watch.pool.call(_switch_reading, connection, action)

    def read_again(self, connection: Connection) -> None:
        # The hub tells again and again while the kernel has data; only the TLS layer's own buffer is out of its sight.
        if connection.attachment is not None:
            connection.watch.pool.call(connection.watch.pool.start, connection)

    def watch_writable(self, connection: Connection) -> None:
        watch = connection.watch
        if watch is not None:
            if _get_ident() == watch.pool.thread:
                _watch_writable(connection)
            else:
                watch.pool.call(_watch_writable, connection)

    def unwatch_writable(self, connection: Connection) -> None:
        watch = connection.watch
        if watch is not None and watch.writable is not None:
            watch.writable.stop()

    def run_soon(self, job: Job) -> None:
        pool = self._pools.get(_get_ident()) or self._clock_pool or self._pool()
        pool.call(pool.start, job)

    def set_clock(self, when: float) -> None:
        with self._clock_lock:
            if when >= self._moment:
                return
            self._moment = when
        pool = self._clock_pool or self._pool()
        if _get_ident() == pool.thread:
            self._start_timer(pool)
        else:
            pool.call(self._start_timer, pool)

    def _start_timer(self, pool: Pool) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        # Not a reason for the hub to keep running: an application whose own work is done must be able to end.
        self._timer = pool.hub.loop.timer(max(self._moment - clock(), 0.0), ref=False)
        self._timer.start(self._on_timer, pool)

    def _on_timer(self, pool: Pool) -> None:
        self._moment = float("inf")
        pool.start(self.on_clock)

    def stop_clock(self) -> None:
        self._moment = float("inf")
        if self._timer is not None:
            self._timer.stop()

    def create_wakeup(self) -> GeventWakeup:
        return GeventWakeup(self._pool())

    create_lock = staticmethod(_allocate_lock)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return gevent.spawn(target, *args, **kwargs)

    def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> Any:
        return gevent.queue.Queue(*args, **kwargs)

    def queue_empty(self) -> type[Exception]:
        return gevent.queue.Empty  # type: ignore[no-any-return]

    def create_event(self, *args: Any, **kwargs: Any) -> Any:
        return gevent.event.Event(*args, **kwargs)


def _release(watch: Watch, sock: Any) -> None:
    for watcher in (watch.readable, watch.writable):
        if watcher is not None:
            watcher.stop()
            watcher.close()
    sock.close()


def _switch_reading(connection: Connection, action: str) -> None:
    watch = connection.watch
    if watch is None:
        return
    if action == "stop":
        watch.readable.stop()
    else:
        watch.readable.start(watch.pool.start, connection)


def _watch_writable(connection: Connection) -> None:
    watch = connection.watch
    if watch is None:
        return
    if watch.writable is None:
        watch.writable = watch.pool.hub.loop.io(connection.sock.fileno(), WRITE)
    watch.writable.start(connection.on_writable)
