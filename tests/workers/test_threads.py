"""gunicorn's threaded worker: what clients that only listen take of its threads and of its connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from scenarios.servers import Mode

from .servers import STOCK_MODES, THREADS, Server, each, gunicorn, with_arguments

GTHREAD = STOCK_MODES[2]
UNCONFIGURED = Mode("gthread-unconfigured", "threading", gunicorn("-k", "gthread"))
CLIENTS = 30


@each(THREADS, GTHREAD)
def test_held_polls_leave_the_threads_to_the_other_requests(mode, connect, tmp_path):
    with Server(with_arguments(mode, "--threads", "2"), tmp_path) as server:
        client = connect(server)
        sessions = [client.open_polling() for _ in range(CLIENTS)]
        held = [session.begin_poll() for session in sessions]
        for number, session in enumerate(sessions):
            session.post(f"4{number}")
            assert held[number].packets() == [f"4{number}"]
            session.begin_poll()
        server.check_log()


@pytest.mark.parametrize("query", ["", "wrapped=1"])
@each(THREADS, GTHREAD, UNCONFIGURED)
def test_websockets_are_no_connections_of_the_worker(mode, query, connect, tmp_path):
    """It accepts no more when it has so many, and keeps none for a next request when it keeps nearly as many already."""
    few = with_arguments(mode, "--threads", "8", "--worker-connections", "12", "--keep-alive", "60")
    with Server(few, tmp_path) as server:
        client = connect(server)
        with ThreadPoolExecutor(CLIENTS) as together:
            sockets = list(together.map(client.open_websocket, [query] * CLIENTS))
        for number, ws in enumerate(sockets):
            ws.send(f"4{number}")
            assert ws.receive() == f"4{number}"
        assert client.http("GET", "/who").keep_alive
        server.check_log()
