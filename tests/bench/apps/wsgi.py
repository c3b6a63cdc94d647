"""The measured Python server: one application, whichever package serves it.

    python wsgi.py PACKAGE KIND FD

PACKAGE is an importable module with the compatible API (``Server``, ``WSGIApp``), KIND names the web server and
FD is a listening socket inherited from the benchmark. Both Python packages run this very file, so that nothing
but the package differs. It must not import anything of the benchmark: the peer runs it in its own environment.
"""

import importlib
import logging
import os
import socket
import sys

ASYNC_MODE = {"gevent": "gevent", "eventlet": "eventlet", "werkzeug": "threading", "gunicorn": "threading"}
GUNICORN = {
    "worker_class": "gthread",
    "workers": 1,
    "threads": 100,  # a held poll occupies a thread of gthread, and the polling scenario holds 50
    "loglevel": "error",
    "control_socket_disable": True,  # known to newer versions only: a benchmark leaves no socket in the home directory
}
EVENTLET_GREENLETS = 20_000  # eventlet.wsgi serves 1,024 connections unless told, fewer than the memory scenario opens


def build(package, kind):
    """The application: echo by ``send``, or ``send`` to everyone when the text asks for it. Default options."""
    if package == "engineio":
        # Of the two websocket packages it supports on gevent, the one that shows it at its best in these scenarios.
        sys.modules["geventwebsocket"] = None
    module = importlib.import_module(package)
    server = module.Server(async_mode=ASYNC_MODE[kind])
    connected = set()

    @server.on("connect")
    def connect(sid, environ):
        connected.add(sid)

    @server.on("disconnect")
    def disconnect(sid, *reason):
        connected.discard(sid)

    @server.on("message")
    def message(sid, data):
        if data.__class__ is str and data.startswith("broadcast:"):
            for receiver in tuple(connected):
                server.send(receiver, data)
        else:
            server.send(sid, data)

    return module.WSGIApp(server)


def serve_gevent(app, fd):
    import gevent.socket
    from gevent import pywsgi

    pywsgi.WSGIServer(gevent.socket.socket(fileno=fd), app, log=None).serve_forever()


def serve_eventlet(app, fd):
    import eventlet
    import eventlet.wsgi
    from eventlet.green import socket as green_socket

    listener = green_socket.socket(fileno=fd)
    eventlet.wsgi.server(listener, app, log=logging.getLogger("quiet"), log_output=False, max_size=EVENTLET_GREENLETS)


def serve_werkzeug(app, fd):
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = socket.socket(fileno=os.dup(fd)).getsockname()[1]
    make_server("127.0.0.1", port, app, threaded=True, fd=fd).serve_forever()


def serve_gunicorn(app, fd):
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        def load_config(self):
            for name, value in {**GUNICORN, "bind": f"fd://{fd}"}.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self):
            return app()

    Application().run()


SERVE = {
    "gevent": serve_gevent,
    "eventlet": serve_eventlet,
    "werkzeug": serve_werkzeug,
    "gunicorn": serve_gunicorn,
}


def main():
    package, kind, fd = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "gunicorn":  # the worker builds the application after the fork, as `gunicorn module:app` does
        SERVE[kind](lambda: build(package, kind), fd)
    else:
        SERVE[kind](build(package, kind), fd)


if __name__ == "__main__":
    main()
