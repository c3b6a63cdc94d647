"""What a server does with too much: to send (`overflow`), to handle (flow control of what comes in)."""

from __future__ import annotations

import random
import re
import threading
import time
from typing import Any

import pytest

from .client import Client, encode_data
from .deflating import DeflatingSocket
from .frames import TEXT, encode_frame
from .servers import Server
from .test_options import FRONT, TRANSPORTS, UNTRUSTING, record_of
from .waiting import wait_until

DROPPING = pytest.mark.server_options(
    overflow="drop", max_buffered_bytes=300_000, per_message_deflate=True, max_http_buffer_size=200_000
)
CLOSING, BLOCKING = FRONT, UNTRUSTING  # the same servers, by what matters here

SIZE = 10_000
# More than the kernel takes for a client that does not read, and by far more than any max_buffered_bytes here.
MANY = 1_200


def open_any(client: Client, transport: str, query: str = "") -> Any:
    """A session; on a websocket it gets along without reading only for as long as the small buffers take."""
    return client.open_polling(query) if transport == "polling" else client.open_websocket(query, receive_buffer=4096)


def flood(client: Client, receiver: str, count: int = MANY, **more: Any) -> str:
    """Let another client's handler start a flood; the sid of that client."""
    sender = client.open_polling()
    sender.send({"cmd": "flood", "sid": receiver, "n": count, "size": SIZE, **more})
    return sender.sid


def flooded(server: Server, sender: str) -> bool:
    return any(what == "flooded" for what, _ in server.events(sender))


def wait_flooded(server: Server, sender: str) -> None:
    wait_until(lambda: flooded(server, sender), "the last send to be back", 10, 0.05)


def numbers_of(messages: list[Any]) -> list[int]:
    """The numbers of flood messages, each of which must be whole."""
    found = []
    for message in messages:
        number, _, filling = message.partition(":")
        assert filling == "x" * SIZE, f"a message that is not whole: {message[:50]!r} ({len(message)})"
        found.append(int(number))
    return found


@CLOSING
class TestOverflowClose:
    @TRANSPORTS
    def test_a_client_that_does_not_read_is_closed_before_it_costs_memory(
        self, client: Client, server: Server, transport: str
    ):
        session, other = open_any(client, transport), client.open_websocket()
        before = server.stats()["peak_kilobytes"]
        sender = flood(client, session.sid, 4 * MANY)
        assert other.request("meanwhile") == ["meanwhile"]
        wait_flooded(server, sender)
        wait_until(lambda: server.disconnects(session.sid), "the disconnect event")
        assert server.stats()["peak_kilobytes"] - before < 2 * 4_000 + 6_000
        assert len(server.disconnects(session.sid)) == 1
        counted = client.http("GET", "/counts").json()
        assert counted["closed"]["transport error"] >= 1
        assert counted["buffered_bytes"] == 0
        if transport == "polling":
            assert session.get().status == 400
            session.over = True
        else:
            session.expect_gone()
        assert other.request("still here") == ["still here"]

    def test_answers_within_one_batch_count_too(self, client: Client, server: Server):
        """250 commands in one body, each answered with much: the handlers' sends go out together, but not beyond the limit."""
        session = client.open_polling()
        before = server.stats()["peak_kilobytes"]
        command = {"cmd": "send_many", "n": 1, "size": 200_000}
        session.send(*[command] * 250)
        wait_until(lambda: server.disconnects(session.sid) or len(server.received(session.sid)) == 250, "the handlers", 10)
        wait_until(lambda: server.disconnects(session.sid), "the disconnect event", 2)
        session.over = True
        assert server.stats()["peak_kilobytes"] - before < 2 * 4_000 + 6_000

    def test_a_client_that_reads_gets_more_than_may_wait(self, client: Client, server: Server):
        ws = client.open_websocket()
        sender = flood(client, ws.sid, 300)
        assert numbers_of(ws.receive_data(300)) == list(range(300))
        wait_flooded(server, sender)


@DROPPING
class TestOverflowDrop:
    @TRANSPORTS
    def test_a_client_that_does_not_read_loses_messages_but_stays(self, client: Client, server: Server, transport: str):
        session = open_any(client, transport)
        before = server.stats()["peak_kilobytes"]
        wait_flooded(server, flood(client, session.sid))
        assert server.stats()["peak_kilobytes"] - before < 2 * 300 + 6_000
        assert 0 < record_of(client, session.sid)["buffered_bytes"] <= 300_000 + SIZE
        client.open_websocket().send_data({"cmd": "send_to", "sid": session.sid, "data": "later"})
        if transport == "polling":
            numbers = numbers_of([message for message in session.receive_some() if message != "later"])
            session.send("after")
        else:
            # It is dropped as well, as long as too much waits.
            session.send_data("after")
            messages = []
            while "after" not in messages and len(messages) < MANY + 2:
                if not session.readable(0.3):
                    session.send_data("after")
                messages += session.receive_data()
            numbers = numbers_of([message for message in messages if message not in ("later", "after")])
        assert numbers == sorted(set(numbers)), "out of order, or twice"
        assert 10 <= len(numbers) < MANY
        if transport == "polling":
            rest = session.receive_some()
            while rest[-1] != "after":
                rest += session.receive_some()
            assert set(rest) <= {"later", "after"}
        assert server.disconnects(session.sid) == []
        assert record_of(client, session.sid)["buffered_bytes"] == 0

    def test_what_is_compressed_stays_readable_when_messages_are_dropped(self, client: Client, server: Server):
        """A compressed message refers to those before it, so one that was dropped must not have been compressed into them."""
        socket = DeflatingSocket(client, "/engine.io/?EIO=4&transport=websocket", receive_buffer=4096)
        sid = re.search(r'"sid":"([^"]+)"', str(socket.receive()))[1]  # type: ignore[index]
        wait_flooded(server, flood(client, sid, chain=True))
        found = self.read_chain(socket)
        assert 10 <= len(found) < MANY
        # The next one begins like the end of the last one that was dropped.
        wait_flooded(server, flood(client, sid, 2, chain=True, first=MANY))
        assert self.read_chain(socket) == [MANY, MANY + 1]

    def read_chain(self, socket: DeflatingSocket) -> list[int]:
        found = []
        while socket.connection.readable(0.3):
            message = socket.receive()
            assert isinstance(message, bytes)
            number, _, noise = message.partition(b":")
            found.append(int(number))
            expected = [random.Random(seed).randbytes(SIZE) for seed in (found[-1], found[-1] + 1)]
            assert noise == expected[0][:2000] + expected[1], "not what was sent"
        assert found == sorted(set(found))
        return found


@BLOCKING
class TestOverflowBlock:
    @TRANSPORTS
    def test_the_sender_waits_until_the_client_has_read_and_nothing_is_lost(
        self, client: Client, server: Server, transport: str
    ):
        session, other = open_any(client, transport), client.open_websocket()
        total = 60 if transport == "polling" else MANY
        sender = flood(client, session.sid, total)
        for number in range(5):
            begin = time.monotonic()
            assert other.request(str(number)) == [str(number)]
            assert time.monotonic() - begin < 0.4
        assert not flooded(server, sender)
        found: list[Any] = []
        while len(found) < total:
            if transport == "polling":
                packets = session.poll()
                found += [packet[1:] for packet in packets if packet != "2"]
                if "2" in packets:
                    session.post("3")
            else:
                found += session.receive_data()
        assert numbers_of(found) == list(range(total))
        wait_flooded(server, sender)

    @pytest.mark.parametrize(
        ("transport", "leaving"),
        [("polling", "close"), ("polling", "silence"), ("websocket", "close"), ("websocket", "drop"), ("websocket", "abort")],
    )
    def test_a_send_that_waits_ends_with_its_client(self, client: Client, server: Server, transport: str, leaving: str):
        session = open_any(client, transport)
        sender = flood(client, session.sid)
        wait_until(lambda: record_of(client, session.sid)["buffered_bytes"] > 200_000, "too much to wait")
        assert not flooded(server, sender)
        if leaving != "silence":
            if transport == "polling":
                session.close()
            elif leaving == "close":
                session.send("1")
            else:
                getattr(session, leaving)()
        server.wait_disconnected(session.sid)
        wait_flooded(server, sender)

    def test_a_send_that_waits_goes_on_when_its_client_has_moved_to_a_websocket(self, client: Client, server: Server):
        session = client.open_polling()
        sender = flood(client, session.sid, 60)
        wait_until(lambda: record_of(client, session.sid)["buffered_bytes"] > 200_000, "too much to wait")
        ws = session.probe()
        ws.send("5")
        session.over = True
        found: list[Any] = []
        deadline = time.monotonic() + 3
        while len(found) < 60 and time.monotonic() < deadline:
            message = ws.receive()
            if message == "2":
                ws.send("3")
            else:
                found.append(str(message)[1:])
        assert numbers_of(found) == list(range(60))
        wait_flooded(server, sender)

    @pytest.mark.parametrize("leaving", ["drop", "abort"])
    def test_a_handler_that_waits_to_answer_its_own_client_ends_with_it(self, client: Client, server: Server, leaving: str):
        ws = client.open_websocket(receive_buffer=4096)
        ws.send_data({"cmd": "flood", "n": MANY, "size": SIZE, "here": True})
        wait_until(lambda: record_of(client, ws.sid)["buffered_bytes"] > 200_000, "too much to wait")
        getattr(ws, leaving)()
        server.wait_disconnected(ws.sid)
        wait_flooded(server, ws.sid)


@BLOCKING
class TestInbound:
    """`async_handlers=False`: one handler after the other, and a client that is ahead of them is not read meanwhile."""

    def test_a_client_that_floods_slow_handlers_is_not_read_but_stays(self, client: Client, server: Server):
        ws, posting = client.open_websocket(), client.open_polling()
        before = server.stats()["resident_kilobytes"]
        filling = "x" * 160_000
        count = 150  # 24 MB in more than ping_interval + ping_timeout
        commands = [{"cmd": "block", "seconds": 0.02, "tag": number, "filling": filling} for number in range(count)]
        data = b"".join(encode_frame(TEXT, str(encode_data(command)).encode()) for command in commands)
        sent = []

        def send() -> None:
            ws.connection.sock.settimeout(20)
            for at in range(0, len(data), 1 << 16):
                ws.send_raw(data[at : at + (1 << 16)])
                sent.append(at)

        thread = threading.Thread(target=send)
        thread.start()
        # The same by POST, at the same time: the first is taken at once, the second waits for its turn.
        begin = time.monotonic()
        posting.send(*[{"cmd": "block", "seconds": 0.45, "tag": f"post {number}"} for number in range(3)])
        assert time.monotonic() - begin < 1
        wait_until(lambda: ("block-start", "post 0") in server.events(posting.sid), "the first handler to run")
        posting.send({"cmd": "block", "seconds": 0.01, "tag": "post 3"})
        assert time.monotonic() - begin > 1.25
        assert posting.receive(4) == [f"unblocked post {number}" for number in range(4)]
        assert len(sent) < len(data) >> 16, "the client could send everything before it was handled"
        wait_until(lambda: len(sent) == -(-len(data) // (1 << 16)), "everything to be sent", 15, 0.05)
        thread.join()
        assert server.stats()["resident_kilobytes"] - before < 12_000
        assert ws.receive_data(count, timeout=15) == [f"unblocked {number}" for number in range(count)]
        for session, tags in ((ws, range(count)), (posting, [f"post {number}" for number in range(4)])):
            steps = [event for event in server.events(session.sid) if event[0].startswith("block")]
            assert steps == [(step, tag) for tag in tags for step in ("block-start", "block-end")]
        assert server.disconnects(ws.sid) == []


@FRONT
class TestMaxBlockedHandlers:
    """`max_blocked_handlers=4`: so many handlers of one client may be under way, then it is not read."""

    @TRANSPORTS
    def test_so_many_handlers_of_a_client_are_under_way_at_once(self, client: Client, server: Server, transport: str):
        session: Any = client.open_polling() if transport == "polling" else client.open_websocket()
        other = client.open_websocket()
        commands = [{"cmd": "block", "seconds": 0.4, "tag": number} for number in range(6)]
        (session.send if transport == "polling" else session.send_data)(*commands)
        wait_until(lambda: max(self.under_way(server, session.sid)) == 4, "four handlers to be under way", 2)
        assert other.request("meanwhile") == ["meanwhile"]
        found = session.receive(6) if transport == "polling" else session.receive_data(6)
        assert sorted(found) == [f"unblocked {number}" for number in range(6)]
        starts = [tag for what, tag in server.events(session.sid) if what == "block-start"]
        assert starts == list(range(6))
        assert max(self.under_way(server, session.sid)) == 4
        assert session.request("after") == ["after"]

    def under_way(self, server: Server, sid: str) -> list[int]:
        """How many handlers were under way after each step."""
        now, found = 0, [0]
        for what, _ in server.events(sid):
            now += {"block-start": 1, "block-end": -1}.get(what, 0)
            found.append(now)
        return found

    def test_a_post_of_a_client_that_is_ahead_is_answered_when_its_handlers_have_started(
        self, client: Client, server: Server
    ):
        session = client.open_polling()
        session.send(*[{"cmd": "block", "seconds": 0.4, "tag": number} for number in range(4)])
        wait_until(lambda: max(self.under_way(server, session.sid)) == 4, "four handlers to be under way", 2)
        tags, took = list(range(4)), 0.0
        # Some may still be taken: threads need a moment to see that the fourth handler blocks.
        while took < 0.1:
            assert len(tags) < 40, "no answer waits for the handlers"
            tags.append(len(tags))
            begin = time.monotonic()
            session.send({"cmd": "block", "seconds": 0.4, "tag": tags[-1]})
            took = time.monotonic() - begin
            server.stats()  # gives that moment some time
        assert took < 4
        assert set(session.receive(len(tags))) == {f"unblocked {tag}" for tag in tags}
