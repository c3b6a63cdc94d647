"""Plain threads: workers that wait on one poller, and one supervisor.

A worker that gets an event handles it itself: no hand-over. Normally one worker does it all, since under the GIL more of
them only get in each other's way; the supervisor adds workers while others are stuck in handlers, and lets other workers go
on with what a stuck one has left. It is also the clock. Sockets are registered once and edge-triggered: no call per message.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engineio_green.drivers.base import Driver, Job, NativeWakeup, clock
from engineio_green.drivers.pollers import ENDED, IN, OUT, make_poller

if TYPE_CHECKING:
    from engineio_green.websocket.connection import Connection

log = logging.getLogger("engineio_green.drivers")

# How often the supervisor looks while there is work. A second worker is there this long after the first got stuck.
TICK_SECONDS = 0.004
# ... and how many looks must see the same handler before another worker goes on with the same client. Too few, and a
# thread that only did not get the processor is overtaken: its client's answers would change their order.
TICKS_UNTIL_BLOCKED = 12
# A worker that computes gets this many looks before others get what waits for it: one more thread rarely helps.
LOOKS_WHILE_COMPUTING = 3
# How long the supervisor keeps looking after the last work, and an idle worker keeps waiting.
QUIET_SECONDS = 1.0
IDLE_SECONDS = 20.0
MAX_WORKERS = 100
EVENTS_PER_POLL = 64


class ThreadWakeup(NativeWakeup):
    """One that lets the thread's pool know: who waits for news of a client keeps no other request from being answered.

    A web server's pool that can do with that has threads with the methods ``park`` and ``unpark``.
    """

    __slots__ = ()

    def wait(self, timeout: float | None) -> None:
        thread: Any = threading.current_thread()
        if not hasattr(thread, "park"):
            super().wait(timeout)
            return
        thread.park()
        try:
            super().wait(timeout)
        finally:
            thread.unpark()


class Worker(threading.Thread):
    """Waits for events and handles them. Other threads read its attributes, and take from ``events``."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(name="engineio-worker", daemon=True)
        self.pool = pool
        self.events: deque[tuple[int, int]] = deque()
        self.job: Job | None = None
        self.serial = 0  # of the job, so that the supervisor sees whether it is still the same
        self.seen = 0  # the supervisor's: the serial at its last look
        self.ticks = 0  # the supervisor's: for how many looks it has been the same, without computing
        self.looks = 0  # the supervisor's: ... computing or not
        self.computed = 0.0  # the supervisor's: the processor time at its last look
        self._clock: int | None = None

    def computes(self) -> bool:
        """Whether this thread has used the processor since the last call: it is busy then, not blocked."""
        if self._clock is None:
            return False
        try:
            used = time.clock_gettime(self._clock)
        except OSError:
            return False  # it has just ended
        busy = used - self.computed > TICK_SECONDS / 8
        self.computed = used
        return busy

    def run(self) -> None:
        pool, events = self.pool, self.events
        if hasattr(time, "pthread_getcpuclockid"):  # not on macOS
            self._clock = time.pthread_getcpuclockid(threading.get_ident())
        while pool.wait_for_events(self):
            while events:
                try:
                    descriptor, flags = events.popleft()
                except IndexError:
                    break  # the supervisor has given the rest to somebody else
                try:
                    job = pool.job_for(descriptor, flags)
                except Exception:
                    log.exception("an event has failed")
                    continue
                if job is not None:
                    self.work(job)

    def work(self, job: Job) -> None:
        self.serial += 1
        self.job = job
        pool = self.pool
        if not pool.supervisor.watching:
            pool.supervisor.wake()
        try:
            job.run()
        except SystemExit:
            pass  # ends its thread, elsewhere; this one is not the application's
        except BaseException:
            log.exception("a job has failed")
        self.job = None
        if pool.poller.rearms:
            pool.let_tell(job)


class Pool:
    """The poller, its connections, the queue of other jobs, and the workers."""

    def __init__(self, on_clock: Job) -> None:
        self.poller = make_poller()
        self.connections: dict[int, Connection] = {}
        self.jobs: deque[Job] = deque()
        self.workers: list[Worker] = []
        self.waiting = 0
        self._lock = threading.Lock()  # guards workers and waiting
        self._bell = self.poller.bell.fileno()
        self.ring = self.poller.bell.ring
        self.supervisor = Supervisor(self, on_clock)

    def wait_for_events(self, worker: Worker) -> bool:
        """Fill the worker's events. Returns whether it shall go on; ``False`` for one that is not needed any more."""
        with self._lock:
            self.waiting += 1
        while True:
            worker.events.extend(self.poller.wait(IDLE_SECONDS, EVENTS_PER_POLL))
            with self._lock:
                if worker.events or self.jobs or self.waiting == 1:
                    if worker.events or self.jobs:
                        self.waiting -= 1
                        break
                    continue
                self.waiting -= 1
                self.workers.remove(worker)
                return False
        if self.jobs and not worker.events:
            worker.events.append((self._bell, IN))
        return True

    def job_for(self, descriptor: int, flags: int) -> Job | None:
        """Return what an event asks for."""
        if descriptor == self._bell:
            try:
                job = self.jobs.popleft()
            except IndexError:
                return None
            if self.jobs:
                self.ring()
            return job
        connection = self.connections.get(descriptor)
        if connection is None:
            return None
        if flags & OUT:
            connection.on_writable()
        if flags & ENDED:
            connection.hangup = True
        if flags & (IN | ENDED):
            return connection
        self.poller.rearm(descriptor)
        return None

    def let_tell(self, job: Job) -> None:
        """A connection has been read from: the poller may tell of it again."""
        descriptor = getattr(job, "watch", None)
        if descriptor is not None:
            self.poller.rearm(descriptor)

    def add_job(self, job: Job) -> None:
        self.jobs.append(job)
        self.ensure_worker()
        self.ring()

    def ensure_worker(self) -> None:
        if not self.workers:
            self.add_worker()

    def add_worker(self, reserve: int = 0) -> None:
        """Start one more worker, unless there are too many; *reserve* more may be there for what can't wait."""
        with self._lock:
            if len(self.workers) >= MAX_WORKERS + reserve:
                return
            worker = Worker(self)
            self.workers.append(worker)
        try:
            worker.start()
        except RuntimeError:  # no more threads to be had
            log.exception("a worker could not be started")
            with self._lock:
                self.workers.remove(worker)


class Supervisor(threading.Thread):
    """Looks after stuck workers while there is work, and keeps the clock."""

    def __init__(self, pool: Pool, on_clock: Job) -> None:
        super().__init__(name="engineio-supervisor", daemon=True)
        self.pool = pool
        self.on_clock = on_clock
        self.watching = False
        self._moment = float("inf")
        self._condition = threading.Condition()
        self._woken = False
        self._quiet_since = 0.0

    def wake(self) -> None:
        with self._condition:
            self.watching = True
            self._notify()

    def set_clock(self, when: float) -> None:
        with self._condition:
            if when < self._moment:
                self._moment = when
                self._notify()

    def stop_clock(self) -> None:
        with self._condition:
            self._moment = float("inf")

    def _notify(self) -> None:
        self._woken = True
        if self.ident is None:
            self.start()
        self._condition.notify()

    def run(self) -> None:
        self._quiet_since = clock()
        while True:
            try:
                self._wait()
                self._keep_time()
                if self.watching:
                    self._watch()
            except Exception:  # nothing may stop the clock
                log.exception("the supervisor has failed")
                time.sleep(TICK_SECONDS)

    def _wait(self) -> None:
        """Wait for the clock's moment or for work; not at all while there is work."""
        with self._condition:
            while not self._woken and not self.watching:
                pause = self._moment - clock()
                if pause <= 0 or not self._condition.wait(min(pause, threading.TIMEOUT_MAX)):
                    break
            self._woken = False

    def _keep_time(self) -> None:
        if clock() >= self._moment:
            self._moment = float("inf")
            self.pool.add_job(self.on_clock)
            if not self.pool.waiting and len(self.pool.workers) >= MAX_WORKERS:
                self.pool.add_worker(reserve=2)  # heartbeats must not wait for handlers

    def _watch(self) -> None:
        now = clock()
        if self._look():
            self._quiet_since = now
        elif now - self._quiet_since > QUIET_SECONDS:
            self.watching = False
            if self._look():  # somebody has begun in this very moment, and has not woken us
                self.watching = True
            return
        time.sleep(TICK_SECONDS)

    def _look(self) -> bool:
        """Look at every worker. Returns whether there has been work since the last look."""
        pool = self.pool
        active = False
        stuck = 0
        workers = list(pool.workers)
        for worker in workers:
            job, serial = worker.job, worker.serial
            if serial != worker.seen:
                worker.seen, worker.ticks, worker.looks = serial, 0, 0
                active = True
            elif job is not None:
                active = True
                worker.looks += 1
                computing = worker.computes()
                if computing and worker.looks < LOOKS_WHILE_COMPUTING:
                    continue
                stuck += 1
                self._give_away_events(worker)
                if not computing:
                    worker.ticks += 1
                    if worker.ticks == TICKS_UNTIL_BLOCKED and worker.serial == serial:
                        job.on_blocked()
                        pool.let_tell(job)
        if stuck and stuck == len(workers):
            for _ in range(1 + stuck // 4):
                pool.add_worker()
        return active

    def _give_away_events(self, worker: Worker) -> None:
        while worker.events:
            try:
                event = worker.events.popleft()
            except IndexError:
                return
            job = self.pool.job_for(*event)
            if job is not None:
                self.pool.add_job(job)


class ThreadDriver(Driver):
    name = "threading"

    def __init__(self, on_clock: Job) -> None:
        super().__init__(on_clock)
        self._made: Pool | None = None
        self._process = 0
        self._lock = threading.Lock()

    @classmethod
    def missing(cls) -> str | None:
        monkey = sys.modules.get("gevent.monkey")
        if monkey is not None and monkey.is_module_patched("threading"):
            return "gevent has monkey patched this process, so that there are no threads; use async_mode='gevent'"
        patcher = sys.modules.get("eventlet.patcher")
        if patcher is not None and patcher.is_monkey_patched("thread"):
            return "eventlet has monkey patched this process, so that there are no threads; use async_mode='eventlet'"
        return None

    @property
    def _pool(self) -> Pool:
        """Return this process's pool: a server may have been made before a fork."""
        pool = self._made
        if pool is None or self._process != os.getpid():
            with self._lock:
                if self._made is None or self._process != os.getpid():
                    self._made = Pool(self.on_clock)
                    self._process = os.getpid()
                pool = self._made
        return pool

    def watch(self, connection: Connection) -> None:
        pool = self._pool
        descriptor = connection.sock.fileno()
        connection.watch = descriptor
        pool.connections[descriptor] = connection
        pool.poller.add(descriptor)
        pool.ensure_worker()

    def release(self, connection: Connection) -> None:
        descriptor, connection.watch = connection.watch, None
        if descriptor is not None:
            self._pool.connections.pop(descriptor, None)
            self._pool.poller.remove(descriptor)
        connection.sock.close()

    def pause(self, connection: Connection) -> None:
        if connection.watch is not None:
            self._pool.poller.set_reading(connection.watch, False)

    def resume(self, connection: Connection) -> None:
        if connection.watch is not None:
            self._pool.poller.set_reading(connection.watch, True)
        self._pool.add_job(connection)

    def read_again(self, connection: Connection) -> None:
        self._pool.add_job(connection)

    def watch_writable(self, connection: Connection) -> None:
        if connection.watch is not None:
            self._pool.poller.set_writing(connection.watch, True)

    def unwatch_writable(self, connection: Connection) -> None:
        if connection.watch is not None:
            self._pool.poller.set_writing(connection.watch, False)

    def run_soon(self, job: Job) -> None:
        self._pool.add_job(job)

    def set_clock(self, when: float) -> None:
        self._pool.supervisor.set_clock(when)

    def stop_clock(self) -> None:
        self._pool.supervisor.stop_clock()

    def create_wakeup(self) -> NativeWakeup:
        return ThreadWakeup(self.create_lock())

    create_lock = staticmethod(threading.Lock)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        thread = threading.Thread(target=target, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> Any:
        return queue.Queue(*args, **kwargs)

    def queue_empty(self) -> type[Exception]:
        return queue.Empty

    def create_event(self, *args: Any, **kwargs: Any) -> Any:
        return threading.Event(*args, **kwargs)
