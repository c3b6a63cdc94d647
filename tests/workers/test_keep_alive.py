"""A connection that is kept for its next request, and a worker that is late."""

from __future__ import annotations

from scenarios.waiting import wait_until

from .servers import EVENTLET, OWN_MODES, Server, each, with_arguments


@each(EVENTLET)
def test_a_request_that_was_there_before_its_time_was_up_is_answered(mode, connect, tmp_path):
    """However late the worker comes to it: the client could not know, and will not repeat a POST."""
    with Server(with_arguments(mode, "--keep-alive", "1"), tmp_path) as server:
        client = connect(server)
        kept = [client.connect() for _ in range(20)]
        freezer = client.connect()
        for connection in [*kept, freezer]:
            assert connection.request("GET", "/who").keep_alive
        freezer.send_request("GET", "/freeze?seconds=1.6")
        wait_until(lambda: "freeze begins" in server.whole_log(), "the worker to be frozen")
        for connection in kept:
            connection.send_request("GET", "/who")
        for connection in kept:
            assert connection.read_response().status == 200
        server.check_log()


@each(*OWN_MODES)
def test_a_connection_with_no_further_request_is_closed_when_its_time_is_up(mode, connect, tmp_path):
    with Server(with_arguments(mode, "--keep-alive", "1"), tmp_path) as server:
        connection = connect(server).connect()
        assert connection.request("GET", "/who").keep_alive
        wait_until(connection.at_end, "the end of the connection", 4, 0.05)
        server.check_log()
