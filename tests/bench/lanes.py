"""Client conversations as generators over one epoll: connecting, polling and the cycles run on these.

A lane is a generator that talks to the server through `Wire` objects and yields a wire whenever there is nothing to
read on it. It owns the loop and the sockets; what a conversation says is the scenarios' business. Sockets are
registered edge-triggered and a lane tries to read before it parks, hence no edge is ever missed.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Generator, Iterable

from .wire import CLOSE, Unexpected, frame_at, masked, message, response_head, upgrade

Address = tuple[str, int]
Lane = Generator["Wire", None, None]
STALL = 30.0  # seconds without any event before a measurement is given up
EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


class Stalled(Exception):
    """The server stopped answering."""


class Wire:
    """One non-blocking client socket with what has been read of it and not been used."""

    __slots__ = ("address", "buffer", "ended", "registered", "sock", "stays")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.sock: socket.socket | None = None
        self.connect()

    def connect(self) -> None:
        # Blocking on purpose: on loopback the kernel finishes the handshake at once, whatever the server does.
        self.sock = socket.create_connection(self.address, timeout=STALL)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.buffer = b""
        self.ended = self.registered = False
        self.stays = True

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def send(self, data: bytes) -> None:
        """Sends `data`, which is always far smaller than a socket buffer."""
        assert self.sock is not None
        if self.sock.send(data) != len(data):
            raise Unexpected("a socket buffer is full although hardly anything was sent")

    def fill(self) -> Generator[Wire, None, None]:
        """Waits until there is more in the buffer, or the end of the stream."""
        assert self.sock is not None
        while True:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                yield self
                continue
            except ConnectionResetError:
                data = b""
            self.buffer += data
            self.ended = not data
            return

    def need(self, size: int) -> Generator[Wire, None, None]:
        while len(self.buffer) < size:
            yield from self.fill()
            if self.ended:
                raise Unexpected(f"connection ended after {self.buffer[:200]!r}")

    def take(self, size: int) -> bytes:
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def take_through(self, mark: bytes) -> Generator[Wire, None, bytes]:
        while (at := self.buffer.find(mark)) < 0:
            yield from self.need(len(self.buffer) + 1)
        return self.take(at + len(mark))

    def request(self, data: bytes) -> None:
        """Sends a request, on a new connection if the last response said so."""
        if not self.stays:
            self.close()
        if self.sock is None:
            self.connect()
        self.send(data)

    def response(self) -> Generator[Wire, None, tuple[int, bytes]]:
        """Reads one HTTP response: (status, body)."""
        head = yield from self.take_through(b"\r\n\r\n")
        status, length, self.stays = response_head(head)
        if length is None:
            return status, (yield from self._chunks())
        if length < 0:
            while not self.ended:
                yield from self.fill()
            return status, self.take(len(self.buffer))
        yield from self.need(length)
        return status, self.take(length)

    def _chunks(self) -> Generator[Wire, None, bytes]:
        body = b""
        while size := int((yield from self.take_through(b"\r\n")), 16):
            yield from self.need(size + 2)
            body += self.take(size + 2)[:-2]
        yield from self.take_through(b"\r\n")
        return body

    def frame(self) -> Generator[Wire, None, tuple[int, bytes]]:
        """Reads one websocket frame: (opcode, payload)."""
        while (found := frame_at(self.buffer, 0)) is None:
            yield from self.need(len(self.buffer) + 1)
        opcode, start, end = found
        yield from self.need(end)
        return opcode, self.take(end)[start:]

    def packet(self) -> Generator[Wire, None, bytes]:
        """Reads the payload of the next data frame."""
        opcode, payload = yield from self.frame()
        if opcode >= CLOSE:
            raise Unexpected(f"control frame {opcode} {payload!r}")
        return payload

    def closing(self) -> Generator[Wire, None, None]:
        """Waits for the server's close frame or the end of the stream, whichever it does first; then closes."""
        while not self.ended:
            yield from self.fill()
            if self.buffer[:1] == b"\x88":
                break
        self.close()


def open_websocket(address: Address, query: str = "transport=websocket") -> Generator[Wire, None, Wire]:
    """Connects a websocket; without a sid in the query the open packet is taken too."""
    wire = Wire(address)
    wire.send(upgrade(query))
    head = yield from wire.take_through(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise Unexpected(f"no upgrade: {head[:300]!r}")
    if "sid=" not in query:
        packet = yield from wire.packet()
        if not packet.startswith(b"0{"):
            raise Unexpected(f"no open packet: {packet[:200]!r}")
    return wire


class Loop:
    """Runs lanes until they have ended."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._parked: dict[int, Lane] = {}
        self._alive = 0

    def run(self, lanes: Iterable[Lane]) -> None:
        for lane in lanes:
            self._alive += 1
            self._resume(lane)
        heard = time.monotonic()
        while self._alive:
            events = self._epoll.poll(1.0)
            if events:
                heard = time.monotonic()
            elif time.monotonic() - heard > STALL:
                raise Stalled(f"no answer for {STALL:.0f} s, {self._alive} conversations open")
            for fd, _ in events:
                if fd in self._parked:
                    self._resume(self._parked.pop(fd))
        self._epoll.close()

    def _resume(self, lane: Lane) -> None:
        try:
            wire = next(lane)
        except StopIteration:
            self._alive -= 1
            return
        assert wire.sock is not None
        fd = wire.sock.fileno()
        if not wire.registered:
            wire.registered = True
            self._epoll.register(fd, EDGES)
        self._parked[fd] = lane


def enter_namespace(wire: Wire) -> Generator[Wire, None, None]:
    """Connects a new client to the main namespace of a Socket.IO server."""
    wire.send(masked(message("0")))
    packet = yield from wire.packet()
    if not packet.startswith(message("0{")):
        raise Unexpected(f"not let into the namespace: {packet[:200]!r}")


def connect_websockets(
    address: Address, count: int, lanes: int = 25, greet: Callable[[Wire], Lane] | None = None
) -> list[Wire]:
    """Opens `count` websockets, `lanes` at a time; each begins by `greet`."""
    wires: list[Wire] = []
    remaining = iter(range(count))

    def connecting() -> Lane:
        for _ in remaining:
            wire = yield from open_websocket(address)
            if greet is not None:
                yield from greet(wire)
            wires.append(wire)

    Loop().run(connecting() for _ in range(min(lanes, count)))
    return wires
