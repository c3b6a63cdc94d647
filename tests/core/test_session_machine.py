"""Any sequence of requests, frames, timeouts and closes keeps what a session promises.

The machine plays a shell with one clock, and any client, polite or not. Its books are kept apart from the session: what was
accepted to be sent, what has come out, what must have ended. What is checked after every step:

- what was accepted comes out once and in order, on whichever transport; all of it, where the end had a farewell;
- the end is handed over once, and nothing works after it;
- a held poll gets an answer that is not empty;
- after a tick the next moment lies ahead, so that the clock never spins.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from engineio_green.core.session import Closed, Reason
from engineio_green.exceptions import PacketError
from engineio_green.payload import encode_payload

from .session_books import AFTERLIFE, CLIENTS, Books

GOOD = st.sampled_from(["4x", "4", '4{"a":1}', b"x", b"", "3", "3probe"])
BAD = st.sampled_from(["", "0", "2", "2probe", "5", "6", "7", "x", "1x", "\uff14"])
PROBES = st.sampled_from(["2probe", "5", "2", "1", "4x", "", b"2probe", "3probe"])
GAPS = st.sampled_from([0.0, 0.1, 1.0, 2.5, 4.0, 7.0, 30.0])
REASONS = st.sampled_from([Reason.TRANSPORT_CLOSE, Reason.TRANSPORT_ERROR, Reason.PING_TIMEOUT])


def while_it_matters(condition=lambda self: True):
    return precondition(lambda self: self.afterlife < AFTERLIFE and condition(self))


class SessionMachine(Books):
    @initialize(**CLIENTS)
    def open_the_first(self, at_once, **client):
        self.open(**client)
        if at_once:
            self.accept()

    @precondition(lambda self: self.gone)
    @rule(**CLIENTS)
    def open_another(self, at_once, **client):
        self.say_goodbye()
        self.open(**client)
        if at_once:
            self.accept()

    # --- the application ------------------------------------------------------------------------------------------------

    @while_it_matters(lambda self: not self.opened)
    @rule()
    def accept(self):
        self.session.accept(self.now, self.session.transport == "polling")
        if not self.gone:
            self.accepted[:0] = self.initial
            self.deliver(self.session.take_frames())
            assert self.opened

    @while_it_matters()
    @rule(binary=st.booleans(), corked=st.booleans())
    def send(self, binary, corked):
        text = f"4message {len(self.accepted)}"
        frame = text.encode() if binary else text
        may = not self.gone and not self.farewell
        assert self.session.send(frame) is may
        if may:
            self.accepted.append(frame)
            if not corked:
                self.flush()

    @while_it_matters(lambda self: not self.peace)
    @rule()
    def disconnect(self):
        was_gone = self.gone
        before_opening = not self.opened
        closed = self.session.disconnect(self.now)
        if was_gone or self.farewell:
            assert closed is None
        elif not before_opening:
            self.farewell = True
            self.must_have_ended = self.gone
        self.flush()

    @while_it_matters(lambda self: not self.peace)
    @rule(reason=REASONS)
    def close(self, reason):
        closed = self.session.close(reason)
        assert (closed is None) is self.must_have_ended
        self.must_have_ended = True
        self.farewell = self.farewell and closed is None
        self.flush()

    # --- the clock ------------------------------------------------------------------------------------------------------

    @while_it_matters()
    @rule(gap=GAPS)
    def wait(self, gap):
        """Time passes, the clock is late."""
        self.now += min(gap, 0.1) if self.peace else gap

    @while_it_matters()
    @rule()
    def tick(self):
        was_gone = self.gone
        self.session.tick(self.now)
        if self.gone and not was_gone:
            self.must_have_ended = True
        if self.gone:
            assert self.session.next_moment() is None
        elif self.opened:
            assert self.session.next_moment() > self.now
        self.flush()

    @while_it_matters(lambda self: self.opened and not self.gone and not (self.peace and self.ping_is_out))
    @rule()
    def wait_for_the_next_moment(self):
        self.now = max(self.now, self.session.next_moment())
        self.tick()

    # --- the client on polling --------------------------------------------------------------------------------------------

    @while_it_matters(lambda self: self.opened and not (self.peace and self.held))
    @rule()
    def poll(self):
        session, was_gone = self.session, self.gone
        session.tick(self.now)  # as the poll itself does, so that the books know what it will find
        if session.gone:
            self.refused(session.begin_poll, self.now)
        elif session.transport == "websocket":
            assert session.begin_poll(self.now) == ["6"], "a late poll must get nothing of the websocket's"
        elif self.held:
            assert not was_gone
            self.farewell = False
            self.refused(session.begin_poll, self.now)
        else:
            frames = session.begin_poll(self.now)
            self.held = frames is None
            assert session.poll_held is self.held
            if frames is not None:
                assert frames
                self.deliver(frames)
            if self.farewell:
                assert self.ended_for_client
                self.must_have_ended = True

    @while_it_matters(lambda self: self.held)
    @rule()
    def answer_the_held_poll(self):
        on_polling = self.session.transport == "polling"
        if self.gone:
            self.flush()  # what is left is the websocket's, if there is one
        frames = self.session.end_poll()
        assert frames
        if on_polling:
            assert self.session.outbox == []
        elif not self.gone:
            assert frames == ["6"], "a late poll must get nothing of the websocket's"
        self.deliver(frames)
        self.held = False

    @while_it_matters(lambda self: self.opened and not (self.peace and self.posting))
    @rule()
    def begin_post(self):
        session = self.session
        if session.gone or self.farewell:
            with pytest.raises(PacketError):
                session.begin_post()
        elif self.posting:
            self.refused(session.begin_post)
        else:
            session.begin_post()
            self.posting = True

    @while_it_matters(lambda self: self.posting)
    @rule(frames=st.lists(GOOD, min_size=1, max_size=4), goodbye=st.booleans())
    def end_a_good_post(self, frames, goodbye):
        goodbye = goodbye and not self.peace
        frames = frames[: self.most_packets] if self.peace else frames
        frames = [*frames, "1"] if goodbye else frames
        session, body = self.session, encode_payload(frames)
        if session.gone or self.farewell:
            with pytest.raises(PacketError):
                session.receive_payload(body)
        elif len(frames) > self.most_packets:
            self.refused(session.receive_payload, body)
        else:
            messages = session.receive_payload(body)
            expected = [frame for frame in frames if isinstance(frame, bytes) or frame[:1] == "4"]
            assert len(messages) == len(expected), "all messages or none"
            self.pong_arrived(frames)
            self.must_have_ended = goodbye
        session.finish_post()
        self.posting = False

    @while_it_matters(lambda self: self.posting and not self.peace)
    @rule(before=st.lists(GOOD, max_size=2), bad=BAD, after=st.lists(GOOD, max_size=2), cut_short=st.booleans())
    def end_a_bad_post(self, before, bad, after, cut_short):
        body = None if cut_short else encode_payload([*before, bad, *after])
        if self.session.gone or self.farewell:
            with pytest.raises(PacketError):
                self.session.receive_payload(body)
        else:
            self.refused(self.session.receive_payload, body)
        self.session.finish_post()
        self.posting = False

    # --- the client on websocket ------------------------------------------------------------------------------------------

    @while_it_matters(lambda self: self.opened)
    @rule()
    def begin_upgrade(self):
        session = self.session
        may = not session.gone and not self.farewell and session.transport == "polling" and not session.upgrading
        assert session.begin_upgrade(self.now) is may
        assert not may or session.upgrading

    @while_it_matters(lambda self: self.session.upgrading)
    @rule(frame=PROBES)
    def receive_probe(self, frame):
        session = self.session
        answer = session.receive_probe(frame)
        assert answer in (None, "3probe")
        assert (answer == "3probe") <= (frame == "2probe" and session.upgrading)
        if session.transport == "websocket":
            assert frame == "5"
            assert session.upgraded
            assert not session.upgrading
            if self.farewell:
                self.must_have_ended = True
            self.flush()

    @while_it_matters(lambda self: self.opened and self.session.transport == "polling")
    @rule(meanwhile=st.lists(st.sampled_from(["send", "poll", "tick", "disconnect"]), max_size=3), complete=st.booleans())
    def upgrade_as_clients_do(self, meanwhile, complete):
        """Random frames rarely hit the way that clients go."""
        if not self.session.upgrading:
            self.begin_upgrade()
        if self.session.upgrading:
            self.receive_probe("2probe")
        for what in meanwhile:
            if what == "send":
                self.send(binary=False, corked=False)
            elif what == "tick":
                self.tick()
            elif what == "poll" and not self.held:
                self.poll()
            elif what == "disconnect" and not self.peace:
                self.disconnect()
        if self.session.upgrading and complete:
            self.receive_probe("5")

    @while_it_matters(lambda self: self.session.upgrading)
    @rule()
    def lose_the_websocket_on_probation(self):
        self.session.end_upgrade()
        assert not self.session.upgrading
        assert self.session.transport == "polling"

    @while_it_matters(lambda self: self.opened and self.session.transport == "websocket")
    @rule(frame=GOOD)
    def receive_a_good_packet(self, frame):
        self.receive(frame)

    @while_it_matters(lambda self: self.opened and self.session.transport == "websocket" and not self.peace)
    @rule(frame=st.one_of(BAD, st.just("1")))
    def receive_a_last_packet(self, frame):
        self.receive(frame)

    def receive(self, frame):
        session, was_gone = self.session, self.gone
        event = session.receive(frame)
        if was_gone:
            assert event is None
        elif isinstance(frame, bytes):
            assert event == frame
        elif frame[:1] == "4":
            assert event is not None
            assert not isinstance(event, Closed)
        elif frame[:1] == "3":
            assert event is None
            self.pong_arrived([frame])
        else:
            assert isinstance(event, Closed)
            self.must_have_ended = True
        self.flush()

    # --- the shell --------------------------------------------------------------------------------------------------------

    @while_it_matters()
    @rule()
    def uncork(self):
        self.flush()

    @while_it_matters()
    @rule()
    def settle(self):
        closed = self.session.take_closed()
        if self.end is None and self.must_have_ended:
            assert closed is not None
            self.end = closed
        else:
            assert closed is None

    def teardown(self):
        if hasattr(self, "session"):
            self.say_goodbye()

    def say_goodbye(self):
        self.afterlife = 0
        if self.opened and not self.held:
            self.poll()  # the last one gets all that is still to be had
            if self.held:
                self.answer_the_held_poll()
            self.flush()
            if not self.gone:
                assert self.delivered == self.accepted
        if self.session.close(Reason.TRANSPORT_CLOSE):
            self.must_have_ended = True
            self.farewell = False
        self.must_have_ended = self.must_have_ended or not self.opened
        if self.held:
            self.answer_the_held_poll()
        self.flush()
        if self.farewell and self.ended_for_client:
            assert self.delivered == self.accepted, "the farewell came before what was sent"
        self.settle()
        assert self.end is not None
        assert self.session.take_closed() is None


TestSession = pytest.mark.timeout(600)(SessionMachine.TestCase)  # a failure needs time to be made small
TestSession.settings = settings(max_examples=200, stateful_step_count=60, deadline=None, print_blob=True)
