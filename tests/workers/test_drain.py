"""The end of a worker, whatever asks for it: every client is told, and the process is gone within gunicorn's graceful timeout."""

from __future__ import annotations

import signal
import threading

from scenarios.client import Client, target_of
from scenarios.waiting import wait_until

from .clients import Talk, crowd, farewells, talk_by_polling, talk_by_websocket
from .servers import (
    EVENTLET,
    GRACEFUL_SECONDS,
    OWN_MODES,
    STOCK_MODES,
    THREADS,
    Server,
    each,
    with_arguments,
)


def wait_for_talk(talks: list[Talk]) -> None:
    wait_until(lambda: sum(talk.echoed > 3 for talk in talks) >= len(talks) // 2, "the half that talks to be talking")


@each(*OWN_MODES, *STOCK_MODES)
def test_sigterm_under_load_tells_every_client_and_ends_in_time(mode, connect, tmp_path):
    with Server(mode, tmp_path) as server:
        talks = crowd(connect(server))
        wait_for_talk(talks)
        server.signal(signal.SIGTERM)
        assert farewells(talks) == {"told"}
        assert server.wait_for_end(GRACEFUL_SECONDS) == 0
        server.check_log()
        assert "Worker exiting" in server.whole_log()  # and was not killed


@each(*OWN_MODES)
def test_a_reload_moves_the_clients_to_a_new_worker(mode, connect, tmp_path):
    with Server(mode, tmp_path) as server:
        old = server.worker
        client = connect(server)
        talks = crowd(client, 10, 4)
        server.signal(signal.SIGHUP)
        assert farewells(talks) == {"told"}
        server.wait_until_gone(old)
        assert server.worker != old
        session = client.open_polling()
        assert session.request("hello") == ["hello"]
        session.close()
        server.check_log()


@each(EVENTLET, THREADS)
def test_a_worker_that_has_changed_code_is_replaced(mode, connect, tmp_path):
    watched = tmp_path / "watched.py"
    watched.write_text("")
    arguments = ("--reload", "--reload-engine", "poll", "--reload-extra-file", str(watched), "--graceful-timeout", "30")
    with Server(with_arguments(mode, *arguments), tmp_path) as server:
        old = server.worker
        silent, talks = connect(server).open_polling(), [talk_by_websocket(connect(server).open_websocket())]

        def change() -> bool:
            watched.write_text(watched.read_text() + "#")  # the reloader may not have had its first look yet
            return not talks[0].is_alive()

        wait_until(change, "the websocket to be told", 10, 0.3)
        assert farewells(talks) == {"told"}
        assert silent.handshake, "a client that never asks does not keep the developer waiting"
        server.wait_until_gone(old, 5)
        server.wait_for_other_worker(old)
        server.check_log()


@each(*OWN_MODES)
def test_max_requests_recycles_under_load_without_losing_anything(mode, connect, tmp_path):
    """Each client talks, is told, and comes back, to the next worker when there is one."""
    with Server(with_arguments(mode, "--max-requests", "100", "--max-requests-jitter", "20"), tmp_path) as server:
        first, stop = server.worker, threading.Event()
        visitors = [Visitor(connect(server), kind, stop) for kind in ("websocket", "polling", "polling")]
        server.wait_for_other_worker(first, 15)
        wait_until(lambda: all(visitor.visits > 1 for visitor in visitors if visitor.is_alive()), "everybody to be back", 15)
        stop.set()
        server.signal(signal.SIGTERM)
        assert {visitor.verdict() for visitor in visitors} == {"told"}
        assert server.wait_for_end(GRACEFUL_SECONDS + 1) == 0
        server.check_log()


class Visitor(threading.Thread):
    """One client after the other: comes in, talks until it is told to go, comes back."""

    def __init__(self, client: Client, kind: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.visits = 0
        self._client, self._kind, self._over, self._verdict = client, kind, stop, "told"
        self.start()

    def run(self) -> None:
        try:
            while not self._over.is_set() and self._verdict == "told":
                self._visit()
        except Exception as exc:
            self._verdict = f"{type(exc).__name__}: {exc}"

    def _visit(self) -> None:
        try:
            talk = self._talk()
        except AssertionError as exc:
            if "Server is shutting down" not in str(exc):  # the one answer that is no failure: come back later
                raise
            self._over.wait(0.05)
            return
        self.visits += 1
        talk.join(20)
        self._verdict = talk.farewell

    def _talk(self) -> Talk:
        client = self._client
        return talk_by_websocket(client.open_websocket()) if self._kind == "websocket" else talk_by_polling(client.open_polling())

    def verdict(self) -> str:
        self.join(10)
        return self._verdict


@each(*OWN_MODES)
def test_a_new_client_is_refused_while_the_others_leave(mode, connect, tmp_path):
    with Server(mode, tmp_path) as server:
        client = connect(server)
        stays = client.open_websocket()  # and does not answer the close frame
        server.signal(signal.SIGTERM)
        assert stays.receive() == "1"
        refused = client.http("GET", target_of("polling"))
        assert (refused.status, int(refused.header("Retry-After")) > 0) == (503, True)
        stays.expect_close()
        assert server.wait_for_end(GRACEFUL_SECONDS) == 0


@each(THREADS)
def test_a_client_that_does_not_listen_is_cut_off_in_time(mode, connect, tmp_path):
    with Server(mode, tmp_path) as server:
        client = connect(server)
        client.open_polling()
        client.open_websocket()
        server.signal(signal.SIGTERM)
        assert server.wait_for_end(GRACEFUL_SECONDS) == 0
        assert "has cut off" in server.whole_log()
        server.check_log()


@each(EVENTLET)
def test_a_request_under_way_is_answered_before_the_end(mode, connect, tmp_path):
    with Server(mode, tmp_path) as server:
        connection = connect(server).connect()
        connection.send_request("GET", "/slow?seconds=1")
        wait_until(lambda: "slow begins" in server.whole_log(), "the request to be under way")
        server.signal(signal.SIGTERM)
        response = connection.read_response()
        assert (response.status, response.body) == (200, b"done")
        assert server.wait_for_end(GRACEFUL_SECONDS) == 0
        server.check_log()


@each(*OWN_MODES)
def test_ctrl_c_ends_at_once(mode, connect, tmp_path):
    with Server(mode, tmp_path) as server:
        connect(server).open_polling().begin_poll()
        server.signal(signal.SIGINT)
        assert server.wait_for_end(2) == 0
        server.check_log()
