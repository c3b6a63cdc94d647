"""The way out of a process: its servers let nobody in any more, and tell their clients to go, a few at a time.

Owns the pace and the deadline. Must not know who asks for it: it installs no signal handler and no exit hook.
"""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from engineio_green.core.session import Reason
from engineio_green.drivers.base import clock
from engineio_green.drivers.choice import model_around

if TYPE_CHECKING:
    from engineio_green.link import Link
    from engineio_green.registry import Registry
    from engineio_green.serving import Serving
    from engineio_green.websocket.channel import Channel

GOING_AWAY = 1001  # RFC 6455, section 7.4.1
PAUSE_SECONDS = 0.05
# How long a polling client may be between two polls before it is told with the next one, whenever that comes.
PATIENCE_SECONDS = 1.0
# Few clients need no spreading: they don't hurt the server that they go to next.
SECONDS_PER_CLIENT = 0.01

_servers: weakref.WeakSet[Serving] = weakref.WeakSet()


def remember(server: Serving) -> None:
    """Let :func:`drain_all` find *server* for as long as it lives."""
    _servers.add(server)


def drain_all(timeout: float = 25, spread: float = 5) -> int:
    """Drain every server of this process, side by side; see :meth:`Server.drain`. For the hooks of a WSGI server."""
    return drain(list(_servers), timeout, spread)


def drain(servers: Iterable[Serving], timeout: float, spread: float) -> int:
    """Drain *servers*; see :meth:`Server.drain`. Returns how many clients had to be cut off."""
    servers = list(servers)
    sleep = _sleeper(servers)
    farewell = Farewell(servers, timeout, spread)
    while farewell.go_on():
        sleep(PAUSE_SECONDS)
    return farewell.cut_off()


def _sleeper(servers: list[Serving]) -> Callable[[float], None]:
    """Return a sleep that lets those of the servers run whose model is the caller's."""
    around = model_around()
    return next((server.driver.sleep for server in servers if server.driver.name.startswith(around)), time.sleep)


class _Parting:
    """The job that tells one client, so that a slow disconnect handler keeps nobody else waiting."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def run(self) -> None:
        self._link.server.part_with(self._link, GOING_AWAY, "the server is shutting down")

    def on_blocked(self) -> None:
        """Nothing else waits for this job."""


class Farewell:
    """Who still is to be told, and who has been told and not left yet. Parameters: those of :meth:`Server.drain`."""

    def __init__(self, servers: Sequence[Registry], timeout: float, spread: float) -> None:
        for server in servers:
            server.refuse_handshakes()
        now = clock()
        self._end = now + timeout
        self._servers = servers
        self._told: list[Channel] = []
        self._due: dict[Link, float] = {}
        links = [link for server in servers for link in list(server.sockets.values())]
        spread = min(spread, timeout / 2, len(links) * SECONDS_PER_CLIENT)
        for link in links:
            self._due[link] = now + random.uniform(0, spread)
        self._last = now + spread
        self._parting: set[Link] = set()

    def _links(self) -> list[Link]:
        return [link for server in self._servers for link in list(server.sockets.values())]

    def go_on(self) -> bool:
        """Tell those whose moment has come. Returns whether to come back after a pause."""
        now = clock()
        if now >= self._end or self._is_over():
            return False
        self._tell(now)
        return True

    def _tell(self, now: float) -> None:
        """Those with a poll still to come are told only later, so that they hear it."""
        for link in self._links():
            if link in self._parting or now < self._due.get(link, now):  # one that came in meanwhile has no moment
                continue
            if link.session.hears_at_once or now > self._last + PATIENCE_SECONDS:
                self._parting.add(link)
                if link.websocket is not None:
                    self._told.append(link.websocket)
                link.server.driver.run_soon(_Parting(link))

    def _is_over(self) -> bool:
        self._told = [connection for connection in self._told if not connection.closed]
        return not self._told and not self._links()

    def cut_off(self) -> int:
        """Close what is still there. Returns how many that were."""
        left = self._links()
        for link in left:
            link.server.abandon(link, Reason.SERVER_DISCONNECT)
        for connection in self._told:
            with connection.owner.lock:
                connection.close_socket_locked()
        return len(left)
