"""A session's opening and its traffic: the open packet, messages, polls, posts, and every packet that is not allowed."""

from __future__ import annotations

import json

import pytest

from engineio_green.core.session import Closed, Reason
from engineio_green.exceptions import PacketError
from engineio_green.packet import encode_message
from engineio_green.payload import encode_payload

from .making import closed, closing, opened, opening, post, take_in, upgraded

ILLEGAL = [
    "", "0", '0{"sid":"x"}', "2", "2probe", "5", "6", "7", "8", "9", "x", " ", "-", "\uff14hello", "\u0664", "1x", "1 ", "B",
    "\n4a",
    "\ufeff4a", "5probe", "6noop", "{}", "null",
]  # fmt: skip
TRANSPORTS = pytest.mark.parametrize("transport", ["polling", "websocket"])


def open_packet(session, can_upgrade=True):
    session.accept(0.0, can_upgrade)
    frame = session.take_frames()[0]
    assert frame[0] == "0"
    return json.loads(frame[1:])


# --- the open packet --------------------------------------------------------------------------------------------------


def test_the_open_packet_tells_what_the_client_must_know():
    assert open_packet(opening()) == {
        "sid": "the-sid",
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 1_000_000,
    }


@pytest.mark.parametrize(
    ("interval", "milliseconds"),
    [(0.3, 300), (1, 1000), (0.0125, 12), (1.5, 1500), ((25, 5), 30000), ((0.3, 0.25), 550), (0.29, 290)],
)
def test_intervals_are_told_in_milliseconds_with_the_grace(interval, milliseconds):
    assert open_packet(opening(ping_interval=interval))["pingInterval"] == milliseconds


@pytest.mark.parametrize(("timeout", "milliseconds"), [(0.3, 300), (20, 20000), (0.0009, 1)])
def test_the_timeout_is_told_in_milliseconds(timeout, milliseconds):
    assert open_packet(opening(ping_timeout=timeout))["pingTimeout"] == milliseconds


@pytest.mark.parametrize(
    ("transport", "options", "can_upgrade", "upgrades"),
    [
        ("polling", {}, True, ["websocket"]),
        ("polling", {}, False, []),
        ("polling", {"allow_upgrades": False}, True, []),
        ("polling", {"transports": "polling"}, True, []),
        ("websocket", {}, True, []),
        ("websocket", {"transports": ["websocket", "polling"]}, False, []),
    ],
)
def test_upgrades_are_offered_only_where_they_work(transport, options, can_upgrade, upgrades):
    assert open_packet(opening(transport, **options), can_upgrade)["upgrades"] == upgrades


@TRANSPORTS
def test_the_open_packet_comes_before_what_was_sent_while_the_application_decided(transport):
    session = opening(transport)
    assert session.send("4early")
    assert session.send(b"early")
    session.accept(0.0, True)
    frames = session.take_frames()
    assert frames[0][0] == "0"
    assert frames[1:] == ["4early", b"early"]


@TRANSPORTS
@pytest.mark.parametrize("initial", ["hello", b"\x00", {"a": 1}, ""])
def test_the_initial_packet_comes_right_behind_the_open_packet(transport, initial):
    session = opening(transport, initial_packet=initial)
    session.send("4early")
    session.accept(0.0, True)
    assert session.take_frames()[1:] == [encode_message(initial), "4early"]


def test_accepting_twice_opens_once():
    session = opening()
    session.accept(0.0, True)
    session.accept(1.0, True)
    assert len(session.take_frames()) == 1


def test_a_session_that_ended_before_its_acceptance_does_not_open():
    session = opening()
    session.close(Reason.SERVER_DISCONNECT)
    session.accept(0.0, True)
    assert session.take_frames() == []
    assert session.gone


# --- messages out -----------------------------------------------------------------------------------------------------


def test_what_is_sent_is_handed_over_once_and_in_order():
    session = opened()
    for number in range(100):
        assert session.send(f"4{number}")
    assert session.take_frames() == [f"4{number}" for number in range(100)]
    assert session.take_frames() == []


@pytest.mark.parametrize("make", [closing, closed])
def test_nothing_can_be_sent_after_the_end_has_begun(make):
    session = make()
    assert session.send("4late") is False
    assert session.take_frames() == []


# --- messages in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        ("4hello", "hello"),
        ("4", ""),
        ("44", "4"),
        ("4\u20ac", "\u20ac"),
        ('4{"a":[1]}', {"a": [1]}),
        ("4[]", []),
        ("4[NaN]", "[NaN]"),
        ("4{", "{"),
        ("4true", "true"),
        ("4null", "null"),
        ("412", "12"),
        (b"\x00\xff", b"\x00\xff"),
        (b"", b""),
        (b"4hello", b"4hello"),
    ],
)
def test_a_message_is_handed_to_the_application_on_both_transports(frame, data):
    on_websocket = opened("websocket").receive(frame)
    (on_polling,) = post(opened(), encode_payload([frame]))
    assert on_websocket == on_polling == data
    assert type(on_websocket) is type(on_polling) is type(data)


@TRANSPORTS
def test_the_server_s_own_json_module_decodes_messages(transport):
    class Json:
        dumps = staticmethod(json.dumps)
        loads = staticmethod(lambda text: ["mine", text])

    event = take_in(opened(transport, json=Json), "4[1]")
    assert event == ([["mine", "[1]"]] if transport == "polling" else ["mine", "[1]"])


@TRANSPORTS
@pytest.mark.parametrize("frame", ILLEGAL)
def test_a_packet_that_a_client_may_not_send_ends_the_session(transport, frame):
    session = opened(transport)
    if transport == "polling":
        with pytest.raises(PacketError):
            take_in(session, frame)
    else:
        take_in(session, frame)
    closed = session.take_closed()
    assert closed.reason == Reason.TRANSPORT_ERROR
    if transport == "websocket":
        assert closed.code == 1002


@pytest.mark.parametrize("frame", ILLEGAL)
def test_a_packet_that_a_client_may_not_send_ends_an_upgraded_session_too(frame):
    session = upgraded()
    assert isinstance(session.receive(frame), Closed)
    assert session.gone


@TRANSPORTS
@pytest.mark.parametrize("frame", ["1", "3", "3probe", "4x", b"x"])
def test_packets_that_a_client_may_send_are_no_error(transport, frame):
    session = opened(transport)
    take_in(session, frame)
    closed = session.take_closed()
    assert closed is None or closed.reason == Reason.CLIENT_DISCONNECT


@pytest.mark.parametrize("frame", ["4x", "3", b"x", "1", "2probe", ""])
def test_what_arrives_after_the_end_is_nothing(frame):
    session = opened("websocket")
    session.close(Reason.PING_TIMEOUT)
    session.take_closed()
    assert session.receive(frame) is None
    assert session.take_closed() is None


# --- polls ------------------------------------------------------------------------------------------------------------


def test_a_poll_gets_all_that_waits():
    session = opened()
    session.send("4a")
    session.send(b"b")
    assert session.begin_poll(1.0) == ["4a", b"b"]
    assert not session.poll_held


def test_a_poll_is_held_until_there_is_something():
    session = opened()
    assert session.begin_poll(1.0) is None
    assert session.poll_held
    assert session.poll_seconds() is None
    session.send("4a")
    assert session.end_poll() == ["4a"]
    assert not session.poll_held


def test_a_held_poll_is_never_answered_with_nothing():
    session = opened()
    assert session.begin_poll(1.0) is None
    assert session.end_poll() == ["6"]


def test_after_its_answer_the_next_poll_is_welcome():
    session = opened()
    for number in range(3):
        assert session.begin_poll(float(number)) is None
        session.send(f"4{number}")
        assert session.end_poll() == [f"4{number}"]


def test_a_second_poll_ends_the_session_and_the_first_is_answered():
    session = opened()
    assert session.begin_poll(1.0) is None
    with pytest.raises(PacketError):
        session.begin_poll(1.0)
    assert session.take_closed().reason == Reason.TRANSPORT_ERROR
    assert session.end_poll() == ["1"]


def test_a_poll_that_is_answered_at_once_is_not_held():
    session = opened()
    session.send("4a")
    assert session.begin_poll(1.0) == ["4a"]
    assert session.begin_poll(1.0) is None


def test_a_poll_after_the_end_is_refused():
    session = closed()
    with pytest.raises(PacketError):
        session.begin_poll(1.0)


def test_a_poll_that_comes_too_late_finds_the_session_gone():
    session = opened()
    session.tick(25.0)
    with pytest.raises(PacketError):
        session.begin_poll(45.0)
    assert session.take_closed().reason == Reason.PING_TIMEOUT


def test_a_poll_gets_the_ping_that_is_due_even_if_the_clock_was_late():
    assert opened().begin_poll(25.0) == ["2"]


# --- posts ------------------------------------------------------------------------------------------------------------


def test_a_post_brings_its_messages_in_order():
    frames = ["4a", b"b", "3", '4{"c":1}', "4"]
    assert post(opened(), encode_payload(frames)) == ["a", b"b", {"c": 1}, ""]


def test_who_taps_a_post_sees_each_packet_before_its_message():
    session = opened()
    session.begin_post()
    assert session.receive_payload(b"4a\x1e3\x1ebAA==\x1e1", tap=lambda frame: ("saw", frame)) == [
        ("saw", "4a"), "a", ("saw", "3"), ("saw", b"\0"), b"\0", ("saw", "1"),
    ]  # fmt: skip
    session.finish_post()


def test_who_taps_a_post_that_is_refused_sees_nothing():
    session, seen = opened(), []
    session.begin_post()
    with pytest.raises(PacketError):
        session.receive_payload(b"4a\x1e7", tap=seen.append)
    assert seen == []


def test_one_post_may_follow_another():
    session = opened()
    for number in range(3):
        assert post(session, f"4{number}".encode()) == [str(number)]


def test_a_second_post_while_one_is_read_ends_the_session_and_the_first_is_refused():
    session = opened()
    session.begin_post()
    with pytest.raises(PacketError):
        session.begin_post()
    assert session.take_closed().reason == Reason.TRANSPORT_ERROR
    with pytest.raises(PacketError):
        session.receive_payload(b"4a")
    session.finish_post()


@pytest.mark.parametrize(
    "body",
    [b"", b"\x1e", b"4a\x1e", b"\x1e4a", b"\xff", b"4a\x1ebA", b"4a\x1e2", b"4a\x1e6", b'4a\x1e0{"sid":"x"}', b"4a\x1e5",
     b"4a\x1e7",
     b"4a\x1e1\x1e4b", b"1\x1e1", b"1\x1e3", b"4a\x1e1\x1e", b"d=4a", b"[1]", b"ok"],
)  # fmt: skip
def test_a_post_with_a_bad_packet_brings_nothing_and_ends_the_session(body):
    session = opened()
    with pytest.raises(PacketError):
        post(session, body)
    closed = session.take_closed()
    assert closed.reason == Reason.TRANSPORT_ERROR
    assert closed.detail


def test_a_post_that_was_cut_short_ends_the_session():
    session = opened()
    with pytest.raises(PacketError):
        post(session, None)
    assert session.take_closed().reason == Reason.TRANSPORT_ERROR


def test_a_post_with_too_many_packets_ends_the_session():
    session = opened(max_packets_per_payload=16)
    assert len(post(session, encode_payload(["4a"] * 16))) == 16
    with pytest.raises(PacketError, match="max_packets_per_payload"):
        post(session, encode_payload(["4a"] * 17))
    assert session.gone


def test_a_post_may_say_goodbye():
    session = opened()
    assert post(session, b"4last\x1e1") == ["last"]
    assert session.take_closed().reason == Reason.CLIENT_DISCONNECT


@pytest.mark.parametrize("make", [opening, closing, closed])
def test_a_post_is_refused_before_the_acceptance_and_after_the_end(make):
    session = make()
    with pytest.raises(PacketError):
        session.begin_post()


@pytest.mark.parametrize("end", [lambda session: session.close(Reason.PING_TIMEOUT), lambda session: session.disconnect(1.0)])
def test_a_post_is_refused_when_the_session_ends_while_it_is_read(end):
    session = opened()
    session.begin_post()
    end(session)
    with pytest.raises(PacketError):
        session.receive_payload(b"4a")


def test_posts_and_polls_do_not_disturb_each_other():
    session = opened()
    assert session.begin_poll(1.0) is None
    assert post(session, b"4a") == ["a"]
    session.send("4b")
    assert session.end_poll() == ["4b"]


def test_a_post_that_was_under_way_when_the_upgrade_was_completed_is_taken():
    session = opened()
    session.begin_post()
    session.begin_upgrade(0.0)
    session.receive_probe("2probe")
    session.receive_probe("5")
    assert session.receive_payload(b"4a") == ["a"]
    session.finish_post()
