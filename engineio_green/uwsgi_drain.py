"""Takes leave of the clients before a uWSGI worker on gevent ends: ``import = engineio_green.uwsgi_drain`` in ``uwsgi.ini``.

Owns the moment. uWSGI ends a worker at SIGINT and SIGTERM (stop) by way of ``uwsgi.atexit``, and at SIGHUP (reload) only after
its requests have returned, which held polls don't do by themselves; so the signals start the drain, and the end waits for it.
Only who names this module gets that: the package itself installs no handler and no hook. Must not know how servers drain.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import uwsgi

import engineio_green
from engineio_green.socketio.install import VARIABLE, install_if_wanted

# uWSGI's own, and what it leaves a worker before it kills it.
DEFAULT_MERCY = 60
# For what comes after the clients: uWSGI's own end, an atexit function of the application.
RESERVE = 0.2

_drained: gevent.event.AsyncResult | None = None


def mercy() -> int:
    """Return the seconds that uWSGI gives a worker to end: ``worker-reload-mercy``."""
    for name in ("worker-reload-mercy", "reload-mercy"):
        value = uwsgi.opt.get(name)
        if value is not None:
            return int(value[-1] if isinstance(value, list) else value)
    return DEFAULT_MERCY


def drain(*_: object) -> None:
    """Let the clients of this worker's servers go; whoever calls it again waits for the same."""
    global _drained
    if _drained is None:
        _drained = gevent.event.AsyncResult()
        gevent.spawn_later(mercy(), os._exit, 0)  # a graceful stop would wait without end for a request that hangs
        seconds = mercy() * (1 - RESERVE)
        try:
            engineio_green.drain_all(seconds, seconds / 4)
        finally:
            _drained.set(None)
    _drained.get()


def _watch_signals() -> None:
    """Runs in the worker's hub: uWSGI's watchers are there by then, and the first of a signal installs its handler."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, drain)


def _in_worker() -> None:
    if uwsgi.worker_id() > 0 and uwsgi.loop in (b"gevent", "gevent"):
        gevent.spawn(_watch_signals)


def _chain(name: str, function: Callable[[], Any]) -> None:
    """Put *function* before what the application has set as one of uWSGI's hooks."""
    before = getattr(uwsgi, name, None)

    def both() -> None:
        try:
            function()
        finally:
            if before is not None:
                before()

    setattr(uwsgi, name, both)


def _stand_in() -> None:
    """Let the application's ``import engineio`` find this package, if that is wanted: it is loaded after this module."""
    settings = uwsgi.opt.get("env") or ()
    for setting in [settings] if isinstance(settings, bytes) else settings:
        name, _, value = setting.decode().partition("=")
        if name == VARIABLE:
            os.environ.setdefault(name, value)  # the uWSGI that is a Python package sets it too late for os.environ
    install_if_wanted()


def install() -> None:
    _stand_in()
    _chain("atexit", drain)
    if uwsgi.worker_id() > 0:  # lazy-apps: the worker is here already
        _in_worker()
        return
    try:
        from uwsgidecorators import postfork
    except ImportError:
        _chain("post_fork_hook", _in_worker)
    else:
        postfork(_in_worker)  # it owns the hook wherever the application uses it


install()
