"""The heap of next moments."""

from __future__ import annotations

import gc
import weakref

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engineio_green.core.deadlines import Deadlines


class Target:
    """Something that waits; what happens at its moment is the caller's business."""

    def on_deadline(self, now: float) -> None:
        raise AssertionError("the heap hands targets out, it does not call them")


def test_nothing_waits_at_first():
    deadlines = Deadlines()
    assert len(deadlines) == 0
    assert deadlines.next_moment() is None
    assert deadlines.pop_due(1e9) == []


def test_the_earliest_comes_first_and_equals_come_in_the_order_of_their_adding():
    deadlines = Deadlines()
    late, early, same = Target(), Target(), Target()
    deadlines.add(5.0, late)
    deadlines.add(1.0, early)
    deadlines.add(1.0, same)
    assert deadlines.next_moment() == 1.0
    assert deadlines.pop_due(5.0) == [early, same, late]


def test_a_moment_is_due_when_it_is_reached_and_not_before():
    deadlines, target = Deadlines(), Target()
    deadlines.add(1.0, target)
    assert deadlines.pop_due(0.999) == []
    assert deadlines.pop_due(1.0) == [target]
    assert deadlines.pop_due(2.0) == []


def test_a_target_may_wait_for_several_moments():
    deadlines, target = Deadlines(), Target()
    deadlines.add(1.0, target)
    deadlines.add(2.0, target)
    assert deadlines.pop_due(3.0) == [target, target]


def test_a_cancelled_moment_never_comes():
    deadlines, target, other = Deadlines(), Target(), Target()
    entry = deadlines.add(1.0, target)
    deadlines.add(2.0, other)
    deadlines.cancel(entry)
    assert len(deadlines) == 1
    assert deadlines.pop_due(3.0) == [other]


def test_cancelling_twice_or_too_late_is_harmless():
    deadlines, target = Deadlines(), Target()
    entry, fired = deadlines.add(5.0, target), deadlines.add(1.0, target)
    assert deadlines.pop_due(1.0) == [target]
    for _ in range(2):
        deadlines.cancel(fired)
        deadlines.cancel(entry)
    assert len(deadlines) == 0


def test_what_was_cancelled_leaves_with_the_others_and_not_at_its_own_moment():
    deadlines = Deadlines()
    for number in range(4000):
        deadlines.add(1.0, Target())
        entry = deadlines.add(60.0 + number, Target())
        if number % 4:
            deadlines.cancel(entry)
    assert len(deadlines.pop_due(1.0)) == 4000
    assert len(deadlines) == 1000
    assert len(deadlines._heap) == 1000


def test_the_heap_keeps_nothing_alive_that_was_cancelled():
    deadlines, target = Deadlines(), Target()
    gone = weakref.ref(target)
    entry = deadlines.add(1000.0, target)
    deadlines.cancel(entry)
    del target
    gc.collect()
    assert gone() is None
    assert entry.when == 1000.0


def test_moments_that_are_always_put_off_do_not_pile_up():
    deadlines, target = Deadlines(), Target()
    entry = deadlines.add(25.0, target)
    for number in range(50_000):
        deadlines.cancel(entry)
        entry = deadlines.add(25.0 + number, target)
    assert len(deadlines) == 1
    assert len(gc.get_referrers(target)) < 10
    assert sum(1 for thing in gc.get_objects() if type(thing) is type(entry)) < 5_000


@given(moments=st.lists(st.floats(0, 100), max_size=50), now=st.floats(0, 100))
def test_exactly_what_is_due_is_taken_out(moments, now):
    deadlines = Deadlines()
    targets = {}
    for moment in moments:
        target = Target()
        targets[target] = moment
        deadlines.add(moment, target)
    due = deadlines.pop_due(now)
    assert [targets[target] for target in due] == sorted(moment for moment in moments if moment <= now)
    assert len(deadlines) == len(moments) - len(due)
    assert (deadlines.next_moment() or 1000) > now


class DeadlinesMachine(RuleBasedStateMachine):
    """Any order of adding, cancelling and taking out, against a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines = Deadlines()
        self.waiting = {}  # entry: (when, order, target)
        self.spent = []
        self.count = 0

    @rule(when=st.integers(0, 20))
    def add(self, when):
        self.count += 1
        target = Target()
        self.waiting[self.deadlines.add(when, target)] = (when, self.count, target)

    @rule(data=st.data())
    def cancel(self, data):
        entries = [*self.waiting, *self.spent]
        if entries:
            entry = data.draw(st.sampled_from(entries))
            self.deadlines.cancel(entry)
            if self.waiting.pop(entry, None):
                self.spent.append(entry)

    @rule(now=st.integers(0, 20))
    def pop(self, now):
        due = {entry: item for entry, item in self.waiting.items() if item[0] <= now}
        expected = [target for _, _, target in sorted(due.values(), key=lambda item: item[:2])]
        assert self.deadlines.pop_due(now) == expected
        for entry in due:
            del self.waiting[entry]
            self.spent.append(entry)

    @invariant()
    def counts_what_waits(self):
        assert len(self.deadlines) == len(self.waiting)

    @invariant()
    def is_never_late(self):
        if self.waiting:
            assert self.deadlines.next_moment() <= min(when for when, _, _ in self.waiting.values())


TestDeadlines = DeadlinesMachine.TestCase
TestDeadlines.settings = settings(max_examples=50, stateful_step_count=40, deadline=None, print_blob=True)
