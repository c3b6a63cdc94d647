"""gevent inside uWSGI: the gevent driver, in the one server that has to be asked for its websockets.

Owns what it takes to be chosen there. Websockets that uWSGI parses itself (``uwsgi_native.py``) need no watchers here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engineio_green.drivers.gevent import GeventDriver, GeventHub, Watch
from engineio_green.drivers.uwsgi_native import NativeSocket

if TYPE_CHECKING:
    from engineio_green.websocket.connection import Connection


class UwsgiHub(GeventHub):
    """Where uWSGI takes a websocket apart, its request watches for what comes, and the hub only for room to send."""

    def watch(self, connection: Connection) -> Watch:
        if not isinstance(connection.sock, NativeSocket):
            return super().watch(connection)
        connection.sock.connection = connection
        return Watch(connection, None)

    def switch_reading(self, watch: Watch, on: bool) -> None:
        if watch.readable is None:
            watch.connection.sock.switch_reading(on)
        else:
            super().switch_reading(watch, on)


class GeventUwsgiDriver(GeventDriver):
    name = "gevent_uwsgi"
    hub_class = UwsgiHub
    serves_websockets = True

    @classmethod
    def missing(cls) -> str | None:
        try:
            import uwsgi
        except ImportError:
            return "this process is not uWSGI's; start the application with uwsgi --gevent 1000, or use async_mode='gevent'"
        if uwsgi.loop not in (b"gevent", "gevent"):
            return "this uWSGI does not run on gevent; start it with --gevent 1000, or use async_mode='threading'"
        return super().missing()

    def take_websocket(self) -> NativeSocket:
        return NativeSocket(self)
