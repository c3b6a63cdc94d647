"""The application under test: echoes, obeys a few commands, keeps a journal that the test reads over plain HTTP.

Runs inside the server's process, never in the test's. `SCENARIO_ASYNC_MODE` names the driver, `SCENARIO_OPTIONS` holds the
server's options as JSON, where a string `"$name"` stands for the callable `name` of `CALLABLES`. The option `scenario` is
the application's own: a list of `"events"` (handle the further events, too), `"short"` (a disconnect handler with one
argument), `"debug"` (the server logs all it can) and `"forgetful"` (the journal has the latest 50 clients, so that it is not
what fills the memory). gunicorn imports `app`.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import sys
import time
import weakref
from _thread import allocate_lock
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import engineio_green

logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")

ASYNC_MODE = os.environ["SCENARIO_ASYNC_MODE"]

CALLABLES: dict[str, Callable[..., Any]] = {
    "origin_good": lambda origin: origin == "http://good.example",
    "origin_and_path": lambda origin, environ: origin == "http://good.example" and "pass=1" in environ["QUERY_STRING"],
    "max_age": lambda: "3600",
    "not_blocked": lambda environ: "blocked=1" not in environ["QUERY_STRING"],
    "door": lambda environ: at_the_door(query_of(environ).get("door", "open")),
    "badge": lambda environ: environ.get("HTTP_X_BADGE"),
    "more_headers": lambda sid, environ: more_headers(sid, query_of(environ).get("headers", "")),
}


def query_of(environ: dict[str, Any]) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}


def at_the_door(kind: str) -> Any:
    """An `allow_request`: what the query's `door` asks for."""
    if kind == "raise":
        raise RuntimeError("scenario: the door is broken")
    return {"open": True, "false": False, "none": None, "zero": 0, "one": 1}.get(kind, kind)


def more_headers(sid: str | None, kind: str) -> Any:
    """An `http_headers`: the session it was called for, and what the query's `headers` asks for."""
    if kind == "raise":
        raise RuntimeError("scenario: no headers today")
    pairs = [("X-Scenario", sid or "none")]
    if kind == "value":
        return [*pairs, ("X-Bad", "a\r\nX-Smuggled: 1")]
    if kind == "name":
        return [*pairs, ("X-Bad\r\nX-Smuggled", "1")]
    return dict(pairs) if kind == "dict" else pairs


def resolve(value: Any) -> Any:
    """JSON cannot carry a callable: put in the one that is named."""
    if isinstance(value, str) and value.startswith("$"):
        return CALLABLES[value[1:]]
    if isinstance(value, dict):
        return {key: resolve(item) for key, item in value.items()}
    return [resolve(item) for item in value] if isinstance(value, list) else value


options = resolve(json.loads(os.environ.get("SCENARIO_OPTIONS", "{}")))
# A logger of the application, open from WARNING on: what the server has to say must reach the log that the test reads.
options.setdefault("logger", logging.getLogger("scenario.engineio"))
own_options = options.pop("scenario", [])
if "debug" in own_options:
    options["logger"].setLevel(logging.DEBUG)
eio = engineio_green.Server(async_mode=ASYNC_MODE, **options)


class Luggage:
    """What a connect handler leaves in the environ of its request: it shows how long that is kept."""

    __slots__ = ("__weakref__",)


luggage: weakref.WeakSet[Any] = weakref.WeakSet()  # and the greenlets of these requests
journal: dict[str, list[tuple[str, Any]]] = {}
journal_lock = allocate_lock()  # a native one: nobody waits with it
started_at = time.monotonic()


def note(sid: str, what: str, detail: Any = None) -> None:
    with journal_lock:
        journal.setdefault(sid, []).append((what, detail))
        if "forgetful" in own_options and len(journal) > 50:
            del journal[next(iter(journal))]


def start_native_thread(function: Callable[[], None]) -> None:
    """A thread of the operating system even where `threading` is patched."""
    if "gevent" in ASYNC_MODE:
        from gevent.monkey import get_original

        start = get_original("_thread", "start_new_thread")
    elif ASYNC_MODE == "eventlet":
        from eventlet import patcher

        start = patcher.original("_thread").start_new_thread
    else:
        from _thread import start_new_thread as start
    start(function, ())


# commands: a message {"cmd": name, ...} calls the function of that name


def broadcast(sid: str, command: dict[str, Any]) -> None:
    for receiver in list(eio.sockets):
        eio.send(receiver, command["data"])


def send_to(sid: str, command: dict[str, Any]) -> None:
    eio.send(command["sid"], command["data"])


def send_many(sid: str, command: dict[str, Any]) -> None:
    filling = "x" * command.get("size", 0)
    for number in range(command["n"]):
        eio.send(sid, f"{number}:{filling}")


def send_binary(sid: str, command: dict[str, Any]) -> None:
    eio.send(sid, bytes(number % 256 for number in range(command["n"])))


def disconnect(sid: str, command: dict[str, Any]) -> None:
    """Send `n` messages, then disconnect this client, or the one that is named."""
    send_many(sid, {"n": command.get("n", 0)})
    eio.disconnect(command.get("sid", sid))


def block(sid: str, command: dict[str, Any]) -> None:
    note(sid, "block-start", command.get("tag"))
    eio.sleep(command["seconds"])
    note(sid, "block-end", command.get("tag"))
    eio.send(sid, f"unblocked {command.get('tag')}")


def fail(sid: str, command: dict[str, Any]) -> None:
    raise RuntimeError("scenario: the message handler fails")


def give_up(sid: str, command: dict[str, Any]) -> None:
    """Raise what is no `Exception`, as the timeouts of the green libraries are none."""
    if command["error"] == "GreenletExit" and "greenlet" in sys.modules:
        raise sys.modules["greenlet"].GreenletExit
    raise BaseException("scenario: the handler gives up")


def thread_send(sid: str, command: dict[str, Any]) -> None:
    """Send from a thread that neither the driver nor the hub knows."""

    def run() -> None:
        send_many(sid, command)

    start_native_thread(run)


def ticker(sid: str, command: dict[str, Any]) -> None:
    """Send `tick 0`, `tick 1`, ... from a background task, `interval` seconds apart."""

    def run() -> None:
        for number in range(command["n"]):
            eio.send(sid, f"tick {number}")
            eio.sleep(command["interval"])

    eio.start_background_task(run)


def count_in_session(sid: str, command: dict[str, Any]) -> None:
    with eio.session(sid) as session:
        session["count"] = session.get("count", 0) + 1
    eio.send(sid, eio.get_session(sid))


def save_session(sid: str, command: dict[str, Any]) -> None:
    eio.save_session(sid, command["session"])
    eio.send(sid, eio.get_session(sid))


def tell_transport(sid: str, command: dict[str, Any]) -> None:
    eio.send(sid, eio.transport(sid))


def announce(sid: str, command: dict[str, Any]) -> None:
    """Broadcast in the server's own way; `binary` sends the numbers of `data` as bytes. The sender is told how many took it."""
    data = bytes(command["data"]) if command.get("binary") else command["data"]
    taken = eio.broadcast(data, command.get("sids"), command.get("skip"))
    note(sid, "announced", taken)


def flood(sid: str, command: dict[str, Any]) -> None:
    """Send `n` messages of `size` to the client that is named, from a task, or `here`; noted when the last send is back."""
    receiver = command.get("sid", sid)
    make = pieces_of_a_chain if command.get("chain") else numbered

    def run() -> None:
        note(sid, "flooding", receiver)
        for message in make(command.get("first", 0), command["n"], command["size"]):
            eio.send(receiver, message)
        note(sid, "flooded", receiver)

    if command.get("here"):
        run()
    else:
        eio.start_background_task(run)


def drain(sid: str, command: dict[str, Any]) -> None:
    """Drain the server, from a task; how many were cut off is noted under `drain`."""

    def run() -> None:
        note("drain", "start")
        note("drain", "end", eio.drain(command["timeout"], command["spread"]))

    eio.start_background_task(run)


def numbered(first: int, count: int, size: int) -> Iterable[str]:
    return (f"{number}:{'x' * size}" for number in range(first, first + count))


def pieces_of_a_chain(first: int, count: int, size: int) -> Iterable[bytes]:
    """Noise that does not compress, but that each message begins with a part of the one before."""
    noise = random.Random(first).randbytes(size)
    for number in range(first, first + count):
        part, noise = noise[:2000], random.Random(number + 1).randbytes(size)
        yield b"%d:%b%b" % (number, part, noise)


COMMANDS = {
    function.__name__: function
    for function in (
        broadcast,
        send_to,
        send_many,
        send_binary,
        disconnect,
        block,
        fail,
        give_up,
        thread_send,
        ticker,
        count_in_session,
        save_session,
        tell_transport,
        announce,
        flood,
        drain,
    )
}

REFUSALS: dict[str, Any] = {"false": False, "string": "go away", "dict": {"why": "no ticket"}, "list": [1, 2], "int": 7}


@eio.on("connect")
def on_connect(sid: str, environ: dict[str, Any]) -> Any:
    query = query_of(environ)
    note(sid, "connect-start")
    if "luggage" in query:
        environ["scenario.luggage"] = Luggage()
        luggage.add(environ["scenario.luggage"])
        if ASYNC_MODE in ("gevent", "eventlet"):
            luggage.add(sys.modules["greenlet"].getcurrent())
    if "delay" in query:
        eio.sleep(float(query["delay"]))
    for number in range(int(query.get("hello", 0))):
        eio.send(sid, f"hello {number}")
    note(sid, "connect-end")
    refusal = query.get("reject")
    if refusal == "raise":
        raise RuntimeError("scenario: the connect handler fails")
    return REFUSALS[refusal] if refusal else True


@eio.on("message")
def on_message(sid: str, data: Any) -> None:
    note(sid, "message", f"{type(data).__name__}:{str(data)[:100]}")
    command = COMMANDS.get(data.get("cmd", "")) if isinstance(data, dict) else None
    if command:
        command(sid, data)
    else:
        eio.send(sid, data)


@eio.on("disconnect")
def on_disconnect(sid: str, reason: str) -> None:
    note(sid, "disconnect", reason)
    if journal[sid][:-1] and any(detail == "str:fail on disconnect" for _, detail in journal[sid]):
        raise RuntimeError("scenario: the disconnect handler fails")


if "short" in own_options:

    @eio.on("disconnect")
    def on_short_disconnect(sid: str) -> None:
        note(sid, "disconnect", "unknown")


if "events" in own_options:

    @eio.on("upgrade")
    def on_upgrade(sid: str) -> None:
        note(sid, "upgrade", eio.transport(sid))

    @eio.on("drain")
    def on_drain(sid: str) -> None:
        note(sid, "drain")

    @eio.on("packet")
    def on_packet(sid: str, packet: engineio_green.packet.Packet) -> None:
        note(sid, "packet", [packet.packet_type, repr(packet.data)[:100]])

    @eio.on("connection_error")
    def on_connection_error(code: int, message: str, context: dict[str, Any]) -> None:
        shown = {key: value for key, value in context.items() if key != "environ"}
        note("refused", "refused", [code, message, shown, "environ" in context])


# what the test reads


def count_greenlets() -> int:
    try:
        from greenlet import greenlet
    except ImportError:
        return 0
    return sum(1 for thing in gc.get_objects() if isinstance(thing, greenlet) and not thing.dead)


def kilobytes(name: str) -> int:
    """`VmRSS`: what is in memory now; `VmHWM`: the most that ever was."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(f"{name}:"))


def stats() -> dict[str, Any]:
    gc.collect()
    return {
        "pid": os.getpid(),
        "threads": len(os.listdir("/proc/self/task")),
        "greenlets": count_greenlets(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident_kilobytes": kilobytes("VmRSS"),
        "peak_kilobytes": kilobytes("VmHWM"),
        "blocks": sys.getallocatedblocks(),
        "sessions": len(eio.sockets),
        "luggage": len(luggage),
        "connects": sum(1 for entries in journal.values() if ("connect-end", None) in entries),
        "uptime": time.monotonic() - started_at,
    }


def other_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    query = query_of(environ)
    path = environ.get("PATH_INFO", "")
    if path == "/stats":
        answer: Any = stats()
    elif path == "/events":
        answer = journal.get(query["sid"], [])
    elif path == "/journals":
        answer = list(journal)
    elif path == "/counts":
        answer = eio.stats()
    elif path == "/clients":
        answer = eio.clients()
    else:
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "9")])
        return [b"not here\n"]
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


app = engineio_green.WSGIApp(eio, other_app)
