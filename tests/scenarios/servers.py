"""The table of servers, and one server in a fresh child process: start, address, journal, log, stop.

Owns processes and their logs. Must not know what the cases test.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .waiting import wait_until
from .wire import Connection

TESTS = Path(__file__).resolve().parents[1]
START_TIMEOUT = 30.0


@dataclass(frozen=True)
class Mode:
    """One way to run the application: a driver, and the server in front of it."""

    name: str
    async_mode: str
    command: Callable[[int], list[str]]
    tls: bool = False


def own(server: str) -> Callable[[int], list[str]]:
    """A server that `serve.py` starts."""
    return lambda port: ["-m", "scenarios.serve", server, str(port)]


def gunicorn(*arguments: str) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        line = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--access-logfile", "-", "--graceful-timeout", "2"]
        return [*line, *_no_control_socket(), *arguments, "scenarios.app:app"]

    return command


def _no_control_socket() -> list[str]:
    """Newer gunicorns share one control socket per user: two that run at once would disturb each other."""
    from gunicorn.config import KNOWN_SETTINGS

    known = {flag for setting in KNOWN_SETTINGS for flag in (setting.cli or [])}
    return ["--no-control-socket"] if "--no-control-socket" in known else []


# Every case runs on each of these. To leave one out, take out its line.
MODES = (
    Mode("gevent-pywsgi", "gevent", own("pywsgi")),
    Mode("werkzeug", "threading", own("werkzeug")),
    Mode("gunicorn-gthread", "threading", gunicorn("-k", "gthread", "--threads", "16")),
    Mode("gunicorn-gevent", "gevent", gunicorn("-k", "gevent")),
    Mode("eventlet", "eventlet", own("eventlet")),
)

# These run the cases that name them: `@pytest.mark.modes(*TLS_MODES)`.
TLS_MODES = (
    Mode("gevent-pywsgi-tls", "gevent", own("pywsgi"), tls=True),
    Mode("werkzeug-tls", "threading", own("werkzeug"), tls=True),
)
PATCHED_MODES = (
    Mode("gevent-pywsgi-patched", "gevent", own("pywsgi-patched")),
    Mode("eventlet-patched", "eventlet", own("eventlet-patched")),
)
FOUR_THREADS = Mode("gunicorn-gthread-4", "threading", gunicorn("-k", "gthread", "--threads", "4"))

# A line of the log that must not be there, by whomever it was written.
SUSPICIOUS = re.compile(r"WARNING|ERROR|CRITICAL|Traceback|Exception|Bad file descriptor|Warning:|\" 500 ")
# Said by Werkzeug's development server on each start.
HARMLESS = re.compile(r"This is a development server|EventletDeprecationWarning")
# Said by the interpreter of sockets that live as long as the process; sockets that leak are found by counting descriptors.
AT_EXIT = "ResourceWarning"


def die_with_parent() -> None:
    """Runs in the child before its program: a test run that is killed leaves no servers behind (Linux)."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One child process that serves the scenario application."""

    host = "127.0.0.1"

    def __init__(self, mode: Mode, options: dict[str, Any], folder: Path, certificate: tuple[Path, Path] | None = None):
        self.mode = mode
        self.options = options
        self.port = free_port()
        self.log_path = folder / f"{mode.name}-{self.port}.log"
        self._certificate = certificate
        self._checked = 0
        self._process = self._start()
        try:
            wait_until(self._answers, f"{mode.name} to answer", START_TIMEOUT, 0.05)
            self.check_log()
            self.at_start = self.stats()
        except BaseException:
            self.kill()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        env = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONWARNINGS="default::ResourceWarning")
        env.update(SCENARIO_ASYNC_MODE=self.mode.async_mode, SCENARIO_OPTIONS=json.dumps(self.options))
        if self.mode.tls:
            assert self._certificate
            env.update(SCENARIO_CERT=str(self._certificate[0]), SCENARIO_KEY=str(self._certificate[1]))
        with self.log_path.open("wb") as log:
            command = [sys.executable, *self.mode.command(self.port)]
            return subprocess.Popen(
                command,
                cwd=TESTS,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"{self.mode.name} ended with {self._process.returncode}:\n{self.log_tail()}")
        try:
            return bool(self.stats())
        except (OSError, AssertionError):
            return False

    @property
    def tls_context(self) -> ssl.SSLContext | None:
        if not self.mode.tls:
            return None
        assert self._certificate
        return ssl.create_default_context(cafile=str(self._certificate[0]))

    # the journal

    def _json(self, target: str) -> Any:
        connection = Connection(self.host, self.port, self.tls_context)
        try:
            response = connection.request("GET", target, [("Connection", "close")])
        finally:
            connection.close()
        assert response.status == 200, f"{target}: {response.status} {response.body[:200]!r}"
        return response.json()

    def stats(self) -> dict[str, Any]:
        """Threads, greenlets, descriptors, memory, sessions of the process that serves."""
        found: dict[str, Any] = self._json("/stats")
        return found

    def events(self, sid: str) -> list[tuple[str, Any]]:
        """What the application saw of one client, in order."""
        return [(what, detail) for what, detail in self._json(f"/events?sid={sid}")]

    def received(self, sid: str) -> list[str]:
        """The messages of one client as `type:text`."""
        return [detail for what, detail in self.events(sid) if what == "message"]

    def disconnects(self, sid: str) -> list[str]:
        """The reasons of one client's disconnect events; more than one is a fault."""
        return [detail for what, detail in self.events(sid) if what == "disconnect"]

    def wait_disconnected(self, sid: str, timeout: float = 5.0) -> str:
        """The reason of the one disconnect event."""
        wait_until(lambda: self.disconnects(sid), f"the disconnect of {sid}", timeout)
        reasons = self.disconnects(sid)
        assert len(reasons) == 1, f"disconnect events: {reasons}"
        return reasons[0]

    # the log

    def new_log(self) -> str:
        """What was logged since the last check."""
        with self.log_path.open("rb") as log:
            log.seek(self._checked)
            data = log.read()
        self._checked += len(data)
        return data.decode("utf-8", "replace")

    def check_log(self, expected: Iterable[str] = ()) -> None:
        """Nothing suspicious since the last check, but for what matches an `expected` pattern."""
        lines = self.new_log().splitlines()
        allowed = [HARMLESS, *(re.compile(pattern) for pattern in expected)]
        bad = [line for line in lines if SUSPICIOUS.search(line) and not any(rule.search(line) for rule in allowed)]
        assert not bad, f"{self.mode.name} logged:\n" + "\n".join(lines[-80:])

    def log_tail(self) -> str:
        return self.log_path.read_text("utf-8", "replace")[-4000:]

    # the end

    def alive(self) -> bool:
        return self._process.poll() is None

    def check_nothing_leaked(self) -> None:
        """Sessions, descriptors and threads are back to where they were when the server started."""

        def settled() -> bool:
            now = self.stats()
            return now["sessions"] == 0 and now["descriptors"] <= self.at_start["descriptors"] + 3

        wait_until(settled, f"{self.mode.name} to let go of what the tests left; {self.at_start} {self.stats()}", 10, 0.1)

    def stop(self) -> None:
        """End the process and what it started; its last words must be clean, too."""
        if self.alive():
            self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 8
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        ended = not self.alive()
        self.kill()
        assert ended, f"{self.mode.name} did not end within 8 s of SIGTERM:\n{self.log_tail()}"
        self.check_log([AT_EXIT])

    def kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # all gone already
        self._process.wait()
