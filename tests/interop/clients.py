"""Runs a case of cases.js: in a Node process of its own, or in a fresh page of the one Chromium.

Both kinds have the same methods, so that a test is written once. A case is started with the URL of its server and plain
arguments; its facts come back as plain data.
"""

from __future__ import annotations

import json
import select
import subprocess
from typing import Any, Protocol

from children import die_with_parent

from .chromium import Browser, Page
from .servers import ServerProcess
from .toolchain import HERE

CASE_SECONDS = 60.0  # longer than the patience of cases.js, whose message says more than ours
END_SECONDS = 10.0


class CaseFailed(AssertionError):
    """The JavaScript side gave up; the text is its own."""


class Running(Protocol):
    """A case that is under way."""

    def facts(self) -> Any: ...
    def abandon(self) -> None: ...


class Client(Protocol):
    """A place where the official client runs."""

    name: str

    def start(
        self, case: str, server: ServerProcess, page_from: ServerProcess | None = None, **arguments: Any
    ) -> Running: ...
    def run(
        self, case: str, server: ServerProcess, page_from: ServerProcess | None = None, **arguments: Any
    ) -> Any: ...


def facts_of(outcome: dict[str, Any]) -> Any:
    if "failure" in outcome:
        raise CaseFailed(outcome["failure"])
    return outcome["facts"]


class NodeCase:
    """A Node process that runs one case, says in one line how it went, and then ends by itself."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )

    def facts(self) -> Any:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], CASE_SECONDS)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            self._process.kill()
            raise CaseFailed(f"Node gave no result: {self._process.communicate()[1]}")
        return facts_of(json.loads(line))

    def abandon(self) -> None:
        """Kill the process: to the server, a client that vanishes."""
        self._process.kill()
        self._process.wait()

    def wait_until_ended(self) -> None:
        """A Node that is still there has something open: a request that nobody answers, a socket that nobody closes."""
        if self._process.stderr is None or self._process.stderr.closed:
            return
        try:
            _, errors = self._process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise CaseFailed(f"{END_SECONDS:g} s after the test Node still had a request or a socket open")
        assert not errors, errors


class NodeClient:
    """The client in Node. It sends no Origin header and knows no pages."""

    name = "node"

    def __init__(self, node: str) -> None:
        self._node = node
        self._cases: list[NodeCase] = []

    def close(self) -> None:
        for case in self._cases:
            case.wait_until_ended()

    def start(
        self, case: str, server: ServerProcess, page_from: ServerProcess | None = None, **arguments: Any
    ) -> NodeCase:
        assert page_from is None, "there is no page in Node"
        passed = json.dumps({"url": server.origin, "options": {}, **arguments})
        self._cases.append(NodeCase([self._node, "node_runner.js", case, passed]))
        return self._cases[-1]

    def run(self, case: str, server: ServerProcess, page_from: ServerProcess | None = None, **arguments: Any) -> Any:
        return self.start(case, server, page_from, **arguments).facts()


class ChromiumCase:
    def __init__(self, page: Page, number: int) -> None:
        self._page = page
        self._number = number

    def facts(self) -> Any:
        facts = facts_of(self._page.result(self._number, CASE_SECONDS))
        assert not self._page.exceptions(), self._page.exceptions()
        return facts

    def abandon(self) -> None:
        """Close the tab with the client in it."""
        self._page.close()


class ChromiumClient:
    """The client in a page. The page comes from the server it talks to, or from `page_from`: then it is cross-origin."""

    name = "chromium"

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._pages: list[Page] = []

    def close(self) -> None:
        """Close the tabs. Not before the test is over: with its tab goes a client's goodbye that is still on its way."""
        for page in self._pages:
            page.close()

    def start(
        self, case: str, server: ServerProcess, page_from: ServerProcess | None = None, **arguments: Any
    ) -> ChromiumCase:
        page = self._browser.open_page(f"{(page_from or server).origin}/page.html")
        self._pages.append(page)
        passed = json.dumps({"url": server.origin, "options": {}, **arguments})
        return ChromiumCase(page, page.start(f"runCase({json.dumps(case)}, {passed})"))

    def run(self, case: str, server: ServerProcess, page_from: ServerProcess | None = None, **arguments: Any) -> Any:
        return self.start(case, server, page_from, **arguments).facts()
