"""Background tasks on plain threads, and the threads for those that no worker is there for, parked between two tasks.

Owns when such a thread starts, parks and ends: there are as many as there are tasks at one time. Must not know what starts
tasks, nor sockets.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from engineio_green.drivers.tasks import Task
from engineio_green.drivers.thread_locals import make_clear

# How long a parked thread waits for another task before it ends.
IDLE_SECONDS = 20.0

log = logging.getLogger("engineio_green.drivers")

_joining = threading.Lock()  # guards who makes a task's event; few tasks have one


class ThreadTask(Task):
    """A task in a thread, with the manners of ``threading.Thread``. Every method may be called from any thread."""

    __slots__ = ("_ended", "ident", "name", "worker")

    daemon = True

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        super().__init__(function, arguments, options)
        self._ended: threading.Event | None = None
        self.name = getattr(function, "__name__", "task")
        self.ident: int | None = None
        self.worker: Any = None  # has a method on_long(task), unless its thread is for this task only

    def run(self) -> None:
        """Call the function. For a worker, once."""
        self.ident = threading.get_ident()
        super().run()

    def on_blocked(self) -> None:
        """The task takes long: its worker is told."""
        if self.worker is not None:
            self.worker.on_long(self)

    def _tell(self) -> None:
        ended = self._ended
        if ended is not None:
            ended.set()

    def join(self, timeout: float | None = None) -> None:
        """Return when the task has ended, or after *timeout* seconds. Raises ``RuntimeError`` within the task itself."""
        if self.done:
            return
        if self.ident == threading.get_ident():
            raise RuntimeError("a task can't wait for its own end")
        with _joining:
            if self._ended is None:
                self._ended = threading.Event()
        if not self.done:  # it looks for the event only after it has said that it is done
            self._ended.wait(timeout)


class TaskThread(threading.Thread):
    """Runs one task after the other; where its locals can't be emptied, only one."""

    def __init__(self, threads: TaskThreads, task: ThreadTask) -> None:
        super().__init__(name="engineio-task", daemon=True)
        self.task: ThreadTask | None = task
        self.called = threading.Lock()  # held while it is parked
        self.called.acquire()
        self._threads = threads

    def run(self) -> None:
        clear = make_clear()
        while self.task is not None:
            run_task(self.task)
            self.task = None
            if clear is None:
                return
            clear()
            self._threads.park(self)


class TaskThreads:
    """The parked threads. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._parked: list[TaskThread] = []
        self._ended = False

    def start(self, task: ThreadTask) -> None:
        """Run *task* in a thread that has nothing else to do. Raises ``RuntimeError`` when the system has no more threads."""
        try:
            thread = self._parked.pop()  # the one that ran last: the others get old, and end
        except IndexError:
            TaskThread(self, task).start()
            return
        thread.task = task
        thread.called.release()

    def end(self) -> None:
        """Let the threads go, each when it has no task any more."""
        self._ended = True
        while self._parked:
            try:
                self._parked.pop().called.release()
            except IndexError:
                break  # somebody else took the last

    def park(self, thread: TaskThread) -> None:
        """Wait, in *thread*, for its next task. Without one after some time it goes without."""
        if self._ended:
            return
        self._parked.append(thread)
        if thread.called.acquire(timeout=IDLE_SECONDS):
            return
        try:
            self._parked.remove(thread)
        except ValueError:  # it has been called in this very moment
            thread.called.acquire()


def run_task(task: ThreadTask) -> None:
    """Run *task* in this thread, whatever it raises."""
    try:
        task.run()
    except SystemExit:
        pass  # ends its thread, elsewhere; this one is not the application's
    except BaseException:
        log.exception("a background task has failed")
