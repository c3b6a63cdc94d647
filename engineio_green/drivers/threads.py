"""Plain threads: what the pool of workers and the standard library's primitives add up to as a driver."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engineio_green.drivers.base import Driver, Job, NativeWakeup
from engineio_green.drivers.task_threads import ThreadTask
from engineio_green.drivers.thread_pool import Pool

if TYPE_CHECKING:
    from engineio_green.websocket.connection import Connection


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


class ThreadDriver(Driver):
    name = "threading"

    def __init__(self, on_clock: Job) -> None:
        super().__init__(on_clock)
        self._made: Pool | None = None
        self._lock = threading.Lock()
        _drivers.add(self)

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
        """Return this process's pool."""
        pool = self._made
        if pool is None:
            with self._lock:
                if self._made is None:
                    self._made = Pool(self.on_clock)
                pool = self._made
        return pool

    def forget_threads(self) -> None:
        """This is the child of a fork, and has none of the parent's threads."""
        self._made = None
        self._lock = threading.Lock()

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
        with self._lock:
            pool = self._made
            if pool is not None:
                pool.supervisor.stop_clock()
                if pool.end():
                    self._made = None

    def create_wakeup(self) -> NativeWakeup:
        return ThreadWakeup(self.create_lock())

    create_lock = staticmethod(threading.Lock)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> ThreadTask:
        task = ThreadTask(target, args, kwargs)
        self._pool.start_task(task)
        return task

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> Any:
        return queue.Queue(*args, **kwargs)

    def queue_empty(self) -> type[Exception]:
        return queue.Empty

    def create_event(self, *args: Any, **kwargs: Any) -> Any:
        return threading.Event(*args, **kwargs)


_drivers: weakref.WeakSet[ThreadDriver] = weakref.WeakSet()


def _after_fork() -> None:
    for driver in list(_drivers):
        driver.forget_threads()


os.register_at_fork(after_in_child=_after_fork)
