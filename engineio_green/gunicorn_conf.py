"""gunicorn's settings for an engineio_green server: ``gunicorn -c python:engineio_green.gunicorn_conf module:app``.

With it ``-k eventlet``, ``-k gevent`` and ``-k gthread`` work, and each worker takes leave of its clients before it ends.
The command line wins over what stands here. To change more, begin a file ``gunicorn.conf.py``, which gunicorn finds by itself
where it is started, with ``from engineio_green.gunicorn_conf import *``.
"""

from __future__ import annotations

from typing import Any

from gunicorn.workers import SUPPORTED_WORKERS

from engineio_green.socketio.install import install_if_wanted
from engineio_green.workers.adoption import adopt

__all__ = ["graceful_timeout", "keepalive", "post_worker_init", "threads", "worker_class", "worker_connections", "workers"]

# With ENGINEIO_GREEN_AS_ENGINEIO=1 the application's "import engineio", or its Socket.IO package's, finds this package.
install_if_wanted()

# gunicorn 26 has no eventlet worker any more; ours is the same on every version. The name is looked up after this file is read.
SUPPORTED_WORKERS["eventlet"] = "engineio_green.workers.EventletWorker"

# A session lives in one process, and gunicorn hands each connection to whichever worker is free. One worker carries thousands
# of clients; for more, start several gunicorns behind a balancer that keeps a client with its server. Said here so that
# WEB_CONCURRENCY, which some platforms set, does not change it.
workers = 1

# Without -k: plain threads. gunicorn's default, sync, answers one request at a time, and a held poll is a request.
worker_class = "gthread"

# Requests that are answered at one time, for gthread only. A websocket holds no thread, and a held poll has one beside these, up
# to a thousand. (In a gunicorn without this file a held poll takes one of them: as many as clients that poll, then, and more.)
threads = 100

# What gevent and eventlet take at one time: polls and ordinary requests, no websockets. gunicorn's 1000 are few where each
# client that polls holds one; each costs a greenlet and a descriptor (ulimit -n: one for each client, of either transport).
worker_connections = 10000

# Seconds that a connection is kept for its next request. The next poll comes as soon as the last was answered, but from far
# away, or from a busy browser, not within gunicorn's 2 s; and a new connection for each poll is the dearest part of polling.
keepalive = 10

# Seconds for the end of a worker: all but the last few go to the clients, who are told in small groups so that they don't
# all return at once: with many clients give it more. Whoever stops gunicorn must wait longer than this (docker stop: 10 s).
graceful_timeout = 8


def post_worker_init(worker: Any) -> None:
    """Make a worker of gunicorn's own classes drain; those of ``engineio_green.workers`` do so by themselves."""
    adopt(worker)
