"""Clients that come back by themselves when their server has been away: each kind, with servers of each side."""

from __future__ import annotations

import signal

import pytest

from .conftest import NEWEST, NEWEST_ASYNCIO, ClientKind, Clients
from .serving import KINDS, Served, unique_user

RECONNECTION = {"reconnection_delay": 0.1, "reconnection_delay_max": 0.5}


@pytest.mark.parametrize("server", ["newest-threading", "newest-gevent", "newest-asyncio", "node"])
@pytest.mark.parametrize("kind", [NEWEST, NEWEST_ASYNCIO], ids=lambda kind: kind.class_name)
def test_a_client_comes_back_to_a_server_that_was_killed(
    server: str, kind: ClientKind, transport: str, prepare, clients: Clients
):
    prepare(KINDS[server].release)
    first = Served(KINDS[server])
    second = None
    try:
        client = clients.make(kind, **RECONNECTION)
        url, options = first.introduction(unique_user())
        client.connect(url, transport, namespaces=["/"], **options)
        assert client.call("echo", "before") == "before"
        first.program.signal(signal.SIGKILL)
        client.wait_for("disconnect")
        first.end()
        second = Served(KINDS[server], port=first.port)
        client.wait_for("connect", 2)
        assert client.call("echo", "after") == "after"
    finally:
        clients.disconnect_all()
        first.end()
        if second is not None:
            second.end()
