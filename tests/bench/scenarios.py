"""The scenarios: what is measured on which servers, and which figures the project promises.

It owns the list of measurements and the table of aims. How a load works and how a table looks is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .conversations import connect_cycle, polling_echo, run, upgrade_cycle
from .lanes import connect_websockets
from .load import EVENT, Crowd, Plan
from .servers import ALL, ALL_ASYNC, ALL_SOCKETIO, OWN, Server
from .window import Figures, Timing

IDLE_CLIENTS = 2000
FAN_OUT_CLIENTS = 1000
POLLING_CLIENTS = 50
SOCKETIO_CLIENTS = 50
CONNECTS_AT_ONCE = 10
UPGRADES_AT_ONCE = 50  # one upgrade may have to wait for the pace at which a server ends polls
SETTLING = 2.0  # seconds between the last connect and the measurement of memory

Measured = Iterator[tuple[str, Figures]]  # each with the key of its scenario, as soon as it is known


@dataclass(frozen=True)
class Group:
    """Measurements that share one start of a server."""

    name: str
    measure: Callable[[Server, Timing, bool], Measured]
    servers: tuple[str, ...] = ALL


@dataclass(frozen=True)
class Aim:
    """One promise: a figure of a server, as a ratio to another server's or as it is."""

    scenario: str
    figure: str
    server: str
    against: str | None
    at_least: float | None
    aim: float | None


def _echo_key(clients: int, plan: Plan) -> str:
    size = "16KiB" if plan.binary else "32B"
    return f"echo-{clients}-{size}-x{plan.in_flight}"


def _echo(clients: int, plans: Sequence[Plan]) -> Callable[[Server, Timing, bool], Measured]:
    def measure(server: Server, timing: Timing, first: bool) -> Measured:
        crowd = Crowd(server, clients)
        try:
            for plan in plans:
                yield _echo_key(clients, plan), crowd.echo(plan, timing, plan is plans[-1]).figures()
        finally:
            crowd.close()

    return measure


def _socketio(server: Server, timing: Timing, first: bool) -> Measured:
    crowd = Crowd(server, SOCKETIO_CLIENTS, EVENT)
    try:
        yield "socket.io", crowd.echo(Plan(32, False, 1), timing, last=True).figures()
    finally:
        crowd.close()


def _polling(server: Server, timing: Timing, first: bool) -> Measured:
    yield "polling", run(polling_echo, POLLING_CLIENTS, server, timing).figures()


def _connect(server: Server, timing: Timing, first: bool) -> Measured:
    yield "connect", run(connect_cycle, CONNECTS_AT_ONCE, server, timing).figures()


def _upgrade(server: Server, timing: Timing, first: bool) -> Measured:
    yield "upgrade", run(upgrade_cycle, UPGRADES_AT_ONCE, server, timing).figures()


def _fan_out(server: Server, timing: Timing, first: bool) -> Measured:
    crowd = Crowd(server, FAN_OUT_CLIENTS)
    try:
        yield "fan-out", crowd.fan_out("x" * 22, timing).figures()
    finally:
        crowd.close()


def _idle(server: Server, timing: Timing, first: bool) -> Measured:
    """Memory per client in every repeat; the CPU of a whole heartbeat interval only in the first, it takes long."""
    for wire in connect_websockets(server.address, 20):  # what the first clients make a server load is not theirs
        wire.close()
    before = server.memory_kb()
    crowd = Crowd(server, IDLE_CLIENTS)
    try:
        crowd.idle(SETTLING)
        figures = Figures(kb_per_client=(server.memory_kb() - before) / IDLE_CLIENTS)
        if first:
            begin = server.cpu_seconds()
            crowd.idle(timing.idle)
            figures.idle_percent = (server.cpu_seconds() - begin) / timing.idle * 100
        yield "idle", figures
    finally:
        crowd.close()


def _plans(*kinds: tuple[int, bool]) -> list[Plan]:
    return [Plan(size, binary, in_flight) for size, binary in kinds for in_flight in (1, 16)]


TEXT, BINARY = (32, False), (16384, True)

FULL = (
    Group("echo-1", _echo(1, _plans(TEXT, BINARY))),
    Group("echo-100", _echo(100, _plans(TEXT, BINARY))),
    Group("echo-1000", _echo(1000, _plans(TEXT, BINARY))),
    Group("echo-100-asyncio", _echo(100, _plans(TEXT)), ALL_ASYNC),
    Group("socket.io", _socketio, ALL_SOCKETIO),
    Group("polling", _polling),
    Group("idle", _idle),
    Group("fan-out", _fan_out),
    Group("connect", _connect),
    Group("upgrade", _upgrade),
)
QUICK = (
    Group("echo-100", _echo(100, _plans(TEXT)), ("gevent", "werkzeug", "peer-gevent", "peer-threading", "node")),
    Group("polling", _polling, ("gevent", "peer-gevent")),
)

LABELS = {
    "polling": f"polling echo, {POLLING_CLIENTS} clients",
    "socket.io": f"Socket.IO event and answer, {SOCKETIO_CLIENTS} clients",
    "idle": f"{IDLE_CLIENTS:,} idle websockets",
    "fan-out": f"fan-out to {FAN_OUT_CLIENTS:,}",
    "connect": "connect, one echo, close",
    "upgrade": "open by polling, upgrade, one echo, close",
}
UNITS = {"fan-out": "delivery", "socket.io": "event", "connect": "cycle", "upgrade": "cycle"}


def label(key: str) -> str:
    """The words for the key of a scenario."""
    if key in LABELS:
        return LABELS[key]
    _, clients, size, in_flight = key.split("-")
    kind = "16 KiB binary" if size == "16KiB" else "32 B text"
    count = f"{int(clients):,} client" + ("s" if clients != "1" else "")
    return f"websocket echo, {count}, {kind}, {in_flight[1:]} in flight"


AIMS = (
    Aim("echo-100-32B-x1", "cpu_us", "gevent", "peer-gevent", 0.27, 0.20),
    Aim("echo-100-32B-x1", "cpu_us", "eventlet", "peer-eventlet", 0.35, 0.25),
    Aim("echo-100-32B-x1", "cpu_us", "werkzeug", "peer-threading", 0.10, 0.06),
    Aim("echo-100-32B-x1", "cpu_us", "gunicorn", "peer-threading", 0.10, 0.06),
    Aim("echo-100-32B-x1", "cpu_us", "gevent", "node", 1.15, 0.80),
    Aim("echo-100-32B-x1", "cpu_us", "werkzeug", "node", 1.15, 0.80),
    Aim("echo-100-32B-x1", "cpu_us", "uvicorn", "peer-uvicorn", 0.70, 0.50),
    Aim("echo-100-32B-x1", "cpu_us", "aiohttp", "peer-aiohttp", 0.70, 0.50),
    Aim("echo-1000-32B-x1", "cpu_us", "gevent", "node", 1.0, 0.60),
    Aim("echo-1000-32B-x1", "cpu_us", "werkzeug", "node", 1.0, 0.60),
    Aim("echo-100-32B-x16", "cpu_us", "gevent", "node", 0.70, 0.40),
    Aim("echo-100-16KiB-x1", "cpu_us", "gevent", "node", 1.0, 0.80),
    Aim("fan-out", "cpu_us", "gevent", "node", 1.0, 0.60),
    Aim("connect", "cpu_us", "gevent", "peer-gevent", 0.60, 0.40),
    Aim("socket.io", "cpu_us", "socketio-gevent", "peer-socketio-gevent", 0.45, 0.35),
    Aim("socket.io", "cpu_us", "socketio-werkzeug", "peer-socketio-werkzeug", 0.25, 0.15),
    Aim("socket.io", "cpu_us", "flask-gevent", "peer-flask-gevent", 0.60, 0.50),
    Aim("socket.io", "cpu_us", "flask-werkzeug", "peer-flask-werkzeug", 0.35, 0.25),
    Aim("polling", "cpu_us", "gevent", "peer-gevent", 0.75, 0.55),
    Aim("polling", "p50_ms", "gevent", None, 12.0, 5.0),
    *(Aim("idle", "kb_per_client", server, None, 8.0, 4.0) for server in OWN),
    *(Aim("idle", "idle_percent", server, None, None, None) for server in OWN),
)
