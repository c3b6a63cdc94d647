"""The table of servers, and one server in a fresh child process: start, address, journal, log, stop.

Owns processes and their logs. Must not know what the cases test.
"""

from __future__ import annotations

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

import uwsgi_programs
from children import die_with_parent

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
    answers: str = ""
    """Cases, as a pattern of their names, that the server in front answers in its own way before we see them."""


def own(server: str) -> Callable[[int], list[str]]:
    """A server that `serve.py` starts."""
    return lambda port: ["-m", "scenarios.serve", server, str(port)]


def aio(server: str) -> Callable[[int], list[str]]:
    """A server that `aio_serve.py` starts."""
    return lambda port: ["-m", "scenarios.aio_serve", server, str(port)]


def gunicorn(*arguments: str) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        line = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--access-logfile", "-", "--graceful-timeout", "2"]
        return [*line, *_no_control_socket(), *arguments, "scenarios.app:app"]

    return command


def uwsgi(find: Callable[[], Path], *arguments: str) -> Callable[[int], list[str]]:
    """The uWSGI that *find* finds, which listens as *arguments* say, with `{address}` for the address."""

    def command(port: int) -> list[str]:
        address = f"127.0.0.1:{port}"
        return ["-m", "scenarios.uwsgi_serve", str(find()), *(argument.format(address=address) for argument in arguments)]

    return command


def _no_control_socket() -> list[str]:
    """Newer gunicorns share one control socket per user: two that run at once would disturb each other."""
    from gunicorn.config import KNOWN_SETTINGS

    known = {flag for setting in KNOWN_SETTINGS for flag in (setting.cli or [])}
    return ["--no-control-socket"] if "--no-control-socket" in known else []


SYNC_MODES = (
    Mode("gevent-pywsgi", "gevent", own("pywsgi")),
    Mode("werkzeug", "threading", own("werkzeug")),
    Mode("gunicorn-gthread", "threading", gunicorn("-k", "gthread", "--threads", "16")),
    Mode("gunicorn-gevent", "gevent", gunicorn("-k", "gevent")),
    Mode("eventlet", "eventlet", own("eventlet")),
)

# uvicorn drops what has come in one segment with an upgrade, answers 101 to HTTP/1.0 and 405 to a POST that wants one, does
# not answer a websocket's header of 60 KB, refuses an offer of extensions that it can't read, and warns of other upgrades.
BY_UVICORN = (
    "right_behind_the_request|half_a_frame_behind|upgrade_and_messages_in_one_segment|request_behind_an_upgrade"
    "|reaches_the_application_before_connect|frames_before_the_connect|upgrade_over_http_1_0|upgrade_by_another_method"
    "|sixty_kilobytes|no_reason_to_refuse.*;;;|offer_of_http_2"
)
# Tornado answers what is no HTTP to it (no Host, a length and chunks at once, a control character in a header, HTTP/2's
# preface) with a bare 400 and the end of the connection, which is all that an answer without a length needs.
BY_TORNADO = "a_length_and_chunks_at_once|upgrade_without_a_host|preface_of_http_2|begin_a_line_nor_colour_it"
ASYNC_MODES = (
    Mode("asgi-uvicorn", "asgi", aio("uvicorn"), answers=BY_UVICORN),
    Mode("aiohttp", "aiohttp", aio("aiohttp")),
    Mode("tornado", "tornado", aio("tornado"), answers=BY_TORNADO),
    Mode("sanic", "sanic", aio("sanic")),
)
# Every case runs on each of these. To leave one out, take out its line.
MODES = (*SYNC_MODES, *ASYNC_MODES)

# These run the cases that name them: `@pytest.mark.modes(*TLS_MODES)`.
SYNC_TLS_MODES = (
    Mode("gevent-pywsgi-tls", "gevent", own("pywsgi"), tls=True),
    Mode("werkzeug-tls", "threading", own("werkzeug"), tls=True),
)
TLS_MODES = (
    *SYNC_TLS_MODES,
    Mode("asgi-uvicorn-tls", "asgi", aio("uvicorn"), tls=True, answers=BY_UVICORN),
    Mode("aiohttp-tls", "aiohttp", aio("aiohttp"), tls=True),
    Mode("tornado-tls", "tornado", aio("tornado"), tls=True),
    Mode("sanic-tls", "sanic", aio("sanic"), tls=True),
)
PATCHED_MODES = (
    Mode("gevent-pywsgi-patched", "gevent", own("pywsgi-patched")),
    Mode("eventlet-patched", "eventlet", own("eventlet-patched")),
)
# As on a system that has neither epoll nor eventfd.
PORTABLE_MODES = (
    Mode("werkzeug-portable", "threading", own("werkzeug-portable")),
    Mode("eventlet-portable", "eventlet", own("eventlet-portable")),
)
# uWSGI's HTTP parser in the worker, and its router, a process in front; the built one has TLS, the wheel has none.
UWSGI_SOCKET = ("--http-socket", "{address}")
UWSGI_ROUTER = ("--http", "{address}", "--http-websockets")
UWSGI_MODES = (
    Mode("uwsgi-socket", "gevent_uwsgi", uwsgi(uwsgi_programs.built, *UWSGI_SOCKET)),
    Mode("uwsgi-router", "gevent_uwsgi", uwsgi(uwsgi_programs.built, *UWSGI_ROUTER)),
    Mode("pyuwsgi-socket", "gevent_uwsgi", uwsgi(uwsgi_programs.wheel, *UWSGI_SOCKET)),
    Mode("pyuwsgi-router", "gevent_uwsgi", uwsgi(uwsgi_programs.wheel, *UWSGI_ROUTER)),
)
UWSGI_TLS = Mode(
    "uwsgi-tls",
    "gevent_uwsgi",
    uwsgi(uwsgi_programs.built, "--https-socket", "{address},$SCENARIO_CERT,$SCENARIO_KEY"),
    tls=True,
)
UWSGI_FEW_CORES = Mode("pyuwsgi-4", "gevent_uwsgi", uwsgi(uwsgi_programs.wheel, *UWSGI_SOCKET, "--gevent", "4"))
FOUR_THREADS = Mode("gunicorn-gthread-4", "threading", gunicorn("-k", "gthread", "--threads", "4"))

# A line of the log that must not be there, by whomever it was written.
SUSPICIOUS = re.compile(r"WARNING|ERROR|CRITICAL|Traceback|Exception|Bad file descriptor|Warning:|\" 500 ")
# Said by Werkzeug's development server on each start.
HARMLESS = re.compile(r"This is a development server|EventletDeprecationWarning|running uWSGI as root")
# Said by the interpreter of sockets that live as long as the process; sockets that leak are found by counting descriptors.
AT_EXIT = "ResourceWarning"


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
            wait_until(self.answers, f"{mode.name} to answer", START_TIMEOUT, 0.05)
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

    def answers(self) -> bool:
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

    def journals(self) -> list[str]:
        """The session ids that the application has seen, in the order of their connect events."""
        found: list[str] = self._json("/journals")
        return found

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

    def processor_seconds(self) -> float:
        """Processor time that the process has used so far, by all of its threads."""
        fields = Path(f"/proc/{self.stats()['pid']}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

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

    @property
    def pid(self) -> int:
        return self._process.pid

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
