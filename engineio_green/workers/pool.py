"""The threads that answer requests: as many as are asked for, and one more for each that only waits for news of its client.

Owns when a thread starts, takes a request and ends. Must not know what a request is: one that waits says so, see ``park``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

# How long a thread waits for something to do before it ends.
IDLE_SECONDS = 20.0
# Beyond it a request that waits keeps its thread from others after all: somebody who opens polls without end gets no more.
MOST_PARKED = 1000

Job = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Thread(threading.Thread):
    """One of a pool. What runs in it calls :meth:`park` before it waits, and :meth:`unpark` when it goes on."""

    def __init__(self, pool: Pool, job: Job) -> None:
        super().__init__(name="request", daemon=True)
        self._pool = pool
        self._first = [job]
        self._parked = False

    def run(self) -> None:
        self._pool.work(self._first.pop())

    def park(self) -> None:
        """Let another thread work in place of this one."""
        self._parked = self._pool.park()

    def unpark(self) -> None:
        if self._parked:
            self._parked = False
            self._pool.unpark()


class Pool:
    """An executor, as far as gunicorn needs one. Thread-safe.

    :param size: how many jobs run at one time, those that are parked not counted.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._change = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._threads = self._idle = self._parked = 0  # a thread that was called is idle until it has woken
        self._working = 0  # of the threads those that have a job and are not parked
        self._closed = False

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Run ``function(*args)`` in a thread as soon as one may."""
        future: Future[Any] = Future()
        with self._change:
            if self._closed:
                raise RuntimeError("this pool takes no more jobs: shutdown() was called")
            self._jobs.append((future, function, args))
            self._call_locked()
        return future

    def shutdown(self, wait: bool = True) -> None:
        """Take no more jobs; the threads end when there is nothing left. Does not wait: who wants that has the futures."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def park(self) -> bool:
        """The caller's job waits from now on. Returns whether that makes room for another one."""
        with self._change:
            if self._parked >= MOST_PARKED:
                return False
            self._parked += 1
            self._working -= 1
            self._call_locked()
        return True

    def unpark(self) -> None:
        """It goes on, at once, even if more than the pool's size work for the moment."""
        with self._change:
            self._parked -= 1
            self._working += 1

    def work(self, job: Job | None) -> None:
        """Do *job*, then others until there are none for some time. A thread's life."""
        while job is not None:
            _carry_out(*job)
            job = None  # it holds a connection
            job = self._next_job()

    def _next_job(self) -> Job | None:
        with self._change:
            self._working -= 1
            while not self._may_begin_locked():
                self._idle += 1
                woken = not self._closed and self._change.wait(IDLE_SECONDS)
                self._idle -= 1
                if not woken and not self._may_begin_locked():
                    self._threads -= 1
                    return None
            job = self._begin_locked()
            self._call_locked()  # for the others: several jobs may have come before this thread woke
        return job

    def _may_begin_locked(self) -> bool:
        return bool(self._jobs) and self._working < self._size

    def _begin_locked(self) -> Job:
        self._working += 1
        return self._jobs.popleft()

    def _call_locked(self) -> None:
        """Get one thread to the next job, if one may begin."""
        if not self._may_begin_locked():
            return
        if self._idle:
            self._change.notify()
            return
        job = self._begin_locked()
        try:
            Thread(self, job).start()
        except RuntimeError:  # the system has no more of them
            self._working -= 1
            if not self._threads:
                raise
            self._jobs.appendleft(job)
        else:
            self._threads += 1


def _carry_out(future: Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*args)
    except BaseException as exc:
        future.set_exception(exc)
    else:
        future.set_result(result)
