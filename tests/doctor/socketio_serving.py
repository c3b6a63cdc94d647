"""Servers of Socket.IO, for the doctor to find: `python -m doctor.socketio_serving KIND PORT`. They run on engineio_green.

Owns nothing but a few lines for each kind.
"""
# ruff: noqa: E402  # the call has to come before what it is for is imported

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import engineio_green

engineio_green.install_as_engineio()

import socketio
from flask import Flask
from flask_socketio import SocketIO
from socketio.exceptions import ConnectionRefusedError

from engineio_green.demo import hosts

App = Callable[..., Any]


def flask() -> App:
    app = Flask(__name__)
    server = SocketIO(app, async_mode="threading")
    server.on("connect", namespace="/chat")(lambda: None)
    return app


def plain(mode: str = "threading", connect: Callable[..., Any] | None = None, **options: Any) -> App:
    path = options.pop("socketio_path", "socket.io")
    server = socketio.Server(async_mode=mode, **options)
    server.on("connect", connect or (lambda sid, environ, auth: None))
    return socketio.WSGIApp(server, socketio_path=path)  # type: ignore[no-any-return]  # it has no types


def with_a_key(sid: str, environ: dict[str, Any], auth: Any) -> None:
    if auth != {"token": "open sesame"}:
        raise ConnectionRefusedError("who are you?", {"try": "again"})


def by_websocket_only(sid: str, environ: dict[str, Any], auth: Any) -> None:
    if "transport=polling" in environ["QUERY_STRING"]:
        raise ConnectionRefusedError("not by polling")


def broken(sid: str, environ: dict[str, Any], auth: Any) -> None:
    raise RuntimeError("a connect handler that fails")


def engine() -> App:
    """An Engine.IO server where one of Socket.IO is looked for."""
    return engineio_green.WSGIApp(engineio_green.Server(async_mode="threading"), engineio_path="socket.io")


KINDS: dict[str, tuple[str, Callable[[], App]]] = {
    "flask": ("threading", flask),
    "gevent": ("gevent", lambda: plain("gevent")),
    "eventlet": ("eventlet", lambda: plain("eventlet")),
    "key": ("threading", lambda: plain(connect=with_a_key)),
    "says no": ("gevent", lambda: plain("gevent", connect=lambda sid, environ, auth: False)),
    "second thoughts": ("threading", lambda: plain(connect=lambda sid, environ, auth: False, always_connect=True)),
    "one way": ("threading", lambda: plain(connect=by_websocket_only)),
    "broken": ("threading", lambda: plain(connect=broken)),
    "elsewhere": ("threading", lambda: plain(socketio_path="live")),
    "polling": ("threading", lambda: plain(transports=["polling"])),
    "websocket": ("threading", lambda: plain(transports=["websocket"])),
    "engine": ("threading", engine),
}

if __name__ == "__main__":
    import socket

    mode, make = KINDS[sys.argv[1]]
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
    hosts.serve(mode, listener, make(), lambda: None)
