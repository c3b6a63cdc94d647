"""Fixtures of these tests: one Chromium for all of them, its windows, and the environment of each file's application.

Fixtures only put the other modules together; what they do is there. Each file names its `ENVIRONMENT`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from interop.toolchain import ToolMissing, find_chromium

from .environments import Environment, InstallFailed
from .windows import LocalBrowser, Window

SECONDS = 600  # of the test that installs its application first, on a slow day


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="module")
def environment(request: pytest.FixtureRequest) -> Environment:
    """The environment that the test's file names, complete."""
    wanted: Environment = request.module.ENVIRONMENT
    try:
        wanted.make()
    except InstallFailed as failure:
        pytest.fail(str(failure), pytrace=False)
    return wanted


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBrowser]:
    """The one Chromium of these tests."""
    try:
        running = LocalBrowser(find_chromium(), tmp_path_factory.mktemp("chromium"))
    except ToolMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield running
    running.close()


@pytest.fixture
def open_window(browser: LocalBrowser) -> Iterator[Callable[..., Window]]:
    """Open a window of another user at an address; all are closed with the test."""
    windows = []

    def open_one(url: str, files: Mapping[str, Path] | None = None) -> Window:
        window = Window(browser, files)
        windows.append(window)
        window.open(url)
        return window

    yield open_one
    for window in windows:
        window.close()
