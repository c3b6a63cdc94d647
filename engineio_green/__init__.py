"""Engine.IO for Python's green threads and plain threads.

``Server`` with ``WSGIApp`` is the synchronous server, ``Client`` the client for scripts. The public names and their meanings
are those of the widely used Python implementation of Engine.IO, so that an application moves here by its import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engineio_green import exceptions, json, packet, payload
    from engineio_green.aio.app import ASGIApp
    from engineio_green.aio.client import AsyncClient
    from engineio_green.aio.modes import get_tornado_handler
    from engineio_green.aio.server import AsyncServer
    from engineio_green.client import Client
    from engineio_green.draining import drain_all
    from engineio_green.server import Server
    from engineio_green.socketio.install import install_as_engineio
    from engineio_green.wsgi import Middleware, WSGIApp

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
    "install_as_engineio",
    "json",
    "packet",
    "payload",
]

__version__ = "0.1.0"

# Each name is imported when it is asked for. A synchronous server does not pay for asyncio, and a program that calls
# install_as_engineio() in its first line has imported nothing that gevent or eventlet is about to patch.
_WHERE = {
    "ASGIApp": "engineio_green.aio.app",
    "AsyncClient": "engineio_green.aio.client",
    "AsyncServer": "engineio_green.aio.server",
    "Client": "engineio_green.client",
    "Middleware": "engineio_green.wsgi",
    "Server": "engineio_green.server",
    "WSGIApp": "engineio_green.wsgi",
    "drain_all": "engineio_green.draining",
    "get_tornado_handler": "engineio_green.aio.modes",
    "install_as_engineio": "engineio_green.socketio.install",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    if name in __all__:  # the modules of the vocabulary
        return importlib.import_module(f"engineio_green.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
