"""Background tasks on gevent and eventlet: what those who start one may do with it.

Owns the manners of the models' own greenlets, as far as both have them. Must not know workers: whichever greenlet runs a task
tells it so by running it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent

from engineio_green.drivers.tasks import Task

if TYPE_CHECKING:
    from engineio_green.drivers.greenlets import Hub


class GreenTask(Task):
    """A task in a greenlet. Its methods are for the hub's thread, but for those that only look.

    :param hub: runs it, and those that wait for it.
    """

    __slots__ = ("_hub", "_links", "greenlet")

    def __init__(
        self, hub: Hub, function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        super().__init__(function, arguments, options)
        self._hub = hub
        self._links: list[Callable[[GreenTask], Any]] = []
        self.greenlet: Any = None  # that it runs in, as long as it does

    def run(self) -> None:
        """Call the function. For a worker, once."""
        self.greenlet = getcurrent()
        try:
            super().run()
        finally:
            self.greenlet = None

    def _left(self, exc: BaseException) -> None:
        if isinstance(exc, GreenletExit):
            self.value = exc  # that is how a kill ends well
        else:
            self.exception = exc

    def on_blocked(self) -> None:
        """Nobody waits for this job's greenlet."""

    def _tell(self) -> None:
        links, self._links = self._links, []
        for link in links:
            self._hub.call(link, self)

    # --- for those who have started it -----------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return not self.done

    @property
    def started(self) -> bool:
        """Whether it is about to run, or running."""
        return not self.done

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return self.done

    @property
    def waits(self) -> bool:
        """Whether it has not begun yet."""
        return self._function is not None

    def ready(self) -> bool:
        """Whether it has ended."""
        return self.done

    def successful(self) -> bool:
        """Whether it has ended, and without an error."""
        return self.done and self.exception is None

    def join(self, timeout: float | None = None) -> None:
        """Return when the task has ended, or after *timeout* seconds."""
        if self.done:
            return
        wakeup = self._hub.create_wakeup()

        def wake(_: GreenTask) -> None:
            wakeup.wake()

        self._links.append(wake)
        try:
            wakeup.wait(timeout)
        finally:
            if wake in self._links:
                self._links.remove(wake)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return what the function returned, once it has; raise what it raised. Raises the model's error after *timeout* s."""
        if block:
            self.join(timeout)
        if not self.done:
            raise self.timed_out(timeout)
        if self.exception is not None:
            raise self.exception
        return self.value

    @abstractmethod
    def timed_out(self, timeout: float | None) -> BaseException:
        """Return the model's error for a wait that was too long."""

    def kill(self, exception: Any = GreenletExit, block: bool = True, timeout: float | None = None) -> None:
        """Raise *exception* in the task, or keep it from beginning. Waits for its end, unless *block* is false."""
        if self.waits:
            self._function = None
            self.value, self.done = GreenletExit(), True
            self._tell()
        if self.done:
            return
        self._hub.call(self._throw, exception)
        if block and self.greenlet is not getcurrent():
            self.join(timeout)

    def throw(self, *exception: Any) -> None:
        """Raise *exception* in the task, as soon as the hub comes round."""
        self._hub.call(self._throw, *(exception or (GreenletExit,)))

    def _throw(self, *exception: Any) -> None:
        if self.greenlet is not None:
            self.greenlet.throw(*exception)

    def rawlink(self, callback: Callable[[GreenTask], Any]) -> None:
        """Call ``callback(task)`` when the task has ended, from the hub, where it must not wait."""
        if self.done:
            self._hub.call(callback, self)
        else:
            self._links.append(callback)

    def unlink(self, callback: Callable[[GreenTask], Any]) -> None:
        """Take back what :meth:`rawlink` was given."""
        if callback in self._links:
            self._links.remove(callback)
