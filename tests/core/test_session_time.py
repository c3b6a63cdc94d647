"""A session and time: heartbeats, the upgrade with its limit, and when the next moment is. Time is numbers."""

from __future__ import annotations

import pytest

from engineio_green.core.session import Reason

from .making import closed, closing, opened, opening, post, take_in, upgraded, upgrading

TRANSPORTS = pytest.mark.parametrize("transport", ["polling", "websocket"])


def run_until(session, end):
    """Do what the shell's clock does: tick at each next moment up to *end*. Returns the moments."""
    moments = []
    while (moment := session.next_moment()) is not None and moment <= end:
        assert not moments or moment > moments[-1], "the clock would spin"
        session.tick(moment)
        moments.append(moment)
    return moments


def pong(session):
    take_in(session, "3")


# --- heartbeat --------------------------------------------------------------------------------------------------------


@TRANSPORTS
def test_a_ping_goes_out_every_interval(transport):
    session = opened(transport, ping_interval=10)
    for moment in (10.0, 20.0, 30.0):
        assert session.next_moment() == moment
        session.tick(moment)
        assert session.take_frames() == ["2"]
        pong(session)


@TRANSPORTS
def test_before_its_moment_nothing_happens(transport):
    session = opened(transport)
    session.tick(24.999)
    assert session.take_frames() == []
    assert session.next_moment() == 25.0


@TRANSPORTS
def test_no_pong_within_the_timeout_ends_the_session(transport):
    session = opened(transport, ping_interval=25, ping_timeout=20)
    assert run_until(session, 100.0) == [25.0, 45.0]
    assert session.take_closed().reason == Reason.PING_TIMEOUT


@TRANSPORTS
def test_a_pong_in_the_last_moment_counts(transport):
    session = opened(transport)
    session.tick(25.0)
    session.tick(44.999)
    pong(session)
    session.tick(45.0)
    assert not session.gone


@TRANSPORTS
def test_nothing_but_a_pong_answers_a_ping(transport):
    session = opened(transport)
    session.tick(25.0)
    take_in(session, "4alive")
    take_in(session, b"alive")
    session.tick(45.0)
    assert session.take_closed().reason == Reason.PING_TIMEOUT


def test_polling_alone_does_not_answer_a_ping():
    session = opened()
    for moment in (25.0, 30.0, 44.0):
        if session.begin_poll(moment) is None:
            session.end_poll()
    session.tick(45.0)
    assert session.gone


@TRANSPORTS
def test_an_unasked_for_pong_changes_nothing(transport):
    session = opened(transport)
    for moment in (0.0, 1.0, 24.0):
        pong(session)
        session.tick(moment)
        assert session.next_moment() == 25.0
    assert session.take_frames() == []
    session.tick(25.0)
    assert session.take_frames() == ["2"]


def test_a_flood_of_pongs_costs_neither_frames_nor_moments():
    session = opened("websocket")
    for _ in range(10_000):
        assert session.receive("3") is None
    assert session.take_frames() == []
    assert session.next_moment() == 25.0


@TRANSPORTS
def test_a_timeout_longer_than_the_interval_waits_with_the_next_ping(transport):
    session = opened(transport, ping_interval=10, ping_timeout=35)
    run_until(session, 44.0)
    assert session.take_frames() == ["2"]
    assert not session.gone
    session.tick(45.0)
    assert session.take_closed().reason == Reason.PING_TIMEOUT


@TRANSPORTS
def test_a_late_clock_sends_one_ping_and_goes_on_from_there(transport):
    session = opened(transport, ping_interval=10, ping_timeout=5)
    session.tick(1000.0)
    assert session.take_frames() == ["2"]
    assert session.next_moment() == 1005.0


@TRANSPORTS
def test_without_monitoring_a_silent_client_stays_and_is_pinged_again_when_it_answers(transport):
    session = opened(transport, ping_interval=10, ping_timeout=5, monitor_clients=False)
    run_until(session, 500.0)
    assert not session.gone
    assert session.take_frames() == ["2"]
    pong(session)
    run_until(session, 510.0)
    assert session.take_frames() == ["2"]


def test_a_client_that_the_server_does_not_read_gets_its_time_anew():
    session = opened("websocket", ping_interval=10, ping_timeout=5)
    session.tick(10.0)
    session.hold_up()
    run_until(session, 100.0)
    assert not session.gone
    session.go_on(100.0)
    run_until(session, 104.9)
    assert not session.gone
    run_until(session, 105.0)
    assert session.take_closed().reason == Reason.PING_TIMEOUT


def test_a_client_that_was_held_up_and_answers_stays():
    session = opened("websocket", ping_interval=10, ping_timeout=5)
    session.tick(10.0)
    session.hold_up()
    run_until(session, 60.0)
    session.go_on(60.0)
    session.receive("3")
    run_until(session, 69.0)
    assert not session.gone


def test_a_ping_answers_a_held_poll():
    session = opened()
    assert session.begin_poll(0.0) is None
    session.tick(25.0)
    assert session.end_poll() == ["2"]


def test_the_time_begins_with_the_acceptance():
    session = opening()
    session.tick(1000.0)
    assert session.take_frames() == []
    assert not session.gone
    session.accept(1000.0, True)
    assert session.next_moment() == 1025.0


@TRANSPORTS
def test_any_scale_of_the_clock_will_do(transport):
    for start in (-1e6, 0.0, 1e9):
        session = opened(transport, now=start)
        assert run_until(session, start + 100) == [start + 25, start + 45]


# --- next moments -----------------------------------------------------------------------------------------------------


def test_after_the_end_there_is_no_next_moment():
    assert closed().next_moment() is None


def test_a_closing_session_waits_for_its_last_poll_and_no_longer():
    session = closing(now=20.0, close_timeout=10, ping_interval=25)
    assert run_until(session, 100.0)[-1] == 30.0
    assert session.take_closed().reason == Reason.SERVER_DISCONNECT


@pytest.mark.parametrize("make", [opened, upgrading, upgraded, closing])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ping_interval": 3, "ping_timeout": 10},
        {"ping_interval": 10, "ping_timeout": 3},
        {"ping_interval": 3, "ping_timeout": 1, "monitor_clients": False},
        {"close_timeout": 100, "upgrade_timeout": 100},
        {"close_timeout": 1, "upgrade_timeout": 1},
    ],
)
def test_the_clock_never_spins_and_a_silent_client_always_ends_if_it_is_watched(make, options):
    session = make(**options)
    run_until(session, 1000.0)
    assert session.gone or options.get("monitor_clients") is False


@pytest.mark.parametrize("late", [0.0, 0.1, 7.0, 60.0])
def test_after_a_tick_the_next_moment_lies_ahead_however_late_the_clock_was(late):
    for make in (opened, upgrading, upgraded, closing):
        session = make(ping_interval=7, ping_timeout=5, close_timeout=30)
        for _ in range(20):
            moment = session.next_moment()
            if moment is None:
                break
            session.tick(moment + late)
            following = session.next_moment()
            assert following is None or following > moment + late


# --- the upgrade ------------------------------------------------------------------------------------------------------


def test_an_upgrade_goes_step_by_step():
    session = opened()
    assert session.begin_upgrade(0.0)
    assert session.upgrading
    assert session.receive_probe("2probe") == "3probe"
    assert session.upgrading
    assert session.transport == "polling"
    assert session.receive_probe("5") is None
    assert (session.transport, session.upgraded, session.upgrading) == ("websocket", True, False)


def test_packets_queued_during_the_upgrade_go_out_on_the_websocket_in_order():
    session = upgrading()
    for number in range(5):
        session.send(f"4{number}")
    session.receive_probe("5")
    session.send("45")
    assert session.take_frames() == [f"4{number}" for number in range(6)]


def test_a_held_poll_ends_with_noop_and_leaves_the_packets_to_the_websocket():
    session = opened()
    session.begin_poll(0.0)
    session.begin_upgrade(0.0)
    session.receive_probe("2probe")
    session.receive_probe("5")
    session.send("4a")
    assert session.end_poll() == ["6"]
    assert session.take_frames() == ["4a"]


def test_polls_while_upgrading_are_answered_soon_with_noop():
    session = upgrading()
    assert session.begin_poll(0.0) is None
    assert 0 < session.poll_seconds() <= 1
    assert session.end_poll() == ["6"]


def test_a_poll_while_upgrading_still_gets_what_waits():
    session = upgrading()
    session.send("4a")
    assert session.begin_poll(0.0) == ["4a"]


def test_a_poll_that_meets_the_end_of_the_upgrade_gets_noop_and_no_packets():
    session = upgraded()
    session.send("4a")
    assert session.begin_poll(0.0) == ["6"]
    assert not session.poll_held
    assert session.take_frames() == ["4a"]


@pytest.mark.parametrize(
    "frame", ["5", "2", "2probex", "2PROBE", "3probe", "4hello", "1", "6", "", b"2probe", b"", "\uff12probe"]
)
def test_a_wrong_probe_leaves_the_session_polling(frame):
    session = opened()
    session.begin_upgrade(0.0)
    assert session.receive_probe(frame) is None
    assert_still_polling(session)


@pytest.mark.parametrize("frame", ["2probe", "2", "3", "4hello", "1", "6", "", "5x", "5 ", b"5", "0"])
def test_anything_but_the_upgrade_packet_after_the_probe_leaves_the_session_polling(frame):
    session = upgrading()
    assert session.receive_probe(frame) is None
    assert_still_polling(session)


def test_a_lost_websocket_leaves_the_session_polling():
    for session in (upgrading(), opened()):
        session.begin_upgrade(0.0)
        session.end_upgrade()
        assert_still_polling(session)


@pytest.mark.parametrize("make", [upgrading, lambda **options: probing(**options)])
def test_an_upgrade_that_takes_too_long_leaves_the_session_polling(make):
    session = make(upgrade_timeout=5)
    assert session.next_moment() == 5.0
    session.tick(4.999)
    assert session.upgrading
    session.tick(5.0)
    assert_still_polling(session)
    assert session.receive_probe("5") is None
    assert_still_polling(session)


def probing(**options):
    session = opened(**options)
    session.begin_upgrade(0.0)
    return session


def assert_still_polling(session):
    """Nothing is lost, and another upgrade may come."""
    assert (session.transport, session.upgraded, session.upgrading, session.gone) == ("polling", False, False, False)
    assert session.send("4a")
    assert session.begin_poll(1.0) == ["4a"]
    assert session.begin_poll(1.0) is None
    assert session.poll_seconds() is None
    session.end_poll()
    assert post(session, b"4b") == ["b"]
    assert session.begin_upgrade(1.0)
    session.end_upgrade()


@pytest.mark.parametrize("make", [upgrading, probing, upgraded, lambda: opened("websocket"), closing, closed, opening])
def test_a_second_or_unfitting_websocket_is_turned_away_and_the_session_is_as_it_was(make):
    session = make()
    before = (session.state, session.transport, session.upgraded, session.upgrading, session.next_moment())
    assert session.begin_upgrade(1.0) is False
    assert (session.state, session.transport, session.upgraded, session.upgrading, session.next_moment()) == before


def test_after_an_upgrade_its_time_limit_is_gone():
    session = upgraded(upgrade_timeout=5)
    assert session.next_moment() == 25.0


def test_the_heartbeat_goes_on_during_and_after_an_upgrade():
    session = upgrading(upgrade_timeout=100)
    session.tick(25.0)
    assert session.begin_poll(25.0) == ["2"]
    assert post(session, b"3") == []
    session.receive_probe("5")
    session.tick(50.0)
    assert session.take_frames() == ["2"]
    session.tick(70.0)
    assert session.take_closed().reason == Reason.PING_TIMEOUT


def test_a_pong_for_a_ping_that_went_out_by_polling_may_come_by_websocket():
    session = upgrading(upgrade_timeout=100)
    session.tick(25.0)
    assert session.begin_poll(25.0) == ["2"]
    session.receive_probe("5")
    session.receive("3")
    session.tick(45.0)
    assert not session.gone
