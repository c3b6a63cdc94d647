"""Background tasks: functions of the application that run in workers, where others would start a thread or a greenlet for each.

Owns what a task is: its function, its outcome, those that wait for it. Each runs in a ``contextvars`` context of its own, and
what it raises is logged. Must not know workers: a driver runs a task as one of its jobs, in a thread or greenlet whose locals
are empty.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import Context
from typing import Any

log = logging.getLogger("engineio_green.drivers")


class Task(ABC):
    """What every model's tasks have. ``value`` and ``exception`` hold the outcome once ``done`` is true."""

    __slots__ = ("_arguments", "_function", "_options", "done", "exception", "value")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._function: Callable[..., Any] | None = function
        self._arguments = arguments
        self._options = options
        self.done = False
        self.value: Any = None
        self.exception: BaseException | None = None

    def run(self) -> None:
        """Call the function. For a worker, once."""
        function, arguments, options = self._function, self._arguments, self._options
        self._function, self._arguments, self._options = None, (), {}  # what they hold goes when the function is done with it
        if function is None:
            return  # killed before its time
        try:
            self.value = Context().run(function, *arguments, **options)
        except Exception as exc:
            self.exception = exc
            log.exception("a background task has failed")
        except BaseException as exc:
            self._left(exc)
            raise
        finally:
            del function, arguments, options
            self.done = True
            self._tell()

    def _left(self, exc: BaseException) -> None:
        """The task was ended by an exception that is meant for its thread, its greenlet or the process."""
        self.exception = exc

    @abstractmethod
    def _tell(self) -> None:
        """Wake those that wait for the end."""

    @abstractmethod
    def join(self, timeout: float | None = None) -> Any:
        """Return when the task has ended, or after *timeout* seconds."""

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return not self.done
