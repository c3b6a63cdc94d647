"""Rules that both clients keep, in the same words: each case runs on the synchronous client and on the one for asyncio."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scenarios.servers import Server
from scenarios.waiting import wait_until

from engineio_green import AsyncClient, Client
from engineio_green.client import clock, link, outbound
from engineio_green.exceptions import ConnectionError, NotConnectedError

from .conftest import SERVED_BY, url_of

INTERVAL, TIMEOUT = 2.0, 1.5


class Twin:
    """One client of either kind, with the methods of the synchronous one."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.ends: list[tuple[float, str]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        if kind == "asyncio":
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, daemon=True).start()
        make = AsyncClient if self._loop else Client
        self.client: Any = self._call(lambda: make(handle_sigint=False, **options))
        self.client.on("disconnect", lambda reason: self.ends.append((time.monotonic(), reason)))

    def _call(self, function: Callable[[], Any]) -> Any:
        if self._loop is None:
            return function()

        async def on_the_loop() -> Any:
            result = function()
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(on_the_loop(), self._loop).result(30)

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self._call(lambda: getattr(self.client, name)(*args, **kwargs))

    def connect_by(self, url: str, transports: list[str] | None) -> None:
        self.connect(url, transports=transports)
        last = (transports or ["websocket"])[-1]
        wait_until(lambda: self.transport() == last, f"the transport {last}", 10)

    def end(self) -> None:
        self.disconnect(abort=True)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture(params=["threads", "asyncio"])
def twin(request: pytest.FixtureRequest) -> Iterator[Callable[..., Twin]]:
    made: list[Twin] = []

    def make(**options: Any) -> Twin:
        made.append(Twin(request.param, **options))
        return made[-1]

    yield make
    for client in made:
        client.end()


@pytest.fixture(scope="module")
def stoppable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = {"ping_interval": INTERVAL, "ping_timeout": TIMEOUT}
    server = Server(SERVED_BY["gevent-pywsgi"], options, tmp_path_factory.mktemp("stoppable"))
    yield server
    server.kill()


@pytest.fixture
def frozen(stoppable: Server) -> Iterator[Callable[[], None]]:
    """Stops that server where it stands."""
    pid = stoppable.stats()["pid"]
    yield lambda: os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


def test_a_frozen_server_is_noticed_when_its_time_is_up(twin, stoppable, frozen, transports):
    client = twin()
    client.connect_by(url_of(stoppable), transports)
    frozen()
    began = time.monotonic()
    wait_until(lambda: client.ends, "the end", 20)
    (moment, reason), *more = client.ends
    assert (reason, more) == ("ping timeout", [])
    assert moment - began < INTERVAL + TIMEOUT + 1


def test_a_computer_that_has_slept_notices_soon_after_it_wakes(twin, impatient, transports, monkeypatch):
    from engineio_green.aio import client_link

    client = twin()
    client.connect_by(url_of(impatient), transports)
    real = clock.clock
    for module in (link, outbound, client_link):
        monkeypatch.setattr(module, "clock", lambda: real() + 3600)
    with pytest.raises(NotConnectedError):
        client.send("x")
    wait_until(lambda: client.ends, "the end", 5)
    assert [reason for _, reason in client.ends] == ["ping timeout"]


def test_leaving_a_frozen_server_takes_no_longer_than_the_request_timeout(twin, stoppable, frozen, transports):
    client = twin(request_timeout=0.5)
    client.connect_by(url_of(stoppable), transports)
    frozen()
    began = time.monotonic()
    client.disconnect()
    assert time.monotonic() - began < 2
    wait_until(lambda: client.ends, "the end", 5)
    assert [reason for _, reason in client.ends] == ["client disconnect"]


def test_a_websocket_that_closes_before_its_open_packet_is_an_unreachable_server(twin):
    import base64
    import hashlib

    listener = socket.create_server(("127.0.0.1", 0))

    def close_at_once() -> None:
        connection, _ = listener.accept()
        head = connection.recv(65536).decode()
        key = next(line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        connection.sendall("\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode() + b"\x88\x02\x03\xe8")
        connection.recv(65536)
        connection.close()

    threading.Thread(target=close_at_once, daemon=True).start()
    with pytest.raises(ConnectionError, match="gave no open packet") as caught:
        twin().connect(f"http://127.0.0.1:{listener.getsockname()[1]}", transports=["websocket"])
    assert caught.value.kind == "unreachable"
    listener.close()


def test_a_log_has_no_more_of_a_session_id_than_its_beginning(twin, server, transports, caplog):
    caplog.set_level("INFO", logger="engineio_green.client")
    client = twin()
    client.connect_by(url_of(server), transports)
    sid = client.client.sid
    client.disconnect()
    assert f"sid {sid[:4]}..." in caplog.text
    assert sid not in caplog.text
