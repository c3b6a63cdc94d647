"""Lets workers of gunicorn's own classes drain: what a configuration file can do when ``-k`` names one of them.

Owns which of our classes stands for which of gunicorn's. By the time that this runs, the worker's modules are loaded.
"""

from __future__ import annotations

from typing import Any

from engineio_green import workers
from engineio_green.workers.base import Draining, GreenDraining

COUNTERPARTS = {
    "gunicorn.workers.gthread.ThreadWorker": "ThreadWorker",
    "gunicorn.workers.ggevent.GeventWorker": "GeventWorker",
    "gunicorn.workers.ggevent.GeventPyWSGIWorker": "GeventPyWSGIWorker",
}


def adopt(worker: Any) -> None:
    """Let *worker* drain from now on. For gunicorn's ``post_worker_init`` hook.

    Subclasses of others are served, too. Workers that are neither green nor threaded stay as they are: they can't hold a
    poll anyway.
    """
    from gunicorn.workers.base_async import AsyncWorker

    kind = type(worker)
    counterpart = COUNTERPARTS.get(f"{kind.__module__}.{kind.__qualname__}")
    if isinstance(worker, Draining):
        return
    if counterpart:
        worker.__class__ = getattr(workers, counterpart)
        if hasattr(worker, "tpool"):  # nothing has run in it yet
            worker.tpool = worker.get_thread_pool()
    elif isinstance(worker, AsyncWorker):
        worker.__class__ = type(kind.__name__, (GreenDraining, kind), {})
    elif hasattr(worker, "tpool"):  # a subclass of the threaded one
        worker.__class__ = type(kind.__name__, (Draining, kind), {})
