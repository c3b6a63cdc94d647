"""The client's half of a session, fed by hand: what it takes, what it answers, in which portions it sends, how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_green.core.client_session import END, MAX_PACKETS_PER_POST, POLL, READ, WAIT, ClientSession
from engineio_green.core.session import CLOSED, Reason
from engineio_green.exceptions import MessageSizeError, NotConnectedError, PacketError
from engineio_green.payload import decode_payload

HANDSHAKE = {"sid": "s1", "upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 100}


def open_frame(**changes: Any) -> str:
    return "0" + json.dumps({**HANDSHAKE, **changes})


def opened(transport: str = "polling", now: float = 0.0, **changes: Any) -> ClientSession:
    session = ClientSession()
    session.open(open_frame(**changes), transport, now)
    return session


def posts(session: ClientSession) -> list[bytes]:
    """Every body, one after the other."""
    bodies = []
    while (body := session.begin_post()) is not None:
        bodies.append(body)
        session.end_post()
    return bodies


def paused() -> ClientSession:
    session = opened()
    assert session.begin_upgrade() == "2probe"
    assert session.receive_probe("3probe")
    return session


def test_open_packet_gives_the_session_its_name_and_times():
    session = opened(pingInterval=25000, pingTimeout=300)
    assert (session.sid, session.ping_interval, session.ping_timeout, session.max_payload) == ("s1", 25.0, 0.3, 100)
    assert session.can_upgrade


@pytest.mark.parametrize(
    "frame",
    [
        "4hello",
        b"0{}",
        "",
        "0",
        "0[]",
        "0{}",
        "0null",
        "0" + "[" * 100_000,
        open_frame(sid=7),
        open_frame(sid=""),
        open_frame(pingInterval=0, pingTimeout=0),
        open_frame(pingInterval=-1),
        open_frame(pingTimeout="soon"),
        open_frame(pingTimeout=True),
        open_frame(upgrades=3),
        open_frame(upgrades=[{}]),
        open_frame(maxPayload="much"),
    ],
    ids=lambda frame: repr(frame)[:30],
)
def test_anything_else_is_no_open_packet(frame):
    session = ClientSession()
    with pytest.raises(PacketError, match="open packet"):
        session.open(frame, "polling", 0.0)
    with pytest.raises(NotConnectedError):
        session.send("4x", 0.0)


def test_messages_behind_the_open_packet_come_with_it():
    session = ClientSession()
    body = "\x1e".join([open_frame(), "4hello", "2", 'bAAE=', '4{"a":1}']).encode()
    assert session.open_payload(body, 1.0) == ["hello", b"\0\1", {"a": 1}]
    assert session.outbox == ["3"]


def test_ping_is_answered_with_what_it_carries_and_noops_and_pongs_change_nothing():
    session = opened("websocket")
    assert session.receive(["2", "2x", "6", "3"], 0.1) == []
    assert session.take_frames() == ["3", "3x"]
    assert session.take_closed() is None


@pytest.mark.parametrize("frame", ["0{}", "5", "9", "", "11", "hello"])
def test_packet_that_a_server_may_not_send_ends_the_session(frame):
    session = opened("websocket")
    session.receive([frame], 0.1)
    closed = session.take_closed()
    assert closed is not None
    assert (closed.reason, closed.code) == (Reason.TRANSPORT_ERROR, 1002)


def test_server_says_goodbye_after_its_last_messages_and_the_end_is_told_once():
    session = opened("websocket")
    assert session.receive(["4last", "1", "4too late"], 0.1) == ["last"]
    closed = session.take_closed()
    assert closed is not None
    assert closed.reason == Reason.SERVER_DISCONNECT
    assert session.take_closed() is None
    assert session.close(Reason.TRANSPORT_CLOSE) is None
    assert session.next_step() == END


def test_body_that_is_no_payload_ends_the_session():
    session = opened()
    assert session.begin_poll()
    assert session.end_poll(b"4\xff", 0.1) == []
    closed = session.take_closed()
    assert closed is not None
    assert closed.reason == Reason.TRANSPORT_ERROR
    assert "UTF-8" in closed.detail


def test_one_poll_at_a_time():
    session = opened()
    assert session.begin_poll()
    assert not session.begin_poll()
    assert session.end_poll(b"4a\x1e4b", 0.1) == ["a", "b"]
    assert session.begin_poll()


# --- portions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "transport", "fits"),
    [
        ("4" + "x" * 99, "polling", True),
        ("4" + "x" * 100, "polling", False),
        ("4" + "x" * 99, "websocket", True),
        ("4" + "x" * 100, "websocket", False),
        ("4" + "ä" * 49, "polling", True),
        ("4" + "ä" * 50, "polling", False),
        (b"x" * 74, "polling", False),  # 1 + 100 as base64
        (b"x" * 72, "polling", True),
        (b"x" * 100, "websocket", True),
        (b"x" * 101, "websocket", False),
    ],
)
def test_message_over_the_servers_limit_is_refused_before_it_is_sent(frame, transport, fits):
    session = opened(transport)
    if fits:
        session.send(frame, 0.0)
        assert session.outbox == [frame]
    else:
        with pytest.raises(MessageSizeError, match="100 bytes"):
            session.send(frame, 0.0)
        assert session.outbox == []


def test_without_a_limit_of_the_server_there_is_none():
    session = opened(maxPayload=0)
    session.send("4" + "x" * 10_000_000, 0.0)
    assert len(posts(session)) == 1


@given(
    st.lists(st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.binary(max_size=70)), max_size=60),
    st.integers(1, 300),
)
def test_bodies_hold_all_messages_in_order_and_none_is_over_the_limit(messages, limit):
    session = opened(maxPayload=limit)
    sent = []
    for message in messages:
        # The separator can't be within a text: a polling body has no way to say it.
        frame = "4" + message.replace("\x1e", "") if isinstance(message, str) else message
        try:
            session.send(frame, 0.0)
        except MessageSizeError:
            continue
        sent.append(frame)
    bodies = posts(session)
    assert [frame for body in bodies for frame in decode_payload(body, MAX_PACKETS_PER_POST)] == sent
    assert all(len(body) <= limit for body in bodies)
    assert session.drained


def test_one_post_at_a_time():
    session = opened()
    session.send("4a", 0.0)
    assert session.begin_post() == b"4a"
    session.send("4b", 0.0)
    assert session.begin_post() is None
    assert not session.drained
    session.end_post()
    assert session.begin_post() == b"4b"


# --- upgrade ---------------------------------------------------------------------------------------------------------


def test_upgrade_waits_until_polling_rests_and_what_was_sent_meanwhile_follows():
    session = opened()
    assert session.begin_poll()
    session.send("4before", 0.0)
    assert session.begin_post() == b"4before"
    assert session.begin_upgrade() == "2probe"
    assert session.next_step() == POLL
    assert session.receive_probe("3probe")
    assert session.next_step() == WAIT
    session.send("4meanwhile", 0.0)
    session.end_post()
    assert session.begin_post() is None
    assert not session.quiet
    assert session.end_poll(b"4last\x1e6", 0.1) == ["last"]
    assert not session.begin_poll()
    assert session.quiet
    assert session.complete_upgrade(0.2)
    assert session.take_frames() == ["5", "4meanwhile"]
    assert (session.transport, session.next_step()) == ("websocket", READ)


def test_upgrade_that_can_not_be_completed_leaves_polling_as_it_was():
    session = paused()
    session.send("4x", 0.0)
    session.end_upgrade()
    assert session.next_step() == POLL
    assert session.begin_poll()
    assert posts(session) == [b"4x"]
    assert not session.complete_upgrade(0.1)
    assert session.transport == "polling"


@pytest.mark.parametrize("answer", ["3", "3other", "6", b"3probe", "4hello"])
def test_wrong_answer_to_the_probe_ends_the_upgrade_only(answer):
    session = opened()
    session.begin_upgrade()
    assert not session.receive_probe(answer)
    assert session.next_step() == POLL


def test_second_probe_is_not_sent():
    session = opened()
    assert session.begin_upgrade() == "2probe"
    assert session.begin_upgrade() is None


@pytest.mark.parametrize("changes", [{"upgrades": []}, {"upgrades": ["webtransport"]}])
def test_no_upgrade_that_the_server_does_not_offer(changes):
    assert opened(**changes).begin_upgrade() is None


def test_upgrade_is_not_completed_after_the_goodbye():
    session = paused()
    assert session.disconnect()
    assert not session.complete_upgrade(0.1)
    assert posts(session) == [b"1"]


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_goodbye_goes_out_behind_what_was_sent_before(transport):
    session = opened(transport)
    session.send("4a", 0.0)
    assert session.disconnect()
    assert not session.disconnect()
    with pytest.raises(NotConnectedError):
        session.send("4b", 0.0)
    sent = b"\x1e".join(posts(session)) if transport == "polling" else "\x1e".join(map(str, session.take_frames())).encode()
    assert sent == b"4a\x1e1"


@pytest.mark.parametrize("end", [Reason.TRANSPORT_CLOSE, Reason.SERVER_DISCONNECT, Reason.PING_TIMEOUT])
def test_after_the_goodbye_nothing_else_is_the_reason_and_no_message_comes_through(end):
    session = opened("websocket")
    session.disconnect()
    assert session.receive(["4x", b"y", "2"], 0.1) == []
    session.close(end)
    closed = session.take_closed()
    assert closed is not None
    assert closed.reason == Reason.CLIENT_DISCONNECT


def test_abort_leaves_no_more_than_the_goodbye():
    session = opened()
    session.send("4a", 0.0)
    assert session.disconnect(abort=True)
    assert session.state == CLOSED
    assert posts(session) == [b"1"]


def test_silence_longer_than_interval_and_timeout_ends_the_session():
    session = opened("websocket", now=10.0)
    assert session.tick(10.5)
    session.receive(["2"], 10.4)
    assert session.tick(10.9)
    assert not session.tick(10.91)
    closed = session.take_closed()
    assert closed is not None
    assert closed.reason == Reason.PING_TIMEOUT


def test_the_next_look_is_a_quarter_of_the_server_s_time_away_and_never_later_than_its_end():
    session = opened("websocket", now=10.0)  # interval and timeout are half a second together
    assert session.look_in(10.0) == pytest.approx(0.125)
    assert session.look_in(10.4) == pytest.approx(0.1)
    assert session.look_in(10.5) == session.look_in(99.0) == 0.01


def test_sending_finds_out_that_the_computer_has_slept():
    session = opened("websocket", now=10.0)
    with pytest.raises(NotConnectedError):
        session.send("4x", 10_000.0)
    assert session.state == CLOSED
