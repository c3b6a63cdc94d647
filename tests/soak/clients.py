"""Many clients in one process: each sends numbered messages and counts what comes back, and how it ends.

Owns the load and its books. Speaks to the server over the wire only, with a websocket and an HTTP client of its own, because
a thousand clients of the usual kind would need more of the machine than the server.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field

PATH = "/engine.io/?EIO=4&transport="
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FILLING = "." * 24


@dataclass
class Books:
    """What all clients together have seen."""

    sent: int = 0
    received: int = 0
    delays: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def fault(self, what: str) -> None:
        self.faults[what] += 1


def masked(opcode: int, payload: bytes) -> bytes:
    """A client frame of a short payload; the mask of zeros saves this process the work."""
    size = len(payload)
    head = struct.pack("!BB", 0x80 | opcode, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    return head + bytes(4) + payload


class Echoes:
    """One client's messages: numbers go out, and must come back in their order, each once."""

    def __init__(self, books: Books):
        self.books = books
        self.sent = self.received = 0
        self._times: dict[int, float] = {}

    def next_message(self) -> str:
        number = self.sent
        self.sent += 1
        self.books.sent += 1
        self._times[number] = time.monotonic()
        return f"4{number}:{FILLING}"

    def take(self, text: str) -> None:
        number = int(text[1:].split(":")[0])
        if number != self.received:
            self.books.fault("reordered" if number > self.received else "twice")
        self.received = number + 1
        self.books.received += 1
        began = self._times.pop(number, None)
        if began is not None:
            self.books.delays.append(time.monotonic() - began)

    @property
    def outstanding(self) -> int:
        return self.sent - self.received


class WebSocketPeer(asyncio.Protocol):
    """A session on a websocket."""

    def __init__(self, books: Books, host: str):
        self.echoes = Echoes(books)
        self.books = books
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.leaving = False
        self.told = ""
        self._host = host
        self._buffer = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"GET {PATH}websocket HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        if not self._upgraded:
            head, mark, rest = data.partition(b"\r\n\r\n")
            if mark and b" 101 " not in head[:16]:
                self.told = head[9:12].decode()
                self.transport.abort()
                return
            self._upgraded = bool(mark)
            data = rest if mark else data
        at = 0
        while self._upgraded and len(data) - at >= 2:
            size, start = data[at + 1] & 0x7F, at + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            if start + size > len(data):
                break
            self.take_frame(data[at] & 0x0F, data[start : start + size])
            at = start + size
        self._buffer = data[at:]

    def take_frame(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(masked(PONG, payload))
        elif opcode == CLOSE:
            self.told = f"{self.told} {int.from_bytes(payload[:2], 'big')}".strip()
            self.transport.write(masked(CLOSE, payload[:2]))
        elif opcode != TEXT:
            self.books.fault(f"opcode {opcode}")
        else:
            self.take_packet(payload.decode())

    def take_packet(self, packet: str) -> None:
        if packet[0] == "4":
            self.echoes.take(packet)
        elif packet == "2":
            self.transport.write(masked(TEXT, b"3"))
        elif packet == "1":
            self.told = "close packet"
        elif packet[0] == "0" and not self.opened.done():
            self.opened.set_result(True)
        else:
            self.books.fault(f"packet {packet[:1]}")

    def send(self) -> None:
        self.transport.write(masked(TEXT, self.echoes.next_message().encode()))

    def leave(self, abruptly: bool = False) -> None:
        self.leaving = True
        if abruptly:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.write(masked(CLOSE, b"\x03\xe8"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.leaving:
            self.books.ends[self.told or f"not told ({type(exc).__name__ if exc else 'end of stream'})"] += 1
        for future in (self.opened, self.ended):
            if not future.done():
                future.set_result(None)  # type: ignore[arg-type]


class PollingPeer:
    """A session on long-polling: one connection for its GETs, one for its POSTs."""

    def __init__(self, books: Books, host: str, port: int):
        self.echoes = Echoes(books)
        self.books = books
        self.leaving = False
        self.told = ""
        self._address = host, port
        self._lines: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._target = PATH + "polling"
        self._posting = asyncio.Lock()  # a second POST while one is under way would end the session

    async def open(self) -> None:
        status, body = await self._request("GET")
        assert status == 200, f"{status} {body!r}"
        self._target += "&sid=" + body.split('"sid":"')[1].split('"')[0]
        self.reader = asyncio.create_task(self._read())

    async def _post(self, body: str) -> tuple[int, str]:
        async with self._posting:
            return await self._request("POST", body)

    async def _request(self, method: str, body: str | None = None) -> tuple[int, str]:
        for attempt in range(2):  # a connection that was kept may have been closed meanwhile
            if method not in self._lines:
                self._lines[method] = await asyncio.open_connection(*self._address)
            reader, writer = self._lines[method]
            head = f"{method} {self._target} HTTP/1.1\r\nHost: {self._address[0]}\r\n"
            if body is not None:
                head += f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            try:
                writer.write(f"{head}\r\n{body or ''}".encode())
                answer = (await reader.readuntil(b"\r\n\r\n")).lower()
                break
            except (asyncio.IncompleteReadError, OSError):
                self._hang_up(method)
                if attempt:
                    raise
        size = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
        data = await reader.readexactly(size)
        if b"connection: close" in answer or answer.startswith(b"http/1.0"):
            self._hang_up(method)
        return int(answer[9:12]), data.decode()

    def _hang_up(self, method: str) -> None:
        self._lines.pop(method)[1].close()

    async def _read(self) -> None:
        try:
            while not self.told:
                status, body = await self._request("GET")
                if status != 200:
                    self.told = str(status)
                    break
                for packet in body.split("\x1e"):
                    await self._take(packet)
        except (asyncio.IncompleteReadError, OSError) as exc:
            if not self.leaving:
                self.told = f"not told ({type(exc).__name__})"
        if not self.leaving:
            self.books.ends[f"polling: {self.told}"] += 1

    async def _take(self, packet: str) -> None:
        if packet[0] == "4":
            self.echoes.take(packet)
        elif packet == "2":
            await self._post("3")
        elif packet == "1":
            self.told = "close packet"
        elif packet != "6":
            self.books.fault(f"packet {packet[:1]}")

    async def send(self) -> None:
        status, body = await self._post(self.echoes.next_message())
        if (status, body) != (200, "ok") and not self.told:
            self.books.fault(f"POST {status}")

    async def leave(self) -> None:
        self.leaving = True
        try:
            await self._post("1")
        except (asyncio.IncompleteReadError, OSError):
            pass  # the server has gone first
        await asyncio.wait([self.reader], timeout=5)
        self.reader.cancel()
        for method in list(self._lines):
            self._hang_up(method)


class Crowd:
    """All clients of a run, and the messages that they send at the same pace, each at its own moment."""

    def __init__(self, host: str, port: int):
        self.books = Books()
        self.address = host, port
        self.websockets: list[WebSocketPeer] = []
        self.polling: list[PollingPeer] = []
        self._senders: list[asyncio.Task[None]] = []
        self._talking = True

    async def open_websocket(self) -> WebSocketPeer:
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(lambda: WebSocketPeer(self.books, self.address[0]), *self.address)
        if not await asyncio.wait_for(peer.opened, 20):
            self.books.fault(f"no handshake ({peer.told})")
        return peer

    async def arrive(self, websockets: int, polling: int) -> None:
        for at in range(0, websockets, 25):
            self.websockets += await asyncio.gather(*(self.open_websocket() for _ in range(at, min(at + 25, websockets))))
        for _ in range(polling):
            peer = PollingPeer(self.books, *self.address)
            await peer.open()
            self.polling.append(peer)

    def talk(self, every: float) -> None:
        """Each client sends a message every so many seconds, until :meth:`fall_silent`."""
        self._senders = [asyncio.create_task(self._send_by_websocket(peer, every)) for peer in self.websockets]
        self._senders += [asyncio.create_task(self._send_by_post(peer, every)) for peer in self.polling]

    async def _send_by_websocket(self, peer: WebSocketPeer, every: float) -> None:
        await asyncio.sleep(random.uniform(0, every))
        while self._talking and not peer.transport.is_closing() and not peer.told:
            peer.send()
            await asyncio.sleep(every)

    async def _send_by_post(self, peer: PollingPeer, every: float) -> None:
        await asyncio.sleep(random.uniform(0, every))
        while self._talking and not peer.told:
            try:
                await peer.send()
            except (asyncio.IncompleteReadError, OSError) as exc:
                if not peer.told:
                    self.books.fault(f"POST {type(exc).__name__}")
                return
            await asyncio.sleep(every)

    async def fall_silent(self, patience: float = 10) -> int:
        """Stop sending, wait for the echoes that are due; returns how many never came."""
        self._talking = False
        await asyncio.gather(*self._senders)  # not cancelled: a POST that is half sent is a message that is lost
        deadline = time.monotonic() + patience
        while self.outstanding and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        return self.outstanding

    @property
    def outstanding(self) -> int:
        return sum(peer.echoes.outstanding for peer in [*self.websockets, *self.polling])

    async def leave(self) -> None:
        for peer in self.websockets:
            peer.leave()
        await asyncio.gather(*(peer.leave() for peer in self.polling))
        await asyncio.wait([peer.ended for peer in self.websockets], timeout=10)
        self.websockets, self.polling = [], []

    async def come_and_go(self, cycles: int, at_once: int = 20) -> None:
        """Connect and close so many times; each third client vanishes without a word."""
        left = iter(range(cycles))

        async def one_after_the_other() -> None:
            for number in left:
                peer = await self.open_websocket()
                if os.urandom(1)[0] & 1:
                    peer.send()
                peer.leave(abruptly=number % 3 == 0)
                await asyncio.wait_for(peer.ended, 20)

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))

    async def see_the_end(self, timeout: float) -> None:
        """Wait until the server has ended every session."""
        futures: list[asyncio.Future[None]] = [peer.ended for peer in self.websockets]
        futures += [peer.reader for peer in self.polling]
        await asyncio.wait(futures, timeout=timeout)
        for task in self._senders:
            task.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
