"""A small, strict, synchronous Engine.IO client for tests: every step is a call, nothing happens behind the test's back.

Owns sessions as a client sees them. Must not use the package under test. Rules: the Engine.IO protocol, revision 4.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any, Protocol

from .frames import WebSocket, accept_of, new_key, upgrade_headers
from .wire import TIMEOUT, Connection, Headers, Response, encode_request

SEPARATOR = "\x1e"
PATH = "/engine.io/"
OPENED = re.compile(rb'(?:___eio.*)?0\{.*?sid\\*":\\*"([\w-]+)')


class Address(Protocol):
    """What a client must know of a server."""

    host: str
    port: int

    @property
    def tls_context(self) -> Any: ...


def target_of(transport: str | None = "polling", sid: str | None = None, eio: str | None = "4", extra: str = "") -> str:
    """The path and query of an Engine.IO request; a part that is None is left out."""
    parts = [("EIO", eio), ("transport", transport), ("sid", sid)]
    query = "&".join([f"{name}={value}" for name, value in parts if value is not None] + ([extra] if extra else []))
    return f"{PATH}?{query}"


def encode_data(data: Any) -> str | bytes:
    """Application data as a websocket message."""
    if isinstance(data, bytes):
        return data
    return "4" + (data if isinstance(data, str) else json.dumps(data))


def encode_payload(items: list[Any]) -> bytes:
    """Application data as a polling body."""
    packets = ["b" + base64.b64encode(item).decode() if isinstance(item, bytes) else encode_data(item) for item in items]
    return SEPARATOR.join(packets).encode()


def decode_packet(packet: str) -> str | bytes:
    """The data of one message packet from a polling body."""
    if packet.startswith("b"):
        return base64.b64decode(packet[1:], validate=True)
    assert packet.startswith("4"), f"not a message: {packet!r}"
    return packet[1:]


def decode_message(message: str | bytes) -> str | bytes:
    """The data of one message from a websocket."""
    if isinstance(message, bytes):
        return message
    assert message.startswith("4"), f"not a message: {message!r}"
    return message[1:]


class HeldPoll:
    """A GET that was sent and not yet answered."""

    def __init__(self, connection: Connection):
        self.connection = connection

    def answered(self, within: float = 0.0) -> bool:
        return self.connection.readable(within)

    def response(self, timeout: float = TIMEOUT) -> Response:
        return finished(self.connection, self.connection.read_response("GET", timeout))

    def packets(self, timeout: float = TIMEOUT) -> list[str]:
        return packets_of(self.response(timeout))


def finished(connection: Connection, response: Response) -> Response:
    """Close as a client should that is told `Connection: close`: some servers wait for it, and for nothing else meanwhile."""
    if not response.keep_alive:
        connection.close()
    return response


def packets_of(response: Response) -> list[str]:
    assert response.status == 200, f"{response.status} {response.body[:200]!r}"
    assert response.body, "an empty poll"
    return response.text.split(SEPARATOR)


class Polling:
    """One session on long-polling: a connection for its GETs and one for its POSTs, kept alive where the server does."""

    def __init__(self, client: Client, handshake: dict[str, Any], headers: Headers, first: list[str]):
        self.client = client
        self.handshake = handshake
        self.sid: str = handshake["sid"]
        self.headers = headers
        self.first = first
        self.over = False
        self._connections: dict[str, Connection] = {}

    @property
    def target(self) -> str:
        return target_of("polling", self.sid)

    def _connection(self, use: str) -> Connection:
        connection = self._connections.get(use)
        if connection is None or not connection.reusable or connection.at_end():
            if connection is not None:
                connection.close()
            connection = self._connections[use] = self.client.connect()
        return connection

    def begin_poll(self) -> HeldPoll:
        connection = self._connection("GET")
        connection.send_request("GET", self.target, self.headers)
        return HeldPoll(connection)

    def get(self) -> Response:
        """One GET, whatever its status."""
        return self.begin_poll().response()

    def poll(self, timeout: float = TIMEOUT) -> list[str]:
        """The packets of one GET, which must be a 200."""
        if self.first:
            first, self.first = self.first, []
            return first
        return self.begin_poll().packets(timeout)

    def post_body(self, body: bytes | str, headers: Headers | None = None) -> Response:
        data = body.encode() if isinstance(body, str) else body
        given = headers if headers is not None else [("Content-Type", "text/plain;charset=UTF-8")]
        connection = self._connection("POST")
        return finished(connection, connection.request("POST", self.target, self.headers + given, data))

    def post(self, body: bytes | str) -> None:
        """One POST, which must be answered `ok`."""
        response = self.post_body(body)
        assert (response.status, response.body) == (200, b"ok"), f"{response.status} {response.body[:200]!r}"

    def send(self, *items: Any) -> None:
        self.post(encode_payload(list(items)))

    def receive(self, count: int = 1, timeout: float = TIMEOUT) -> list[str | bytes]:
        """Poll until `count` messages are there. Answers heartbeats; any other packet fails."""
        deadline = time.monotonic() + timeout
        found: list[str | bytes] = []
        while len(found) < count:
            for packet in self.poll(deadline - time.monotonic()):
                if packet == "2":
                    self.post("3")
                else:
                    found.append(decode_packet(packet))
        assert len(found) == count, f"{len(found)} messages instead of {count}"
        return found

    def receive_some(self) -> list[str | bytes]:
        """The messages of one poll, at least one."""
        return [decode_packet(packet) for packet in self.poll()]

    def request(self, *items: Any) -> list[str | bytes]:
        """Send, and receive as many messages."""
        self.send(*items)
        return self.receive(len(items))

    def open_websocket(self, pipelined: bytes = b"", headers: Headers | None = None) -> WebSocket:
        """A second transport on this session; nothing sent on it yet but `pipelined`."""
        return self.client.raw_websocket(target_of("websocket", self.sid), pipelined, self.headers + (headers or []))

    def probe(self) -> WebSocket:
        """A websocket on this session whose probe is answered."""
        ws = self.open_websocket()
        ws.send("2probe")
        assert ws.receive() == "3probe"
        return ws

    def upgrade(self, held: HeldPoll | None = None) -> tuple[WebSocket, list[str]]:
        """The whole upgrade as the JavaScript client does it; the websocket and what the last poll brought."""
        ws = self.probe()
        last = held.packets() if held else []
        ws.send("5")
        self.over = True
        return ws, last

    def close(self) -> None:
        self.post("1")
        self.over = True

    def drop(self) -> None:
        """End the connections and say nothing."""
        for connection in self._connections.values():
            connection.close()
        self._connections = {}


class Client:
    """What one test opened on one server. `close_all()` leaves politely, so that the server's log stays clean."""

    def __init__(self, address: Address):
        self.address = address
        self._connections: list[Connection] = []
        self._sessions: list[Polling] = []
        self._strays: list[str] = []
        self._websockets: list[WebSocket] = []

    def connect(self, receive_buffer: int | None = None) -> Connection:
        address = self.address
        connection = Connection(address.host, address.port, address.tls_context, receive_buffer)
        self._connections.append(connection)
        return connection

    def http(
        self, method: str, target: str, headers: Headers | None = None, body: bytes | None = None
    ) -> Response:
        """One request on a connection of its own."""
        connection = self.connect()
        response = connection.request(method, target, headers, body)
        connection.close()
        return self.keep(response)

    def keep(self, response: Response) -> Response:
        """Remember a session that was opened by hand, to close it in the end."""
        match = OPENED.match(response.body)
        if match:
            self._strays.append(match[1].decode())
        return response

    def open_polling(self, query: str = "", headers: Headers | None = None) -> Polling:
        response = self.http("GET", target_of("polling", extra=query), headers)
        first, *rest = packets_of(response)
        assert first.startswith("0"), f"not an open packet: {first!r}"
        session = Polling(self, json.loads(first[1:]), headers or [], rest)
        self._strays.remove(session.sid)
        self._sessions.append(session)
        return session

    def open_websocket(
        self, query: str = "", headers: Headers | None = None, receive_buffer: int | None = None
    ) -> SessionSocket:
        """A session that starts on the websocket; its open packet is read."""
        ws = self.raw_websocket(target_of("websocket", extra=query), b"", headers, receive_buffer)
        first = ws.receive()
        assert isinstance(first, str)
        assert first.startswith("0"), f"not an open packet: {first!r}"
        return SessionSocket(ws, json.loads(first[1:]))

    def raw_websocket(
        self, target: str, pipelined: bytes = b"", headers: Headers | None = None, receive_buffer: int | None = None
    ) -> WebSocket:
        """A websocket behind a checked 101; `pipelined` bytes go out in the same write as the request."""
        connection = self.connect(receive_buffer)
        key = new_key()
        request = [("Host", connection.authority), *upgrade_headers(key), *(headers or [])]
        connection.send(encode_request("GET", target, request, None) + pipelined)
        response = connection.read_response()
        assert response.status == 101, f"{response.status} {response.body[:200]!r}"
        assert response.tokens("Upgrade") == {"websocket"}
        assert "upgrade" in response.tokens("Connection")
        assert response.header("Sec-WebSocket-Accept") == accept_of(key)
        assert response.header("Sec-WebSocket-Extensions") is None, "an extension nobody offered"
        ws = WebSocket(connection)
        self._websockets.append(ws)
        return ws

    def refused_websocket(self, target: str, headers: Headers | None = None) -> Response:
        """The plain response to a websocket request that must not be granted."""
        connection = self.connect()
        response = connection.request("GET", target, headers if headers is not None else upgrade_headers(new_key()))
        assert response.status != 101, "the websocket was granted"
        return finished(connection, response)

    def close_all(self) -> None:
        for session in self._sessions:
            if not session.over:
                try:
                    session.post_body("1")
                except (OSError, AssertionError):
                    pass  # the test has ended this session already
        for sid in self._strays:
            self.http("POST", target_of("polling", sid), body=b"1")
        for ws in self._websockets:
            try:
                ws.send("1")
            except OSError:
                pass  # the same
        for connection in self._connections:
            connection.close()


class SessionSocket(WebSocket):
    """A session on a websocket: messages instead of packets."""

    def __init__(self, ws: WebSocket, handshake: dict[str, Any]):
        super().__init__(ws.connection)
        self.handshake = handshake
        self.sid: str = handshake["sid"]

    def send_data(self, *items: Any) -> None:
        self.send(*[encode_data(item) for item in items])

    def receive_data(self, count: int = 1, timeout: float = TIMEOUT) -> list[str | bytes]:
        """`count` messages. Answers heartbeats; any other packet fails."""
        deadline = time.monotonic() + timeout
        found: list[str | bytes] = []
        while len(found) < count:
            message = self.receive(deadline - time.monotonic())
            if message == "2":
                self.send("3")
            else:
                found.append(decode_message(message))
        return found

    def request(self, *items: Any) -> list[str | bytes]:
        """Send, and receive as many messages."""
        self.send_data(*items)
        return self.receive_data(len(items))
