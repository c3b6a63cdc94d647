"""Run the scenario application on a server that has no command of its own: `python -m scenarios.serve SERVER PORT`.

Owns how each server is started. gunicorn is started by its own command, see `servers.py`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def tls_files() -> tuple[str, str] | None:
    cert = os.environ.get("SCENARIO_CERT")
    return (cert, os.environ["SCENARIO_KEY"]) if cert else None


def serve_pywsgi(port: int) -> None:
    from gevent import pywsgi, signal_handler

    from .app import app

    files = tls_files()
    arguments: dict[str, Any] = {"certfile": files[0], "keyfile": files[1]} if files else {}
    server = pywsgi.WSGIServer(("127.0.0.1", port), app, **arguments)
    signal_handler(signal.SIGTERM, server.stop, 0.5)
    server.serve_forever()


def serve_pywsgi_patched(port: int) -> None:
    from gevent import monkey

    monkey.patch_all()
    serve_pywsgi(port)


def serve_gevent_websocket(port: int) -> None:
    from gevent import pywsgi, signal_handler
    from geventwebsocket.handler import WebSocketHandler

    from .app import app

    server = pywsgi.WSGIServer(("127.0.0.1", port), app, handler_class=WebSocketHandler)
    signal_handler(signal.SIGTERM, server.stop, 0.5)
    server.serve_forever()


def serve_werkzeug(port: int) -> None:
    from werkzeug.serving import run_simple

    from .app import app

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run_simple("127.0.0.1", port, app, threaded=True, ssl_context=tls_files())


def be_a_system_without_epoll() -> None:
    """Take away what only Linux has, before anybody looks for it."""
    import select
    import time

    del select.epoll, os.eventfd, time.pthread_getcpuclockid


def serve_werkzeug_portable(port: int) -> None:
    be_a_system_without_epoll()
    serve_werkzeug(port)


def serve_eventlet_portable(port: int) -> None:
    be_a_system_without_epoll()
    serve_eventlet(port)


def serve_eventlet(port: int) -> None:
    import eventlet
    import eventlet.wsgi

    from .app import app

    # SIGTERM is the system's to handle: its server would wait for requests under way, held polls included. And a handler in
    # Python, for which a signal comes just before the hub begins to wait, runs only when the hub has something else to do.
    eventlet.wsgi.server(eventlet.listen(("127.0.0.1", port)), app)


def serve_eventlet_patched(port: int) -> None:
    import eventlet

    eventlet.monkey_patch()
    serve_eventlet(port)


SERVERS = {
    "pywsgi": serve_pywsgi,
    "pywsgi-patched": serve_pywsgi_patched,
    "gevent-websocket": serve_gevent_websocket,
    "werkzeug": serve_werkzeug,
    "werkzeug-portable": serve_werkzeug_portable,
    "eventlet-portable": serve_eventlet_portable,
    "eventlet": serve_eventlet,
    "eventlet-patched": serve_eventlet_patched,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
