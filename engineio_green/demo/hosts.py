"""A web server for each concurrency model, run until Ctrl-C.

Owns how each server is started on a listening socket, how it hears SIGINT, and what has to be installed for it. Must not
know what the application does. A library has no business with signals; this is a program's main part.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

Application = Callable[..., Any]

REQUIREMENTS = {"gevent": "gevent", "threading": "werkzeug", "eventlet": "eventlet"}
"""The package whose web server runs each model, in the order of preference."""

STOP_TIMEOUT = 1.0
"""Seconds that requests under way get to end after Ctrl-C."""


def is_installed(async_mode: str) -> bool:
    """Whether there is a web server for this model."""
    return importlib.util.find_spec(REQUIREMENTS[async_mode]) is not None


def default_mode() -> str | None:
    """gevent where it is installed, else plain threads; `None` when there is no server for either."""
    return next((mode for mode in ("gevent", "threading") if is_installed(mode)), None)


def serve(async_mode: str, listener: socket.socket, application: Application, farewell: Callable[[], None]) -> None:
    """Serve on *listener* until SIGINT, then call *farewell* while requests are still answered, and return."""
    HOSTS[async_mode](listener, application, farewell)


def _serve_gevent(listener: socket.socket, application: Application, farewell: Callable[[], None]) -> None:
    import gevent
    from gevent import pywsgi
    from gevent.event import Event

    stopped = Event()
    # The default handler would raise in whichever greenlet runs at that moment; this one runs in its own.
    watcher = gevent.signal_handler(signal.SIGINT, stopped.set)
    server = pywsgi.WSGIServer(gevent.socket.socket(fileno=listener.detach()), application, log=None)
    server.start()
    stopped.wait()
    watcher.cancel()
    farewell()
    server.stop(STOP_TIMEOUT)


def _serve_threading(listener: socket.socket, application: Application, farewell: Callable[[], None]) -> None:
    from werkzeug import serving

    class Handler(serving.WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections open from one poll to the next

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line per request beside ours
    host, port = listener.getsockname()[:2]
    server = serving.make_server(host, port, application, threaded=True, request_handler=Handler, fd=listener.fileno())
    listener.close()
    # Signals reach the main thread only, which does nothing but accept: the loop ends silently.
    server.serve_forever(poll_interval=0.2)
    farewell()


def _serve_eventlet(listener: socket.socket, application: Application, farewell: Callable[[], None]) -> None:
    import eventlet
    from eventlet import greenio, hubs, wsgi

    # As with gevent: Python writes to this pipe when a signal arrives, and the main greenlet waits for it like for any
    # other descriptor.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    server = eventlet.spawn(wsgi.server, greenio.GreenSocket(listener), application, log_output=False)
    hubs.trampoline(reader, read=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    farewell()
    server.kill()


HOSTS = {"gevent": _serve_gevent, "threading": _serve_threading, "eventlet": _serve_eventlet}
