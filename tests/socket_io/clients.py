"""Runs a case of cases.js in Node. Chromium has its own in `tests/interop/clients.py`, with the same methods.

One Node process runs many cases, for it takes longer to start than a case takes. A case that is to vanish has one for itself.
"""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

from children import die_with_parent
from interop.clients import CASE_SECONDS, CaseFailed, facts_of

from .application import HERE
from .servers import Server


class NodeCase:
    """A case that is under way."""

    def __init__(self, client: NodeClient, number: int) -> None:
        self._client = client
        self._number = number

    def facts(self) -> Any:
        return self._client.result(self._number)

    def abandon(self) -> None:
        """Kill the process with all that runs in it: to the server, a client that vanishes."""
        self._client.kill()


class NodeClient:
    """The client in Node, and the process that it runs in."""

    name = "node"

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen(
            [node, "node_runner.js"],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        self._results: dict[int, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._started = 0
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            outcome = json.loads(line)
            with self._news:
                self._results[outcome.pop("number")] = outcome
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def start(self, case: str, server: Server, **arguments: Any) -> NodeCase:
        self._started += 1
        args = {"url": server.origin, "options": {}, **arguments}
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"number": self._started, "name": case, "args": args}) + "\n")
        self._process.stdin.flush()
        return NodeCase(self, self._started)

    def run(self, case: str, server: Server, **arguments: Any) -> Any:
        return self.start(case, server, **arguments).facts()

    def result(self, number: int) -> Any:
        with self._news:
            self._news.wait_for(lambda: self._ended or number in self._results, CASE_SECONDS)
            if number not in self._results:
                raise CaseFailed("Node has ended" if self._ended else f"Node gave no result within {CASE_SECONDS:g} s")
            return facts_of(self._results.pop(number))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
