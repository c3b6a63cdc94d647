"""A client that writes down what happens to it. Owns no expectations."""

from __future__ import annotations

import threading
from typing import Any

from scenarios.waiting import wait_until

from engineio_green import Client

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}


class Recorder:
    """A `Client` and the list of its events, in order: `("connect",)`, `("message", data)`, `("disconnect", reason)`..."""

    def __init__(self, **options: Any) -> None:
        self.client = Client(**{"handle_sigint": False, "request_timeout": 5, **options})
        self.events: list[tuple[Any, ...]] = []
        self.client.on("connect", lambda: self.events.append(("connect",)))
        self.client.on("message", lambda data: self.events.append(("message", data)))
        self.client.on("disconnect", lambda reason: self.events.append(("disconnect", reason)))
        self.client.on("connect_error", lambda error: self.events.append(("connect_error", error)))

    def of(self, kind: str) -> list[Any]:
        """What came with the events of one kind."""
        return [event[1] if len(event) > 1 else None for event in list(self.events) if event[0] == kind]

    @property
    def messages(self) -> list[Any]:
        return self.of("message")

    def wait_messages(self, count: int, timeout: float = 10.0) -> list[Any]:
        wait_until(lambda: len(self.messages) >= count, f"{count} messages, {len(self.messages)} so far", timeout)
        return self.messages

    def wait_disconnect(self, timeout: float = 10.0) -> str:
        """The reason of the one disconnect event."""
        wait_until(lambda: self.of("disconnect"), "the disconnect event", timeout)
        reasons = self.of("disconnect")
        assert len(reasons) == 1
        return str(reasons[0])

    def wait_transport(self, name: str, timeout: float = 10.0) -> None:
        wait_until(lambda: self.client.transport() == name, f"the transport {name}", timeout)


def client_threads() -> list[str]:
    """The names of the threads that clients have at the moment."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("engineio-client"))
