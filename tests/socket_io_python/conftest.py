"""Servers and processes of clients for the tests here, each started once for the run; clients are gone after each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from interop.toolchain import ToolMissing, install_client
from programs import Program, free_port

from .environments import (
    NEWEST_RELEASE,
    OLDEST_RELEASE,
    EnvironmentMissing,
    Release,
    install_old_releases,
)
from .serving import HERE, KINDS, Kind, Served, Servers, unique_user
from .talking import ClientProcess, RemoteClient


class Preparation:
    """Installs what a server or a client runs on, when it is first asked for."""

    def __init__(self) -> None:
        self._done: set[str] = set()

    def __call__(self, release: Release | None) -> None:
        what = "node" if release is None else "new" if release is NEWEST_RELEASE else "old"
        if what in self._done:
            return
        try:
            if what == "node":
                install_client(print, HERE, "socket.io")
            elif what == "old":
                install_old_releases()
        except (ToolMissing, EnvironmentMissing) as missing:
            pytest.fail(str(missing), pytrace=False)
        self._done.add(what)


@pytest.fixture(scope="session")
def prepare() -> Preparation:
    return Preparation()


@pytest.fixture(scope="session")
def servers(prepare: Preparation) -> Iterator[Servers]:
    running = Servers(lambda kind: prepare(kind.release))
    yield running
    running.end()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis that keeps nothing."""
    program = shutil.which("redis-server") or shutil.which("redis-server", path="/usr/bin")
    if program is None:
        pytest.fail("These tests need redis-server: apt-get install redis-server", pytrace=False)
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with Program(command, cwd=folder) as running:
        running.wait_for_output("Ready to accept connections")
        yield f"redis://127.0.0.1:{port}/0"


@dataclass(frozen=True)
class ClientKind:
    """Which client: the class, and the release that it is of."""

    release: Release
    class_name: str

    @property
    def name(self) -> str:
        return f"{self.release.name}-{self.class_name}"


NEWEST = ClientKind(NEWEST_RELEASE, "Client")
NEWEST_ASYNCIO = ClientKind(NEWEST_RELEASE, "AsyncClient")
OLDEST = ClientKind(OLDEST_RELEASE, "Client")
OLDEST_ASYNCIO = ClientKind(OLDEST_RELEASE, "AsyncClient")


class Clients:
    """Makes clients in processes that are there for the whole run."""

    def __init__(self, prepare: Preparation) -> None:
        self._prepare = prepare
        self._processes: dict[tuple[str, str], ClientProcess] = {}
        self._made: list[RemoteClient] = []

    def process(self, release: Release, class_name: str) -> ClientProcess:
        """The process for clients of that class."""
        key = (release.name, "asyncio" if class_name.startswith("Async") else "threads")
        if key not in self._processes:
            self._processes[key] = self.start(release, class_name)
        return self._processes[key]

    def start(self, release: Release, class_name: str) -> ClientProcess:
        """A process that the caller ends."""
        self._prepare(release)
        style = "asyncio" if class_name.startswith("Async") else "threads"
        return ClientProcess(release.command("client_program.py", style), release.variables)

    def make(self, kind: ClientKind, **options: Any) -> RemoteClient:
        """A client that is not connected."""
        self._made.append(self.process(kind.release, kind.class_name).make(kind.class_name, **options))
        return self._made[-1]

    def disconnect_all(self) -> None:
        """After a test."""
        numbers = [(client, client.begin("disconnect")) for client in self._made]
        for client, number in numbers:
            client.process.answer(number)
            client.process.forget(client)
        self._made.clear()

    def end(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.kill()


@pytest.fixture(scope="session")
def all_clients(prepare: Preparation) -> Iterator[Clients]:
    clients = Clients(prepare)
    yield clients
    clients.end()


@pytest.fixture
def clients(all_clients: Clients) -> Iterator[Clients]:
    yield all_clients
    all_clients.disconnect_all()


class Pair:
    """A kind of client and a server that it talks to."""

    def __init__(self, client_kind: ClientKind, served: Served, clients: Clients) -> None:
        self.client_kind = client_kind
        self.served = served
        self._clients = clients

    def make(self, **options: Any) -> RemoteClient:
        """A client that is not connected."""
        return self._clients.make(self.client_kind, **options)

    def connect(self, transport: str, user: str | None = None, **options: Any) -> RemoteClient:
        """A client that is connected, as *user*. It is on that transport."""
        return self.connect_it(self.make(), transport, user, **options)

    def connect_it(self, client: RemoteClient, transport: str, user: str | None = None, **options: Any) -> RemoteClient:
        """Connect *client*."""
        url, more = self.served.introduction(user or unique_user(), self.client_kind.release.version >= (5, 1))
        return client.connect(url, transport, **more, **{"namespaces": ["/"], **options})


SERVERS_OF = {
    NEWEST: [*KINDS],
    NEWEST_ASYNCIO: ["newest-asyncio", "oldest-gevent", "node"],
    OLDEST: ["newest-threading", "oldest-gevent", "node"],
    OLDEST_ASYNCIO: ["newest-asyncio", "oldest-threading", "node"],
}
PAIRS = {f"{kind.name}-to-{name}": (kind, KINDS[name]) for kind, names in SERVERS_OF.items() for name in names}


def pair_of(kinds: tuple[ClientKind, Kind], servers: Servers, clients: Clients) -> Pair:
    return Pair(kinds[0], servers.get(kinds[1]), clients)


@pytest.fixture(params=list(PAIRS))
def pair(request: pytest.FixtureRequest, servers: Servers, clients: Clients) -> Iterator[Pair]:
    made = pair_of(PAIRS[request.param], servers, clients)
    yield made
    made.served.check_log()


@pytest.fixture(params=["polling", "websocket", "upgrade"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)
