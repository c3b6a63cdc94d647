"""From polling to websocket: nothing lost and nothing reordered, and a failed attempt leaves the session as it was."""

from __future__ import annotations

import random
import time

import pytest

from .client import Client, Polling, decode_message, decode_packet, target_of
from .frames import CLOSE, TEXT, encode_frame, new_key, upgrade_headers
from .servers import Server
from .waiting import wait_until

IMPATIENT = pytest.mark.server_options(upgrade_timeout=0.5)


def data_of(packets: list[str]) -> list[str | bytes]:
    return [decode_packet(packet) for packet in packets if packet not in ("6", "2")]


class TestUnderTraffic:
    def one_upgrade(self, client: Client, chance: random.Random) -> None:
        """Echoes and ticks flow while the session moves; each stream must arrive whole and in order."""
        session = client.open_polling()
        ticks, texts = 12, [f"text {number}" for number in range(12)]
        cut = chance.randrange(0, 6)
        got: list[str | bytes] = []
        session.send({"cmd": "ticker", "n": ticks, "interval": 0.001}, *texts[:cut])
        held = session.begin_poll()
        ws = session.open_websocket()
        ws.send("2probe")
        if chance.random() < 0.5 and held.answered(within=0.002):
            got += data_of(held.packets())
            held = session.begin_poll()
        session.send(*texts[cut : cut + 3])
        assert ws.receive() == "3probe"
        got += data_of(held.packets())
        ws.send("5", *[f"4{text}" for text in texts[cut + 3 :]])
        session.over = True
        while len(got) < ticks + len(texts):
            got.append(decode_message(ws.receive()))
        assert [item for item in got if str(item).startswith("text")] == texts
        assert [item for item in got if str(item).startswith("tick")] == [f"tick {number}" for number in range(ticks)]
        ws.send("1")
        ws.expect_close()

    def test_two_hundred_upgrades_lose_nothing_and_reorder_nothing(self, client: Client, server: Server):
        chance = random.Random(4)
        for _ in range(200):
            self.one_upgrade(client, chance)
        wait_until(lambda: server.stats()["sessions"] == 0, "the sessions to end")

    def test_what_was_queued_while_no_poll_was_there_goes_out_on_the_websocket(self, client: Client):
        session = client.open_polling()
        ws = session.probe()
        session.send("one", "two", b"\x03")
        ws.send("5")
        session.over = True
        assert [decode_message(ws.receive()) for _ in range(3)] == ["one", "two", b"\x03"]

    def test_probe_upgrade_and_messages_in_one_segment_work(self, client: Client):
        session = client.open_polling()
        frames = [encode_frame(TEXT, packet) for packet in (b"2probe", b"5", b"4a", b"4b")]
        ws = session.open_websocket(pipelined=b"".join(frames))
        session.over = True
        assert ws.receive_many(3) == ["3probe", "4a", "4b"]

    def test_the_application_sees_one_client(self, client: Client, server: Server):
        session = client.open_polling()
        session.send("one")
        ws, _ = session.upgrade()
        ws.send("4two", '4{"cmd":"tell_transport"}')
        assert ws.receive_many(3) == ["4one", "4two", "4websocket"]
        ws.send("1")
        assert server.wait_disconnected(session.sid) == "client disconnect"
        whats = [what for what, _ in server.events(session.sid)]
        assert (whats.count("connect-end"), whats.count("disconnect")) == (1, 1)

    def test_a_held_poll_is_let_go_with_a_noop(self, client: Client):
        session = client.open_polling()
        held = session.begin_poll()
        assert not held.answered(within=0.05)
        ws = session.probe()
        assert held.packets(timeout=1) == ["6"]
        ws.send("5")
        session.over = True

    def test_a_poll_held_over_the_upgrade_packet_is_let_go(self, client: Client):
        session = client.open_polling()
        ws = session.probe()
        held = session.begin_poll()
        held.answered(within=0.03)  # long enough to have arrived, shorter than such a poll is held
        ws.send("5", "4hello")
        session.over = True
        assert ws.receive() == "4hello"
        assert held.packets(timeout=1) == ["6"]

    def test_heartbeats_follow_the_session(self, client: Client):
        """Covered with short intervals elsewhere; here: a ping packet on the websocket is answered by nothing."""
        session = client.open_polling()
        ws, _ = session.upgrade()
        ws.send("3", "4still here")
        assert ws.receive() == "4still here"


def assert_still_on_polling(session: Polling) -> None:
    """The session works as if no websocket had come, and can still be upgraded."""
    held = session.begin_poll()
    assert not held.answered(within=0.15), held.packets()
    session.send("after", "all")
    got = data_of(held.packets())
    while len(got) < 2:
        got += data_of(session.poll())
    assert got == ["after", "all"]
    ws, _ = session.upgrade()
    ws.send("4second try")
    assert ws.receive() == "4second try"


@IMPATIENT
class TestFailedAttempts:
    @pytest.mark.parametrize("first", ["2wrong", "2", "3probe", "5", "4hello", "1", "", "6", b"\x01"])
    def test_a_wrong_probe_leaves_the_session_on_polling(self, client: Client, server: Server, first: str | bytes):
        session = client.open_polling()
        ws = session.open_websocket()
        ws.send(first)
        ws.expect_gone()
        assert server.received(session.sid) == []
        assert_still_on_polling(session)

    @pytest.mark.parametrize("second", ["2probe", "4hello", "6", "1", b"\x01"])
    def test_something_else_than_the_upgrade_packet_leaves_the_session_on_polling(
        self, client: Client, server: Server, second: str | bytes
    ):
        session = client.open_polling()
        ws = session.probe()
        ws.send(second)
        ws.expect_gone()
        assert server.received(session.sid) == []
        assert_still_on_polling(session)

    @pytest.mark.parametrize("how", ["drop", "abort", "close"])
    @pytest.mark.parametrize("when", ["before the probe", "after the probe"])
    def test_a_lost_websocket_leaves_the_session_on_polling(self, client: Client, how: str, when: str):
        session = client.open_polling()
        ws = session.open_websocket() if when == "before the probe" else session.probe()
        session.send("sent meanwhile")
        getattr(ws, how)()
        assert session.receive() == ["sent meanwhile"]

        def held_again() -> bool:
            return not session_is_upgrading(session)

        wait_until(held_again, "the server to notice")
        assert_still_on_polling(session)

    @pytest.mark.parametrize("first", [None, "2probe"])
    def test_a_stalled_upgrade_ends_after_its_timeout(self, client: Client, server: Server, first: str | None):
        session = client.open_polling()
        ws = session.open_websocket()
        if first:
            ws.send(first)
            assert ws.receive() == "3probe"
        begin = time.monotonic()
        ws.expect_gone()
        assert 0.25 < time.monotonic() - begin < 2
        assert server.disconnects(session.sid) == []
        assert_still_on_polling(session)

    @pytest.mark.parametrize(
        "fault",
        [encode_frame(TEXT, b"2probe", mask=False), encode_frame(CLOSE, b"\x03"), b"\x00" * 20],
        ids=["unmasked", "close of one byte", "no frame"],
    )
    def test_a_faulty_frame_on_probation_leaves_the_session_on_polling(self, client: Client, fault: bytes):
        session = client.open_polling()
        ws = session.open_websocket()
        ws.send_raw(fault)
        ws.expect_gone()
        assert_still_on_polling(session)


def session_is_upgrading(session: Polling) -> bool:
    """While a websocket is on probation a poll is let go soon; otherwise it is held."""
    held = session.begin_poll()
    if held.answered(within=0.3):
        assert held.packets() == ["6"]
        return True
    session.send("let go")
    assert held.packets() == ["4let go"]
    return False


@pytest.mark.server_options(upgrade_timeout=3)
class TestStalled:
    def test_polls_of_a_stalled_upgrade_are_paced(self, client: Client):
        session = client.open_polling()
        session.probe()
        begin, count = time.monotonic(), 0
        while time.monotonic() - begin < 1:
            assert session.poll() == ["6"]
            count += 1
        assert 1 <= count <= 21

    def test_polls_of_a_stalled_upgrade_carry_messages_at_once(self, client: Client):
        session = client.open_polling()
        session.probe()
        for number in range(10):
            begin = time.monotonic()
            session.send(f"{number}")
            got: list[str | bytes] = []
            while not got:
                got = data_of(session.poll())
            assert got == [f"{number}"]
            assert time.monotonic() - begin < 0.5

    def test_a_second_websocket_while_upgrading_is_closed_and_nothing_else_happens(self, client: Client):
        session = client.open_polling()
        first = session.probe()
        second = session.open_websocket()
        second.expect_gone()
        session.send("on polling")
        first.send("5", "4hello")
        session.over = True
        assert first.receive_many(2) == ["4on polling", "4hello"]

    def test_a_client_that_closes_while_upgrading_is_gone_on_both(self, client: Client, server: Server):
        session = client.open_polling()
        ws = session.probe()
        session.close()
        ws.expect_gone()
        assert server.wait_disconnected(session.sid) == "client disconnect"
        assert session.get().status == 400

    def test_a_server_that_disconnects_while_upgrading_tells_the_poll(self, client: Client, server: Server):
        session, other = client.open_polling(), client.open_websocket()
        ws = session.probe()
        other.send_data({"cmd": "disconnect", "sid": session.sid})
        packets: list[str] = []
        while "1" not in packets:
            packets += session.poll()
        ws.expect_gone()
        assert server.wait_disconnected(session.sid) == "server disconnect"
        session.over = True


class TestNotOffered:
    @pytest.mark.server_options(allow_upgrades=False)
    def test_without_upgrades_none_is_offered_and_none_is_taken(self, client: Client):
        session = client.open_polling()
        assert session.handshake["upgrades"] == []
        response = client.refused_websocket(target_of("websocket", session.sid))
        assert (response.status, response.json()["code"]) == (400, 3)
        assert session.request("still here") == ["still here"]
        assert client.open_websocket().request("direct") == ["direct"]

    @pytest.mark.server_options(transports="websocket")
    def test_websocket_as_the_only_transport_refuses_polling(self, client: Client):
        response = client.http("GET", target_of("polling"))
        assert (response.status, response.json()["code"]) == (400, 0)
        ws = client.open_websocket()
        assert ws.handshake["upgrades"] == []
        assert ws.request("direct") == ["direct"]

    @pytest.mark.server_options(transports=["polling"])
    def test_polling_as_the_only_transport_refuses_websockets(self, client: Client):
        session = client.open_polling()
        assert session.handshake["upgrades"] == []
        for sid in (None, session.sid):
            response = client.refused_websocket(target_of("websocket", sid), upgrade_headers(new_key()))
            assert (response.status, response.json()["code"]) == (400, 0)
        assert session.request("still here") == ["still here"]
