"""Which web framework carries the server: the names in the documented order, and the choice when none is named.

Owns the only imports of the frameworks' modules, so that none is needed but the chosen one.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from engineio_green.exceptions import DriverError

# name: (module, what its import needs, how to get it)
MODES = {
    "aiohttp": ("on_aiohttp", "aiohttp", "pip install aiohttp"),
    "sanic": ("on_sanic", "sanic", "pip install sanic"),
    "tornado": ("on_tornado", "tornado", "pip install tornado"),
    "asgi": ("on_asgi", "", ""),
}


class Framework(Protocol):
    """What the module of a framework offers."""

    async def handle_request(self, server: Any, *args: Any) -> Any:
        """Answer one request, in the framework's own form."""

    def attach(self, server: Any, app: Any, engineio_path: str) -> None:
        """Route *engineio_path* of the application to the server."""


def load_mode(name: str) -> Framework:
    """Return the module for an ``async_mode``. Raises :class:`DriverError` that says what is missing."""
    try:
        module, needed, remedy = MODES[name]
    except KeyError:
        raise DriverError(f"async_mode must be one of {', '.join(map(repr, MODES))}, not {name!r}") from None
    try:
        loaded: Any = importlib.import_module(f"engineio_green.aio.{module}")
    except ImportError as exc:
        raise DriverError(f"async_mode={name!r} needs {needed}, which is not installed ({exc}): {remedy}") from exc
    framework: Framework = loaded
    return framework


def get_tornado_handler(eio: Any) -> Any:
    """Return the request handler class of Tornado for the route of the server *eio*."""
    module: Any = load_mode("tornado")
    return module.get_tornado_handler(eio)


def choose_mode() -> tuple[str, Framework]:
    """Return the first framework, in the documented order, that is installed."""
    for name in MODES:
        try:
            return name, load_mode(name)
        except DriverError:
            continue
    raise DriverError("no async_mode works in this process")
