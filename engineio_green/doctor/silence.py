"""The long silence: a websocket and a poll that are left alone until the server's ping is due.

Owns this one examination. A proxy that cuts idle connections sooner than the server pings makes clients reconnect for ever.
"""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

from engineio_green.doctor.findings import Report
from engineio_green.doctor.wire import Aside, Lost, Silent, Target, Visit, open_websocket, receive

MARGIN = 4.0  # seconds beyond the interval


class Outcome(NamedTuple):
    """How a silence ended: with the server's ping, or with *fault* in the middle of a sentence; *seconds* since it began."""

    seconds: float
    fault: str = ""


def opened(frame: str) -> dict[str, Any]:
    """What an open packet says."""
    try:
        found = json.loads(frame[1:])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def examine(target: Target, report: Report, interval: float, websocket: bool, polling: bool) -> None:
    """Keep silent on what works until just beyond *interval* seconds."""
    patience = interval + MARGIN
    asides: dict[str, Aside[Outcome]] = {}
    if websocket:
        asides["websocket"] = Aside(lambda: _silent_websocket(target, patience))
    if polling:
        asides["poll"] = Aside(lambda: _silent_poll(target, patience))
    began = time.monotonic()
    waiting = set(asides)
    while waiting:
        report.progress(
            f"leaving a {' and a '.join(sorted(waiting, reverse=True))} alone until the ping after {interval:g} s: "
            f"{time.monotonic() - began:.0f} s"
        )
        for name in sorted(waiting):
            if asides[name].wait(0.5):
                waiting.discard(name)
                _conclude(report, name, interval, asides[name])


def _conclude(report: Report, name: str, interval: float, aside: Aside[Outcome]) -> None:
    try:
        outcome = aside.result()
    except Lost as error:
        outcome = Outcome(0, f"{error}")
    if not outcome.fault:
        report.ok("silence", f"A silent {name} stays open: the server's ping came after {outcome.seconds:.1f} s.")
        return
    if outcome.seconds < interval:
        text = f"A silent {name} {outcome.fault} after {outcome.seconds:.1f} s; the server's ping is due after {interval:g} s."
        keep = f"{2 * interval:g}s" if interval >= 1 else "60s"
        remedy = (
            f"Let what stands in front wait longer than the ping interval (nginx: proxy_read_timeout {keep}; HAProxy: timeout "
            f"tunnel and timeout server {keep}), or set ping_interval below {outcome.seconds:.2g} s."
        )
    else:
        text = f"On a silent {name} no ping came within {outcome.seconds:.1f} s, though one is due after {interval:g} s."
        remedy = "Look whether the server's process is busy or blocked; under gevent or eventlet, whether a handler blocks it."
    report.fix("silence", text, remedy)


def _silent_websocket(target: Target, patience: float) -> Outcome:
    connection = open_websocket(target)
    began = time.monotonic()
    try:
        while True:
            packet = receive(connection, max(0.1, began + patience - time.monotonic()))
            if packet == "2":
                took = time.monotonic() - began
                connection.send("3")
                return Outcome(took)
    except Silent:
        return Outcome(time.monotonic() - began, "stayed open")
    except Lost:
        return Outcome(time.monotonic() - began, "was cut")
    finally:
        connection.close()


def _silent_poll(target: Target, patience: float) -> Outcome:
    visit = Visit(target)
    visit.open()
    began = time.monotonic()
    while True:
        try:
            reply = visit.poll(max(0.1, began + patience - time.monotonic()))
        except Silent:
            return Outcome(time.monotonic() - began, "stayed open")
        except Lost:
            return Outcome(time.monotonic() - began, "was cut")
        took = time.monotonic() - began
        if reply.status != 200:
            return Outcome(took, f"was answered with {reply}")
        if "2" in reply.text.split("\x1e"):
            visit.answer_ping()
            visit.close()
            return Outcome(took)
