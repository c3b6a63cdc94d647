"""Puts every case in front of every server. Owns which server a case gets, how long it lives and what is checked after a case.

`@pytest.mark.server_options(**options)` names the options of `engineio_green.Server`; the closest mark wins.
`@pytest.mark.modes(*modes)` runs a case on these modes instead of all. `@pytest.mark.expected_log(*patterns)` names lines
that may be logged.
The cases are sorted by server, so that one server at a time is alive and each is started once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .client import Client
from .servers import MODES, Mode, Server

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "server_options(**options): options of the Server that the case talks to")
    config.addinivalue_line("markers", "modes(*modes): the modes that the case runs on")
    config.addinivalue_line("markers", "expected_log(*patterns): lines that the case may leave in the server's log")
    config.addinivalue_line("markers", "fresh_server: a process that no other case has used or will use")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("modes")
        modes = mark.args if mark else MODES
        metafunc.parametrize("server", modes, ids=[mode.name for mode in modes], indirect=True, scope="function")


def options_of(item: pytest.Item) -> dict[str, Any]:
    mark = item.get_closest_marker("server_options")
    return dict(mark.kwargs) if mark else {}


def key_of(item: pytest.Item) -> tuple[str, str, str]:
    mode: Mode = item.callspec.params["server"]  # type: ignore[attr-defined]
    alone = item.nodeid if item.get_closest_marker("fresh_server") else ""
    return mode.name, json.dumps(options_of(item), sort_keys=True), alone


def is_meant_for(item: pytest.Item) -> bool:
    """Whether a case is for its server: see `Mode.answers`."""
    if HERE not in item.path.parents or "server" not in getattr(item, "fixturenames", ()):
        return True
    mode: Mode = item.callspec.params["server"]  # type: ignore[attr-defined]
    return not (mode.answers and re.search(mode.answers, item.name))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the cases of this folder by server; the places of all other tests stay."""
    items[:] = [item for item in items if is_meant_for(item)]
    places = [
        place
        for place, item in enumerate(items)
        if HERE in item.path.parents and "server" in getattr(item, "fixturenames", ())
    ]
    order = {mode.name: number for number, mode in enumerate(MODES)}
    cases = [items[place] for place in places]
    cases.sort(key=lambda item: (order.get(key_of(item)[0], 99), *key_of(item)))
    for place, case in zip(places, cases, strict=True):
        items[place] = case


class Keeper:
    """The one server that is alive, and the key it was started for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.key: tuple[str, str, str] | None = None
        self.server: Server | None = None
        self.failed = False
        self._broken: dict[tuple[str, str, str], str] = {}

    def get(self, item: pytest.Item, mode: Mode, certificate: tuple[Path, Path] | None) -> Server:
        key = key_of(item)
        if self.key != key or self.server is None or not self.server.alive():
            self.discard()
            assert key not in self._broken, self._broken[key]
            try:
                self.server = Server(mode, options_of(item), self.folder, certificate)
            except AssertionError as exc:
                self._broken[key] = f"this server did not start well before: {exc}"
                raise
            self.key, self.failed = key, False
        return self.server

    def discard(self) -> None:
        server, self.server = self.server, None
        if server is None:
            return
        if self.failed:
            server.kill()
            return
        try:
            server.check_nothing_leaked()
            server.stop()
        finally:
            server.kill()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        item.session.config.stash.setdefault(FAILED, set()).add(item.nodeid)


FAILED: pytest.StashKey[set[str]] = pytest.StashKey()


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path_factory.mktemp("servers"))
    yield keeper
    keeper.discard()


@pytest.fixture
def server(request: pytest.FixtureRequest, keeper: Keeper) -> Iterator[Server]:
    mode: Mode = request.param
    certificate = request.getfixturevalue("certificate") if mode.tls else None
    server = keeper.get(request.node, mode, certificate)
    yield server
    marks = request.node.iter_markers("expected_log")
    try:
        assert server.alive(), f"{mode.name} died:\n{server.log_tail()}"
        server.check_log([pattern for mark in marks for pattern in mark.args])
    except AssertionError:
        keeper.failed = True
        raise
    if request.node.nodeid in request.config.stash.get(FAILED, set()):
        keeper.failed = True
    following = request.node.session.items
    at = following.index(request.node) + 1
    if at == len(following) or not uses(following[at], keeper.key):
        keeper.discard()


def uses(item: pytest.Item, key: tuple[str, str, str] | None) -> bool:
    return HERE in item.path.parents and "server" in getattr(item, "fixturenames", ()) and key_of(item) == key


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close_all()
