"""What a WSGI server's first request tells about how it was started, and what to change.

Pure: reads an environ, returns sentences. Source: PEP 3333, ``wsgi.multithread`` and ``wsgi.multiprocess``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

ONE_AT_A_TIME = (
    "this server answers one request at a time, and a client that polls holds it while everybody else waits. "
    "Start it with threads or green threads; gunicorn (this is its sync worker): with -c python:engineio_green.gunicorn_conf "
    "one of -k gthread --threads 8, -k gevent and -k eventlet"
)
SEVERAL_PROCESSES = (
    "several worker processes answer here, and a session lives in one of them: the requests of a client that polls reach the "
    "others, too, which don't know it. Start one worker (gunicorn: -w 1, and mind WEB_CONCURRENCY; uWSGI: processes = 1); for "
    "more, several such servers behind a balancer that keeps each client with its server; or allow only "
    "transports=['websocket']"
)


def find_faults(environ: Mapping[str, Any], model: str, transports: Collection[str]) -> Iterator[str]:
    """Yield what keeps polling from working, each with its remedy.

    :param environ: of a request that a real server has received.
    :param model: what it runs in: ``"threading"``, ``"gevent"`` or ``"eventlet"``.
    :param transports: those that the server offers.
    """
    if "polling" not in transports or not ("SERVER_SOFTWARE" in environ or "uwsgi.version" in environ):
        return  # an application's own tests say nothing of how it is deployed
    if model == "threading" and not environ.get("wsgi.multithread", True):
        yield ONE_AT_A_TIME
    if environ.get("wsgi.multiprocess", False):
        yield SEVERAL_PROCESSES
