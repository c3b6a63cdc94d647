"""Soak a real server: `python -m tests.soak gthread gevent [--seconds 60] [--cycles 10000]`, from the repository's root.

For each mode in turn: (1) a crowd of clients echoes numbered messages, and nothing may be lost, reordered, doubled or logged as
an error; (2) clients come and go, a third of them without a word, and descriptors, threads and memory must be back afterwards;
(3) SIGTERM under the load of (1): the server must end in time, and each client must hear why. Exits with 1 if anything is
wrong. Owns the modes and the verdict; the load is in `clients.py`, the servers and their application are the scenarios'.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uwsgi_programs
from scenarios.servers import UWSGI_ROUTER, UWSGI_SOCKET, Mode, Server, gunicorn, own, uwsgi

from .clients import Crowd

GRACE = 10  # seconds that gunicorn and uWSGI give their workers to end
CONF = ("-c", "python:engineio_green.gunicorn_conf", "--graceful-timeout", str(GRACE))
MERCY = ("--worker-reload-mercy", str(GRACE), "--disable-logging")
MODES = {
    # Fewer threads than clients that poll: its configuration keeps held polls from using them up.
    "gthread": Mode("gthread", "threading", gunicorn(*CONF, "-k", "gthread", "--threads", "8")),
    "gevent": Mode("gevent", "gevent", gunicorn(*CONF, "-k", "gevent")),
    "eventlet": Mode("eventlet", "eventlet", gunicorn(*CONF, "-k", "eventlet")),
    "uwsgi": Mode("uwsgi", "gevent_uwsgi", uwsgi(uwsgi_programs.wheel, *UWSGI_SOCKET, *MERCY)),
    "uwsgi-router": Mode("uwsgi-router", "gevent_uwsgi", uwsgi(uwsgi_programs.wheel, *UWSGI_ROUTER, *MERCY)),
    "werkzeug": Mode("werkzeug", "threading", lambda port: ["-m", "soak.serve", str(port), str(GRACE)]),
    "pywsgi": Mode("pywsgi", "gevent", own("pywsgi")),
    "eventlet.wsgi": Mode("eventlet.wsgi", "eventlet", own("eventlet")),
}
# What may be more after the cycles than before them; blocks are the interpreter's objects.
SLACK = {"descriptors": 2, "threads": 4, "greenlets": 10, "blocks": 10_000, "resident_kilobytes": 8_000}
ENDS_AT_ONCE = ("pywsgi", "eventlet.wsgi")  # as their programs say in the scenarios; the others drain


class Soaked(Server):
    """A server of the scenarios that is ended by the test, and not by the harness."""

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    def complaints(self) -> list[str]:
        """What its log has of errors since the last call."""
        try:
            self.check_log()
        except AssertionError as exc:
            return str(exc).splitlines()[-5:]
        return []


class Run:
    """One mode: its phases, what they have found, and what was wrong."""

    def __init__(self, name: str, options: argparse.Namespace):
        self.name = name
        self.options = options
        self.wrong: list[str] = []
        self.figures: dict[str, str] = {}
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{self.name} {time.monotonic() - self._began:5.0f} s] {text}", flush=True)

    def expect(self, right: bool, otherwise: str) -> None:
        if not right:
            self.wrong.append(otherwise)
            self.say(f"WRONG: {otherwise}")

    async def all_phases(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            options = {"scenario": ["forgetful"], "close_timeout": 5}
            server = await asyncio.to_thread(Soaked, MODES[self.name], options, Path(folder))
            try:
                await self.echo(server)
                await self.come_and_go(server)
                await self.end(server)
            finally:
                server.kill()

    async def arrive(self, server: Soaked) -> Crowd:
        crowd = Crowd(server.host, server.port)
        await crowd.arrive(self.options.websockets, self.options.polling)
        self.say(f"{len(crowd.websockets)} websockets and {len(crowd.polling)} polling clients are there")
        crowd.talk(self.options.every)
        return crowd

    async def echo(self, server: Soaked) -> None:
        crowd = await self.arrive(server)
        books = crowd.books
        cpu, began = cpu_seconds(server), time.monotonic()
        while (passed := time.monotonic() - began) < self.options.seconds:
            await asyncio.sleep(min(5, self.options.seconds - passed))
            self.say(f"{books.received} of {books.sent} messages are back")
        cpu = (cpu_seconds(server) - cpu) / max(books.received, 1)
        lost = await crowd.fall_silent()
        delays = sorted(books.delays) or [0.0]
        self.figures["messages"] = str(books.received)
        self.figures["ms p50/p99/max"] = "/".join(f"{at_share(delays, share) * 1000:.1f}" for share in (0.5, 0.99, 1))
        self.figures["server us/message"] = f"{cpu * 1e6:.0f}"
        self.expect(lost == 0, f"{lost} messages never came back")
        self.expect(not books.faults, f"faults: {dict(books.faults)}")
        self.expect(not books.ends, f"clients were disconnected: {dict(books.ends)}")
        await crowd.leave()
        await self.settle(server, None)
        self.complain(server)

    async def come_and_go(self, server: Soaked) -> None:
        crowd = Crowd(server.host, server.port)
        await crowd.come_and_go(100)
        before = await self.settle(server, None)
        for part in range(1, 11):
            await crowd.come_and_go(self.options.cycles // 10)
            self.say(f"{part * self.options.cycles // 10} clients have come and gone")
        after = await self.settle(server, before)
        for name, slack in SLACK.items():
            self.figures[name] = f"{before[name]} -> {after[name]}"
            self.expect(after[name] <= before[name] + slack, f"{name}: {before[name]} before the cycles, {after[name]} after")
        self.expect(not crowd.books.faults, f"faults: {dict(crowd.books.faults)}")
        self.complain(server)

    async def settle(self, server: Soaked, base: dict[str, Any] | None) -> dict[str, Any]:
        """The statistics when all sessions have gone, and what they held."""
        deadline = time.monotonic() + 12
        while True:
            now = await asyncio.to_thread(server.stats)
            back = base is None or (now["blocks"] <= base["blocks"] + 6_000 and now["descriptors"] <= base["descriptors"] + 2)
            if (now["sessions"] == 0 and back) or time.monotonic() > deadline:
                self.expect(now["sessions"] == 0, f"{now['sessions']} sessions stay")
                return now
            await asyncio.sleep(0.3)

    async def end(self, server: Soaked) -> None:
        crowd = await self.arrive(server)
        await asyncio.sleep(min(self.options.seconds, 3))
        server.terminate()
        exited = asyncio.create_task(self.seconds_until_exit(server))
        began = time.monotonic()
        await crowd.see_the_end(GRACE + 5)
        self.figures["last client s"] = f"{time.monotonic() - began:.1f}"
        took, books = await exited, crowd.books
        self.figures["end s"] = f"{took:.1f}"
        self.figures["clients were told"] = json.dumps(dict(books.ends))
        self.expect(server.returncode is not None, f"the server has not ended {GRACE + 5} s after SIGTERM")
        if self.name not in ENDS_AT_ONCE:
            told = sum(count for what, count in books.ends.items() if "close packet" in what)
            everybody = self.options.websockets + self.options.polling
            self.expect(took <= GRACE + 1, f"the end took {took:.1f} s")
            self.expect(told == everybody, f"{told} of {everybody} clients were told: {dict(books.ends)}")
            self.expect(server.returncode == 0, f"the server ended with {server.returncode}")
            self.complain(server)

    async def seconds_until_exit(self, server: Soaked) -> float:
        began = time.monotonic()
        while server.returncode is None and time.monotonic() < began + GRACE + 5:
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    def complain(self, server: Soaked) -> None:
        for line in server.complaints():
            self.expect(False, f"logged: {line}")


def at_share(delays: list[float], share: float) -> float:
    return delays[min(int(len(delays) * share), len(delays) - 1)]


def cpu_seconds(server: Server) -> float:
    """Of the process that serves."""
    pid = server.stats()["pid"]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_table(runs: list[Run]) -> None:
    names = list(dict.fromkeys(name for run in runs for name in run.figures))
    width = max(map(len, names)) + 2
    for run in runs:
        print(f"\n{run.name}: {'all right' if not run.wrong else f'{len(run.wrong)} things are wrong'}")
        for name in names:
            print(f"  {name:<{width}}{run.figures.get(name, '-')}")
        for line in run.wrong:
            print(f"  WRONG: {line}")


def number(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a number of at least {least}, not {text!r}")
        return int(text)

    return parse


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("modes", nargs="+", choices=[*MODES, "all"], metavar="MODE", help=f"{', '.join(MODES)} or all")
    parser.add_argument("--seconds", type=number(1), default=60, help="how long the crowd echoes (default: 60)")
    parser.add_argument("--websockets", type=number(1), default=1000, help="(default: 1000)")
    parser.add_argument("--polling", type=number(1), default=50, help="(default: 50)")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two messages of a client (default: 1)")
    parser.add_argument("--cycles", type=number(10), default=10_000, help="clients that come and go (default: 10000)")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = list(MODES) if "all" in options.modes else list(dict.fromkeys(options.modes))
    runs = [Run(name, options) for name in names]
    for run in runs:
        try:
            asyncio.run(run.all_phases())
        except (AssertionError, OSError, asyncio.TimeoutError) as exc:
            run.expect(False, f"{type(exc).__name__}: {exc}")
    print_table(runs)
    return 1 if any(run.wrong for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
