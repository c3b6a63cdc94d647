"""Which handlers there are for which events: the one `on()` of servers and clients.

Owns the refusal of what could never be called. Must not know what the events are, nor call a handler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Handler = Callable[..., Any]


def register(handlers: dict[str, Handler], events: tuple[str, ...], event: str, handler: Handler | None) -> Any:
    """Put *handler* into *handlers*, or return a decorator that does. Raises ``ValueError``: no such event, not callable."""
    if event not in events:
        raise ValueError(f"there is no event {event!r}; there are {', '.join(events)}")

    def put(function: Handler) -> Handler:
        if not callable(function):
            raise ValueError(f"the handler of {event!r} must be a function or something else that is callable, not {function!r}")
        handlers[event] = function
        return function

    return put if handler is None else put(handler)
