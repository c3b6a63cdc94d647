"""Two servers for all tests here, and each proxy in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import free_port

from .running import Site, backends, proxy


@pytest.fixture(scope="package")
def ports() -> Iterator[list[int]]:
    """Where two servers listen that nobody stops."""
    chosen = [free_port(), free_port()]
    with backends(chosen):
        yield chosen


@pytest.fixture(scope="package", params=["nginx", "haproxy"])
def site(
    request: pytest.FixtureRequest,
    ports: list[int],
    certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A proxy as examples/ configures it."""
    with proxy(request.param, tmp_path_factory.mktemp(request.param), certificate, ports) as found:
        yield found
