"""The examination of a `module:app`: loads it in a process of its own, judges what it finds there, and serves it for a visit.

Owns the child process, and the conclusions about monkey patching and about the package that serves. `inside.py` is what runs in
the child.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from typing import Any, NamedTuple

from engineio_green.doctor.findings import Report

INSIDE = Path(__file__).with_name("inside.py")
LOAD_PATIENCE = 30.0
STOP_PATIENCE = 5.0

PATCH_FIRST = {
    "gevent": "`from gevent import monkey; monkey.patch_all()`",
    "eventlet": "`import eventlet; eventlet.monkey_patch()`",
}
WORKERS = {"gevent": "gunicorn -k gevent", "eventlet": "gunicorn's eventlet worker"}


class NotLoaded(Exception):
    """The application can't be examined; the text says why."""


class Program(NamedTuple):
    """An application in its child process. *url* is where it answers, empty when it can't be served here."""

    facts: dict[str, Any]
    url: str

    @property
    def socketio(self) -> bool:
        """Whether Socket.IO is spoken at *url*."""
        return bool(served(self.facts).get("socketio"))


def served(facts: dict[str, Any]) -> dict[str, Any]:
    """The server that is visited, of those that the application holds: the first whose path is known, or the first at all."""
    known = [server for server in facts["servers"] if server["path"]]
    return next(iter([*known, *facts["servers"]]), {})


@contextmanager
def loaded(name: str) -> Iterator[Program]:
    """Load `module:app` from the current folder in a child, which ends with the block. Raises `NotLoaded`."""
    listener = socket.create_server(("127.0.0.1", 0))
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+") as output:
        command = [sys.executable, str(INSIDE), name, str(listener.fileno()), str(writing)]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(listener.fileno(), writing),
            start_new_session=True,
        )
        os.close(writing)
        try:
            facts = _facts(child, reading, output, name)
            serves = bool(facts["servers"]) and "not_served" not in facts
            path = served(facts).get("path") or "/engine.io"
            port = listener.getsockname()[1]
            listener.close()  # the child has it: what is asked from here on must not wait in a queue that nobody serves
            yield Program(facts, f"http://127.0.0.1:{port}{path.rstrip('/')}/" if serves else "")
        finally:
            os.close(reading)
            listener.close()
            _stop(child)


def _facts(child: subprocess.Popen[bytes], reading: int, output: Any, name: str) -> dict[str, Any]:
    written = b""
    while select([reading], [], [], LOAD_PATIENCE)[0]:
        more = os.read(reading, 65536)
        if not more:
            break
        written += more
    else:
        raise NotLoaded(
            f"Importing {name} did not come to an end within {LOAD_PATIENCE:g} s. If the module starts a server when it is "
            'imported, put that under `if __name__ == "__main__":`.'
        )
    if not written:
        child.wait(STOP_PATIENCE)
        output.seek(0)
        last = output.read().strip().splitlines()[-1:] or ["without a word"]
        raise NotLoaded(f"The process that imported {name} ended: {last[0]}")
    facts: dict[str, Any] = json.loads(written)
    return facts


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the child and what it has started: the group is its own."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(STOP_PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def judge(program: Program, report: Report) -> None:
    """Write down what the process is like."""
    facts = program.facts
    for server in facts["servers"]:
        _judge_server(server, report)
    for other in facts["foreign"]:
        _judge_foreign(other, report)
    if not facts["servers"] and not facts["foreign"] and not facts["error"]:
        report.fix("server", "This application holds no engineio_green.Server.", "Name the one that does, as module:app.")
    mode = next((server["async_mode"] for server in facts["servers"]), None)
    patched = {library: parts for library, parts in facts["patched"].items() if any(parts.values())}
    if not patched:
        _judge_unpatched(mode, report)
    for library, parts in patched.items():
        _judge_patched(library, parts, mode, facts, report)
    if len(patched) > 1:
        report.fix("patching", "gevent and eventlet have both patched the standard library.", "Patch with one of them only.")
    if "not_served" in facts:
        report.note("serving", f"Nothing was examined over the wire: {facts['not_served']}.")


def _judge_server(server: dict[str, Any], report: Report) -> None:
    origins = server["origins"]
    pages = ", ".join(origins) if isinstance(origins, list) else {None: "its own origin", "*": "any site"}.get(origins, origins)
    path = f" at {server['path'].rstrip('/')}/" if server["path"] else ""
    place = f" below {server['socketio']}{path}," if server["socketio"] else ""
    report.ok(
        "server",
        f"A Server{place} with async_mode {server['async_mode']!r}, transports {', '.join(server['transports'])}"
        f"{'' if server['allow_upgrades'] else ', no upgrades'}; pages of {pages or 'any site'} may talk to it.",
    )


def _judge_foreign(other: dict[str, str], report: Report) -> None:
    module = {"Flask-SocketIO": "flask_socketio"}.get(other["socketio"], "socketio")
    report.fix(
        "server",
        f"{other['socketio']} runs on another engineio in this application, {other['engineio']}, and not on engineio_green.",
        f"Write `import engineio_green; engineio_green.install_as_engineio()` above the first import of {module}; or leave the "
        "program as it is, start it with `python -m engineio_green run`, or with ENGINEIO_GREEN_AS_ENGINEIO=1 in the environment "
        "of gunicorn with our configuration file, of uWSGI, and of this doctor.",
    )


def _judge_unpatched(mode: str | None, report: Report) -> None:
    if mode in PATCH_FIRST:
        report.note(
            "patching",
            f"The standard library is not patched when the application is imported. {WORKERS[mode]} does that itself; on other "
            f"servers a handler that blocks (time.sleep, requests, a database) stops every client, unless the program begins "
            f"with {PATCH_FIRST[mode]}.",
        )
    elif mode is not None:
        report.ok("patching", "Plain threads, and nothing is monkey patched.")


def _judge_patched(library: str, parts: dict[str, bool], mode: str | None, facts: dict[str, Any], report: Report) -> None:
    first = f"Make {PATCH_FIRST[library]} the very first line of the program, before any other import."
    before = len(report.findings)
    if mode is not None and mode != library:
        text = f"{library} has patched the standard library, but the server's async_mode is {mode!r}."
        report.fix("patching", text, f'Use Server(async_mode="{library}") on a server for it, or do not patch.')
    missing = [part for part, done in parts.items() if not done]
    if missing:
        have = ", ".join(part for part, done in parts.items() if done)
        text = f"{library} has patched only a part of the standard library: {have}, but not {', '.join(missing)}."
        report.fix("patching", text, first)
    if facts["stale"] or facts["warnings"]:
        found = "; ".join(facts["stale"]) or facts["warnings"][0]
        report.fix("patching", f"{library} has patched too late, something had been imported before: {found}.", first)
    if facts["threads"]:
        text = f"Threads were started before {library} patched the standard library: {', '.join(facts['threads'])}."
        report.fix("patching", text, first)
    if len(report.findings) == before:
        report.ok("patching", f"{library} has patched all that matters, before anything else was imported.")
