"""Servers for the client's tests, one of each kind for the whole run, and clients that are gone after each test."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scenarios.servers import MODES, Server
from scenarios.waiting import wait_until

from .recording import TRANSPORTS, Recorder, client_threads

SERVED_BY = {mode.name: mode for mode in MODES if mode.name in ("gevent-pywsgi", "werkzeug", "eventlet")}


class Servers:
    """Started when first asked for, one for each model and set of options."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[tuple[str, str], Server] = {}

    def get(self, mode: str, **options: Any) -> Server:
        key = (mode, repr(sorted(options.items())))
        if key not in self._running:
            self._running[key] = Server(SERVED_BY[mode], options, self._folder)
        return self._running[key]

    def stop(self) -> None:
        for server in self._running.values():
            server.kill()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    running = Servers(tmp_path_factory.mktemp("client-servers"))
    yield running
    running.stop()


@pytest.fixture
def server(servers: Servers) -> Iterator[Server]:
    """The gevent server; nobody complains in its log."""
    found = servers.get("gevent-pywsgi")
    yield found
    found.check_log()


@pytest.fixture(params=list(SERVED_BY))
def any_server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Server]:
    found = servers.get(request.param)
    yield found
    found.check_log()


@pytest.fixture
def impatient(servers: Servers) -> Server:
    """A server with short heartbeats."""
    return servers.get("gevent-pywsgi", ping_interval=0.3, ping_timeout=0.3)


@pytest.fixture(scope="session")
def tls_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a middleman needs to speak TLS to clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture(params=list(TRANSPORTS))
def transports(request: pytest.FixtureRequest) -> Any:
    return TRANSPORTS[request.param]


@pytest.fixture
def make() -> Iterator[Callable[..., Recorder]]:
    """Makes recorders; after the test they are disconnected and none of their threads is left."""
    made: list[Recorder] = []

    def make_one(**options: Any) -> Recorder:
        made.append(Recorder(**options))
        return made[-1]

    yield make_one
    for recorder in made:
        recorder.client.disconnect()
    wait_until(lambda: not client_threads(), "all threads of clients to end", 10)


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"
