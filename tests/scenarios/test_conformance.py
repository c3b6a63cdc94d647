"""The conformance suite's cases on the wire: frames in, echoes, pongs and close codes out, and TCP ends cleanly each time.

What the frame layer makes of the same tables by itself is tested beside it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from .client import Client, SessionSocket, decode_message, target_of
from .conformance import DEFLATE_FAMILIES, FAMILIES, NO_STATUS, Case, DeflateCase
from .deflating import DeflatingSocket
from .frames import CLOSE, PING, PONG, TEXT, decode_close, encode_frame
from .servers import SYNC_TLS_MODES, Server
from .waiting import wait_until

# Of the case's own client: it goes on after its close frame, and a server that has answered need not read that.
MAY_RESET = ("7.1.2", "7.1.3", "7.1.4", "7.1.5", "7.1.6")


def run_each(cases: list[Any], run: Callable[[Any], None]) -> None:
    """Run all cases, and name all that fail."""
    failures = []
    for case in cases:
        try:
            run(case)
        except (AssertionError, OSError) as exc:
            failures.append(f"{case.name}: {type(exc).__name__} {exc}")
    assert not failures, f"{len(failures)} of {len(cases)} cases failed:\n" + "\n".join(failures)


class Conversation:
    """One case on one session."""

    def __init__(self, ws: SessionSocket, case: Case):
        self.ws = ws
        self.case = case
        self.echoes: list[str | bytes] = []
        self.pongs: list[bytes] = []

    def run(self) -> None:
        try:
            for data in self.case.writes:
                self.ws.send_raw(data)
        except (BrokenPipeError, ConnectionResetError):
            assert self.case.name.startswith(MAY_RESET), "the server ended TCP before the client did"
        if self.case.code is None:
            self.stay_open()
        else:
            self.see_the_close()

    def stay_open(self) -> None:
        case = self.case
        while (len(self.echoes), len(self.pongs)) != (len(case.messages), len(case.pongs)):
            assert self.take_frame() is None, "closed"
        assert (self.echoes, self.pongs) == (case.messages, case.pongs)
        self.ws.send_frame(CLOSE, struct.pack("!H", 1000))
        assert self.take_frame() == struct.pack("!H", 1000), "something nobody asked for"
        assert self.ws.connection.expect_end() == b""

    def see_the_close(self) -> None:
        try:
            payload = None
            while payload is None:
                payload = self.take_frame()
            code = decode_close(payload)[0]
            assert (NO_STATUS if code is None else code) == self.case.code
            assert self.case.pongs == self.pongs
            assert self.ws.connection.expect_end() == b"", "bytes behind the close frame"
        except ConnectionResetError:  # which throws away what the client has not read yet
            assert self.case.name.startswith(MAY_RESET), "TCP was reset"
        assert self.case.messages[: len(self.echoes)] == self.echoes

    def take_frame(self) -> bytes | None:
        """Sort one frame in; the payload if it is a close."""
        frame = self.ws.receive_frame()
        assert frame.fin, "a fragment"
        assert frame.opcode != PING
        if frame.opcode == CLOSE:
            return frame.payload
        if frame.opcode == PONG:
            self.pongs.append(frame.payload)
        else:
            self.echoes.append(frame.payload.decode() if frame.opcode == TEXT else frame.payload)
        return None


def check_journal(server: Server, sid: str, case: Case) -> None:
    """The application has got what came before the end, all of it, and heard of the end once."""
    reason = server.wait_disconnected(sid)
    assert reason == ("transport error" if case.failed else "transport close")
    data = [decode_message(message) for message in case.messages]
    assert server.received(sid) == [f"{type(item).__name__}:{str(item)[:100]}" for item in data]


def converse(client: Client, server: Server, cases: list[Case]) -> None:
    """Each case on a session of its own; then what the application saw of it."""
    sids: dict[str, str] = {}

    def run(case: Case) -> None:
        ws = client.open_websocket()
        sids[case.name] = ws.sid
        try:
            Conversation(ws, case).run()
        finally:
            ws.drop()

    assert len({case.name for case in cases}) == len(cases)
    run_each(cases, run)
    run_each(cases, lambda case: check_journal(server, sids[case.name], case))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_case_of_the_family_ends_as_the_suite_says(client: Client, server: Server, family: str):
    client.open_websocket().close()  # what is started lazily is started now
    before = server.stats()
    converse(client, server, FAMILIES[family])
    wait_until(lambda: server.stats()["sessions"] <= before["sessions"], "the sessions to end")
    wait_until(lambda: server.stats()["descriptors"] <= before["descriptors"] + 2, "the descriptors to be closed")


@pytest.mark.modes(*SYNC_TLS_MODES)
def test_every_twelfth_case_ends_in_the_same_way_over_tls(client: Client, server: Server):
    """Not all, because a connection costs ten times as much: only the way to the frame layer is another one."""
    converse(client, server, [case for family in FAMILIES.values() for case in family][::12])


@pytest.mark.server_options(per_message_deflate=True)
@pytest.mark.parametrize("family", DEFLATE_FAMILIES)
def test_every_compressed_case_of_the_family_comes_back_as_it_was(client: Client, family: str):
    def run(case: DeflateCase) -> None:
        ws = DeflatingSocket(client, target_of("websocket"), case.offer)
        assert ws.accepted is not None
        assert str(ws.receive()).startswith("0{")
        for message in case.messages:
            ws.send(message, fragments=case.fragments)
            assert ws.receive() == message
        ws.connection.send(encode_frame(CLOSE, struct.pack("!H", 1000)))
        assert ws.connection.expect_end() == b"\x88\x02\x03\xe8"
        ws.connection.close()

    run_each(DEFLATE_FAMILIES[family], run)
