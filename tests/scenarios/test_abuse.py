"""Clients that break rules on purpose, over and over: nothing of them stays, and nobody else notices.

What each single fault is answered with stands in the files of its transport.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable

import pytest

from .client import Client, target_of
from .frames import BINARY, CLOSE, PING, PONG, TEXT, encode_frame, new_key, upgrade_headers
from .servers import Server
from .waiting import wait_until
from .wire import encode_request

CYCLES = 2_000  # on each of the servers


def most_threads(server: Server, ours: int) -> int:
    """gunicorn's pool grows by itself to its 16 threads, whatever they do."""
    return max(ours, 16 + 6) if server.mode.name == "gunicorn-gthread" else ours


def unmasked_frame(client: Client) -> str:
    ws = client.open_websocket()
    ws.send_frame(TEXT, b"4x", mask=False)
    ws.expect_close()
    return ws.sid


def message_over_the_limit(client: Client) -> str:
    ws = client.open_websocket()
    ws.send_raw(struct.pack("!BBQ", 0x80 | BINARY, 0x80 | 127, 1 << 40) + b"mask")
    ws.drop()
    return ws.sid


def half_a_frame(client: Client) -> str:
    ws = client.open_websocket()
    ws.send_raw(encode_frame(TEXT, b"4" + b"x" * 3000)[:1500])
    ws.abort()
    return ws.sid


def wrong_packet(client: Client) -> str:
    ws = client.open_websocket()
    ws.send("9")
    ws.expect_close()
    return ws.sid


def echo_to_nobody(client: Client) -> str:
    ws = client.open_websocket()
    ws.send_data(*["x" * 500] * 20)
    ws.abort()
    return ws.sid


def reset_right_after_the_request(client: Client) -> None:
    connection = client.connect()
    headers = [("Host", connection.authority), *upgrade_headers(new_key())]
    connection.send(encode_request("GET", target_of("websocket"), headers, None))
    connection.abort()


def close_twice(client: Client) -> str:
    ws = client.open_websocket()
    ws.send_raw(encode_frame(CLOSE, struct.pack("!H", 1000)) * 2)
    ws.expect_gone()
    return ws.sid


def malformed_body(client: Client) -> str:
    session = client.open_polling()
    assert session.post_body("abc").status == 400
    session.over = True
    return session.sid


def second_poll(client: Client) -> str:
    session = client.open_polling()
    held = session.begin_poll()
    statuses = {client.http("GET", session.target).status, held.response().status}
    assert 400 in statuses
    session.over = True
    return session.sid


def wrong_probe_then_close(client: Client) -> str:
    session = client.open_polling()
    ws = session.open_websocket()
    ws.send("4hello")
    ws.expect_gone()
    session.close()
    return session.sid


def probe_and_vanish(client: Client) -> str:
    session = client.open_polling()
    session.probe().abort()
    session.close()
    return session.sid


def refused(client: Client) -> None:
    assert client.refused_websocket(target_of("websocket", extra="reject=false")).status == 401
    assert client.http("GET", target_of("polling", "nobody")).status == 400


def body_that_ends_early(client: Client) -> str:
    session = client.open_polling()
    connection = client.connect()
    connection.send_request("POST", session.target, [("Content-Length", "50")])
    connection.send(b"4half")
    connection.close()
    return session.sid


ABUSES: list[Callable[[Client], str | None]] = [
    unmasked_frame,
    message_over_the_limit,
    half_a_frame,
    wrong_packet,
    echo_to_nobody,
    reset_right_after_the_request,
    close_twice,
    malformed_body,
    second_poll,
    wrong_probe_then_close,
    probe_and_vanish,
    refused,
    body_that_ends_early,
]


@pytest.mark.fresh_server
def test_thousands_of_abusive_clients_leave_nothing_behind(server: Server):
    chance = random.Random(7)
    witness = Client(server)
    ws = witness.open_websocket()
    for abuse in ABUSES * 3:  # what is started lazily is started now
        one_cycle(server, abuse)
    wait_until(lambda: server.stats()["sessions"] == 1, "the first sessions to end")
    before = server.stats()
    sids = []
    for number in range(CYCLES):
        sids.append(one_cycle(server, chance.choice(ABUSES)))
        if number % 100 == 0:
            assert ws.request("still fine") == ["still fine"]
    wait_until(lambda: server.stats()["sessions"] == 1, "all sessions but the witness's to end")
    wait_until(lambda: server.stats()["descriptors"] <= before["descriptors"] + 2, "the descriptors to be closed")
    after = server.stats()
    assert after["threads"] <= most_threads(server, before["threads"] + 4), f"{before} {after}"
    assert after["greenlets"] <= before["greenlets"] + 10, f"{before} {after}"
    assert after["resident_kilobytes"] <= before["resident_kilobytes"] + 8_000, f"{before} {after}"
    for sid in [sid for sid in sids if sid][:: CYCLES // 40]:
        assert len(server.disconnects(sid)) == 1
    assert ws.request("still fine") == ["still fine"]
    witness.close_all()


def one_cycle(server: Server, abuse: Callable[[Client], str | None]) -> str | None:
    client = Client(server)
    try:
        return abuse(client)
    finally:
        client.close_all()


@pytest.mark.fresh_server
@pytest.mark.server_options(ping_interval=1.0, ping_timeout=0.5)
def test_handshakes_without_a_follow_up_are_forgotten_in_time(server: Server):
    client = Client(server)
    connection = client.connect()

    def flood(count: int) -> None:
        nonlocal connection
        for _ in range(count):
            if not connection.reusable:
                connection.close()
                connection = client.connect()
            assert connection.request("GET", target_of("polling")).status == 200
        wait_until(lambda: server.stats()["sessions"] == 0, "the sessions to time out", 5)

    flood(CYCLES // 2)
    before = server.stats()
    flood(CYCLES // 2)
    after = server.stats()
    connection.close()
    assert after["descriptors"] <= before["descriptors"] + 2
    assert after["threads"] <= most_threads(server, before["threads"] + 4)
    assert after["resident_kilobytes"] <= before["resident_kilobytes"] + 8_000, f"{before} {after}"


def test_a_flood_of_pongs_starts_nothing(client: Client, server: Server):
    ws = client.open_websocket()
    assert ws.request("warm") == ["warm"]
    before = server.stats()
    for _ in range(100):
        ws.send_raw(encode_frame(TEXT, b"3") * 100 + encode_frame(PONG, b"x") * 100)
    assert ws.request("done") == ["done"]
    after = server.stats()
    assert after["threads"] <= most_threads(server, before["threads"] + 2)
    assert after["greenlets"] <= before["greenlets"] + 2


def test_a_flood_of_pings_is_answered_in_order(client: Client):
    ws = client.open_websocket()
    for start in range(0, 2000, 100):
        ws.send_raw(b"".join(encode_frame(PING, b"%d" % number) for number in range(start, start + 100)))
        for number in range(start, start + 100):
            assert ws.receive_frame() == (PONG, b"%d" % number, True)


def test_a_poll_answer_that_nobody_reads_delays_nobody(client: Client):
    session, other = client.open_polling(), client.open_websocket()
    session.send({"cmd": "send_many", "n": 200, "size": 20_000})
    slow = client.connect(receive_buffer=4096)
    slow.send_request("GET", session.target)
    for _ in range(20):
        assert other.request("quick", b"\x01") == ["quick", b"\x01"]
        assert client.open_polling().request("too") == ["too"]
    response = slow.read_response(timeout=20)
    received = response.text.count("\x1e") + 1
    while received < 200:  # on threads the handler may still have been sending
        received += len(session.receive_some())
    assert received == 200


def test_half_a_request_delays_nobody(client: Client):
    """Fewer than a threaded server has threads: each of these holds one, by no choice of ours."""
    halves = [client.connect() for _ in range(8)]
    session = client.open_polling()
    for connection in halves:
        connection.send(b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nX-Half: ")
    for _ in range(10):
        assert session.request("quick") == ["quick"]
    for connection in halves:
        connection.send(b"done\r\n\r\n")
        assert client.keep(connection.read_response()).status == 200


def test_a_refused_websocket_that_stays_connected_delays_nobody(client: Client):
    connection = client.connect()
    headers = [("Host", connection.authority), *upgrade_headers(new_key())]
    connection.send(encode_request("GET", target_of("websocket", "nobody"), headers, None))
    assert connection.read_response().status == 400
    begin = time.monotonic()
    assert client.http("GET", target_of("polling")).status == 200
    assert time.monotonic() - begin < 1.5
