"""The servers under test: a table of them, and one child process for each server and set of options.

Runs in pytest's process and knows the child from outside only: its log, its signals, its HTTP. Nothing here imports the package.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from children import die_with_parent

from .app import MODE_VARIABLE, OPTIONS_VARIABLE
from .toolchain import HERE

START_SECONDS = 20.0
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Mode:
    """One way to run the server: what `async_mode` it is given, and the arguments of the Python child."""

    async_mode: str
    arguments: tuple[str, ...]


def gunicorn(*arguments: str) -> tuple[str, ...]:
    """Arguments of a gunicorn with one worker and nothing in common with another gunicorn of the same user."""
    from gunicorn.config import KNOWN_SETTINGS

    known = {flag for setting in KNOWN_SETTINGS for flag in (setting.cli or [])}
    control = [flag for flag in ("--no-control-socket",) if flag in known]  # newer versions share one socket per user
    common = ["-m", "gunicorn", "interop.app:create()", "--workers", "1", "--bind", "127.0.0.1:0"]
    return (*common, "--access-logfile", "-", "--graceful-timeout", "3", *control, *arguments)


# One line per server. A held GET occupies a gthread thread, and the tests have twenty clients at once: hence 60 threads.
MODES = {
    "gevent.pywsgi": Mode("gevent", ("-m", "interop.serve", "gevent")),
    "werkzeug": Mode("threading", ("-m", "interop.serve", "werkzeug")),
    "eventlet.wsgi": Mode("eventlet", ("-m", "interop.serve", "eventlet")),
}

# What must not be in a log: a level above INFO (our format puts it first, gunicorn in brackets), a trace of an exception, a
# failed answer. Werkzeug's own greeting says WARNING inside a record of level INFO: the word alone is no proof.
COMPLAINT = re.compile(
    r"^(?:WARNING|ERROR|CRITICAL)\b|\[(?:WARNING|ERROR|CRITICAL)\]|^Traceback|^Exception\b|Bad file descriptor"
    r"|HTTP/1\.[01][^ ]* 5\d\d\b"
)
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
    """The first truthy value of `condition()`; AssertionError naming `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen {value!r}")
        time.sleep(0.02)


class ServerProcess:
    """One server in a child process of its own, listening on a free port of 127.0.0.1."""

    def __init__(self, mode: Mode, options: dict[str, Any], log_path: Path) -> None:
        self.log_path = log_path
        self._checked = 0
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")])),
            "PYTHONUNBUFFERED": "1",
            MODE_VARIABLE: mode.async_mode,
            OPTIONS_VARIABLE: json.dumps(options),
        }
        with log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *mode.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=HERE,
                start_new_session=True,  # a group of its own: gunicorn's worker is signalled with its master
                preexec_fn=die_with_parent,
            )
        try:
            self.port = self._wait_until_listening()
        except BaseException:
            self.kill()
            raise

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def _wait_until_listening(self) -> int:
        def address() -> Any:
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended with {self._process.returncode}:\n{self.log()[-4000:]}")
            return ADDRESS.search(self.log())

        return int(wait_for(address, "the server says where it listens", START_SECONDS)[1])

    def get(self, path: str, **query: str) -> tuple[int, bytes]:
        """Status and body of a GET, on a connection of its own."""
        ended = self._process.poll()
        assert ended is None, f"the server has ended with {ended}:\n{self.log()[-4000:]}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}" if query else path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def journal(self, **client: str) -> dict[str, Any]:
        """What the application has seen of the client with that `sid` or `tag`; empty while it knows none."""
        status, body = self.get("/journal", **client)
        assert status in (200, 404), (status, body[:200])
        return dict(json.loads(body)) if status == 200 else {}

    def wait_until_closed(self, **client: str) -> dict[str, Any]:
        """The journal of that client once the application has been told that it is gone."""

        def closed() -> Any:
            journal = self.journal(**client)
            return journal if journal.get("disconnects") else None

        return dict(wait_for(closed, f"the application hears that {client} is gone"))

    def wait_until_received(self, message: str, **client: str) -> dict[str, Any]:
        """The journal of that client once the application has got that text from it."""

        def received() -> Any:
            journal = self.journal(**client)
            return journal if ["str", message] in journal.get("received", ()) else None

        return dict(wait_for(received, f"the application receives {message!r} of {client}"))

    def freeze(self) -> None:
        """Stop the server where it stands, as a hung machine would look from outside."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def assert_nothing_to_complain(self) -> None:
        """No traceback, no failed answer and no record at WARNING or above in what was logged since the last call."""
        log = self.log()
        new, self._checked = log[self._checked :], len(log)
        complaints = [line for line in new.splitlines() if COMPLAINT.search(line)]
        assert not complaints, "the server complained:\n" + "\n".join(complaints[:10]) + "\n\n... in:\n" + new[-6000:]

    def stop(self) -> None:
        """End the server as an operator would; it must go by itself, and quietly."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end within {STOP_SECONDS:g} s of SIGTERM:\n{self.log()[-4000:]}")
        finally:
            self.kill()
        self.assert_nothing_to_complain()

    def kill(self) -> None:
        """Make sure that nothing of the child is left, a stopped or forgotten worker included."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


class ServerPool:
    """The running servers of one mode: started when first asked for, one for each set of options, ended together."""

    def __init__(self, mode: Mode, log_folder: Path) -> None:
        self.mode = mode
        self._log_folder = log_folder
        self._running: dict[str, ServerProcess] = {}

    def get(self, **options: Any) -> ServerProcess:
        """The server with those options of `engineio_green.Server`, shared with the other tests that ask for the same ones."""
        key = json.dumps(options, sort_keys=True)
        if key not in self._running:
            log_path = self._log_folder / f"server-{len(self._running)}.log"
            self._running[key] = ServerProcess(self.mode, options, log_path)
        return self._running[key]

    def assert_nothing_to_complain(self) -> None:
        for server in self._running.values():
            server.assert_nothing_to_complain()

    def stop(self) -> None:
        failures = []
        for server in self._running.values():
            try:
                server.stop()
            except AssertionError as failure:
                failures.append(str(failure))
        self._running.clear()
        assert not failures, "\n\n".join(failures)
