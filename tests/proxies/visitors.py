"""Clients that come from an address of their own, as the many behind a proxy do. Linux has all of 127.0.0.0/8 for that."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlencode

import requests
import websocket
from requests.adapters import HTTPAdapter

PATIENCE = 20.0


class FromAddress(HTTPAdapter):
    """Connections that begin at one address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **options)  # type: ignore[no-untyped-call]


class Visitor:
    """One session by polling: each request on a connection of its own, unless `keep` says otherwise.

    :param cookies: whether it keeps cookies, as browsers do.
    """

    def __init__(self, url: str, address: str = "127.0.0.1", *, cookies: bool = True, keep: bool = False, **headers: str) -> None:
        self.url, self.address = url, address
        self.sid = ""
        self._received: list[str] = []
        self._cookies, self._keep = cookies, keep
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = False
        self._http.headers.update(headers)
        self.move(address)

    def move(self, address: str) -> None:
        """Come from another address from now on."""
        self.address = address
        self._http.mount("http://", FromAddress(address))
        self._http.mount("https://", FromAddress(address))

    def request(self, method: str, body: bytes | None = None) -> requests.Response:
        if not self._keep:
            self._http.close()
        if not self._cookies:
            self._http.cookies.clear()
        return self._http.request(method, self._target(), data=body, timeout=PATIENCE)

    def _target(self, transport: str = "polling") -> str:
        query = {"EIO": "4", "transport": transport, **({"sid": self.sid} if self.sid else {})}
        return f"{self.url}engine.io/?{urlencode(query)}"

    def open(self) -> requests.Response:
        self.sid = ""
        answer = self.request("GET")
        if answer.status_code == 200:
            self.sid = json.loads(answer.text[1:])["sid"]
        return answer

    def send(self, text: str) -> None:
        answer = self.request("POST", f"4{text}".encode())
        assert (answer.status_code, answer.text) == (200, "ok"), (answer.status_code, answer.text)

    def receive(self) -> str:
        """The next message; pings are answered on the way."""
        while True:
            while not self._received:
                answer = self.request("GET")
                assert answer.status_code == 200, (answer.status_code, answer.text)
                self._received = answer.text.split("\x1e")
            packet = self._received.pop(0)
            if packet[0] == "4":
                return packet[1:]
            if packet[0] == "2":
                self.request("POST", b"3")

    def ask(self, text: str) -> str:
        self.send(text)
        return self.receive()

    def upgrade(self) -> WebSocket:
        """Move to a websocket; this object is of no use then."""
        found = WebSocket(self._target("websocket"), self.address, "; ".join(f"{c.name}={c.value}" for c in self._http.cookies))
        found.upgrade()
        return found

    def close(self) -> None:
        self.request("POST", b"1")
        self._http.close()


class WebSocket:
    """One websocket from an address of its own."""

    def __init__(self, target: str, address: str = "127.0.0.1", cookie: str = "") -> None:
        place = target.split("/")[2]
        host, _, port = place.partition(":")
        sock = socket.create_connection((host, int(port)), PATIENCE, (address, 0))
        self._socket = websocket.create_connection(
            target.replace("http", "ws", 1), socket=sock, timeout=PATIENCE, cookie=cookie or None, suppress_origin=True
        )

    @classmethod
    def direct(cls, url: str, address: str = "127.0.0.1") -> WebSocket:
        """A session that begins as a websocket."""
        found = cls(f"{url}engine.io/?EIO=4&transport=websocket", address)
        assert found._socket.recv()[0] == "0"
        return found

    def upgrade(self) -> None:
        self._socket.send("2probe")
        assert self._socket.recv() == "3probe"
        self._socket.send("5")

    def receive_packet(self, timeout: float = PATIENCE) -> str:
        """The next packet as it came; empty when the connection has ended."""
        self._socket.settimeout(timeout)
        try:
            return str(self._socket.recv())
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return ""

    def send_packet(self, packet: str) -> None:
        self._socket.send(packet)

    def ask(self, text: str) -> str:
        self._socket.send(f"4{text}")
        while True:
            packet = self.receive_packet()
            assert packet, "the connection has ended"
            if packet[0] == "4":
                return packet[1:]
            if packet == "2":
                self._socket.send("3")

    def close(self) -> None:
        self._socket.close()
