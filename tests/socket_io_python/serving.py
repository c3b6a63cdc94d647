"""The servers that the tests talk to: each program of this folder on each release, and the official server on Node.

Owns their start and their end, and reading in their output who has gone. Knows nothing of the tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interop.toolchain import find_node
from programs import Program, free_port
from scenarios.waiting import wait_until

from .environments import NEWEST_RELEASE, OLDEST_ASYNCIO_RELEASE, OLDEST_RELEASE, Release
from .json_lines import decode

HERE = Path(__file__).parent
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Kind:
    """A kind of server; without a release it is the one on Node."""

    name: str
    release: Release | None
    program: str
    arguments: tuple[str, ...] = ()

    def command(self, port: int, *more: str) -> list[str]:
        """The command line that serves at *port*."""
        if self.release is None:
            return [str(find_node()), str(HERE / self.program), str(port)]
        return self.release.command(self.program, *self.arguments, port, *more)


NODE = Kind("node", None, "node_server.js")


def kinds_of(release: Release, asyncio_release: Release) -> list[Kind]:
    """All kinds of servers in Python, on these releases."""
    return [
        Kind(f"{release.name}-threading", release, "server_program.py", ("threading",)),
        Kind(f"{release.name}-gevent", release, "server_program.py", ("gevent",)),
        Kind(f"{release.name}-flask-threading", release, "flask_program.py", ("threading",)),
        Kind(f"{release.name}-flask-gevent", release, "flask_program.py", ("gevent",)),
        Kind(f"{release.name}-asyncio", asyncio_release, "asyncio_program.py"),
    ]


NEWEST_KINDS = kinds_of(NEWEST_RELEASE, NEWEST_RELEASE)
OLDEST_KINDS = kinds_of(OLDEST_RELEASE, OLDEST_ASYNCIO_RELEASE)
KINDS = {kind.name: kind for kind in (*NEWEST_KINDS, *OLDEST_KINDS, NODE)}


class Served:
    """One server that runs."""

    def __init__(self, kind: Kind, *more: str, port: int | None = None) -> None:
        self.kind = kind
        self.port = free_port() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        variables = kind.release.variables if kind.release else {}
        self.program = Program(kind.command(self.port, *more), env=variables)
        self._checked = 0
        try:
            self.program.wait_for_answer(f"{self.url}/")
        except BaseException:
            self.end()
            raise

    @property
    def knows_auth(self) -> bool:
        """Whether a connect handler gets what a client says of itself; before, there was the query string."""
        return self.kind.release is None or self.kind.release.version >= (5, 1)

    @property
    def knows_reasons(self) -> bool:
        """Whether a disconnect handler gets a reason."""
        return self.kind.release is None or self.kind.release.version >= (5, 12)

    def introduction(self, user: str, client_knows_auth: bool = True) -> tuple[str, dict[str, Any]]:
        """Return the URL and the options with which a client connects as *user*."""
        if self.knows_auth and client_knows_auth:
            return self.url, {"auth": {"user": user}}
        return f"{self.url}/?user={user}", {}

    def gone(self, user: str, namespace: str = "/", timeout: float = 20.0) -> list[str]:
        """Wait until *user* has gone from *namespace*, once; return the reason, in a list, or an empty one."""

        def look() -> list[list[str]]:
            told = [decode(line) for line in self.program.output.splitlines() if line.startswith('{"gone"')]
            return [line["reason"] for line in told if (line["gone"], line["namespace"]) == (user, namespace)]

        (reason,) = wait_until(look, f"the end of {user} in {namespace} at {self.kind.name}", timeout)
        return list(reason)

    def check_log(self) -> None:
        """Nothing has gone wrong there since the last call."""
        new = self.program.output[self._checked :]
        self._checked += len(new)
        assert "Traceback" not in new, new

    def end(self) -> None:
        """End it."""
        self.program.__exit__(None, None, None)


class Servers:
    """Started when first asked for, one of each kind."""

    def __init__(self, prepare: Callable[[Kind], None]) -> None:
        self._prepare = prepare
        self._running: dict[tuple[str, ...], Served] = {}

    def get(self, kind: Kind, *more: str) -> Served:
        """The server of that kind, and with those arguments."""
        key = (kind.name, *more)
        if key not in self._running:
            self._prepare(kind)
            self._running[key] = Served(kind, *more)
        return self._running[key]

    def end(self) -> None:
        """End all."""
        for served in self._running.values():
            served.end()


def unique_user(name: str = "ann") -> str:
    """A name that no other client has."""
    return f"{name}-{next(_numbers)}"

