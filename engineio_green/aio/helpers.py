"""What asyncio servers and clients do for the application besides: tasks, sleeping, queues and events.

Owns the tasks that have been started for the application. Must not know sessions or packets.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

_EAGER = sys.version_info >= (3, 12)


class Tasks:
    """The tasks of the application's coroutines, which the loop itself holds only weakly."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Run *coroutine*, at once as far as it goes without waiting where Python can do that (3.12).

        Returns its task, or ``None`` when it is at its end already. It must not raise.
        """
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Any]
        if _EAGER:
            task = asyncio.Task(coroutine, loop=loop, eager_start=True)  # type: ignore[call-arg, unused-ignore]  # new in 3.12
            if task.done():
                return None
        else:
            task = loop.create_task(coroutine)
        return self.keep(task)

    def keep(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        """Hold *task* until it has ended."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


_background = Tasks()


class Helpers:
    """The documented conveniences."""

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """Start the coroutine function *target*; a plain function is called in a task of its own. Returns the task."""
        return _background.keep(asyncio.get_running_loop().create_task(_run(target, *args, **kwargs)))

    async def sleep(self, seconds: float = 0) -> None:
        """Sleep without keeping others from running."""
        await asyncio.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> asyncio.Queue[Any]:
        """Return an ``asyncio.Queue``."""
        return asyncio.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[Exception]:
        """Return what the queues raise when they are empty."""
        return asyncio.QueueEmpty

    def create_event(self, *args: Any, **kwargs: Any) -> asyncio.Event:
        """Return an ``asyncio.Event``."""
        return asyncio.Event(*args, **kwargs)


async def _run(target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = target(*args, **kwargs)
    return await result if asyncio.iscoroutine(result) else result
