"""Puts the application behind a WSGI server that has no command line of its own: `python -m interop.serve <name>`.

Each server takes a free port and says where it listens; servers.py reads that from the log. Access log and error log go through
`logging`, so that a level stands in front of every line and servers.py can tell a complaint from a remark.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from .app import create


def serve_gevent(wsgi: Any) -> None:
    from gevent import pywsgi

    log = logging.getLogger("pywsgi")
    server = pywsgi.WSGIServer(("127.0.0.1", 0), wsgi, log=log, error_log=log)
    server.start()
    log.info("listening at http://127.0.0.1:%d", server.server_port)
    server.serve_forever()


def serve_werkzeug(wsgi: Any) -> None:
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", 0, wsgi, threaded=True)


def serve_eventlet(wsgi: Any) -> None:
    import eventlet
    import eventlet.wsgi

    eventlet.wsgi.server(eventlet.listen(("127.0.0.1", 0)), wsgi, log=logging.getLogger("eventlet.wsgi"))


RUNNERS: dict[str, Callable[[Any], None]] = {
    "gevent": serve_gevent,
    "werkzeug": serve_werkzeug,
    "eventlet": serve_eventlet,
}

if __name__ == "__main__":
    RUNNERS[sys.argv[1]](create())
