"""uWSGI on gevent: both engines, in the worker's own HTTP server and behind uWSGI's router, built with TLS and without."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from .client import Client, target_of
from .frames import BINARY, CONTINUATION, TEXT, WebSocketClosed, encode_frame
from .servers import UWSGI_FEW_CORES, UWSGI_MODES, UWSGI_TLS, Mode, Server
from .waiting import wait_until

pytestmark = pytest.mark.modes(*UWSGI_MODES)

IDLE_SECONDS = 2.0
GOING_AWAY = 1001


def processor_seconds(session: int) -> float:
    """What all processes of a session have used so far."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # has ended
            if int(fields[3]) == session:
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class EveryEngine:
    """What holds for both engines."""

    def test_messages_arrive_as_they_were_sent(self, client: Client):
        ws = client.open_websocket()
        texts = [f"{chr(first)}4 behind it" for first in range(128)]
        assert ws.request(*texts) == texts
        items = ["", "4", "é😀", b"4", b"4 is no text", b"", b"\0", b"2probe", bytes(range(256)), b"4\xff\xfe"]
        for item in items:  # one by one: what comes in one piece is the next test's
            assert ws.request(item) == [item]

    def test_text_and_binary_in_one_segment_stay_what_they_are(self, client: Client):
        ws = client.open_websocket()
        items = [b"4 is no text", "4", b"\0", "text", b"4"] * 20
        assert ws.request(*items) == items

    @pytest.mark.parametrize("size", [65_535, 65_536, 999_999])
    def test_long_messages_arrive_as_they_were_sent(self, client: Client, size: int):
        ws = client.open_websocket()
        assert ws.request("x" * size) == ["x" * size]
        assert ws.request(b"4" * size) == [b"4" * size]

    def test_a_message_over_the_limit_closes_with_1009(self, client: Client):
        ws = client.open_websocket()
        with pytest.raises(WebSocketClosed) as closed:
            ws.request("x" * 1_000_001)
        assert closed.value.code == 1009

    @pytest.mark.parametrize("command", ["thread_send", "ticker", "flood"])
    def test_sends_from_other_greenlets_and_threads_arrive(self, client: Client, command: str):
        ws = client.open_websocket()
        ws.send_data({"cmd": command, "n": 20, "interval": 0.001, "size": 10_000})
        received = ws.receive_data(20)
        assert [text.split(":")[0].removeprefix("tick ") for text in received] == [str(number) for number in range(20)]

    def test_a_session_upgrades_and_loses_nothing(self, client: Client):
        polling = client.open_polling()
        polling.send("before")
        ws, last = polling.upgrade()
        ws.send("4after")
        assert [*last, *ws.receive_many(2 - len(last))] == ["4before", "4after"]

    def test_a_client_that_vanishes_is_one_disconnect(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.abort()
        assert server.wait_disconnected(ws.sid) == "transport close"

    def test_a_client_that_does_not_read_delays_nobody(self, client: Client, server: Server):
        slow, quick = client.open_websocket(), client.open_websocket()
        slow.send_data({"cmd": "flood", "n": 150, "size": 60_000})
        wait_until(lambda: ["flooded", slow.sid] in map(list, server.events(slow.sid)), "the sends to come back")
        assert quick.request("still here") == ["still here"]
        assert len(slow.receive_data(150)) == 150

    @pytest.mark.modes(UWSGI_MODES[0])
    def test_idle_websockets_cost_next_to_nothing(self, client: Client, server: Server):
        several = [client.open_websocket() for _ in range(200)]
        assert all(ws.request("awake") == ["awake"] for ws in several)
        before = processor_seconds(server.pid)
        time.sleep(IDLE_SECONDS)  # nothing is waited for: nothing shall happen
        assert processor_seconds(server.pid) - before < 0.05 * IDLE_SECONDS

    def test_messages_in_several_frames_are_one_message_each(self, client: Client):
        first, second = client.open_websocket(), client.open_websocket()
        for ws, begin in ((first, b"4the first client's"), (second, b"4the second's")):
            assert ws.request("whole") == ["whole"]
            ws.send_frame(TEXT, begin, fin=False)
        for ws in (first, second):
            ws.send_frame(CONTINUATION, b" message", fin=True)
        assert first.receive_data() == ["the first client's message"]
        assert second.receive_data() == ["the second's message"]
        assert first.request("whole", b"4") == ["whole", b"4"]

    def test_a_frame_against_the_rules_harms_nobody_else(self, client: Client):
        faulty, other = client.open_websocket(), client.open_websocket()
        faulty.send_frame(CONTINUATION, b"of nothing", fin=True)
        with pytest.raises(WebSocketClosed) as closed:
            faulty.receive()
        assert closed.value.code == 1002
        assert other.request("unharmed") == ["unharmed"]

    def test_a_message_over_several_segments_keeps_its_kind(self, client: Client):
        ws = client.open_websocket()
        frame = encode_frame(BINARY, b"4" * 3000)
        for start, end in ((0, 1), (1, 5), (5, 1000), (1000, len(frame))):
            ws.send_raw(frame[start:end])
            time.sleep(0.02)  # so that each comes by itself
        assert ws.receive_data() == [b"4" * 3000]

    def test_a_close_is_answered_with_its_code(self, client: Client):
        assert client.open_websocket().close(3000) == 3000


class TestRaw(EveryEngine):
    @pytest.mark.modes(UWSGI_FEW_CORES)
    def test_websockets_occupy_no_core(self, client: Client, server: Server):
        several = [client.open_websocket() for _ in range(30)]
        assert [ws.request("hello") for ws in several] == [["hello"]] * 30
        assert server.stats()["greenlets"] <= server.at_start["greenlets"] + 4


@pytest.mark.server_options(uwsgi_websocket="native")
class TestNative(EveryEngine):
    pass


class OnTls:
    """The descriptor is of no use there: uWSGI keeps what it takes to read."""

    def test_clients_stay_on_polling(self, client: Client):
        polling = client.open_polling()
        assert polling.handshake["upgrades"] == []
        assert polling.request("hello") == ["hello"]
        assert client.refused_websocket(target_of("websocket")).status == 400


@pytest.mark.modes(UWSGI_TLS)
class TestRawOnTls(OnTls):
    pass


@pytest.mark.modes(UWSGI_TLS)
@pytest.mark.server_options(uwsgi_websocket="native")
class TestNativeOnTls(OnTls):
    pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["stop", "reload"])
@pytest.mark.parametrize(("mode", "engine"), [(UWSGI_MODES[1], "raw"), (UWSGI_MODES[2], "native")], ids=["router", "socket"])
def test_a_stop_and_a_reload_tell_every_client(mode: Mode, engine: str, number: int, tmp_path: Path):
    server = Server(mode, {"uwsgi_websocket": engine}, tmp_path)
    client = Client(server)
    try:
        several = [client.open_websocket() for _ in range(10)]
        held = client.open_polling().begin_poll()
        worker = server.stats()["pid"]
        os.kill(server.pid, number)
        assert [ws.expect_close() for ws in several] == [GOING_AWAY] * 10
        assert held.packets() == ["1"]
        if number == signal.SIGHUP:
            wait_until(lambda: server.answers() and server.stats()["pid"] != worker, "the next worker", 10)
            assert client.open_websocket().request("hello again") == ["hello again"]
        client.close_all()
        server.stop()
    finally:
        server.kill()
