"""The tests' side of `client_program.py`: clients that are in another process, and look as if they were here.

Owns sending commands, waiting for what they return, and keeping the events that come. Knows nothing of servers.
"""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from children import die_with_parent
from programs import environment
from scenarios.waiting import wait_until

from .json_lines import decode, encode

HERE = Path(__file__).parent
PATIENCE = 20.0
TRANSPORTS: dict[str, dict[str, Any]] = {
    "polling": {"transports": ["polling"]},
    "websocket": {"transports": ["websocket"]},
    "upgrade": {},
}
EVENTS = ("said", "told", "question", "answered", "number")


class Failed(Exception):
    """A command has raised something there."""

    def __init__(self, name: str, arguments: Sequence[Any]) -> None:
        super().__init__(name, *arguments)
        self.name = name
        self.arguments = list(arguments)


class ClientProcess:
    """A process that holds clients: all of them blocking, or all of them of asyncio."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=HERE,
            env=environment(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        self.errors = ""
        self._answers: dict[int, dict[str, Any]] = {}
        self._clients: dict[str, RemoteClient] = {}
        self._ready = ""
        self._numbers = itertools.count(1)
        self._writing = threading.Lock()
        for reader in (self._read, self._read_errors):
            threading.Thread(target=reader, daemon=True).start()
        wait_until(lambda: self._ready or self._process.poll() is not None, f"{command} to be ready", PATIENCE)
        assert self._ready, f"{command} ended:\n{self.errors}"
        self.version = tuple(int(part) for part in self._ready.split("."))

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if not line.startswith("{"):
                self.errors += line
                continue
            told = decode(line)
            if "answers" in told:
                self._answers[told["answers"]] = told
            elif "client" in told:
                if told["client"] in self._clients:
                    self._clients[told["client"]].events.append((told["namespace"], told["event"], told["data"]))
            else:
                self._ready = told["ready"]

    def _read_errors(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self.errors += line

    def command(self, client: str, do: str, arguments: Sequence[Any] = (), options: Mapping[str, Any] | None = None) -> int:
        """Have *client* do something; returns the number of its answer."""
        with self._writing:
            number = next(self._numbers)
            line = encode({"number": number, "client": client, "do": do, "arguments": arguments, "options": options or {}})
            assert self._process.stdin
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        return number

    def answer(self, number: int, timeout: float = PATIENCE) -> Any:
        """Return what a command has returned, or raise :class:`Failed`."""
        try:
            wait_until(lambda: number in self._answers, "a command to return", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.errors}") from None
        answer = self._answers[number]
        if "error" in answer:
            raise Failed(answer["error"], answer["arguments"])
        return answer["result"]

    def make(self, kind: str, **options: Any) -> RemoteClient:
        """A client of the class *kind* of python-socketio. The options are those of `client_program.make`, and the class's."""
        client = RemoteClient(self, f"{kind}-{next(self._numbers)}")
        self._clients[client.name] = client
        made = {name: options.pop(name) for name in ("events", "answering") if name in options}
        simple = "Simple" in kind
        made = {"events": {} if simple else dict.fromkeys(("/", "/second"), EVENTS), "answering": ["question"], **made}
        client.do("new", kind=kind, options=options, **made)
        return client

    def forget(self, client: RemoteClient) -> None:
        """Events of *client* are of no interest any more."""
        del self._clients[client.name]

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class RemoteClient:
    """One client there. ``events`` has ``(namespace, event, arguments)``, in the order in which they came."""

    def __init__(self, process: ClientProcess, name: str) -> None:
        self.process = process
        self.name = name
        self.events: list[tuple[str, str, list[Any]]] = []

    def begin(self, do: str, *arguments: Any, **options: Any) -> int:
        """Call a method, without waiting for its end; the number is for ``process.answer``."""
        return self.process.command(self.name, do, arguments, options)

    def do(self, do: str, *arguments: Any, **options: Any) -> Any:
        """Return what a method returns, or an attribute."""
        return self.process.answer(self.begin(do, *arguments, **options))

    def connect(self, url: str, transport: str, **options: Any) -> RemoteClient:
        """Connect, and wait until the client is on the transport that is wanted."""
        waiting = {"wait_timeout": 10} if self.process.version >= (5, 1) else {}
        self.do("connect", url, **{**waiting, **TRANSPORTS[transport], **options})
        for namespace in options.get("namespaces", ["/"]):
            self.wait_for("connect", namespace=namespace)
        wanted = "polling" if transport == "polling" else "websocket"
        wait_until(lambda: self.do("transport") == wanted, wanted, PATIENCE)
        return self

    def call(self, event: str, *data: Any, **options: Any) -> Any:
        """Emit, and return the acknowledgement: one value, or a list of several."""
        return self.do("call", event, self._data(data), **options)

    def emit(self, event: str, *data: Any, **options: Any) -> None:
        """Emit."""
        self.do("emit", event, self._data(data), **options)

    @staticmethod
    def _data(data: tuple[Any, ...]) -> Any:
        """Several arguments travel as a tuple, for which `client_program.py` is told apart from a list."""
        return data[0] if len(data) == 1 and data[0] is not None else {"__tuple__": list(data)}

    def got(self, event: str, namespace: str | None = "/") -> list[list[Any]]:
        """The arguments of each *event* that has come."""
        return [data for space, name, data in list(self.events) if (space, name) == (namespace, event)]

    def wait_for(self, event: str, count: int = 1, namespace: str | None = "/", timeout: float = PATIENCE) -> list[list[Any]]:
        """Return the arguments of each *event*, once there are *count* of them."""
        wait_until(lambda: len(self.got(event, namespace)) >= count, f"{count} {event!r} at {self.name}", timeout)
        return self.got(event, namespace)

    def sid(self, namespace: str = "/") -> str:
        """The client's identifier in *namespace*."""
        return str(self.do("get_sid", namespace))
