"""A server that was started so that polling can't work says so, once, with the remedy; any other says nothing."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from scenarios import servers
from scenarios.client import target_of
from scenarios.servers import Mode
from scenarios.wire import Connection

from .servers import Server, gunicorn

SAID = ["answers one request at a time", "several worker processes"]


class Advised(Server):
    """The advice is what these tests are about, so it is no fault in the log."""

    def check_log(self, expected: Iterable[str] = ()) -> None:
        super().check_log([*expected, "WARNING scenario.engineio"])

    def handshake(self) -> None:
        """A request that the Engine.IO server answers, whatever transports it has."""
        connection = Connection(self.host, self.port)
        assert connection.request("GET", target_of(), [("Connection", "close")]).status in (200, 400)
        connection.close()


def said(server: Server, text: str) -> int:
    return server.whole_log().count(text)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-k", "sync", "-w", "1"), [1, 0]),
        (("-k", "gthread", "--threads", "4", "-w", "1"), [0, 0]),
        (("--threads", "4"), [0, 0]),
        (("-k", "gevent", "-w", "1"), [0, 0]),
        (("-k", "gevent", "-w", "2"), [0, 1]),
    ],
)
def test_what_keeps_polling_from_working_is_said_once(arguments, expected, tmp_path):
    mode = Mode("advised", "gevent" if "gevent" in arguments else "threading", gunicorn(*arguments))
    with Advised(mode, tmp_path) as server:
        for _ in range(3):
            server.handshake()
        workers = 2 if "2" in arguments else 1
        assert [min(said(server, text), 1) for text in SAID] == expected
        assert all(said(server, text) <= workers for text in SAID)
        assert all(remedy in server.whole_log() for remedy in (["-k gthread --threads 8"] * expected[0] + ["-w 1"] * expected[1]))


def test_websockets_alone_need_no_threads_and_no_affinity(tmp_path):
    with Advised(Mode("sync", "threading", gunicorn("-k", "sync", "-w", "2")), tmp_path, transports=["websocket"]) as server:
        server.handshake()
        assert [said(server, text) for text in SAID] == [0, 0]


def test_web_concurrency_does_not_override_the_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    mode = Mode("configured", "threading", servers.gunicorn("-c", "python:engineio_green.gunicorn_conf"))
    with Advised(mode, tmp_path) as server:
        server.handshake()
        assert server.whole_log().count("Booting worker") == 1
        assert said(server, SAID[1]) == 0
