"""Runs as a script in a process of its own: loads a `module:app`, tells what has become of the process, then serves it.

Owns the look at monkey patching from inside, and which Engine.IO package serves. Must not import anything that an application
may want to patch first, nor the package before it is loaded, except to let it stand in for engineio where that is asked for:
that is why it is no module to import, and why its own imports are so few.

    python inside.py MODULE:APP LISTENING_DESCRIPTOR REPORT_DESCRIPTOR
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import warnings
from _thread import get_ident
from typing import Any

LIFETIME = 900  # seconds after which this process ends whatever has become of its parent

# What a program needs patched together: one without the others is where a program hangs.
GEVENT_PARTS = ("socket", "ssl", "select", "time", "threading")
EVENTLET_PARTS = ("socket", "select", "time", "thread", "os")

# Where the things live that get patched, by the module that they name as their own.
PATCHED_HOMES = ("socket", "ssl", "select", "selectors", "time", "threading", "_thread", "subprocess", "queue")
# Who patches, what they import to do so (eventlet: dnspython), and who knows of it: these keep originals on purpose.
OWN_PACKAGES = ("gevent", "eventlet", "greenlet", "zope", "dns", "engineio_green", "__main__")
COPIES = ("__original_module_", "__patched_module_")  # so begin the names of the copies that eventlet makes
MOST = 5

WSGI_APP = ("engineio_green.wsgi", "WSGIApp")

main_thread = get_ident()  # not what a patched function would say later
complaints: list[str] = []


def collect_warnings() -> None:
    """gevent knows by itself when it comes too late for `ssl`; the words are for us, not for a log."""
    show = warnings.showwarning

    def showwarning(message: Warning | str, category: type[Warning], *arguments: Any, **more: Any) -> None:
        if category.__name__ == "MonkeyPatchWarning":
            complaints.append(str(message))
        else:
            show(message, category, *arguments, **more)

    warnings.showwarning = showwarning


def install_if_wanted() -> None:
    """Let the package stand in for engineio, where the environment says so, as in the programs that it configures."""
    if "ENGINEIO_GREEN_AS_ENGINEIO" in os.environ:
        from engineio_green.socketio import install

        install.install_if_wanted()


def load(name: str) -> Any:
    """The application that `module:attribute` or `module:factory()` names."""
    from importlib import import_module

    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for attribute in (path or "application").removesuffix("()").split("."):
        found = getattr(found, attribute)
    return found() if path.endswith("()") else found


def patched_parts() -> dict[str, dict[str, bool]]:
    """By library, which parts of the standard library it has patched; nothing for a library that was not even loaded."""
    found: dict[str, dict[str, bool]] = {}
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        found["gevent"] = {part: bool(monkey.is_module_patched(part)) for part in GEVENT_PARTS}
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None:
        found["eventlet"] = {part: bool(patcher.is_monkey_patched(part)) for part in EVENTLET_PARTS}
    return found


def stale_names() -> list[str]:
    """Where modules hold what the standard library had before it was patched: they were imported too early."""
    found = []
    for name, module in sorted(sys.modules.items()):
        top = name.partition(".")[0]
        if top in OWN_PACKAGES or top in sys.stdlib_module_names or name.startswith(COPIES):
            continue
        for attribute, value in sorted(getattr(module, "__dict__", {}).items()):
            home = getattr(value, "__module__", None)
            own_name = getattr(value, "__name__", None)
            if home in PATCHED_HOMES and isinstance(own_name, str):
                current = getattr(sys.modules[home], own_name, value)
                if current is not value:
                    found.append(f"{name}.{attribute} is the old {home}.{own_name}")
    return found


def early_threads() -> list[str]:
    """Names of real threads: in a patched process the ones that were started before."""
    threading = sys.modules.get("threading")
    if threading is None:
        return []
    real = set(sys._current_frames()) - {main_thread}
    return [thread.name for thread in threading.enumerate() if thread.ident in real]


def servers(app: Any) -> list[dict[str, Any]]:
    """What the application has made of ours, wherever it keeps it: what *app* leads to comes first."""
    import gc

    objects = gc.get_objects()
    around = _around(app)
    apps = [*around, *(thing for thing in objects if _is(thing, *WSGI_APP) and thing not in around)]
    found = []
    for server in (thing for thing in objects if _is(thing, "engineio_green.server", "Server")):
        origins = server.settings.cors_allowed_origins
        named = "a function's choice" if callable(origins) else sorted(origins) if isinstance(origins, frozenset) else origins
        # A server of Socket.IO stands in its application in the place of ours, which it holds.
        own = [number for number, app in enumerate(apps) if server in (app.engineio_app, getattr(app.engineio_app, "eio", None))]
        facts = {
            "async_mode": server.async_mode,
            "transports": list(server.settings.transports),
            "allow_upgrades": server.settings.allow_upgrades,
            "origins": named,
            "path": apps[own[0]].engineio_path if own else None,
            "socketio": next((name for name, engine in socketio_servers(objects) if engine is server), None),
        }
        found.append((own[0] if own else len(apps), facts))
    return [facts for _, facts in sorted(found, key=lambda pair: pair[0])]


def _around(app: Any) -> list[Any]:
    """Our applications that *app* consists of, the outermost first."""
    found: list[Any] = []
    seen: list[Any] = []
    while app is not None and not any(app is other for other in seen):
        seen.append(app)
        if _is(app, *WSGI_APP):
            found.append(app)
        app = getattr(app, "wsgi_app", None)
    return found


def socketio_servers(objects: list[Any]) -> list[tuple[str, Any]]:
    """The servers of Socket.IO: by which package's name people know them, and the Engine.IO server below."""
    held = [thing.server for thing in objects if _is(thing, "flask_socketio", "SocketIO")]
    names = {True: "Flask-SocketIO", False: "python-socketio"}
    found = [thing for thing in objects if _is(thing, "socketio.base_server", "BaseServer") and hasattr(thing, "eio")]
    return [(names[any(thing is server for server in held)], thing.eio) for thing in found]


def on_another_engineio() -> list[dict[str, str]]:
    """Servers of Socket.IO that have another Engine.IO package below them."""
    import gc
    from importlib import metadata

    try:
        other = f"python-engineio {metadata.version('python-engineio')}"
    except metadata.PackageNotFoundError:
        other = "engineio"
    found = [name for name, engine in socketio_servers(gc.get_objects()) if not _is_of(engine, "engineio_green")]
    return [{"socketio": name, "engineio": other} for name in found]


def _is_of(thing: Any, package: str) -> bool:
    return any(kind.__module__.partition(".")[0] == package for kind in type(thing).__mro__)


def _is(thing: Any, module: str, name: str) -> bool:
    return any(kind.__module__ == module and kind.__name__ == name for kind in type(thing).__mro__)


def examine(name: str) -> tuple[Any, dict[str, Any]]:
    """The application, or `None`, and what to report: wrong patching may be why it could not be loaded."""
    collect_warnings()
    app, error = None, ""
    try:
        install_if_wanted()
        app = load(name)
        if not callable(app):
            error = f"it is a {type(app).__name__}, which no web server can call; name the WSGI application"
    except Exception as exc:
        error = f"{type(exc).__name__}: {exc}"
    patched = patched_parts()
    any_patched = any(any(parts.values()) for parts in patched.values())
    return app, {
        "error": error,
        "patched": patched,
        "stale": stale_names()[:MOST] if any_patched else [],
        "threads": early_threads() if any_patched else [],
        "warnings": complaints,
        "servers": [] if error else servers(app),
        "foreign": [] if error else on_another_engineio(),
    }


def tell(reporting: int, facts: dict[str, Any]) -> None:
    import json

    os.write(reporting, json.dumps(facts).encode())
    os.close(reporting)


def main() -> None:
    signal.alarm(LIFETIME)
    name, listening, reporting = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sys.path[0] = os.getcwd()  # in place of this script's folder
    listener = socket.socket(fileno=listening)
    app, facts = examine(name)
    mode = next((server["async_mode"] for server in facts["servers"]), None)
    if mode is None:
        tell(reporting, facts)
        return
    from engineio_green.demo import hosts

    needed = hosts.REQUIREMENTS[mode]
    if hosts.is_installed(mode):
        tell(reporting, facts)
        hosts.serve(mode, listener, app, lambda: None)
    else:
        tell(reporting, {**facts, "not_served": f"to serve it here takes {needed}: pip install {needed}"})


if __name__ == "__main__":
    main()
