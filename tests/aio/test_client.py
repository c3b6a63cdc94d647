"""The asyncio client: against this package's servers, against servers that refuse, vanish or are silent."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from programs import Program, free_port

from engineio_green import AsyncClient, AsyncServer
from engineio_green.exceptions import ConnectionError, MessageSizeError, NotConnectedError

from .hosts import on_aiohttp, until

TRANSPORTS = pytest.mark.parametrize("transports", [["polling"], ["websocket"], None], ids=["polling", "websocket", "both"])


class Recorder(AsyncClient):
    """A client that notes its events."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.messages: list[Any] = []
        self.ends: list[str] = []
        self.on("message", lambda data: self.messages.append(data))
        self.on("disconnect", lambda reason: self.ends.append(reason))

    async def receive(self, count: int = 1) -> list[Any]:
        await until(lambda: len(self.messages) >= count, f"{count} messages")
        found, self.messages = self.messages[:count], self.messages[count:]
        return found


@asynccontextmanager
async def echoing(**options: Any) -> AsyncIterator[tuple[str, AsyncServer]]:
    eio, app = AsyncServer(async_mode="aiohttp", **options), web.Application()
    eio.attach(app)

    @eio.on("connect")
    def connect(sid: str, environ: dict[str, Any]) -> Any:
        return {"why": "no ticket"} if "reject=1" in environ["QUERY_STRING"] else None

    @eio.on("message")
    async def message(sid: str, data: Any) -> None:
        if data == "go away":
            await eio.send(sid, "farewell")
            await eio.disconnect(sid)
        else:
            await eio.send(sid, data)

    async with on_aiohttp(app) as url:
        yield url, eio


@TRANSPORTS
async def test_everything_sent_comes_back_in_order(transports: Any):
    async with echoing() as (url, _):
        client = Recorder()
        await client.connect(url, transports=transports)
        sent = [*(f"text {number}" for number in range(200)), b"\x00\xff", {"a": [1]}, ["b"], "", "日本語", "x" * 100_000]
        for item in sent:
            await client.send(item)
        assert await client.receive(len(sent)) == sent
        assert client.transport() == ("polling" if transports == ["polling"] else "websocket")
        assert (client.state, len(client.sid or "")) == ("connected", 20)
        await client.disconnect()
        assert (client.ends, client.state, client.sid) == (["client disconnect"], "disconnected", None)
        await client.wait()


@TRANSPORTS
async def test_the_server_says_goodbye_behind_what_it_has_sent(transports: Any):
    async with echoing() as (url, _):
        client = Recorder()
        await client.connect(url, transports=transports)
        await client.send("go away")
        await asyncio.wait_for(client.wait(), 5)
        assert client.messages == ["farewell"]
        assert client.ends == ["server disconnect"]
        with pytest.raises(NotConnectedError):
            await client.send("too late")


@TRANSPORTS
async def test_what_was_sent_before_a_disconnect_is_delivered(transports: Any):
    async with echoing() as (url, eio):
        got: list[Any] = []
        eio.on("message", lambda sid, data: got.append(data))
        client = Recorder()
        await client.connect(url, transports=transports)
        for number in range(50):
            await client.send(f"{number}")
        await client.disconnect()
        await until(lambda: len(got) == 50, "all messages")
        assert got == [f"{number}" for number in range(50)]
        await until(lambda: not eio.sockets, "the session to end")


@TRANSPORTS
async def test_an_abort_waits_for_nothing(transports: Any):
    async with echoing() as (url, eio):
        client = Recorder()
        await client.connect(url, transports=transports)
        began = time.monotonic()
        await client.disconnect(abort=True)
        assert time.monotonic() - began < 0.5
        await asyncio.wait_for(client.wait(), 5)
        assert client.ends == ["client disconnect"]
        await until(lambda: not eio.sockets, "the server to notice")


@TRANSPORTS
async def test_heartbeats_keep_it_alive_and_silence_ends_it(transports: Any):
    async with echoing(ping_interval=0.2, ping_timeout=0.2) as (url, _):
        client = Recorder()
        await client.connect(url, transports=transports)
        await asyncio.sleep(0.9)
        assert client.ends == []
        await client.send("still here")
        assert await client.receive() == ["still here"]
        await client.disconnect()


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_refusal_carries_the_servers_reason(transport: str):
    async with echoing() as (url, _):
        client = Recorder()
        with pytest.raises(ConnectionError) as caught:
            await client.connect(f"{url}?reject=1", transports=transport)
        assert (caught.value.kind, caught.value.status) == ("refused", 401)
        if transport == "polling":
            assert caught.value.args[1] == {"why": "no ticket"}
        assert client.state == "disconnected"


async def test_errors_say_what_to_change():
    client = Recorder(request_timeout=0.3)
    with pytest.raises(ConnectionError, match="nothing listens there"):
        await client.connect(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ValueError, match="must look like"):
        await client.connect("nonsense")
    with pytest.raises(NotConnectedError, match=r"connect\(\) first"):
        await client.send("x")

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.6)
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for transport in ("polling", "websocket"):
        with pytest.raises(ConnectionError, match="no answer in time") as caught:
            await client.connect(f"http://127.0.0.1:{port}", transports=transport)
        assert caught.value.kind == "timeout"
    server.close()
    await client.wait()
    await asyncio.sleep(0.6)


async def test_a_message_that_the_server_would_refuse_is_not_sent():
    async with echoing(max_http_buffer_size=1000) as (url, _):
        client = Recorder()
        await client.connect(url)
        with pytest.raises(MessageSizeError, match="1000 bytes"):
            await client.send("x" * 1001)
        await client.send("fits")
        assert await client.receive() == ["fits"]
        await client.disconnect()


async def test_headers_query_and_a_session_of_the_users_serve_both_transports():
    def judge(environ: dict[str, Any]) -> bool:
        return environ.get("HTTP_X_KEY") == "k" and "room=1" in environ["QUERY_STRING"]

    async with echoing(allow_request=judge) as (url, eio):
        seen: list[Any] = []
        eio.on("connect", lambda sid, environ: seen.append(environ.get("HTTP_COOKIE")))
        async with aiohttp.ClientSession(cookies={"c": "1"}) as http:
            client = Recorder(http_session=http)
            for transports in (["polling"], ["websocket"]):
                await client.connect(f"{url}?room=1", headers={"X-Key": "k"}, transports=transports)
                await client.disconnect()
            assert not http.closed
        assert [str(cookie).startswith("c=") for cookie in seen] == [True, True]


async def test_a_coroutine_handler_may_send_wait_and_disconnect():
    async with echoing() as (url, _):
        client = AsyncClient()
        steps: list[Any] = []

        @client.on("connect")
        async def connect() -> None:
            await client.send("hello")
            steps.append("connect")

        @client.on("message")
        async def message(data: Any) -> None:
            steps.append(data)
            await asyncio.sleep(0.01)
            await client.disconnect()

        @client.on("disconnect")
        async def disconnect(reason: str) -> None:
            await client.disconnect()
            steps.append(reason)

        await client.connect(url)
        await asyncio.wait_for(client.wait(), 5)
        assert steps == ["connect", "hello", "client disconnect"]


@pytest.mark.expected_log("handler failed")
async def test_handlers_that_raise_harm_nobody():
    async with echoing() as (url, _):
        client = Recorder()

        def fail(*arguments: Any) -> None:
            raise RuntimeError("the test fails here")

        async def fail_later(*arguments: Any) -> None:
            fail()

        client.on("connect", fail)
        client.on("message", fail_later)
        await client.connect(url)
        await client.send("x")
        await asyncio.sleep(0.1)
        assert client.state == "connected"
        await client.disconnect()
        assert client.ends == ["client disconnect"]


@pytest.mark.parametrize("ended_by", ["client", "server"])
async def test_wait_returns_at_once_in_the_disconnect_handler(ended_by: str):
    async with echoing() as (url, _):
        client = Recorder()

        @client.on("disconnect")
        async def disconnect(reason: str) -> None:
            await client.wait()
            client.ends.append(reason)

        await client.connect(url)
        if ended_by == "client":
            await asyncio.wait_for(client.disconnect(), 5)
        else:
            await client.send("go away")
            await asyncio.wait_for(client.wait(), 5)
        assert client.ends == [f"{ended_by} disconnect"]


async def test_a_second_connect_is_refused_and_a_later_one_works():
    async with echoing() as (url, _):
        client = Recorder()
        await client.connect(url)
        with pytest.raises(ValueError, match="disconnect"):
            await client.connect(url)
        await client.disconnect()
        await client.connect(url, transports="websocket")
        await client.send("again")
        assert await client.receive() == ["again"]
        await client.disconnect()


@TRANSPORTS
async def test_a_server_that_vanishes_is_noticed_and_found_again(transports: Any):
    client = Recorder(reconnection=True, reconnection_delay=0.05, reconnection_delay_max=0.1)
    errors: list[Any] = []
    client.on("connect_error", lambda error: errors.append(error))
    port = free_port()

    async def serve() -> tuple[AsyncServer, web.AppRunner]:
        eio, app = AsyncServer(async_mode="aiohttp"), web.Application()
        eio.attach(app)

        @eio.on("message")
        async def message(sid: str, data: Any) -> None:
            await eio.send(sid, data)

        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return eio, runner

    eio, runner = await serve()
    await client.connect(f"http://127.0.0.1:{port}", transports=transports)
    for link in list(eio.sockets.values()):  # without a goodbye
        eio.abandon(link, "transport error") if link.websocket is None else link.websocket.close_socket_locked()
    await runner.cleanup()
    await until(lambda: client.ends, "the loss to be noticed")
    assert client.ends[0] in ("transport close", "transport error", "server disconnect")
    await until(lambda: errors, "an attempt to fail")
    eio, runner = await serve()
    await until(lambda: client.state == "connected", "the client to be back")
    await client.send("back")
    assert await client.receive() == ["back"]
    await client.disconnect()
    await runner.cleanup()


@TRANSPORTS
async def test_disconnect_within_the_handler_of_an_end_stops_connecting_again(transports: Any):
    client, connects = Recorder(reconnection=True, reconnection_delay=0.01), []
    client.on("connect", lambda: connects.append(1))

    @client.on("disconnect")
    async def gone(reason: str) -> None:
        await client.disconnect()

    async with echoing() as (url, eio):
        await client.connect(url, transports=transports)
        await eio.disconnect(client.sid)
        await asyncio.wait_for(client.wait(), 10)
        assert (client.state, connects) == ("disconnected", [1])


async def test_connecting_again_can_be_called_off():
    client = Recorder(reconnection=True, reconnection_delay=5)
    async with echoing() as (url, eio):
        await client.connect(url, transports="websocket")
        next(iter(eio.sockets.values())).websocket.close_socket_locked()  # type: ignore[union-attr]
        await until(lambda: client.ends, "the loss")
        waiting = asyncio.create_task(client.wait())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await client.disconnect()
        await asyncio.wait_for(waiting, 2)


async def test_a_silent_server_is_given_up():
    """It answers the handshake and then nothing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"sid=" in await reader.readuntil(b"\r\n\r\n"):
            await reader.read()
            writer.close()
            return
        body = "0" + json.dumps({"sid": "s", "upgrades": [], "pingInterval": 200, "pingTimeout": 100, "maxPayload": 1000})
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = Recorder()
    began = time.monotonic()
    await client.connect(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await asyncio.wait_for(client.wait(), 5)
    assert client.ends == ["ping timeout"]
    assert time.monotonic() - began < 2
    server.close()


async def test_tls_is_checked_unless_told_otherwise(certificate: tuple[Path, Path]):
    eio, app = AsyncServer(async_mode="aiohttp"), web.Application()
    eio.attach(app)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    with pytest.raises(ConnectionError, match="certificate was refused") as caught:
        await Recorder().connect(f"https://127.0.0.1:{port}")
    assert caught.value.kind == "tls"
    client = Recorder(ssl_verify=False)
    await client.connect(f"https://127.0.0.1:{port}")
    await until(lambda: client.transport() == "websocket", "the upgrade")
    await client.disconnect()
    await runner.cleanup()


PROGRAM = """
import asyncio, sys
from engineio_green import AsyncClient
client = AsyncClient()
client.on("disconnect", lambda reason: print("gone:", reason, flush=True))

async def main():
    await client.connect(sys.argv[1])
    print("connected", flush=True)
    await client.wait()
    await asyncio.sleep(60)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


async def test_ctrl_c_says_goodbye_first():
    async with echoing() as (url, eio):
        ends: list[str] = []
        eio.on("disconnect", lambda sid, reason: ends.append(reason))
        with Program([sys.executable, "-c", PROGRAM, url]) as program:
            await until(lambda: "connected" in program.output, "the client", 10)
            program._process.send_signal(signal.SIGINT)
            await until(lambda: "interrupted" in program.output, "the end", 10)
            assert program.output.split() == ["connected", "gone:", "client", "disconnect", "interrupted"]
        await until(lambda: ends, "the goodbye")
        assert ends == ["client disconnect"]
