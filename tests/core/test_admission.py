"""How many sessions there may be, and how fast they may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_green.core.admission import Admission

from .making import settings


def admission(**options):
    return Admission(settings(**options))


def test_everybody_may_enter_unless_an_option_says_otherwise():
    door = admission()
    assert [door.try_enter("a", 0.0) for _ in range(5000)] == [None] * 5000


def test_there_is_a_limit_in_all():
    door = admission(max_sessions=2)
    assert [door.try_enter(address, 0.0) for address in "abc"] == [None, None, "max_sessions"]
    door.leave("a")
    assert door.try_enter("c", 0.0) is None
    assert door.try_enter("d", 0.0) == "max_sessions"


def test_there_is_a_limit_for_each_address():
    door = admission(max_sessions_per_address=1)
    assert [door.try_enter(address, 0.0) for address in "aab"] == [None, "max_sessions_per_address", None]
    door.leave("a")
    assert door.try_enter("a", 0.0) is None
    assert door.try_enter("b", 0.0) == "max_sessions_per_address"


def test_what_was_refused_is_not_counted():
    door = admission(max_sessions=10, max_sessions_per_address=1)
    for _ in range(100):
        door.try_enter("a", 0.0)
    assert [door.try_enter(f"b{number}", 0.0) for number in range(9)] == [None] * 9


def test_handshakes_of_one_address_come_back_with_time():
    door = admission(handshake_rate=(2, 10))
    assert [door.try_enter("a", now) for now in (0, 0, 0, 4.9, 5, 5)] == [
        None, None, "handshake_rate", "handshake_rate", None, "handshake_rate",
    ]  # fmt: skip
    assert door.try_enter("b", 5.0) is None


def test_handshakes_saved_up_are_no_more_than_the_count():
    door = admission(handshake_rate=(2, 10))
    assert [door.try_enter("a", 1e6) for _ in range(3)] == [None, None, "handshake_rate"]
    assert [door.try_enter("a", 2e6) for _ in range(3)] == [None, None, "handshake_rate"]


def test_the_rate_counts_handshakes_and_not_sessions_that_are_open():
    door = admission(handshake_rate=(2, 10))
    for _ in range(2):
        assert door.try_enter("a", 0.0) is None
        door.leave("a")
    assert door.try_enter("a", 0.0) == "handshake_rate"


@given(gaps=st.lists(st.floats(0, 20), max_size=60), count=st.integers(1, 5), seconds=st.floats(0.5, 20))
def test_no_window_of_time_lets_twice_the_count_in(gaps, count, seconds):
    door = admission(handshake_rate=(count, seconds))
    now, entered = 0.0, []
    for gap in gaps:
        now += gap
        if door.try_enter("a", now) is None:
            entered.append(now)
    for start in entered:
        assert sum(1 for moment in entered if start <= moment < start + seconds) <= 2 * count


def test_addresses_that_have_not_come_for_long_are_forgotten():
    door = admission(handshake_rate=(2, 10), max_sessions_per_address=5)
    for number in range(60_000):
        if door.try_enter(f"address-{number}", number / 600) is None:
            door.leave(f"address-{number}")
    assert sum(len(value) for value in vars(door).values() if isinstance(value, dict)) < 25_000


@pytest.mark.timeout(10)  # linear: far less than a second; looking through all addresses each time: minutes
def test_many_addresses_at_once_do_not_make_each_handshake_dearer():
    door = admission(handshake_rate=(2, 10))
    for number in range(40_000):
        assert door.try_enter(f"address-{number}", 0.0) is None


@given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_the_counts_are_those_of_the_sessions_that_are_open(steps):
    door = admission(max_sessions=4, max_sessions_per_address=2)
    inside = []
    for address, enters in steps:
        if enters:
            answer = door.try_enter(address, 0.0)
            expected = None
            if len(inside) >= 4:
                expected = "max_sessions"
            elif inside.count(address) >= 2:
                expected = "max_sessions_per_address"
            assert answer == expected
            if answer is None:
                inside.append(address)
        elif address in inside:
            inside.remove(address)
            door.leave(address)
