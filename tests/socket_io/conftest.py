"""Fixtures of the Socket.IO tests: the client's package, one Node and one Chromium for the run, the server and client of a test.

`server` is a pair of a setup and of where its client runs: Node for every setup, Chromium for some. The tests are sorted by
setup, so that only one server is up at a time, and only once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from interop.chromium import Browser
from interop.clients import ChromiumClient
from interop.toolchain import ToolMissing, find_chromium, find_node, install_client

from .application import HERE
from .clients import NodeClient
from .places import PLACES, Place
from .servers import SETUPS, Server, Shelf

log = logging.getLogger("socket_io")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of a server follow one another; beyond this folder nothing changes."""
    here = [index for index, item in enumerate(items) if item.path.parent == HERE]
    for index, item in zip(here, sorted((items[index] for index in here), key=_turn), strict=True):
        items[index] = item


def _turn(item: pytest.Item) -> int:
    callspec = getattr(item, "callspec", None)
    return SETUPS.index(callspec.params["server"].setup) if callspec else -1


def _or_fail(step: Callable[..., Any], *arguments: Any) -> Any:
    """A missing program fails the test with one sentence, no trace around it."""
    try:
        return step(*arguments)
    except ToolMissing as missing:
        sentence = str(missing)
    pytest.fail(sentence, pytrace=False)


@pytest.fixture(scope="session")
def node_program() -> str:
    """Path of node, with socket.io-client installed beside these tests."""
    program = str(_or_fail(find_node))
    _or_fail(install_client, log.info, HERE, "socket.io-client")
    return program


@pytest.fixture(scope="session")
def node(node_program: str) -> Iterator[NodeClient]:
    """The Node of the run."""
    running = NodeClient(node_program)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def browser(node_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The Chromium of the run."""
    running = Browser(_or_fail(find_chromium), tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


@pytest.fixture
def chromium(browser: Browser) -> Iterator[ChromiumClient]:
    running = ChromiumClient(browser)
    yield running
    running.close()


@pytest.fixture(scope="session")
def shelf(node_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    running = Shelf(tmp_path_factory.mktemp("socket-io"))
    yield running
    running.clear()


@pytest.fixture(params=PLACES, ids=str)
def server(request: pytest.FixtureRequest, shelf: Shelf) -> Iterator[Server]:
    """The server of a place, and after the test a look at its log."""
    running = shelf.get(request.param.setup)
    yield running
    running.check_log()


@pytest.fixture
def client(request: pytest.FixtureRequest, server: Server) -> Any:
    """The official client in Node or in Chromium, as the place says."""
    place: Place = request.node.callspec.params["server"]
    return request.getfixturevalue(place.client)


@pytest.fixture
def vanishing(request: pytest.FixtureRequest, server: Server, node_program: str) -> Iterator[Any]:
    """As `client`, but its cases may be abandoned without harm to others."""
    if request.node.callspec.params["server"].client == "chromium":
        yield request.getfixturevalue("chromium")
        return
    running = NodeClient(node_program)
    yield running
    running.kill()
