"""Clients that break rules on purpose, over and over: nothing of them stays, and nobody else notices.

What each single fault is answered with stands in the files of its transport.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from .client import Client, target_of
from .frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame, new_key, upgrade_headers
from .servers import Server
from .waiting import wait_until
from .wire import TIMEOUT, encode_request

# On each of the servers. More of it, and with figures: `ABUSE=10000 pytest tests/scenarios/test_abuse.py -rP`.
CYCLES = int(os.environ.get("ABUSE", "2000"))
HANDSHAKES = int(os.environ.get("ABUSE", "4000"))
LIFETIME = 1.5  # seconds that a session has whose client says nothing


def report(what: str, server: Server, *stats: dict[str, Any]) -> None:
    """Figures for who asks for them with `-rP`."""
    for name in ("resident_kilobytes", "blocks", "descriptors", "threads", "greenlets", "sessions"):
        print(what, server.mode.name, name, *(one[name] for one in stats))


def most_threads(server: Server, ours: int) -> int:
    """gunicorn's pool grows by itself to its 16 threads, whatever they do."""
    return max(ours, 16 + 6) if server.mode.name == "gunicorn-gthread" else ours


def let_go(server: Server, blocks: int) -> dict[str, Any]:
    """The statistics once the interpreter has no more objects than `blocks`, but for a few."""
    wait_until(lambda: server.stats()["blocks"] <= blocks + 6_000, f"no more than {blocks} objects to be left", 15, 0.2)
    return server.stats()


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
@pytest.mark.timeout(300)
@pytest.mark.server_options(close_timeout=2, scenario=["forgetful"])
def test_thousands_of_abusive_clients_leave_nothing_behind(server: Server):
    chance = random.Random(7)
    witness = Client(server)
    ws = witness.open_websocket()
    for abuse in ABUSES * 8:  # what is started lazily is started now, and the journal is full
        one_cycle(server, abuse)
    wait_until(lambda: server.stats()["sessions"] == 1, "the first sessions to end")
    before = server.stats()
    for number in range(CYCLES):
        sid = one_cycle(server, chance.choice(ABUSES))
        if number % 100 == 0:
            assert ws.request("still fine") == ["still fine"]
            if sid:
                server.wait_disconnected(sid)
    wait_until(lambda: server.stats()["sessions"] == 1, "all sessions but the witness's to end")
    wait_until(lambda: server.stats()["descriptors"] <= before["descriptors"] + 2, "the descriptors to be closed")
    after = let_go(server, before["blocks"])
    report("cycles", server, before, after)
    assert after["threads"] <= most_threads(server, before["threads"] + 4), f"{before} {after}"
    assert after["greenlets"] <= before["greenlets"] + 10, f"{before} {after}"
    assert after["resident_kilobytes"] <= before["resident_kilobytes"] + 8_000, f"{before} {after}"
    assert ws.request("still fine") == ["still fine"]
    witness.close_all()


def one_cycle(server: Server, abuse: Callable[[Client], str | None]) -> str | None:
    client = Client(server)
    try:
        return abuse(client)
    finally:
        client.close_all()


def flood_with_handshakes(server: Server, count: int) -> None:
    """Open sessions as fast as one raw socket can, and never come back to any of them."""
    address = server.host, server.port
    request = encode_request("GET", target_of("polling"), [("Host", f"{server.host}:{server.port}")], None)
    sock = socket.create_connection(address, TIMEOUT)
    for _ in range(count):
        sock.sendall(request)
        answer = b""
        while not answer.endswith(b"}"):  # so an open packet ends
            data = sock.recv(4096)
            assert data, f"half an answer: {answer!r}"
            answer += data
        assert answer[8:13] == b" 200 ", answer
        if answer.startswith(b"HTTP/1.0") or b"connection: close" in answer.lower():
            sock.close()
            sock = socket.create_connection(address, TIMEOUT)
    sock.close()


@pytest.mark.fresh_server
@pytest.mark.timeout(300)
@pytest.mark.server_options(ping_interval=LIFETIME - 0.5, ping_timeout=0.5, scenario=["forgetful"])
def test_handshakes_without_a_follow_up_are_forgotten_in_time(server: Server):
    def flood(count: int, base: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The statistics at the end of the flood, and when the last of it has gone."""
        flood_with_handshakes(server, count)
        peak = server.stats()
        wait_until(lambda: server.stats()["sessions"] == 0, "the sessions to time out", LIFETIME + 1)
        return peak, let_go(server, base["blocks"] if base else peak["blocks"])

    _, before = flood(300)  # what is started lazily is started now
    peak, after = flood(HANDSHAKES, before)
    again, last = flood(1000, before)
    report("flood", server, before, peak, after, again, last)
    assert peak["resident_kilobytes"] - before["resident_kilobytes"] < 4_000 + 4 * peak["sessions"], f"{before} {peak}"
    # What the interpreter has freed need not leave the process: it is there for the next flood. It takes memory by the megabyte,
    # and one object that lives on in each of two of them is no leak; a thousand sessions would be four.
    assert last["resident_kilobytes"] <= after["resident_kilobytes"] + 2_500, f"{after} {last}"
    assert last["descriptors"] <= before["descriptors"] + 2
    assert last["threads"] <= most_threads(server, before["threads"] + 4)
    assert last["greenlets"] <= before["greenlets"] + 10


def test_a_flood_of_pongs_starts_nothing(client: Client, server: Server):
    ws = client.open_websocket()
    assert ws.request("warm") == ["warm"]
    before = server.stats()
    for _ in range(100):
        ws.send_raw(encode_frame(TEXT, b"3") * 100 + encode_frame(PONG, b"x") * 100)
    assert ws.request("done") == ["done"]
    after = server.stats()
    # On a busy machine the supervisor of the threads adds a few workers; who started something for a pong would start thousands.
    assert after["threads"] <= most_threads(server, before["threads"] + 4)
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


FLOODS = {
    "empty fragments": (encode_frame(TEXT, b"", False) + encode_frame(CONTINUATION, b"", False) * 17_000, 1009),
    "pings within a message": (encode_frame(TEXT, b"4", False) + encode_frame(PING, b"") * 1_100, 1008),
    "pongs within a message": (encode_frame(TEXT, b"4", False) + encode_frame(PONG, b"") * 1_100, 1008),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_message_in_too_many_parts_closes(client: Client, server: Server, flood: str):
    ws, other = client.open_websocket(), client.open_websocket()
    frames, code = FLOODS[flood]
    ws.send_raw(frames)
    assert ws.expect_close() == code
    assert server.wait_disconnected(ws.sid) == "transport error"
    assert other.request("unharmed") == ["unharmed"]


@pytest.mark.expected_log("a job has failed", "handler has failed", "Traceback", "BaseException", "GreenletExit")
@pytest.mark.parametrize("error", ["BaseException", "GreenletExit"])
def test_a_handler_that_raises_what_is_no_exception_ends_nothing_else(client: Client, server: Server, error: str):
    ws, session, other = client.open_websocket(), client.open_polling(), client.open_websocket()
    ws.send_data({"cmd": "give_up", "error": error})
    session.send({"cmd": "give_up", "error": error})
    for _ in range(3):
        assert other.request("unharmed") == ["unharmed"]
        assert ws.request("unharmed") == ["unharmed"]
        assert session.request("unharmed") == ["unharmed"]
    ws.send("1")
    assert server.wait_disconnected(ws.sid) == "client disconnect"
