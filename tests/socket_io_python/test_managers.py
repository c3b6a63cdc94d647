"""Several processes behind one Redis: each emit reaches each member of a room once, in whatever process, and answers come back.

The Redis is a real one, of this run alone. Every pair of models is tried, since each listens to it in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from programs import Program

from .conftest import NEWEST, Clients, Preparation
from .environments import NEWEST_RELEASE, OLDEST_ASYNCIO_RELEASE, OLDEST_RELEASE
from .serving import KINDS, Served, unique_user
from .talking import RemoteClient

PAIRS = [
    ("newest-threading", "newest-gevent"),
    ("newest-gevent", "newest-gevent"),
    ("newest-flask-gevent", "newest-threading"),
    ("newest-flask-threading", "newest-flask-threading"),
    ("newest-asyncio", "newest-asyncio"),
    ("newest-gevent", "newest-asyncio"),
    ("oldest-threading", "oldest-gevent"),
    ("oldest-flask-threading", "oldest-flask-gevent"),
    ("oldest-asyncio", "oldest-asyncio"),
]
# What emits without clients of its own, and on which old release it can run here.
EXTERNAL = {"RedisManager": OLDEST_RELEASE, "AsyncRedisManager": OLDEST_ASYNCIO_RELEASE, "SocketIO": OLDEST_RELEASE}
BOTH = ["/", "/second"]


class Two:
    """Two processes with the same channel."""

    def __init__(self, names: tuple[str, str], url: str) -> None:
        self.channel = unique_user("channel")
        self.served: list[Served] = []
        try:
            for name in names:
                self.served.append(Served(KINDS[name], url, self.channel))
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        for served in self.served:
            served.end()


class Connecting:
    """Connects clients to one of two processes."""

    def __init__(self, two: Two, clients: Clients) -> None:
        self.served, self.channel = two.served, two.channel
        self._clients = clients

    def connect(self, number: int, user: str | None = None, namespaces: list[str] | None = None) -> RemoteClient:
        url, options = self.served[number].introduction(user or unique_user())
        return self._clients.make(NEWEST).connect(url, "websocket", namespaces=namespaces or ["/"], **options)


@pytest.fixture(scope="module", params=PAIRS, ids="-and-".join)
def running(request: pytest.FixtureRequest, redis: str, prepare: Preparation) -> Iterator[Two]:
    for name in request.param:
        prepare(KINDS[name].release)
    made = Two(request.param, redis)
    yield made
    made.end()


@pytest.fixture
def two(running: Two, clients: Clients) -> Iterator[Connecting]:
    yield Connecting(running, clients)
    for served in running.served:
        served.check_log()


def test_a_room_across_processes_gets_each_emit_once_and_in_order(two: Connecting):
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


def test_an_answer_comes_back_from_the_other_process(two: Connecting):
    asking, asked = two.connect(0), two.connect(1)
    asking.emit("ask", asked.sid(), "how?")
    assert asking.wait_for("answered") == [["answer", "how?"]]


def test_a_call_is_answered_by_a_client_of_the_other_process(two: Connecting):
    asking, asked = two.connect(0), two.connect(1)
    # Not with bytes in it: the newest python-socketio hands answers to Redis as plain JSON, on any engineio.
    assert asking.call("call", asked.sid(), {"how": ["?"]}) == ["answer", {"how": ["?"]}]


def test_a_room_across_processes_can_leave_the_sender_out_and_be_closed(two: Connecting):
    one, other, room = two.connect(0), two.connect(1), unique_user("room")
    for member in (one, other):
        assert member.call("join", room) is True
    assert one.call("tell others", room, "but for me") is True
    assert one.call("tell", room, "to both") is True
    assert one.wait_for("told") == [["to both"]]
    assert other.wait_for("told", 2) == [["but for me"], ["to both"]]
    assert one.call("close", room) is True
    assert one.call("tell", room, "to nobody") is True
    assert one.call("tell", None, "to all") is True
    assert one.wait_for("told", 2)[1:] == [["to all"]]
    assert other.wait_for("told", 3)[2:] == [["to all"]]


def test_rooms_of_the_same_name_in_two_namespaces_are_two_rooms(two: Connecting):
    one, other, room = two.connect(0, namespaces=BOTH), two.connect(1, namespaces=BOTH), unique_user("room")
    for namespace in BOTH:
        for member in (one, other):
            assert member.call("join", room, namespace=namespace) is True
    for namespace in BOTH:
        assert one.call("tell", room, f"in {namespace}", namespace=namespace) is True
    for namespace in BOTH:
        assert one.call("tell", room, "last", namespace=namespace) is True
        for member in (one, other):
            assert member.wait_for("told", 2, namespace) == [[f"in {namespace}"], ["last"]]


@pytest.mark.parametrize("external", list(EXTERNAL))
def test_a_process_that_only_emits_reaches_both(external: str, two: Connecting, redis: str):
    members, room = [two.connect(0), two.connect(1)], unique_user("room")
    for member in members:
        assert member.call("join", room) is True
    release = NEWEST_RELEASE if two.served[0].kind.release is NEWEST_RELEASE else EXTERNAL[external]
    command = release.command("external_program.py", external, redis, two.channel, room)
    with Program(command, env=release.variables) as emitting:
        assert emitting.wait() == 0, emitting.output
    for member in members:
        assert member.wait_for("told") == [["from outside", b"bytes"]]
    for member in members:
        assert member.call("tell", room, "last") is True
    for member in members:
        assert member.wait_for("told", 3) == [["from outside", b"bytes"], ["last"], ["last"]]


def test_a_client_of_the_other_process_can_be_disconnected(two: Connecting):
    user = unique_user("other")
    one, other = two.connect(0), two.connect(1, user)
    one.emit("end", other.sid())
    other.wait_for("disconnect")
    two.served[1].gone(user)
    assert one.call("echo", "still here") == "still here"
