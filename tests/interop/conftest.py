"""Fixtures of the interop tests: the toolchain, one Chromium for the whole run, the servers of each mode, the two clients.

Fixtures only put the other modules together; what they do is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .chromium import Browser
from .clients import ChromiumClient, Client, NodeClient
from .servers import MODES, ServerPool
from .toolchain import ToolMissing, find_chromium, find_node, install_client


def or_fail(step: Callable[..., Any], *arguments: Any) -> Any:
    """Run a step of the set-up; a missing program fails the test with that sentence alone, no trace around it."""
    try:
        return step(*arguments)
    except ToolMissing as missing:
        sentence = str(missing)
    pytest.fail(sentence, pytrace=False)


@pytest.fixture(scope="session")
def javascript(request: pytest.FixtureRequest) -> str:
    """Path of node, with the JavaScript client installed beside these tests."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def report(line: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"interop: {line}")

    node = or_fail(find_node)
    or_fail(install_client, report)
    return str(node)


@pytest.fixture(scope="session")
def browser(javascript: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The one Chromium of the run: it takes seconds to start."""
    running = Browser(or_fail(find_chromium), tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


@pytest.fixture(scope="session", params=list(MODES))
def pool(
    request: pytest.FixtureRequest, javascript: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerPool]:
    """The servers of one mode. pytest runs all tests of a mode together, so only one mode's servers are up at a time."""
    running = ServerPool(MODES[request.param], tmp_path_factory.mktemp(f"interop-{request.param}"))
    yield running
    running.stop()


@pytest.fixture
def servers(pool: ServerPool) -> Iterator[ServerPool]:
    """The servers, and after the test a look at their logs."""
    yield pool
    pool.assert_nothing_to_complain()


@pytest.fixture
def node(javascript: str) -> Iterator[Client]:
    running = NodeClient(javascript)
    yield running
    running.close()


@pytest.fixture
def chromium(browser: Browser) -> Iterator[Client]:
    running = ChromiumClient(browser)
    yield running
    running.close()


@pytest.fixture(params=["node", "chromium"])
def client(request: pytest.FixtureRequest) -> Client:
    """The official client, in Node and in Chromium by turns."""
    found: Client = request.getfixturevalue(request.param)
    return found
