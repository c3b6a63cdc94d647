"""gevent: what its hub and its primitives add to the green driver."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event
import gevent.monkey
import gevent.queue
from gevent._hub_local import get_hub_if_exists

from engineio_green.drivers.green_tasks import GreenTask
from engineio_green.drivers.greenlets import GreenDriver, Hub

if TYPE_CHECKING:
    from engineio_green.websocket.connection import Connection

_allocate_lock = gevent.monkey.get_original("_thread", "allocate_lock")
_get_ident = gevent.monkey.get_original("_thread", "get_ident")

READ, WRITE = 1, 2


class Watch:
    """The hub's watchers of one connection."""

    __slots__ = ("connection", "readable", "writable")

    def __init__(self, connection: Connection, readable: Any) -> None:
        self.connection = connection
        self.readable = readable
        self.writable: Any = None


class GeventHub(Hub):
    def __init__(self) -> None:
        super().__init__()
        self._hub = gevent.get_hub()
        self.wait = self._hub.switch
        self.thread = _get_ident()

    def greenlet(self) -> Any:
        return self._hub

    def end_program(self, exc: BaseException) -> None:
        self._hub.handle_system_error(type(exc), exc)

    def is_here(self) -> bool:
        return bool(_get_ident() == self.thread)

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        if _get_ident() == self.thread:
            self._hub.loop.run_callback(function, *args)
        else:
            self._hub.loop.run_callback_threadsafe(function, *args)

    def call_later(self, seconds: float, keep_running: bool, function: Callable[..., Any], *args: Any) -> Callable[[], None]:
        timer = self._hub.loop.timer(seconds, ref=keep_running)

        def cancel() -> None:
            timer.stop()
            timer.close()

        timer.start(function, *args)
        return cancel

    def watch(self, connection: Connection) -> Watch:
        readable = self._hub.loop.io(connection.sock.fileno(), READ)
        readable.start(self.start, connection)
        return Watch(connection, readable)

    def switch_reading(self, watch: Watch, on: bool) -> None:
        if on:
            watch.readable.start(self.start, watch.connection)
        else:
            watch.readable.stop()

    def switch_writing(self, watch: Watch, on: bool) -> None:
        if on:
            if watch.writable is None:
                watch.writable = self._hub.loop.io(watch.connection.sock.fileno(), WRITE)
            watch.writable.start(watch.connection.on_writable)
        elif watch.writable is not None:
            watch.writable.stop()

    def unwatch(self, watch: Watch) -> None:
        for watcher in (watch.readable, watch.writable):
            if watcher is not None:
                watcher.stop()
                watcher.close()


class GeventTask(GreenTask):
    """A task with the manners of a ``gevent.Greenlet``, so that ``gevent.joinall`` and the like take it for one."""

    __slots__ = ()

    @property
    def loop(self) -> Any:
        """The loop of its hub."""
        return self._hub.greenlet().loop

    def timed_out(self, timeout: float | None) -> BaseException:
        error: BaseException = gevent.Timeout(timeout)
        return error

    def link(self, callback: Callable[[GreenTask], Any]) -> None:
        """Call ``callback(task)`` in a greenlet of its own when the task has ended."""
        self.rawlink(partial(gevent.spawn, callback))

    def link_value(self, callback: Callable[[GreenTask], Any]) -> None:
        """The same, if it has ended without an error."""
        self.rawlink(lambda task: gevent.spawn(callback, task) if self.successful() else None)

    def link_exception(self, callback: Callable[[GreenTask], Any]) -> None:
        """The same, if it has ended with an error."""
        self.rawlink(lambda task: None if self.successful() else gevent.spawn(callback, task))


class GeventDriver(GreenDriver):
    name = "gevent"
    hub_class = GeventHub

    def __init__(self, on_clock: Any) -> None:
        super().__init__(on_clock)
        self._hubs: dict[int, GeventHub] = {}

    @classmethod
    def missing(cls) -> str | None:
        patcher = sys.modules.get("eventlet.patcher")
        if patcher is not None and patcher.is_monkey_patched("socket"):
            return "eventlet has monkey patched this process; use async_mode='eventlet'"
        return None

    def hub(self) -> GeventHub:
        ident = _get_ident()
        hub = self._hubs.get(ident)
        if hub is None or hub.greenlet() is not gevent.get_hub():  # a fork or a new thread has a hub of its own
            hub = self._hubs[ident] = self.hub_class()
        return hub

    def has_hub(self) -> bool:
        return get_hub_if_exists() is not None

    create_lock = staticmethod(_allocate_lock)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> GeventTask:
        hub = self.hub()
        task = GeventTask(hub, target, args, kwargs)
        hub.start_task(task)
        return task

    def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> Any:
        return gevent.queue.Queue(*args, **kwargs)

    def queue_empty(self) -> type[Exception]:
        empty: type[Exception] = gevent.queue.Empty
        return empty

    def create_event(self, *args: Any, **kwargs: Any) -> Any:
        return gevent.event.Event(*args, **kwargs)
