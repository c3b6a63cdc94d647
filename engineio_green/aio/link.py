"""A link whose handlers are called on the event loop: functions at once, coroutines as far as they go without waiting.

Owns how far a client may run ahead of its unfinished coroutines. All else is the link of the other models.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engineio_green.core.session import Closed
from engineio_green.link import Link, Notice
from engineio_green.packet import Data

if TYPE_CHECKING:
    from engineio_green.aio.serving import AsyncServing


class AsyncLink(Link):
    """A coroutine that waits counts as what is a blocked handler to the other models."""

    __slots__ = ()

    server: AsyncServing

    def _work(self, item: Data | Closed | Notice, epoch: int) -> None:
        server, inbox = self.server, self._inbox
        while True:
            if isinstance(item, Closed):
                task = server.tell_closed(self, item)
            elif isinstance(item, Notice):
                task = server.trigger(item.event, *item.arguments)
            else:
                task = server.handle_message(self.session.sid, item)
            if task is not None and not self._leave_to_itself(task):
                return
            if not inbox:
                self._stop_working_locked()
                return
            item = inbox.popleft()

    def _leave_to_itself(self, task: asyncio.Task[Any]) -> bool:
        """A handler waits: what was sent goes out. Returns whether the next one may start meanwhile."""
        self._corked = False
        self.flush_locked()
        if not self.server.settings.async_handlers:
            task.add_done_callback(self._next)
            return False
        self._blocked += 1
        task.add_done_callback(self._come_back)
        if self._lagging:
            self._running = False
            return False
        return True

    def _next(self, task: asyncio.Task[Any]) -> None:
        if self._inbox:
            self._work(self._inbox.popleft(), self._epoch)
        else:
            self._stop_working_locked()

    def _come_back(self, task: asyncio.Task[Any]) -> None:
        self._come_back_locked()
