"""The thread, greenlet or task of a server that listens to Redis: it outlives what goes wrong, and holds no process.

Each server is of its own, since its listener is disturbed. The channel is disturbed by a client of Redis in this process.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from programs import Program
from redis import Redis

from .conftest import NEWEST, Clients
from .environments import NEWEST_RELEASE
from .serving import NEWEST_KINDS, Served, unique_user


@pytest.fixture(params=[kind.name for kind in NEWEST_KINDS])
def listening(request: pytest.FixtureRequest, redis: str) -> Iterator[tuple[Served, str]]:
    """A server, and the channel that it listens to."""
    channel = unique_user("channel")
    served = Served(next(kind for kind in NEWEST_KINDS if kind.name == request.param), redis, channel)
    yield served, channel
    served.end()


def test_listener_goes_on_after_what_it_cannot_read_and_after_its_connection_is_cut(
    listening: tuple[Served, str], redis: str, clients: Clients
):
    served, channel = listening
    url, options = served.introduction(unique_user())
    member, room = clients.make(NEWEST).connect(url, "websocket", namespaces=["/"], **options), unique_user("room")
    assert member.call("join", room) is True
    emitting = NEWEST_RELEASE.command("external_program.py", "RedisManager", redis, channel, room)
    with Redis.from_url(redis) as client:
        for garbage in (b"\x80\xff no message", b'{"method": "unknown"}', b'{"method": "emit"}', b"[]"):
            assert client.publish(channel, garbage) == 1
        with Program(emitting) as program:
            assert program.wait() == 0, program.output
        assert member.wait_for("told") == [["from outside", b"bytes"]]
        assert client.client_kill_filter(_type="pubsub") >= 1
        # It comes back after a pause of its own; what is emitted meanwhile is lost.
        with Program([*emitting, "forever"]):
            member.wait_for("told", 2)
    assert member.call("echo", "still here") == "still here"


def test_server_whose_listener_waits_for_redis_ends_when_it_is_interrupted(listening: tuple[Served, str], clients: Clients):
    served, _ = listening
    url, options = served.introduction(unique_user())
    member = clients.make(NEWEST, reconnection=False).connect(url, "websocket", namespaces=["/"], **options)
    served.program.interrupt()
    member.wait_for("disconnect")
