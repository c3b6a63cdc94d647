"""Where a test runs: a server, and where its client is. Owns the choice; parametrizes nothing but the `server` of a test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from .servers import SETUPS, Setup

# One server of each model and of each package. The page comes from the application itself, in every way that there is.
IN_CHROMIUM = (
    "socketio-gevent",
    "socketio-uwsgi",
    "socketio-gunicorn-eventlet",
    "flask-werkzeug",
    "flask-gevent",
    "asgi-plain",
    "asgi-fastapi-ws",
)


@dataclass(frozen=True)
class Place:
    """A server, and "node" or "chromium"."""

    setup: Setup
    client: str

    @property
    def name(self) -> str:
        """For tests/conftest.py: all places of one server stay in one process."""
        return f"socket_io {self.setup.name}"

    def __str__(self) -> str:
        return f"{self.setup.name}-{self.client}"


NODE_PLACES = [Place(setup, "node") for setup in SETUPS]
CHROMIUM_PLACES = [Place(setup, "chromium") for setup in SETUPS if setup.name in IN_CHROMIUM]
PLACES = [*NODE_PLACES, *CHROMIUM_PLACES]


def on(places: Iterable[Place]) -> Any:
    """Run a test at these places only."""
    return pytest.mark.parametrize("server", list(places), indirect=True, ids=str)


in_node = on(NODE_PLACES)
in_chromium = on(CHROMIUM_PLACES)
on_flask = on(place for place in PLACES if place.setup.is_flask)
on_socketio = on(place for place in PLACES if not place.setup.is_flask)
