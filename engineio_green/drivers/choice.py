"""Which driver fits: the names in the documented order, and the choice when none is named.

Owns the only imports of driver modules, so that no model's library is needed but the chosen one's.
"""

from __future__ import annotations

import importlib
import sys

from engineio_green.drivers.base import Driver
from engineio_green.exceptions import DriverError

# name: (module, class, what its import needs, how to get it)
DRIVERS = {
    "eventlet": ("eventlet", "EventletDriver", "eventlet", 'pip install "engineio_green[eventlet]"'),
    "gevent_uwsgi": ("gevent_uwsgi", "GeventUwsgiDriver", "gevent", 'pip install "engineio_green[gevent]"'),
    "gevent": ("gevent", "GeventDriver", "gevent", 'pip install "engineio_green[gevent]"'),
    "threading": ("threads", "ThreadDriver", "", ""),
}


def load_driver(name: str) -> type[Driver]:
    """Return the driver class for an ``async_mode``. Raises :class:`DriverError` that says what is missing."""
    try:
        module_name, class_name, needed, remedy = DRIVERS[name]
    except KeyError:
        raise DriverError(f"async_mode must be one of {', '.join(map(repr, DRIVERS))}, not {name!r}") from None
    try:
        module = importlib.import_module(f"engineio_green.drivers.{module_name}")
    except ImportError as exc:
        raise DriverError(f"async_mode={name!r} needs {needed}, which is not installed ({exc}): {remedy}") from exc
    driver: type[Driver] = getattr(module, class_name)
    reason = driver.missing()
    if reason:
        raise DriverError(f"async_mode={name!r} can't work here: {reason}")
    return driver


def choose_driver() -> type[Driver]:
    """Return the first model, in the documented order, that has what it needs.

    eventlet must also be in use: it changes how a process works too much to be taken because it is installed. Only programs
    that know this package as engineio get it all the same, since that is what they were written for.
    """
    for name in DRIVERS:
        if name == "eventlet" and "eventlet" not in sys.modules and not _stands_in():
            continue
        try:
            return load_driver(name)
        except DriverError:
            continue
    raise DriverError("no concurrency model works in this process")


def _stands_in() -> bool:
    spec = getattr(sys.modules.get("engineio"), "__spec__", None)
    return spec is not None and spec.origin == "engineio_green"


def model_around() -> str:
    """Return the model that the current request runs in: who waits here, a greenlet of a hub or a thread."""
    parent = None
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        parent = greenlet.getcurrent().parent
    if parent is None:
        return "threading"
    gevent_hub = sys.modules.get("gevent.hub")
    if gevent_hub is not None and isinstance(parent, gevent_hub.Hub):
        return "gevent"
    return "eventlet" if "eventlet" in sys.modules else "gevent"


def misfit(name: str) -> str | None:
    """Return why the model *name* can't serve the current request, as a sentence that says what to change."""
    around = model_around()
    if name.startswith(around):
        return None
    servers = {
        "threading": "plain threads",
        "gevent": "gevent's greenlets",
        "eventlet": "eventlet's green threads",
    }
    return (
        f"async_mode={name!r} does not fit: this WSGI server runs requests in {servers[around]}. "
        f"Use async_mode={around!r}, or a server for {name} (see the deployment table of the README)"
    )
