"""The table of servers, and one of them in a fresh process: start, restart, what it says over HTTP, its log, its end.

Runs in pytest's process and knows the server from outside only. Must not import the package or the applications.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import uwsgi_programs
from programs import PATIENCE, ROOT, Program, free_port
from scenarios.servers import HARMLESS, SUSPICIOUS
from scenarios.waiting import wait_until

from .application import MODE_VARIABLE

TESTS = ROOT / "tests"
# What the client is told about transports. By itself it begins with polling and goes to websocket.
WAYS: dict[str, dict[str, Any]] = {
    "polling": {"transports": ["polling"]},
    "websocket": {"transports": ["websocket"]},
    "upgrade": {},
}
ORDERED, STRICT = "/ordered.io", "/strict.io"
STOP_SECONDS = 15.0
# By Flask-SocketIO, where there is no terminal.
SAID_AT_START = re.compile(r"Werkzeug appears to be used in a production deployment")


@dataclass(frozen=True)
class Setup:
    """One way to run one of the applications."""

    name: str
    async_mode: str
    command: Callable[[int, Path], list[str]]
    path: str = "/socket.io"
    """Where the main Socket.IO server answers."""

    @property
    def is_flask(self) -> bool:
        return self.name.startswith("flask")


def own(name: str) -> Callable[[int, Path], list[str]]:
    """What serve.py starts."""
    return lambda port, _: [sys.executable, "-m", "socket_io.serve", name, str(port)]


def gunicorn(application: str, worker: str) -> Callable[[int, Path], list[str]]:
    """gunicorn's worker of that name, by our configuration file."""

    def command(port: int, _: Path) -> list[str]:
        from gunicorn.config import KNOWN_SETTINGS

        known = {flag for setting in KNOWN_SETTINGS for flag in (setting.cli or [])}
        control = [flag for flag in ("--no-control-socket",) if flag in known]  # newer versions share one socket per user
        line = [sys.executable, "-m", "gunicorn", "-c", "python:engineio_green.gunicorn_conf", "-k", worker, *control]
        return [*line, "--bind", f"127.0.0.1:{port}", application]

    return command


def uwsgi(module: str) -> Callable[[int, Path], list[str]]:
    """uWSGI by our `uwsgi.ini`, in which only the address and the application are others."""

    def command(port: int, folder: Path) -> list[str]:
        text = (ROOT / "uwsgi.ini").read_text()
        for line, other in {
            "http = 127.0.0.1:5000": f"http = 127.0.0.1:{port}",
            "wsgi-file = examples/latency.py": f"module = {module}",
            "pythonpath = %d": f"pythonpath = {TESTS}",
            "#env = ENGINEIO_GREEN_AS_ENGINEIO=1": "env = ENGINEIO_GREEN_AS_ENGINEIO=1",
        }.items():
            assert f"\n{line}\n" in text, f"uwsgi.ini has no line {line!r}"
            text = text.replace(f"\n{line}\n", f"\n{other}\n")
        copy = folder / f"{module}.ini"
        copy.write_text(text)
        return [str(uwsgi_programs.wheel()), "--ini", str(copy)]

    return command


def uvicorn(application: str, *how: str) -> Callable[[int, Path], list[str]]:
    """uvicorn, which knows nothing of us, by `python -m engineio_green run`."""
    line = [sys.executable, "-m", "engineio_green", "run", *(how or ["uvicorn"])]
    line += ["--factory", f"socket_io.asgi_app:{application}"]
    return lambda port, _: [*line, "--host", "127.0.0.1", "--port", str(port)]


SETUPS = (
    Setup("socketio-werkzeug", "threading", own("werkzeug")),
    Setup("socketio-gevent", "gevent", own("gevent")),
    Setup("socketio-eventlet", "eventlet", own("eventlet")),
    Setup("socketio-uwsgi", "gevent_uwsgi", uwsgi("socket_io.wsgi_app")),
    Setup("socketio-gunicorn-gthread", "threading", gunicorn("socket_io.wsgi_app:app", "gthread")),
    Setup("socketio-gunicorn-gevent", "gevent", gunicorn("socket_io.wsgi_app:app", "gevent")),
    Setup("socketio-gunicorn-eventlet", "eventlet", gunicorn("socket_io.wsgi_app:app", "eventlet")),
    Setup("flask-werkzeug", "threading", own("flask_on_threads")),
    Setup("flask-gevent", "gevent", own("flask_on_gevent")),
    Setup("flask-eventlet", "eventlet", own("flask_on_eventlet")),
    Setup("flask-uwsgi", "gevent_uwsgi", uwsgi("socket_io.flask_app")),
    Setup("flask-gunicorn-gthread", "threading", gunicorn("socket_io.flask_app:app", "gthread")),
    Setup("flask-gunicorn-gevent", "gevent", gunicorn("socket_io.flask_app:app", "gevent")),
    Setup("flask-gunicorn-eventlet", "eventlet", gunicorn("socket_io.flask_app:app", "eventlet")),
    Setup("asgi-plain", "asgi", uvicorn("plain")),
    Setup("asgi-starlette", "asgi", uvicorn("starlette", "-m", "uvicorn")),
    Setup("asgi-fastapi", "asgi", uvicorn("fastapi_at_root")),
    Setup("asgi-fastapi-ws", "asgi", uvicorn("fastapi_below_ws"), "/ws/socket.io"),
    Setup("asgi-fastapi-ws-whole", "asgi", uvicorn("fastapi_below_ws_by_its_whole_path"), "/ws/socket.io"),
)


class Server:
    """One setup, running. A restart keeps the port."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup = setup
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._start()

    def _start(self) -> None:
        self._checked = 0
        env = {MODE_VARIABLE: self.setup.async_mode}
        if "gunicorn" in self.setup.name:  # the other programs have other ways to say so
            env["ENGINEIO_GREEN_AS_ENGINEIO"] = "1"
        self.program = Program(self.setup.command(self.port, self._folder), env, TESTS)
        try:
            self.program.wait_for_answer(f"{self.origin}/engine")
        except BaseException:
            self.kill()
            raise

    def options(self, way: str = "upgrade", path: str | None = None, **more: Any) -> dict[str, Any]:
        """What a client needs in order to connect: to the main Socket.IO server, or to the one at *path*."""
        return {"path": path or self.setup.path, **WAYS[way], **more}

    def get(self, path: str, **query: str) -> Any:
        """The answer to a GET, which is JSON."""
        answer = requests.get(f"{self.origin}{path}", query, timeout=PATIENCE)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json()

    def post(self, path: str, **query: str) -> None:
        answer = requests.post(f"{self.origin}{path}", params=query, timeout=PATIENCE)
        assert answer.status_code == 200, (answer.status_code, answer.text)

    def journal(self, tag: str) -> dict[str, list[str]]:
        """What the application has seen of the client with that tag."""
        return dict(self.get("/journal", tag=tag))

    def wait_connected(self, tag: str) -> None:
        wait_until(lambda: self.journal(tag)["connected"], f"the connect handler for {tag}", PATIENCE, 0.02)

    def wait_noted(self, tag: str) -> None:
        wait_until(lambda: self.journal(tag)["notes"], f"a note of {tag}", PATIENCE, 0.02)

    def wait_disconnected(self, tag: str) -> list[str]:
        """The reasons that the disconnect handler was called with; more than one is a fault."""
        return wait_until(lambda: self.journal(tag)["reasons"], f"the disconnect handler for {tag}", PATIENCE, 0.02)

    def check_log(self) -> None:
        """Nothing suspicious since the last check."""
        output = self.program.output
        new, self._checked = output[self._checked :], len(output)
        lines = new.splitlines()
        bad = [line for line in lines if SUSPICIOUS.search(line) and not HARMLESS.search(line) and not SAID_AT_START.search(line)]
        assert not bad, f"{self.setup.name} logged:\n" + "\n".join(bad[:10]) + "\n\n... in:\n" + new[-6000:]

    def restart(self) -> None:
        """End the process as an operator would, and start another one in its place."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """End the process as an operator would; it must go by itself and quietly."""
        self.program.signal(signal.SIGTERM)
        try:
            self.program.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            output = self.program.output[-4000:]
            raise AssertionError(f"{self.setup.name} did not end within {STOP_SECONDS:g} s:\n{output}") from None
        finally:
            self.kill()
        self.check_log()

    def kill(self) -> None:
        """Nothing of the process is left."""
        self.program.__exit__(None, None, None)


class Shelf:
    """The one server that is up: the tests come sorted by server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: Server | None = None
        self._failed: dict[str, str] = {}

    def get(self, setup: Setup) -> Server:
        """That server, started if it is not the one that is up."""
        if self._running is None or self._running.setup != setup:
            self.clear()
            assert setup.name not in self._failed, f"it has failed before: {self._failed[setup.name]}"
            try:
                self._running = Server(setup, self._folder)
            except Exception as error:
                self._failed[setup.name] = str(error)
                raise
        return self._running

    def clear(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.stop()
