"""The modules that ``import engineio`` reaches here, and where the names in each of them come from.

Owns the table only. Source: the ``engineio`` imports and attributes in python-socketio 5.2 to 5.18 and Flask-SocketIO 5.0 to
5.7, and what their applications import by the documentation of the compatible API.
"""

from __future__ import annotations

_SERVER = {"Server": "engineio_green.server:Server"}
_ASYNC_SERVER = {"AsyncServer": "engineio_green.aio.server:AsyncServer"}
_CLIENT = {"Client": "engineio_green.socketio.client:Client"}
_ASYNC_CLIENT = {"AsyncClient": "engineio_green.socketio.async_client:AsyncClient"}
_SOCKET = {"Socket": "engineio_green.socketio.admin:Socket"}
_ASYNC_SOCKET = {"AsyncSocket": "engineio_green.socketio.admin:AsyncSocket"}

# {module below ``engineio``: {name in it: the place of its value, as ``module:attribute`` or ``module``}}. A module without
# names is imported for its own sake, by programs that tell a packager which model they use.
MODULES: dict[str, dict[str, str]] = {
    "async_client": _ASYNC_CLIENT,
    "async_drivers": {},
    "async_drivers.aiohttp": {},
    "async_drivers.asgi": {"ASGIApp": "engineio_green.aio.app:ASGIApp"},
    "async_drivers.eventlet": {},
    "async_drivers.gevent": {},
    "async_drivers.gevent_uwsgi": {},
    "async_drivers.sanic": {},
    "async_drivers.threading": {},
    "async_drivers.tornado": {"get_tornado_handler": "engineio_green.aio.modes:get_tornado_handler"},
    "async_server": _ASYNC_SERVER,
    "async_socket": _ASYNC_SOCKET,
    "asyncio_client": _ASYNC_CLIENT,
    "asyncio_server": _ASYNC_SERVER,
    "asyncio_socket": _ASYNC_SOCKET,
    "base_client": {"BaseClient": "engineio_green.client:Client"},
    "base_server": {"BaseServer": "engineio_green.registry:Registry"},
    "base_socket": {"BaseSocket": "engineio_green.socketio.admin:BaseSocket"},
    "client": _CLIENT,
    "exceptions": {
        "ContentTooLongError": "engineio_green.exceptions:PacketError",
        "QueueEmpty": "engineio_green.exceptions:EngineIOError",
        "SocketIsClosedError": "engineio_green.exceptions:NotConnectedError",
        "UnknownPacketError": "engineio_green.exceptions:PacketError",
    },
    "json": {},
    "middleware": {"Middleware": "engineio_green.wsgi:Middleware", "WSGIApp": "engineio_green.wsgi:WSGIApp"},
    "packet": {},
    "payload": {},
    "server": _SERVER,
    "socket": _SOCKET,
    "static_files": {},
}

# A module of the package that has all other names of the module of that name.
BEHIND = {name: f"engineio_green.{name}" for name in ("exceptions", "json", "packet", "payload", "static_files")}

# What ``engineio`` itself has beside the public names of this package, or in their place; and these modules, which are there
# without an import of their own.
TOP = {**_CLIENT, **_ASYNC_CLIENT}
ATTRIBUTES = ("exceptions", "json", "packet", "payload", "static_files")
