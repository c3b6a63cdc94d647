"""The promises in numbers: ten thousand messages on each transport, and websockets that cost nothing while they are idle."""

from __future__ import annotations

import pytest

from .client import Client, target_of
from .frames import PING, PONG, encode_frame
from .servers import FOUR_THREADS, SYNC_MODES, Server
from .waiting import wait_until

MESSAGES = 10_000


def test_ten_thousand_messages_over_polling_come_back_in_order(client: Client):
    session = client.open_polling()
    texts = [f"message {number}" for number in range(MESSAGES)]
    got: list[str | bytes] = []
    for start in range(0, MESSAGES, 100):
        session.send(*texts[start : start + 100])
        while len(got) < start:  # one batch stays in flight
            got += session.receive_some()
    while len(got) < MESSAGES:
        got += session.receive_some()
    assert got == texts


def test_ten_thousand_single_posts_and_polls_lose_nothing(client: Client):
    """Two requests a message; a tenth of the number does."""
    session = client.open_polling()
    for number in range(MESSAGES // 10):
        assert session.request(f"{number}") == [f"{number}"]


@pytest.mark.parametrize("in_flight", [1, 16, 64])
def test_ten_thousand_messages_over_websocket_come_back_in_order(client: Client, in_flight: int):
    ws = client.open_websocket()
    count = MESSAGES if in_flight > 1 else MESSAGES // 5
    texts = [f"message {number}" for number in range(count)]
    ws.send_data(*texts[:in_flight])
    for number in range(count):
        assert ws.receive_data() == [texts[number]]
        if number + in_flight < count:
            ws.send_data(texts[number + in_flight])


def test_messages_of_many_clients_at_once_stay_apart_and_in_order(client: Client):
    sockets = [client.open_websocket() for _ in range(40)]
    for round_ in range(25):
        for number, ws in enumerate(sockets):
            ws.send_data(f"{number}.{round_}.a", f"{number}.{round_}.b")
    for number, ws in enumerate(sockets):
        expected = [f"{number}.{round_}.{half}" for round_ in range(25) for half in "ab"]
        assert ws.receive_data(50) == expected


def open_idle(client: Client, count: int) -> list:
    sockets = [client.open_websocket() for _ in range(count)]
    wait_until(lambda: client.address.stats()["sessions"] >= count, "all sessions to be open")
    return sockets


def assert_all_answer(sockets: list) -> None:
    ping = encode_frame(PING, b"are you there")
    for ws in sockets:
        ws.send_raw(ping)
    for ws in sockets:
        assert ws.receive_frame() == (PONG, b"are you there", True)


def use_every_thread(client: Client) -> None:
    """Many requests at once, so that the server has started all the threads it is allowed to have."""
    connections = [client.connect() for _ in range(20)]
    for connection in connections:
        connection.send_request("GET", target_of("polling", extra="delay=0.3"))
    for connection in connections:
        client.keep(connection.read_response())


@pytest.mark.fresh_server
@pytest.mark.modes(FOUR_THREADS)
def test_two_thousand_idle_websockets_add_no_thread(client: Client, server: Server):
    first = open_idle(client, 20)
    assert_all_answer(first)
    use_every_thread(client)
    before = server.stats()
    sockets = open_idle(client, 1980)
    after = server.stats()
    assert after["sessions"] >= 2000
    assert after["threads"] <= before["threads"], f"{before} {after}"
    assert_all_answer([*first, *sockets])
    assert server.stats()["threads"] <= before["threads"] + 4
    assert first[0].request("hello") == ["hello"]


@pytest.mark.fresh_server
def test_five_hundred_idle_websockets_add_no_thread_and_no_greenlet(client: Client, server: Server):
    first = open_idle(client, 20)
    assert_all_answer(first)
    use_every_thread(client)
    before = server.stats()
    sockets = open_idle(client, 480)
    after = server.stats()
    # gunicorn's pool grows by itself to its 16 threads, whatever they do.
    pool = 16 if server.mode.name == "gunicorn-gthread" else 0
    assert after["threads"] <= max(before["threads"] + 2, pool + 4), f"{before} {after}"
    assert after["greenlets"] <= before["greenlets"] + 10, f"{before} {after}"
    assert after["resident_kilobytes"] - before["resident_kilobytes"] < 480 * 20, f"{before} {after}"
    assert_all_answer([*first, *sockets])


@pytest.mark.modes(*SYNC_MODES)
def test_nothing_is_kept_of_a_request_that_has_become_a_websocket(client: Client):
    """An environ is ten times the size of all that a client costs otherwise. The application may keep it, we do not.

    Neither the greenlet that has served the request: even one that has ended takes as much as the client."""
    sockets = [client.open_websocket("luggage=1") for _ in range(5)]
    wait_until(lambda: client.address.stats()["luggage"] == 0, "the environs and greenlets of their requests to be gone")
    for ws in sockets:
        assert ws.request("hello") == ["hello"]
