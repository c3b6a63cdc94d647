"""Servers of two models and two hubs in one process: a message from any handler reaches any client, at once and in order."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import die_with_parent

from .client import Client, Polling, SessionSocket, decode_packet
from .servers import TESTS, free_port
from .waiting import wait_until


class Place:
    """Where a server listens."""

    host = "127.0.0.1"
    tls_context = None

    def __init__(self) -> None:
        self.port = free_port()

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[list[Client]]:
    places = [Place() for _ in range(3)]
    command = [sys.executable, "-m", "scenarios.three_servers", *(str(place.port) for place in places)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        program = subprocess.Popen(command, cwd=TESTS, stdout=output, stderr=output, preexec_fn=die_with_parent)
    try:
        wait_until(lambda: all(place.listens() for place in places), "three servers to listen", 20)
        clients = [Client(place) for place in places]
        yield clients
        for client in clients:
            client.close_all()
        assert "Traceback" not in log.read_text()
    finally:
        program.kill()
        program.wait()


def receive(session: Polling | SessionSocket, count: int) -> list[str]:
    """Text messages, in the order in which they came."""
    if isinstance(session, SessionSocket):
        return [str(data) for data in session.receive_data(count)]
    found: list[str] = []
    while len(found) < count:
        found += [str(decode_packet(packet)) for packet in session.poll()]
    return found


def test_every_handler_reaches_every_client_of_every_server(clients: list[Client]):
    sessions: list[Polling | SessionSocket] = [client.open_websocket() for client in clients]
    sessions += [client.open_polling() for client in clients]
    held = [session.begin_poll() for session in sessions[3:] if isinstance(session, Polling)]
    began = time.monotonic()
    for number, session in enumerate(sessions[:3]):
        assert isinstance(session, SessionSocket)
        session.send_data(f"from {number}")
        expected = [f"{number} from {number}"]
        assert [receive(other, 1) for other in sessions[:3]] == [expected] * 3
        if number == 0:
            assert [poll.packets() for poll in held] == [["40 from 0"]] * 3
        else:
            assert [receive(other, 1) for other in sessions[3:]] == [expected] * 3
    assert time.monotonic() - began < 2, "somebody was woken by the clock only"


def test_what_one_client_says_keeps_its_order_on_every_server(clients: list[Client]):
    sessions = [client.open_websocket() for client in clients]
    for start in range(0, 300, 50):
        for session in sessions:
            session.send_data(*(f"{number}" for number in range(start, start + 50)))
    for session in sessions:
        found = receive(session, 900)
        for number in range(3):
            assert [text for text in found if text.startswith(f"{number} ")] == [f"{number} {index}" for index in range(300)]
