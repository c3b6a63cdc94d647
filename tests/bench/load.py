"""The websocket load: many clients in one tight loop, with frames made beforehand and replies counted by length.

It owns the hot loop of the echo and fan-out scenarios and the watch over idle clients. It must cost less than any
server it measures, hence the plain comparisons of bytes and the lack of layers. Where the bytes of a read are not
exactly the expected replies, `Client.take` walks over the frames instead.
"""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

from .lanes import STALL, Stalled, Wire, connect_websockets, enter_namespace
from .servers import Server
from .window import Timing, Window
from .wire import BINARY, CLOSE, PONG, TEXT, Unexpected, frame_at, masked, message, plain, random_text

SAMPLED = 50  # clients whose latencies are recorded
IN, OUT = select.EPOLLIN, select.EPOLLOUT


@dataclass(frozen=True)
class Language:
    """What is spoken on top of a websocket: how a client begins, and what stands around a text in the payload."""

    greet: Callable[[Wire], Generator[Wire, None, None]] | None
    before: bytes
    after: bytes

    def payload(self, text: str) -> bytes:
        return self.before + text.encode() + self.after


MESSAGE = Language(None, message(""), b"")
EVENT = Language(enter_namespace, message('2["echo","'), b'"]')  # of Socket.IO


@dataclass(frozen=True)
class Plan:
    """One kind of echo traffic."""

    size: int
    binary: bool
    in_flight: int

    def exchange(self, language: Language) -> tuple[bytes, bytes]:
        """(the request frame, the reply frame) of one message."""
        if self.binary:
            payload = random_text(self.size).encode()
            return masked(payload, BINARY), plain(payload, BINARY)
        payload = language.payload(random_text(self.size))
        return masked(payload), plain(payload)


class Client:
    """One websocket of the load: what is left of a reply, what could not be sent yet."""

    __slots__ = ("_missing", "_part", "epoll", "fd", "out", "recv", "sock")

    def __init__(self, wire: Wire, epoll: select.epoll) -> None:
        assert wire.sock is not None
        self.sock = wire.sock
        self.fd = wire.sock.fileno()
        self.recv = wire.sock.recv
        self.epoll = epoll
        self.out = b""
        self._part = wire.buffer  # an incomplete header or short frame
        self._missing = 0  # bytes of a message that are still to come
        epoll.register(self.fd, IN)

    def whole(self) -> bool:
        return not self._part and not self._missing

    def send(self, data: bytes) -> None:
        if self.out:
            self.out += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent != len(data):
            self.out = data[sent:]
            self.epoll.modify(self.fd, IN | OUT)

    def flush(self) -> None:
        data, self.out = self.out, b""
        self.send(data)
        if not self.out:
            self.epoll.modify(self.fd, IN)

    def take(self, data: bytes, reply: bytes) -> int:
        """Walks over what was read: the number of messages that end in it. Pings are answered."""
        if not data:
            raise Unexpected("the server ended a connection")
        count, position = 0, 0
        if self._missing:
            position = min(self._missing, len(data))
            self._missing -= position
            if self._missing:
                return 0
            count = 1
        elif self._part:
            data, self._part = self._part + data, b""
        size = len(data)
        while position < size:
            found = frame_at(data, position)
            if found is None:
                self._part = data[position:]
                break
            opcode, start, end = found
            if end > size and end - start < 126:
                self._part = data[position:]
                break
            if opcode >= CLOSE or opcode not in (TEXT, BINARY):
                raise Unexpected(f"frame of opcode {opcode}: {data[start:end]!r}")
            if opcode == TEXT and end - start == 1 and data[start:end] == b"2":
                self.send(PONG)
            elif end > size:
                self._missing = end - size
            elif not data.startswith(reply, position):
                raise Unexpected(f"not the reply that was expected: {data[start:end][:200]!r}")
            else:
                count += 1
            position = end
        return count


class Crowd:
    """Connected clients of one server, used by one measurement after the other."""

    def __init__(self, server: Server, count: int, language: Language = MESSAGE) -> None:
        self._server = server
        self._language = language
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}
        for wire in connect_websockets(server.address, count, greet=language.greet):
            client = Client(wire, self._epoll)
            self._clients[client.fd] = client

    def close(self) -> None:
        for client in self._clients.values():
            client.sock.close()
        self._epoll.close()

    def echo(self, plan: Plan, timing: Timing, last: bool = False) -> Window:
        """Every client keeps `plan.in_flight` messages on the way; after the `last` plan what is on the way is given up."""
        request, reply = plan.exchange(self._language)
        requests = [request * n for n in range(plan.in_flight + 1)]
        window = Window(self._server, timing)
        step = max(1, len(self._clients) // SAMPLED)
        marks = {fd: [plan.in_flight, time.perf_counter()] for fd in list(self._clients)[::step][:SAMPLED]}
        window.start()
        for client in self._clients.values():
            client.send(requests[-1])
        gc.disable()
        try:
            self._echo_loop(window, requests, reply, marks, plan.in_flight * len(self._clients), last)
        finally:
            gc.enable()
        return window

    def _echo_loop(
        self, window: Window, requests: list[bytes], reply: bytes, marks: dict[int, list[float]], outstanding: int, last: bool
    ) -> None:
        clients, now, poll, latencies = self._clients, time.perf_counter, self._epoll.poll, window.latencies
        room = 65536 if len(reply) > 1000 else 8192
        in_flight = len(requests) - 1
        while outstanding and (window.open or not last):
            events = poll(STALL)
            if not events:
                raise Stalled(f"no answer for {STALL:.0f} s, {outstanding} messages on the way")
            for fd, event in events:
                client = clients[fd]
                if event & OUT:
                    client.flush()
                    if not event & IN:
                        continue
                data = client.recv(room)
                count = 1 if data == reply and client.whole() else client.take(data, reply)
                window.count += count
                if not window.open:
                    outstanding -= count
                elif count:
                    client.send(requests[count])
                if fd in marks:
                    mark = marks[fd]  # [replies to go until the marked one, when its request was sent]
                    mark[0] -= count
                    if mark[0] <= 0:
                        moment = now()
                        if window.measuring:
                            latencies.append(moment - mark[1])
                        mark[:] = in_flight, moment
            window.tick()

    def fan_out(self, text: str, timing: Timing) -> Window:
        """One client asks for a broadcast; the next is asked for when all clients have got it. Counts deliveries."""
        payload = message("broadcast:" + text)
        request, reply = masked(payload), plain(payload)
        window = Window(self._server, timing)
        sender = next(iter(self._clients.values()))
        window.start()
        gc.disable()
        try:
            while window.open:
                started = time.perf_counter()
                sender.send(request)
                self._collect(reply, len(self._clients), window)
                if window.measuring:
                    window.latencies.append(time.perf_counter() - started)
                window.tick()
        finally:
            gc.enable()
        return window

    def _collect(self, reply: bytes, outstanding: int, window: Window) -> None:
        clients, poll = self._clients, self._epoll.poll
        while outstanding:
            events = poll(STALL)
            if not events:
                raise Stalled(f"no delivery for {STALL:.0f} s, {outstanding} missing")
            for fd, _ in events:
                client = clients[fd]
                data = client.recv(8192)
                count = 1 if data == reply and client.whole() else client.take(data, reply)
                window.count += count
                outstanding -= count

    def idle(self, seconds: float) -> None:
        """Leaves the server alone for a while, but for its pings, which are answered."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for fd, _ in self._epoll.poll(left):
                client = self._clients[fd]
                client.take(client.recv(8192), b"\x00")
