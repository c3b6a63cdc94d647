"""What the workers' tests share. Owns nothing of gunicorn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from scenarios.client import Client

from .servers import Server


@pytest.fixture
def connect() -> Iterator[Callable[[Server], Client]]:
    """A client of a server; what it has opened is closed when the test is over."""
    clients: list[Client] = []

    def make(server: Server) -> Client:
        clients.append(Client(server))
        return clients[-1]

    yield make
    for client in clients:
        for connection in client._connections:
            connection.close()
