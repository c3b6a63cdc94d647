"""Starts a web server that has no command line of its own: `python -m socket_io.serve <name> <port>`.

Owns the first lines of such a program: this package stands in for engineio before anything else is imported. Bare servers get
`socketio.WSGIApp`; those with "flask" in their name are what Flask-SocketIO's own `run()` starts.
"""

from __future__ import annotations

import logging
import sys

from engineio_green import install_as_engineio


def werkzeug(port: int) -> None:
    from werkzeug.serving import run_simple

    from .wsgi_app import app

    run_simple("127.0.0.1", port, app, threaded=True)


def gevent(port: int) -> None:
    from gevent import pywsgi

    from .wsgi_app import app

    log = logging.getLogger("pywsgi")
    pywsgi.WSGIServer(("127.0.0.1", port), app, log=log, error_log=log).serve_forever()


def eventlet(port: int) -> None:
    import eventlet
    import eventlet.wsgi

    from .wsgi_app import app

    eventlet.wsgi.server(eventlet.listen(("127.0.0.1", port)), app, log=logging.getLogger("eventlet.wsgi"))


def flask_on_threads(port: int) -> None:
    from .flask_app import app, socketio

    socketio.run(app, port=port, allow_unsafe_werkzeug=True)


def flask_on_gevent(port: int) -> None:
    from gevent import monkey

    monkey.patch_all()

    from .flask_app import app, socketio

    socketio.run(app, port=port, log_output=True)


def flask_on_eventlet(port: int) -> None:
    from eventlet import monkey_patch

    monkey_patch()

    from .flask_app import app, socketio

    socketio.run(app, port=port, log_output=True)


if __name__ == "__main__":
    install_as_engineio()
    runners = (werkzeug, gevent, eventlet, flask_on_threads, flask_on_gevent, flask_on_eventlet)
    {runner.__name__: runner for runner in runners}[sys.argv[1]](int(sys.argv[2]))
