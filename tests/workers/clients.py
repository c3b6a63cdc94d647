"""Clients that talk until they are told to go, each in a thread: what they saw is what a test judges."""

from __future__ import annotations

import threading
from collections.abc import Callable

from scenarios.client import Client, Polling, SessionSocket
from scenarios.frames import WebSocketClosed

GOING_AWAY = 1001
PATIENCE_SECONDS = 6.0


class Talk(threading.Thread):
    """Echoes one message after the other. *farewell* is why it has ended: ``"told"``, or what went wrong."""

    def __init__(self, talk: Callable[[Talk], str]) -> None:
        super().__init__(daemon=True)
        self.echoed = 0
        self.farewell = "still there"
        self._talk = talk
        self.start()

    def run(self) -> None:
        try:
            self.farewell = self._talk(self)
        except Exception as exc:
            self.farewell = f"{type(exc).__name__}: {exc}"


def talk_by_websocket(ws: SessionSocket, in_flight: int = 2) -> Talk:
    """Echo, with so many messages under way at any time; none: only listen."""

    def talk(state: Talk) -> str:
        sent = received = 0
        closing = False
        try:
            while True:
                while not closing and sent < received + in_flight:
                    ws.send(f"4{sent}")
                    sent += 1
                message = ws.receive()
                if message == "2":
                    ws.send("3")
                elif message == "1":
                    closing = True
                else:
                    assert message == f"4{received}", f"{message!r} in place of echo {received}"
                    received = state.echoed = received + 1
        except WebSocketClosed as closed:
            assert closing, "a close frame without a close packet"
            ws.connection.close()
            return "told" if closed.code == GOING_AWAY else f"close code {closed.code}"

    return Talk(talk)


def talk_by_polling(session: Polling) -> Talk:
    def talk(state: Talk) -> str:
        while True:
            session.post_body(f"4{state.echoed}")  # refused when the session has ended meanwhile: the next poll says so
            packets = session.poll()
            if "1" in packets:
                session.over = True
                return "told"
            for packet in packets:
                if packet == "2":
                    session.post("3")
                else:
                    assert packet == f"4{state.echoed}", f"{packet!r} in place of echo {state.echoed}"
                    state.echoed += 1

    return Talk(talk)


def hold_polls(session: Polling) -> Talk:
    """Only listen, as a page that nobody touches."""

    def talk(state: Talk) -> str:
        while "1" not in session.poll():
            pass
        session.over = True
        return "told"

    return Talk(talk)


def crowd(client: Client, websockets: int = 50, polling: int = 10) -> list[Talk]:
    """As many clients, every second of which only listens; all are connected when it returns."""
    sockets = [client.open_websocket() for _ in range(websockets)]
    sessions = [client.open_polling() for _ in range(polling)]
    talks = [talk_by_websocket(ws, 2 * (number % 2)) for number, ws in enumerate(sockets)]
    return talks + [(hold_polls, talk_by_polling)[number % 2](session) for number, session in enumerate(sessions)]


def farewells(talks: list[Talk]) -> set[str]:
    """How they all have ended."""
    for talk in talks:
        talk.join(PATIENCE_SECONDS)
    return {talk.farewell for talk in talks}
