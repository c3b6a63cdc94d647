"""The workers of plain threads, what they wait on, and the supervisor that looks after those that are stuck.

A worker that gets an event handles it itself: no hand-over. Normally one worker does it all, since under the GIL more of
them only get in each other's way; the supervisor adds workers while others are stuck in handlers, and lets other workers go
on with what a stuck one has left. It is also the clock. Sockets are registered once and edge-triggered: no call per message.
A background task that a handler starts runs in the same worker, when the handler has returned.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from engineio_green.drivers.base import Job, clock
from engineio_green.drivers.pollers import ENDED, IN, OUT, make_poller
from engineio_green.drivers.task_threads import TaskThreads, ThreadTask
from engineio_green.drivers.thread_locals import Clear, make_clear

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


class Worker(threading.Thread):
    """Waits for events and handles them. Other threads read its attributes, and take from ``events`` and ``tasks``."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(name="engineio-worker", daemon=True)
        self.pool = pool
        self.events: deque[tuple[int, int]] = deque()
        self.tasks: deque[ThreadTask] = deque()  # started by the job under way; they run as soon as that has returned
        self._clear: Clear | None = None
        self.member = True  # one of those that others wait for
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
        pool, events, tasks = self.pool, self.events, self.tasks
        if hasattr(time, "pthread_getcpuclockid"):  # not on macOS
            self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._clear = make_clear()
        if self._clear is not None:
            pool.tasks_of[threading.get_ident()] = tasks
        try:
            self._serve(pool, events, tasks)
        finally:
            pool.tasks_of.pop(threading.get_ident(), None)

    def _serve(self, pool: Pool, events: deque[tuple[int, int]], tasks: deque[ThreadTask]) -> None:
        while self.member and pool.wait_for_events(self):
            while events or tasks:
                if tasks:
                    self._work_off_tasks()
                    continue
                try:
                    descriptor, flags = events.popleft()
                except IndexError:
                    break  # the supervisor has given the rest to somebody else
                try:
                    job = pool.job_for(descriptor, flags)
                except Exception:
                    log.exception("an event has failed")
                    continue
                if job.__class__ is ThreadTask:
                    tasks.append(job)
                elif job is not None:
                    self.work(job)

    def _work_off_tasks(self) -> None:
        """Run the tasks that have been started here, each with empty locals."""
        assert self._clear is not None
        self._clear()  # of what handlers have left
        while self.tasks:
            try:
                task = self.tasks.popleft()
            except IndexError:
                break  # the supervisor has given it to somebody else
            task.worker = self
            self.work(task)
            self._clear()
        self.member = self.pool.readmit(self)

    def on_long(self, task: ThreadTask) -> None:
        """See :meth:`Pool.dismiss`. Called by the supervisor."""
        self.pool.dismiss(self, task)

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
        self.task_threads = TaskThreads()
        self.tasks_of: dict[int, deque[ThreadTask]] = {}  # of the workers that can run tasks, by the thread's identity
        self.workers: list[Worker] = []
        self.waiting = 0
        self._lock = threading.Lock()  # guards workers and waiting
        self._bell = self.poller.bell.fileno()
        self.ring = self.poller.bell.ring
        self.supervisor = Supervisor(self, on_clock)
        self.ended = False

    def end(self) -> bool:
        """Let all threads go, unless there are connections. Returns whether they go; then nobody may use the pool any more."""
        if self.connections:
            return False
        self.ended = True
        self.supervisor.end()
        self.task_threads.end()
        self.ring()
        return True

    def wait_for_events(self, worker: Worker) -> bool:
        """Fill the worker's events. Returns whether it shall go on; ``False`` for one that is not needed any more."""
        with self._lock:
            self.waiting += 1
        while True:
            worker.events.extend(self.poller.wait(IDLE_SECONDS, EVENTS_PER_POLL))
            with self._lock:
                busy = bool(worker.events or self.jobs)
                if not self.jobs and (self.ended or not (busy or self.waiting == 1)):
                    self.waiting -= 1
                    self.workers.remove(worker)
                    break
                if busy:
                    self.waiting -= 1
                    if not worker.events:
                        worker.events.append((self._bell, IN))
                    return True
        if self.ended:
            self.ring()  # for the next one
        return False

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

    def start_task(self, task: ThreadTask) -> None:
        """Run *task* soon: here, when the job under way in this worker has returned; else in a thread of its own."""
        tasks = self.tasks_of.get(threading.get_ident())
        if tasks is None:
            self.task_threads.start(task)
        else:
            tasks.append(task)

    def dismiss(self, worker: Worker, task: ThreadTask) -> None:
        """*task* takes long: *worker* is its thread alone, so that no number of tasks keeps others from getting a worker."""
        with self._lock:
            if worker.job is task:
                worker.member = False
                self.workers.remove(worker)

    def readmit(self, worker: Worker) -> bool:
        """*worker* has no task any more. Returns whether it still is, or is again, one of those that others wait for."""
        with self._lock:
            if worker.member or self.ended or len(self.workers) >= MAX_WORKERS:
                return worker.member
            self.workers.append(worker)
            return True

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
        self._ended = False
        self._quiet_since = 0.0

    def end(self) -> None:
        """Let the thread go, if it has been started."""
        with self._condition:
            self._ended = True
            if self.ident is not None:
                self._notify()

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
        while not self._ended:
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
                break
            job = self.pool.job_for(*event)
            if job is not None:
                self.pool.add_job(job)
        while worker.tasks:
            try:
                self.pool.add_job(worker.tasks.popleft())
            except IndexError:
                break
