"""Real programs in child processes, and the shortest clients that can talk to them.

Owns starting a command, reading what it prints, stopping it by its own pid, and one echo by each transport. Knows nothing
of what a program is for. The clients are plain HTTP and websocket-client, so nothing of the package tests itself.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests
import websocket
from children import die_with_parent
from scenarios.waiting import wait_until

from engineio_green.drivers.choice import DRIVERS

ROOT = Path(__file__).parent.parent
PATIENCE = 30.0


def free_port() -> int:
    """A port that nothing listens on at this moment, for programs that can't be asked which one they got."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: this interpreter's programs come first in PATH, output is not held back."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **(extra or {})}


def supported_modes() -> list[str]:
    """The concurrency models that this version of the package has a driver for."""
    return [mode for mode in ("gevent", "threading", "eventlet") if mode in DRIVERS]


def gunicorn_arguments(port: int) -> str:
    """For GUNICORN_CMD_ARGS: where to listen, so that a command can be run as it is written for its readers."""
    from gunicorn.config import KNOWN_SETTINGS

    # Newer versions share one control socket per user: two that run at once would disturb each other.
    known = {flag for setting in KNOWN_SETTINGS for flag in (setting.cli or [])}
    control = " --no-control-socket" if "--no-control-socket" in known else ""
    return f"--bind 127.0.0.1:{port}{control}"


class Program:
    """A command that runs until it is stopped; `with` ends it in any case. Its output is read all the time."""

    def __init__(self, command: Sequence[str] | str, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> None:
        self.command = command
        self.output = ""
        # A string goes through the shell, which is replaced by the program so that signals and exit codes are its own.
        shell = isinstance(command, str)
        self._process = subprocess.Popen(
            f"exec env {command}" if shell else command,
            shell=shell,
            cwd=cwd,
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A group of its own, as a terminal would give it: what the program itself starts can be ended with it.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.output += line

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(5)

    def wait_for_output(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """The first match in what the program has printed; a program that ended before is a failure."""

        def look() -> re.Match[str] | None:
            ended = self._process.poll() is not None
            found = re.search(pattern, self.output, re.MULTILINE)
            assert found or not ended, f"{self.command} ended without {pattern!r}:\n{self.output}"
            return found

        try:
            return wait_until(look, f"{pattern!r} in the output of {self.command}", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None

    def wait_for_answer(self, url: str, timeout: float = PATIENCE) -> None:
        """Return as soon as a GET gets any answer."""

        def ask() -> bool:
            assert self._process.poll() is None, f"{self.command} ended:\n{self.output}"
            try:
                requests.get(url, timeout=timeout)
            except requests.ConnectionError:
                return False
            return True

        wait_until(ask, f"an answer from {self.command} at {url}", timeout, pause=0.05)

    def signal(self, number: int) -> None:
        """A signal to the program alone, as a service manager sends it."""
        os.kill(self._process.pid, number)

    def interrupt(self, timeout: float = 15.0) -> int:
        """Ctrl-C, as a terminal sends it; returns the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.wait(timeout)

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit code of a program that ends by itself, once all its output has been read."""
        code = self._process.wait(timeout)
        self._reader.join(5)
        return code


class PollingSession:
    """One session by plain HTTP requests."""

    def __init__(self, url: str) -> None:
        self._http = requests.Session()
        self._endpoint = f"{url.rstrip('/')}/engine.io/"
        self._query = {"EIO": "4", "transport": "polling"}
        opening, *self._received = self._get()
        assert opening[0] == "0", opening
        self.handshake = json.loads(opening[1:])
        self._query["sid"] = self.handshake["sid"]

    def _get(self) -> list[str]:
        answer = self._http.get(self._endpoint, params=self._query, timeout=PATIENCE)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.content.decode().split("\x1e")

    def send(self, text: str) -> None:
        """One message."""
        answer = self._http.post(self._endpoint, params=self._query, data=f"4{text}".encode(), timeout=PATIENCE)
        assert (answer.status_code, answer.text) == (200, "ok"), (answer.status_code, answer.text)

    def receive(self) -> str:
        """The next message; pings are answered on the way."""
        while True:
            while not self._received:
                self._received += self._get()
            packet = self._received.pop(0)
            if packet[0] == "4":
                return packet[1:]
            if packet[0] == "2":
                self._http.post(self._endpoint, params=self._query, data="3", timeout=PATIENCE)

    def close(self) -> None:
        """Say goodbye."""
        self._http.post(self._endpoint, params=self._query, data="1", timeout=PATIENCE)
        self._http.close()


class WebSocketSession:
    """One session by websocket, from the start or as the upgrade of a session that polls."""

    def __init__(self, url: str, upgrade_of: PollingSession | None = None) -> None:
        address = f"{url.rstrip('/').replace('http', 'ws', 1)}/engine.io/?EIO=4&transport=websocket"
        if upgrade_of:
            address += f"&sid={upgrade_of.handshake['sid']}"
        self._socket = websocket.create_connection(address, timeout=PATIENCE)
        if upgrade_of:
            self._socket.send("2probe")
            assert self._socket.recv() == "3probe"
            self._socket.send("5")
        else:
            assert self._socket.recv()[0] == "0"

    def send(self, text: str) -> None:
        """One message."""
        self._socket.send(f"4{text}")

    def receive(self) -> str:
        """The next message; pings are answered on the way."""
        while True:
            frame = self._socket.recv()
            if frame[:1] == "4":
                return str(frame[1:])
            if frame[:1] == "2":
                self._socket.send("3")

    def close(self) -> None:
        """Say goodbye."""
        self._socket.close()


def check_echo(url: str) -> None:
    """A message by polling, one by websocket, and one by a session that starts on the first and upgrades to the second."""
    polling, direct = PollingSession(url), WebSocketSession(url)
    for session, text in ((polling, "by polling, ä€"), (direct, "by websocket, ä€")):
        session.send(text)
        assert session.receive() == text
    direct.close()
    assert "websocket" in polling.handshake["upgrades"]
    upgraded = WebSocketSession(url, upgrade_of=polling)
    upgraded.send("by the upgraded session")
    assert upgraded.receive() == "by the upgraded session"
    upgraded.close()
