"""The books that the session's state machine is held against, kept apart from the session.

Owns what was accepted to be sent, what has come out, what must have ended, and the comparison with the session after every step.
Must not know how the session works, only what it promises.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from engineio_green.exceptions import PacketError

from .making import opening

OPTIONS = st.fixed_dictionaries(
    {
        "ping_interval": st.sampled_from([3, 10, (5, 2)]),
        "ping_timeout": st.sampled_from([2, 12]),
        "close_timeout": st.sampled_from([1, 20]),
        "upgrade_timeout": st.sampled_from([1, 20]),
        "monitor_clients": st.booleans(),
        "max_packets_per_payload": st.sampled_from([2, 1000]),
        "initial_packet": st.sampled_from([None, "hello"]),
    }
)


CLIENTS = {
    "transport": st.sampled_from(["polling", "polling", "websocket"]),
    "options": OPTIONS,
    "now": st.sampled_from([0.0, -5.0, 1e6]),
    "peace": st.sampled_from([0, 5, 15, 30]),
    "at_once": st.sampled_from([True, True, False]),
}
AFTERLIFE = 8  # steps that a session is watched for after its end; most of the time should go to the living


class Books(RuleBasedStateMachine):
    """What every session is watched for, whatever its shell and its client do."""

    def open(self, transport, options, now, peace):
        self.peace = peace  # steps for which nothing happens that ends sessions, or most would be short
        self.now = now
        self.session = opening(transport, **options)
        self.most_packets = options["max_packets_per_payload"]
        self.initial = ["4hello"] if options["initial_packet"] else []
        self.accepted = []  # what the application has sent and the session has taken
        self.delivered = []  # what has come out of it, without the protocol's own packets
        self.opened = False  # the open packet is out
        self.pings = 0  # that came out and were not answered
        self.early_pongs = 0  # for pings that had not come out yet: a client that does this may get them twice
        self.farewell = False  # the server said goodbye: everything must still get through
        self.ended_for_client = False  # a close packet came out: nothing may follow it
        self.held = False
        self.posting = False
        self.end = None  # the Closed that was handed over
        self.must_have_ended = False
        self.afterlife = 0

    # --- books ----------------------------------------------------------------------------------------------------------

    @property
    def gone(self):
        return self.session.gone

    def deliver(self, frames):
        """The shell hands *frames* to the client."""
        for frame in frames:
            assert not self.ended_for_client or frame == "6", f"{frame!r} after the close packet"
            if isinstance(frame, str) and frame[:1] == "0":
                assert not self.opened, "opened twice"
                assert not self.delivered
                self.opened = True
            elif frame == "2":
                self.pings += 1
                assert self.pings <= 1 + self.early_pongs, "a second ping before the pong"
            elif frame == "1":
                self.ended_for_client = True
            elif frame != "6":
                assert self.opened, f"{frame!r} before the open packet"
                self.delivered.append(frame)

    def refused(self, call, *arguments):
        """A call that must be refused, after which the session has ended."""
        with pytest.raises(PacketError):
            call(*arguments)
        self.must_have_ended = True

    def flush(self):
        """What a shell does when there is a websocket: nothing waits for anybody."""
        if self.session.transport == "websocket" and self.opened:
            self.deliver(self.session.take_frames())

    @property
    def ping_is_out(self):
        return self.pings > 0 or "2" in self.session.outbox

    def pong_arrived(self, frames):
        if any(isinstance(frame, str) and frame[:1] == "3" for frame in frames):
            self.pings = 0
            self.early_pongs = "2" in self.session.outbox

    # --- what always holds ------------------------------------------------------------------------------------------------

    @invariant()
    def life_goes_by(self):
        self.peace = max(self.peace - 1, 0)
        self.afterlife += self.gone

    @invariant()
    def the_end_comes_when_it_must_and_not_otherwise(self):
        if not self.opened and self.gone:
            self.must_have_ended = True  # it ended before it began
        if self.must_have_ended:
            assert self.gone
        elif self.gone:
            # Polls and ticks find out by themselves that time is up.
            raise AssertionError("the session has ended unasked")

    @invariant()
    def nothing_is_lost_doubled_or_out_of_order(self):
        assert self.delivered == self.accepted[: len(self.delivered)]

    @invariant()
    def what_has_not_come_out_still_waits(self):
        waiting = [frame for frame in self.session.outbox if isinstance(frame, bytes) or frame[:1] == "4"]
        if not self.gone and self.opened:
            assert self.delivered + waiting == self.accepted

    @invariant()
    def everything_is_refused_after_the_end(self):
        if self.gone:
            assert self.session.send("4late") is False
            assert self.session.next_moment() is None
            assert not self.session.upgrading
