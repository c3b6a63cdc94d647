"""The client against servers of others: the official one on Node, and the compatible Python one on threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import die_with_parent
from interop.toolchain import ToolMissing, find_node, find_program
from scenarios.waiting import wait_until

from engineio_green.exceptions import ConnectionError

from .recording import TRANSPORTS

HERE = Path(__file__).parent
# Installed beside these tests, as package-lock.json names it; and into pytest's cache, for this interpreter.
SERVER = HERE / "node_modules" / "engine.io" / "package.json"
PEER = ("python-engineio==4.15.1", "bidict==0.23.1", "simple-websocket==1.1.0", "wsproto==1.3.2", "h11==0.16.0")
PING = 2.0


class Foreign:
    """A server of somebody else's in a child process; what it says is read all the time."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=HERE, env={**os.environ, **env}, stdout=-1, stderr=-1, text=True, preexec_fn=die_with_parent
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        wait_until(lambda: any(line.startswith("listening at ") for line in self.lines), f"{command} to listen", 20)
        self.url = next(line for line in self.lines if line.startswith("listening at ")).split()[-1]

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    def closed(self, sid: str) -> str:
        """Why a session has ended, as the server sees it."""
        found = wait_until(lambda: [line for line in self.lines if line.startswith(f"closed {sid} ")], f"the end of {sid}")
        assert len(found) == 1
        return str(found[0].split(" ", 2)[2])

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def install_node_server() -> str:
    node = find_node()
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]["node_modules/engine.io"]["version"]
    if not SERVER.exists() or json.loads(SERVER.read_text())["version"] != locked:
        npm = find_program("npm", "npm", variable="NPM")
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=100)
    return str(node)


def install_peer(folder: Path) -> None:
    wanted = " ".join(PEER)
    mark = folder / "installed.txt"
    if not mark.exists() or mark.read_text() != wanted:
        # Beside this environment, not in it: what is needed to serve is here already, the rest must not be.
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(folder), *PEER]
        subprocess.run(command, check=True, capture_output=True, timeout=100)
        mark.write_text(wanted)


@pytest.fixture(scope="module", params=["node", "python"])
def foreign(request: pytest.FixtureRequest) -> Iterator[Foreign]:
    try:
        if request.param == "node":
            options = json.dumps({"pingInterval": PING * 500, "pingTimeout": PING * 500})
            command, env = [install_node_server(), "node_server.js", options], {}
        else:
            folder = request.config.cache.mkdir(f"peer-{sys.version_info[0]}.{sys.version_info[1]}")
            install_peer(folder)
            command = [sys.executable, "peer_server.py", str(PING / 2), str(PING / 2)]
            env = {"PYTHONPATH": str(folder)}
    except (ToolMissing, subprocess.CalledProcessError) as missing:
        pytest.fail(f"{missing} {getattr(missing, 'stderr', '')!r}", pytrace=False)
    server = Foreign(command, env)
    yield server
    server.kill()


def test_messages_of_every_kind_come_back_and_the_goodbye_arrives(foreign, transports, make):
    recorder = make()
    client = recorder.client
    client.connect(foreign.url, transports=transports)
    recorder.wait_transport("polling" if transports == ["polling"] else "websocket")
    sid = client.sid
    sent = ["text", "ä€😀", b"\0\xff", {"a": [1, None]}, ["x"], "12", "x" * 50_000, b"y" * 50_000]
    for data in sent:
        client.send(data)
    assert recorder.wait_messages(len(sent)) == sent
    client.disconnect()
    assert recorder.of("disconnect") == ["client disconnect"]
    assert foreign.closed(sid) in ("client disconnect", "transport close")


def test_burst_is_delivered_whole_in_order_and_before_the_goodbye(foreign, transports, make, request):
    recorder = make()
    recorder.client.connect(foreign.url, transports=transports)
    for number in range(500):
        recorder.client.send(f"n{number}")
    messages = recorder.wait_messages(500, 30)
    # The Python server starts a thread for each message: what it echoes comes in no order.
    expected = [f"n{number}" for number in range(500)]
    assert (messages if "node" in request.node.name else sorted(messages, key=lambda text: int(text[1:]))) == expected


def test_goodbye_of_the_server_comes_behind_its_messages(foreign, transports, make, request):
    recorder = make()
    recorder.client.connect(foreign.url, transports=transports)
    recorder.wait_transport("polling" if transports == ["polling"] else "websocket")
    recorder.client.send({"cmd": "disconnect", "n": 5})
    # The Python server may let a poll that comes a moment later find no session, nor what waited for it.
    assert recorder.wait_disconnect() in ("server disconnect", "transport close", "transport error")
    expected = [f"{number}:" for number in range(5)]
    least = 5 if "node" in request.node.name or transports == ["websocket"] else 0
    assert len(recorder.messages) >= least
    assert recorder.messages == expected[: len(recorder.messages)]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_refusal_is_an_error(foreign, make, transport):
    with pytest.raises(ConnectionError) as caught:
        make().client.connect(f"{foreign.url}/?reject=1", transports=[transport])
    assert caught.value.status in (400, 401, 403)
    # The Python server gives a websocket no reason that could be read.
    assert "go away" in str(caught.value) or (transport, caught.value.status) == ("websocket", 401)


def test_heartbeats_keep_it_and_a_server_that_stops_is_noticed(foreign, make):
    recorders = [make(request_timeout=1) for _ in TRANSPORTS]
    for recorder, transports in zip(recorders, TRANSPORTS.values(), strict=True):
        recorder.client.connect(foreign.url, transports=transports)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > PING * 1.2, "heartbeats", PING * 2)
    for recorder in recorders:
        recorder.client.send("still here")
        recorder.wait_messages(1)
    foreign.signal(signal.SIGSTOP)
    try:
        for recorder in recorders:
            assert recorder.wait_disconnect(PING + 2) == "ping timeout"
    finally:
        foreign.signal(signal.SIGCONT)
