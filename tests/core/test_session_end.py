"""The end of a session: told exactly once, with its reason, after a farewell where there is one."""

from __future__ import annotations

import contextlib

import pytest

from engineio_green.core.session import Reason
from engineio_green.exceptions import PacketError

from .making import closed, closing, opened, opening, post, upgraded, upgrading

TRANSPORTS = pytest.mark.parametrize("transport", ["polling", "websocket"])


def end_by_bad_post(session):
    with pytest.raises(PacketError):
        post(session, b"7")


def end_by_second_poll(session):
    assert session.begin_poll(1.0) is None
    with pytest.raises(PacketError):
        session.begin_poll(1.0)


def end_by_silence(session):
    session.tick(25.0)
    session.tick(45.0)


WAYS_TO_END = [
    ("polling", lambda session: session.close(Reason.TRANSPORT_CLOSE), "transport close"),
    ("websocket", lambda session: session.close(Reason.TRANSPORT_ERROR, 1009), "transport error"),
    ("polling", lambda session: post(session, b"1"), "client disconnect"),
    ("websocket", lambda session: session.receive("1"), "client disconnect"),
    ("polling", end_by_bad_post, "transport error"),
    ("polling", end_by_second_poll, "transport error"),
    ("websocket", lambda session: session.receive("7"), "transport error"),
    ("polling", end_by_silence, "ping timeout"),
    ("websocket", end_by_silence, "ping timeout"),
    ("websocket", lambda session: session.disconnect(1.0), "server disconnect"),
]


@pytest.mark.parametrize(("transport", "end", "reason"), WAYS_TO_END)
@pytest.mark.parametrize(("_", "end_again", "__"), WAYS_TO_END)
def test_the_end_is_handed_over_once_with_the_first_reason(transport, end, reason, _, end_again, __):
    session = opened(transport)
    end(session)
    with contextlib.suppress(PacketError):
        end_again(session)
    assert session.take_closed().reason == reason
    assert session.take_closed() is None
    assert session.close(Reason.SERVER_DISCONNECT) is None
    assert session.take_closed() is None


def test_the_reasons_are_the_documented_ones():
    named = {value for name, value in vars(Reason).items() if name.isupper()}
    assert named == {"server disconnect", "client disconnect", "ping timeout", "transport close", "transport error"}


def test_closing_returns_what_happened_only_the_first_time():
    session = opened("websocket")
    closed = session.close(Reason.TRANSPORT_ERROR, 1009, "too long")
    assert (closed.reason, closed.code, closed.detail) == ("transport error", 1009, "too long")
    assert session.close(Reason.TRANSPORT_ERROR) is None


def test_while_it_lives_there_is_no_end_to_take():
    for session in (opening(), opened(), opened("websocket"), upgrading(), upgraded(), closing()):
        assert session.take_closed() is None


# --- after the end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [closed, lambda: ended(upgrading()), lambda: ended(upgraded()), lambda: ended(opened("websocket"))]
)
def test_after_the_end_everything_is_refused(make):
    session = make()
    session.take_closed()
    assert session.gone
    assert session.send("4a") is False
    with pytest.raises(PacketError):
        session.begin_poll(1.0)
    with pytest.raises(PacketError):
        session.begin_post()
    assert session.begin_upgrade(1.0) is False
    assert session.receive_probe("2probe") is None
    assert session.receive_probe("5") is None
    assert not session.upgrading
    assert session.disconnect(1.0) is None
    session.tick(1000.0)
    session.accept(1000.0, True)
    assert session.gone
    assert session.take_frames() == []
    assert session.take_closed() is None
    assert session.next_moment() is None


def ended(session):
    session.close(Reason.TRANSPORT_CLOSE)
    return session


# --- held polls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (lambda session: session.disconnect(1.0), "1"),
        (lambda session: session.close(Reason.TRANSPORT_ERROR), "1"),
        (lambda session: post(session, b"1"), "6"),
        (end_by_bad_post, "1"),
    ],
)
def test_a_held_poll_is_answered_when_the_session_ends(end, last):
    session = opened()
    session.begin_poll(0.0)
    end(session)
    assert session.gone
    assert session.end_poll() == [last]


def test_a_held_poll_gets_what_was_sent_before_the_end():
    session = opened()
    session.begin_poll(0.0)
    session.send("4a")
    session.disconnect(1.0)
    assert session.end_poll() == ["4a", "1"]


def test_a_held_poll_of_a_silent_client_is_answered():
    session = opened()
    session.begin_poll(0.0)
    session.tick(25.0)
    session.tick(45.0)
    assert session.end_poll() == ["2", "1"]


# --- farewells ------------------------------------------------------------------------------------------------------------


def test_on_websocket_a_disconnect_sends_what_waits_and_a_close_packet():
    for session in (opened("websocket"), upgraded()):
        session.send("4a")
        assert session.disconnect(1.0).reason == Reason.SERVER_DISCONNECT
        assert session.gone
        assert session.take_frames() == ["4a", "1"]


def test_on_polling_a_disconnect_waits_for_the_next_poll():
    session = opened()
    session.send("4a")
    assert session.disconnect(1.0) is None
    assert not session.gone
    assert session.begin_poll(2.0) == ["4a", "1"]
    assert session.take_closed().reason == Reason.SERVER_DISCONNECT


def test_a_disconnect_waits_no_longer_than_the_close_timeout():
    session = opened(close_timeout=3)
    session.disconnect(1.0)
    session.tick(3.999)
    assert not session.gone
    session.tick(4.0)
    assert session.take_closed().reason == Reason.SERVER_DISCONNECT


def test_a_poll_that_comes_after_the_close_timeout_is_refused():
    session = closing(close_timeout=3)
    with pytest.raises(PacketError):
        session.begin_poll(3.0)
    assert session.take_closed().reason == Reason.SERVER_DISCONNECT


def test_a_second_disconnect_changes_nothing():
    session = opened(close_timeout=3)
    session.disconnect(1.0)
    assert session.disconnect(2.0) is None
    assert session.next_moment() == 4.0


def test_a_closing_session_sends_no_more_pings_and_is_not_ended_by_silence():
    session = opened(ping_interval=2, ping_timeout=2, close_timeout=100)
    session.tick(2.0)
    session.take_frames()
    session.disconnect(3.0)
    for moment in range(3, 100):
        session.tick(float(moment))
    assert not session.gone
    assert session.begin_poll(100.0) == ["1"]


def test_a_disconnect_while_the_application_still_decides_ends_the_session():
    for transport in ("polling", "websocket"):
        session = opening(transport)
        assert session.disconnect(0.0).reason == Reason.SERVER_DISCONNECT
        assert session.gone


def test_a_disconnect_during_the_upgrade_still_reaches_the_client_by_poll():
    session = upgrading()
    session.send("4a")
    session.disconnect(1.0)
    assert session.begin_poll(1.0) == ["4a", "1"]
    assert session.gone
    assert not session.upgrading


def test_a_disconnect_during_the_upgrade_still_reaches_the_client_by_websocket():
    session = upgrading()
    session.send("4a")
    session.disconnect(1.0)
    session.receive_probe("5")  # the client will not poll any more
    assert session.take_frames() == ["4a", "1"]
    assert session.take_closed().reason == Reason.SERVER_DISCONNECT


@TRANSPORTS
def test_an_abrupt_end_leaves_what_waits_to_whoever_can_still_deliver_it(transport):
    session = opened(transport)
    session.send("4a")
    session.close(Reason.TRANSPORT_ERROR)
    assert session.take_frames() == ["4a"]
