"""gunicorn's worker classes for the three models: ``gunicorn -k engineio_green.workers.EventletWorker -w 1 module:app``.

Each class is found when it is asked for, so that no model's library is needed but the chosen one's, and importing this
package needs no gunicorn.
"""

from __future__ import annotations

import importlib
from typing import Any

from engineio_green.socketio.install import install_if_wanted

install_if_wanted()  # a worker's class is looked up before the application is loaded

_MODULES = {
    "EventletWorker": "eventlet",
    "GeventPyWSGIWorker": "gevent",
    "GeventWorker": "gevent",
    "ThreadWorker": "threads",
}

__all__ = ["EventletWorker", "GeventPyWSGIWorker", "GeventWorker", "ThreadWorker"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
