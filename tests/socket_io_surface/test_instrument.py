"""`sio.instrument()`: what the admin page is told of packets, bytes and clients, against what a client by hand has seen."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import pytest
import requests
import websocket
from programs import PATIENCE, ROOT, Program, free_port
from scenarios.waiting import wait_until

MODELS = ("threading", "gevent", "eventlet", "asyncio")


@pytest.fixture(scope="module", params=MODELS)
def server(request: pytest.FixtureRequest) -> Any:
    port = free_port()
    command = [sys.executable, "-m", "socket_io_surface.instrumented", request.param, str(port)]
    with Program(command, cwd=ROOT / "tests") as program:
        program.wait_for_answer(f"http://127.0.0.1:{port}/counts")
        yield f"http://127.0.0.1:{port}"


def counts(url: str) -> Counter[str]:
    """All that has been counted since the last call."""
    return Counter(requests.get(f"{url}/counts", timeout=PATIENCE).json())


def wait_for_counts(url: str, expected: dict[str, int]) -> None:
    """Handlers count when they run, which may be a moment after the client has got its answer."""
    total: Counter[str] = Counter()

    def look() -> bool:
        total.update(counts(url))
        return dict(total) == expected

    try:
        wait_until(look, f"{expected}", 5, pause=0.05)
    except AssertionError:
        assert dict(total) == expected
        raise


class Polling:
    """A client by hand that counts."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/socket.io/"
        self.http = requests.Session()
        self.query = {"EIO": "4", "transport": "polling"}
        self.seen: Counter[str] = Counter()
        self.received: list[str] = []
        opening = self.poll()[0]
        self.query["sid"] = json.loads(opening[1:])["sid"]

    def poll(self) -> list[str]:
        answer = self.http.get(self.url, params=self.query, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        packets = answer.content.decode().split("\x1e")
        self.seen["packetsOut"] += len(packets)
        self.seen["bytesOut"] += sum(len(packet.encode()) for packet in packets)
        self.received += packets
        return packets

    def post(self, *packets: str) -> None:
        answer = self.http.post(self.url, params=self.query, data="\x1e".join(packets).encode(), timeout=PATIENCE)
        assert (answer.status_code, answer.text) == (200, "ok")
        self.seen["packetsIn"] += len(packets)
        self.seen["bytesIn"] += sum(len(packet.encode()) for packet in packets)

    def poll_until(self, packet: str) -> None:
        while packet not in self.received:
            self.poll()


def test_packets_and_bytes_of_a_polling_client_are_counted_one_by_one(server: str):
    counts(server)
    client = Polling(server)
    client.post("40")
    client.poll()
    client.post('42["echo","one"]', '42["echo","zwei äöü"]', '451-["echo",{"_placeholder":true,"num":0}]', "bAAEC")
    client.poll_until("bAAEC")
    client.post("1")
    client.seen.update(rawConnection=1, rawDisconnection=1)
    wait_for_counts(server, dict(client.seen))


def test_packets_and_bytes_of_a_websocket_are_counted_one_by_one(server: str):
    counts(server)
    seen: Counter[str] = Counter(rawConnection=1, rawDisconnection=1)
    ws = websocket.create_connection(f"ws{server[4:]}/socket.io/?EIO=4&transport=websocket", timeout=PATIENCE)

    def receive() -> Any:
        packet = ws.recv()
        seen["packetsOut"] += 1
        seen["bytesOut"] += len(packet.encode() if isinstance(packet, str) else packet)
        return packet

    def send(packet: str | bytes) -> None:
        seen["packetsIn"] += 1
        seen["bytesIn"] += len(packet.encode() if isinstance(packet, str) else packet)
        ws.send(packet) if isinstance(packet, str) else ws.send_binary(packet)

    assert receive().startswith("0{")
    send("40")
    assert receive().startswith("40{")
    send('42["echo","äöü"]')
    assert json.loads(receive()[2:]) == ["echo", "äöü"]
    send('451-["echo",{"_placeholder":true,"num":0}]')
    send(bytes(1000))
    assert receive() == '451-["echo",{"_placeholder":true,"num":0}]'
    assert receive() == bytes(1000)
    ws.close()
    wait_for_counts(server, dict(seen))


def test_packets_of_an_upgrade_are_counted_too(server: str):
    counts(server)
    client = Polling(server)
    address = f"ws{server[4:]}/socket.io/?EIO=4&transport=websocket&sid={client.query['sid']}"
    ws = websocket.create_connection(address, timeout=PATIENCE)
    for packet in ("2probe", "5", "40"):
        ws.send(packet)
        client.seen["packetsIn"] += 1
        client.seen["bytesIn"] += len(packet)
        if packet != "5":
            answer = ws.recv()
            client.seen["packetsOut"] += 1
            client.seen["bytesOut"] += len(answer)
    ws.close()
    client.seen.update(rawConnection=1, rawDisconnection=1)
    wait_for_counts(server, dict(client.seen))


def test_the_admin_page_is_told_of_clients_at_each_ping(server: str):
    """`socket_connected` comes again with every heartbeat, with the transport of that moment."""
    ws = websocket.create_connection(f"ws{server[4:]}/socket.io/?EIO=4&transport=websocket", timeout=PATIENCE)
    ws.recv()
    ws.send("40/admin,")
    other = websocket.create_connection(f"ws{server[4:]}/socket.io/?EIO=4&transport=websocket", timeout=PATIENCE)
    other.recv()
    other.send("40")
    sid = json.loads(other.recv()[2:])["sid"]
    told: list[Any] = []
    while len(told) < 3:
        for connection in (ws, other):
            connection.settimeout(0.2)
            try:
                packet = connection.recv()
            except websocket.WebSocketTimeoutException:
                continue
            if packet == "2":
                connection.send("3")
            elif packet.startswith('42/admin,["socket_connected"'):
                record = json.loads(packet.partition(",")[2])[1]
                if record["id"] == sid:
                    told.append(record["transport"])
    assert told == ["websocket"] * 3
    ws.close()
    other.close()


def test_server_stats_count_the_clients_by_transport(server: str):
    polling = Polling(server)
    ws = websocket.create_connection(f"ws{server[4:]}/socket.io/?EIO=4&transport=websocket", timeout=PATIENCE)
    ws.recv()
    ws.send("40/admin,")

    def stats() -> bool:
        packet = ws.recv()
        if packet == "2":
            ws.send("3")
        if not packet.startswith('42/admin,["server_stats"'):
            return False
        record = json.loads(packet.partition(",")[2])[1]
        return (record["clientsCount"], record["pollingClientsCount"]) == (2, 1)

    wait_until(stats, "two clients, of which one polls", 20)
    polling.post("1")
    ws.close()
