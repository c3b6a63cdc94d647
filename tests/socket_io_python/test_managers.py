"""Several processes behind one Redis: each emit reaches each member of a room once, in whatever process, and answers come back.

The Redis is a real one, of this run alone. Every pair of models is tried, since each listens to it in its own way.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import Program, free_port

from .conftest import NEWEST, Clients
from .serving import KINDS, Served, Servers, unique_user
from .talking import RemoteClient

PAIRS = [
    ("newest-threading", "newest-gevent"),
    ("newest-gevent", "newest-gevent"),
    ("newest-flask-gevent", "newest-threading"),
    ("newest-flask-threading", "newest-flask-threading"),
    ("newest-asyncio", "newest-asyncio"),
]
EXTERNAL = """
import engineio_green; engineio_green.install_as_engineio()
import socketio, sys
manager = socketio.RedisManager(sys.argv[1], channel=sys.argv[2], write_only=True)
manager.emit("told", ("from outside", b"bytes"), namespace="/", room=sys.argv[3])
print("emitted")
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis that keeps nothing."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.fail("These tests need redis-server: apt-get install redis-server", pytrace=False)
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with Program(command, cwd=Path(folder)) as running:
        running.wait_for_output("Ready to accept connections")
        yield f"redis://127.0.0.1:{port}/0"


class Two:
    """Two processes with the same channel."""

    def __init__(self, names: tuple[str, str], url: str, servers: Servers, clients: Clients) -> None:
        self.channel = unique_user("channel")
        self.served = [Served(KINDS[name], url, self.channel) for name in names]
        self._clients = clients

    def connect(self, number: int, user: str | None = None) -> RemoteClient:
        url, options = self.served[number].introduction(user or unique_user())
        return self._clients.make(NEWEST).connect(url, "websocket", namespaces=["/"], **options)


@pytest.fixture(params=PAIRS, ids="-and-".join)
def two(request: pytest.FixtureRequest, redis: str, servers: Servers, prepare, clients: Clients) -> Iterator[Two]:
    for name in request.param:
        prepare(KINDS[name].release)
    running = Two(request.param, redis, servers, clients)
    yield running
    clients.disconnect_all()
    for served in running.served:
        served.check_log()
        served.end()


def test_a_room_across_processes_gets_each_emit_once_and_in_order(two: Two):
    members = [two.connect(0), two.connect(1), two.connect(1)]
    stranger, room = two.connect(0), unique_user("room")
    for member in members:
        assert member.call("join", room) is True
    for number in range(20):
        assert members[number % 3].call("tell", room, number, b"\0\1") is True
    for member in members:
        told = member.wait_for("told", 20)
        assert sorted(value for value, _ in told) == list(range(20))
        own = [value for value, _ in told if value % 3 == 0]
        assert own == sorted(own)  # what one process emits comes in its order
        assert all(data == b"\0\1" for _, data in told)
    assert members[0].call("tell", None, "everybody") is True
    assert stranger.wait_for("told") == [["everybody"]]
    for member in members:
        assert member.wait_for("told", 21)[20:] == [["everybody"]]


def test_an_answer_comes_back_from_the_other_process(two: Two):
    asking, asked = two.connect(0), two.connect(1)
    asking.emit("ask", asked.sid(), "how?")
    assert asking.wait_for("answered") == [["answer", "how?"]]


def test_a_process_that_only_emits_reaches_both(two: Two, redis: str):
    members, room = [two.connect(0), two.connect(1)], unique_user("room")
    for member in members:
        assert member.call("join", room) is True
    with Program([sys.executable, "-c", EXTERNAL, redis, two.channel, room]) as program:
        assert program.wait() == 0, program.output
    for member in members:
        assert member.wait_for("told") == [["from outside", b"bytes"]]


def test_a_client_of_the_other_process_can_be_disconnected(two: Two):
    user = unique_user("other")
    one, other = two.connect(0), two.connect(1, user)
    one.emit("end", other.sid())
    other.wait_for("disconnect")
    two.served[1].gone(user)
    assert one.call("echo", "still here") == "still here"
