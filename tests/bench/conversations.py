"""The slower loads, each a lane: echo over long polling, connect-echo-close and upgrade cycles.

It owns what a client says in these scenarios. Nothing here is as tight as `load.py`: every unit costs the server
several system calls and a parsed HTTP request.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Generator

from .lanes import Address, Lane, Loop, Wire, open_websocket
from .servers import Server
from .window import Timing, Window
from .wire import GOODBYE, Unexpected, get, masked, message, plain, post, random_text

SEPARATOR = b"\x1e"
NOOP = b"6"


def run(conversation: Callable[[Address, Window], Lane], lanes: int, server: Server, timing: Timing) -> Window:
    """Holds `lanes` conversations at once for the time of one window."""
    window = Window(server, timing)
    window.start()
    gc.disable()
    try:
        Loop().run(conversation(server.address, window) for _ in range(lanes))
    finally:
        gc.enable()
    return window


def _finished(window: Window, started: float) -> None:
    window.count += 1
    if window.measuring:
        window.latencies.append(time.perf_counter() - started)
    window.tick()


def _poll(wire: Wire, request: bytes) -> Generator[Wire, None, list[bytes]]:
    wire.request(request)
    return (yield from _polled(wire))


def _polled(wire: Wire) -> Generator[Wire, None, list[bytes]]:
    """The packets of the poll that has been sent on `wire`."""
    status, body = yield from wire.response()
    if status != 200:
        raise Unexpected(f"a poll was answered {status} {body[:200]!r}")
    return body.split(SEPARATOR)


def _posted(wire: Wire) -> Generator[Wire, None, None]:
    status, body = yield from wire.response()
    if status != 200:
        raise Unexpected(f"a post was answered {status} {body[:200]!r}")


def _open_polling(wire: Wire) -> Generator[Wire, None, str]:
    packets = yield from _poll(wire, get("transport=polling"))
    if not packets[0].startswith(b"0{"):
        raise Unexpected(f"no open packet: {packets[0][:200]!r}")
    sid: str = json.loads(packets[0][1:])["sid"]
    return sid


def polling_echo(address: Address, window: Window) -> Lane:
    """A poll is held on one connection, each message is posted on another; done when both are answered."""
    polls, posts = Wire(address), Wire(address)
    sid = yield from _open_polling(polls)
    query = f"transport=polling&sid={sid}"
    packet = message(random_text(32))
    poll, send, send_after_ping = get(query), post(query, packet), post(query, b"3" + SEPARATOR + packet)
    pinged = False
    polls.request(poll)
    while window.open:
        started = time.perf_counter()
        posts.request(send_after_ping if pinged else send)
        pinged = False
        yield from _posted(posts)
        while True:
            packets = yield from _polled(polls)
            polls.request(poll)
            pinged = pinged or b"2" in packets
            if packet in packets:
                break
        _finished(window, started)
    polls.close()
    posts.close()


def connect_cycle(address: Address, window: Window) -> Lane:
    """Websocket opened, one echo, closed."""
    payload = message(random_text(32))
    request, reply = masked(payload), plain(payload)[2:]
    while window.open:
        started = time.perf_counter()
        wire = yield from open_websocket(address)
        yield from _one_echo(wire, request, reply)
        wire.send(GOODBYE)
        yield from wire.closing()
        _finished(window, started)


def upgrade_cycle(address: Address, window: Window) -> Lane:
    """Opened by polling, upgraded while a poll is held, one echo, closed."""
    payload = message(random_text(32))
    request, reply = masked(payload), plain(payload)[2:]
    probe, upgraded = masked(b"2probe"), masked(b"5")
    while window.open:
        started = time.perf_counter()
        polls = Wire(address)
        sid = yield from _open_polling(polls)
        polls.request(get(f"transport=polling&sid={sid}"))
        wire = yield from open_websocket(address, f"transport=websocket&sid={sid}")
        wire.send(probe)
        answer = yield from wire.packet()
        if answer != b"3probe":
            raise Unexpected(f"the probe was answered {answer!r}")
        yield from _polled(polls)
        wire.send(upgraded)
        yield from _one_echo(wire, request, reply)
        wire.send(GOODBYE)
        yield from wire.closing()
        polls.close()
        _finished(window, started)


def _one_echo(wire: Wire, request: bytes, reply: bytes) -> Generator[Wire, None, None]:
    wire.send(request)
    answer = NOOP
    while answer == NOOP:  # what was meant to end a poll may arrive on the websocket, when the poll had ended already
        answer = yield from wire.packet()
    if answer != reply:
        raise Unexpected(f"not the echo that was expected: {answer[:200]!r}")
