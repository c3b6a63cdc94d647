"""eventlet: what its hub and its primitives add to the green driver."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import eventlet
import eventlet.event
import eventlet.hubs
import eventlet.patcher
import eventlet.queue

from engineio_green.drivers.green_tasks import GreenTask
from engineio_green.drivers.greenlets import GreenDriver, Hub
from engineio_green.drivers.pollers import Bell

if TYPE_CHECKING:
    from engineio_green.websocket.connection import Connection

_thread = eventlet.patcher.original("_thread")


class Watch:
    """The hub's listeners of one connection."""

    __slots__ = ("connection", "descriptor", "readable", "writable")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.descriptor: int = connection.sock.fileno()
        self.readable: Any = None
        self.writable: Any = None


class EventletHub(Hub):
    def __init__(self) -> None:
        super().__init__()
        self._hub = eventlet.hubs.get_hub()
        self.wait = self._hub.switch
        self.thread = _thread.get_ident()
        self._calls: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()  # from foreign threads
        self._bell = Bell()
        self._listen(self._hub.READ, self._bell.fileno(), self._run_calls)

    def greenlet(self) -> Any:
        self._hub.ensure_greenlet()
        return self._hub.greenlet

    def end_program(self, exc: BaseException) -> None:
        self._hub.greenlet.parent.throw(exc)

    def is_here(self) -> bool:
        return bool(_thread.get_ident() == self.thread)

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        if _thread.get_ident() == self.thread:
            self._hub.schedule_call_global(0, function, *args)
        else:
            self._calls.append((function, args))
            self._bell.ring()

    def _run_calls(self, descriptor: int) -> None:
        self._bell.silence()
        while self._calls:
            function, args = self._calls.popleft()
            self._hub.schedule_call_global(0, function, *args)

    def call_later(self, seconds: float, keep_running: bool, function: Callable[..., Any], *args: Any) -> Callable[[], None]:
        timer = self._hub.schedule_call_global(seconds, function, *args)
        cancel: Callable[[], None] = timer.cancel
        return cancel

    def watch(self, connection: Connection) -> Watch:
        watch = Watch(connection)
        # A descriptor with this number may have been closed behind eventlet's back; what it knows of it is void.
        self._hub.mark_as_reopened(watch.descriptor)
        self.switch_reading(watch, True)
        return watch

    def switch_reading(self, watch: Watch, on: bool) -> None:
        if on and watch.readable is None:
            connection = watch.connection
            watch.readable = self._listen(self._hub.READ, watch.descriptor, lambda _: self.start(connection))
        elif not on and watch.readable is not None:
            self._hub.remove(watch.readable)
            watch.readable = None

    def switch_writing(self, watch: Watch, on: bool) -> None:
        if on and watch.writable is None:
            connection = watch.connection
            watch.writable = self._listen(self._hub.WRITE, watch.descriptor, lambda _: connection.on_writable())
        elif not on and watch.writable is not None:
            self._hub.remove(watch.writable)
            watch.writable = None

    def _listen(self, kind: str, descriptor: int, call: Callable[[int], Any]) -> Any:
        listener = self._hub.add(kind, descriptor, call, _ignore, _ignore)
        # It would keep the greenlet that is running now, a request's, for as long as it listens: 2 KB for each websocket.
        listener.greenlet = self._hub.greenlet
        return listener

    def unwatch(self, watch: Watch) -> None:
        self.switch_reading(watch, False)
        self.switch_writing(watch, False)


def _ignore(*args: Any) -> None:
    """Listeners are removed before their descriptor closes: eventlet has nothing to tell."""


class EventletTask(GreenTask):
    """A task with the manners of an ``eventlet.GreenThread``."""

    __slots__ = ()

    def timed_out(self, timeout: float | None) -> BaseException:
        error: BaseException = eventlet.Timeout(timeout)
        error.cancel()  # type: ignore[attr-defined]  # making one has set the alarm
        return error

    def wait(self) -> Any:
        """Return what the function returned, once it has; raise what it raised."""
        return self.get()

    def link(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call ``function(task, *args, **kwargs)`` when the task has ended, from the hub, where it must not wait."""
        self.rawlink(lambda task: function(task, *args, **kwargs))

    def cancel(self, *throw_args: Any) -> None:
        """Keep it from beginning, if it has not begun."""
        if self.waits:
            self.kill()


class EventletDriver(GreenDriver):
    name = "eventlet"

    def __init__(self, on_clock: Any) -> None:
        super().__init__(on_clock)
        self._hubs: dict[int, EventletHub] = {}
        self._process = os.getpid()

    @classmethod
    def missing(cls) -> str | None:
        monkey = sys.modules.get("gevent.monkey")
        if monkey is not None and monkey.is_module_patched("socket"):
            return "gevent has monkey patched this process; use async_mode='gevent'"
        return None

    def hub(self) -> EventletHub:
        if self._process != os.getpid():
            self._process = os.getpid()
            self._hubs.clear()
        ident = _thread.get_ident()
        hub = self._hubs.get(ident)
        if hub is None or hub._hub is not eventlet.hubs.get_hub():
            hub = self._hubs[ident] = EventletHub()
        return hub

    def has_hub(self) -> bool:
        return getattr(eventlet.hubs._threadlocal, "hub", None) is not None

    create_lock = staticmethod(_thread.allocate_lock)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> EventletTask:
        hub = self.hub()
        task = EventletTask(hub, target, args, kwargs)
        hub.start_task(task)
        return task

    def sleep(self, seconds: float) -> None:
        eventlet.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> Any:
        return eventlet.queue.Queue(*args, **kwargs)

    def queue_empty(self) -> type[Exception]:
        empty: type[Exception] = eventlet.queue.Empty
        return empty

    def create_event(self, *args: Any, **kwargs: Any) -> Any:
        return Event()


class Event:
    """A ``threading.Event`` for green threads."""

    def __init__(self) -> None:
        self._flag = False
        self._event = eventlet.event.Event()

    def is_set(self) -> bool:
        return self._flag

    def set(self) -> None:
        if not self._flag:
            self._flag = True
            self._event.send()

    def clear(self) -> None:
        if self._flag:
            self._flag = False
            self._event = eventlet.event.Event()

    def wait(self, timeout: float | None = None) -> bool:
        if not self._flag:
            self._event.wait(timeout=timeout)
        return self._flag
