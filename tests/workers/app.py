"""The scenario application, and beside it what gunicorn's contract is asked with: a file, a request that takes long, a
worker that hangs. Runs inside the server's process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from scenarios.app import ASYNC_MODE, eio, other_app, query_of

import engineio_green

FILE = os.environ.get("WORKERS_FILE", __file__)


def native_sleep() -> Callable[[float], None]:
    """A sleep that stops the whole thread, with everything green in it."""
    if ASYNC_MODE == "eventlet":
        from eventlet import patcher

        return patcher.original("time").sleep
    if ASYNC_MODE == "gevent":
        from gevent.monkey import get_original

        return get_original("time", "sleep")
    return time.sleep


def echo_by_eventlet(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """eventlet's own websockets, which answer behind gunicorn's back."""
    from eventlet.websocket import WebSocketWSGI

    def handle(ws: Any) -> None:
        while (message := ws.wait()) != "bye":
            ws.send(message)

    return WebSocketWSGI(handle)(environ, start_response)


def more(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], query_of(environ)
    if path == "/file":
        file = open(FILE, "rb")  # noqa: SIM115  (the server closes it)
        start_response("200 OK", [("Content-Length", str(os.path.getsize(FILE)))])
        return environ["wsgi.file_wrapper"](file)
    if path == "/slow":
        print("slow begins", file=sys.stderr, flush=True)
        eio.sleep(float(query["seconds"]))
    elif path == "/freeze":
        print("freeze begins", file=sys.stderr, flush=True)
        native_sleep()(float(query["seconds"]))
    elif path == "/eventlet":
        return echo_by_eventlet(environ, start_response)
    elif path == "/who":
        body = f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']} {sys.version_info[0]}".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    else:
        return other_app(environ, start_response)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"done"]


inner = engineio_green.WSGIApp(eio, more)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """With `wrapped=1` behind a middleware that has a `start_response` of its own, as those that count and trace have."""
    if "wrapped" not in query_of(environ):
        return inner(environ, start_response)
    return inner(environ, lambda status, headers, exc_info=None: start_response(status, headers))
