"""Engine.IO for Python's green threads and plain threads.

``Server`` with ``WSGIApp`` is the synchronous server, ``Client`` the client for scripts. The public names and their meanings
are those of the widely used Python implementation of Engine.IO, so that an application moves here by its import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from engineio_green import exceptions, json, packet, payload
from engineio_green.client import Client
from engineio_green.draining import drain_all
from engineio_green.server import Server
from engineio_green.wsgi import Middleware, WSGIApp

if TYPE_CHECKING:
    from engineio_green.aio.app import ASGIApp
    from engineio_green.aio.client import AsyncClient
    from engineio_green.aio.modes import get_tornado_handler
    from engineio_green.aio.server import AsyncServer

__all__ = [
    "ASGIApp",
    "AsyncClient",
    "AsyncServer",
    "Client",
    "Middleware",
    "Server",
    "WSGIApp",
    "drain_all",
    "exceptions",
    "get_tornado_handler",
    "json",
    "packet",
    "payload",
]

__version__ = "0.1.0"

# What needs asyncio is imported when it is asked for: the synchronous server should not pay for it.
_LAZY = {
    "ASGIApp": "engineio_green.aio.app",
    "AsyncClient": "engineio_green.aio.client",
    "AsyncServer": "engineio_green.aio.server",
    "get_tornado_handler": "engineio_green.aio.modes",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
