"""asyncio as a concurrency model: what links and the clock need of a driver, on the running event loop.

Owns the timer. Must not know sessions, packets or web frameworks. Everything
here happens in the loop's own thread.
"""

from __future__ import annotations

import asyncio
from threading import RLock
from typing import Any

from engineio_green.aio.helpers import Tasks
from engineio_green.drivers.base import Job, clock


class AsyncWakeup:
    """A future for one wait."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self, timeout: float | None) -> None:
        if timeout is None:
            await self._future
            return
        handle = self._future.get_loop().call_later(timeout, self.wake)
        try:
            await self._future
        finally:
            handle.cancel()

    def wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class AsyncDriver(Tasks):
    """One loop at a time: a server that outlives its loop starts afresh on the next one.

    :param name: the value of ``async_mode``.
    :param on_clock: the job to run when the moment of :meth:`set_clock` has come.
    """

    def __init__(self, name: str, on_clock: Job) -> None:
        super().__init__()
        self.name = name
        self.on_clock = on_clock
        self._timer: asyncio.TimerHandle | None = None
        self._timer_loop: asyncio.AbstractEventLoop | None = None
        self._when = 0.0
        self._lock = RLock()  # nobody contends for it: one, as cheap as they come, stands for all that threads would need

    def run_soon(self, job: Job) -> None:
        asyncio.get_running_loop().call_soon(job.run)

    def create_wakeup(self) -> AsyncWakeup:
        return AsyncWakeup()

    def create_lock(self) -> Any:
        return self._lock

    # --- time ----------------------------------------------------------------------------------------------------------

    def set_clock(self, when: float) -> None:
        """Run the clock's job at *when* on the scale of ``clock()``, or earlier if it was set to an earlier moment."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer_loop is loop and self._when <= when:
                return
            self._timer.cancel()
        self._when = when
        self._timer_loop = loop
        self._timer = loop.call_later(max(when - clock(), 0), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.on_clock.run()

    def stop_clock(self) -> None:
        """Forget the moment; any later call of :meth:`set_clock` sets another."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
