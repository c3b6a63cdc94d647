"""`python -m tests.bench`: measures all servers in one run, prints the tables, writes JSON, Markdown and a chart.

It owns the command line and the order of the measurements: in every repeat each scenario visits each server once,
A B C, A B C, so that a machine that gets slower or faster does so for all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from . import chart, report, tools
from .report import Sample
from .scenarios import FULL, QUICK, UNITS, Group, label
from .servers import EVERY, Cores, Server, Tools
from .window import Timing

FULL_TIMING = Timing(warmup=0.8, measure=2.0, idle=26.0)  # idle: one heartbeat of every client at the default interval
QUICK_TIMING = Timing(warmup=0.7, measure=2.5, idle=5.0)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the core rows only, in two to three minutes")
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="comma-separated scenarios and servers, or beginnings of their names: echo,fan-out,gevent,node "
        f"(scenarios: {', '.join(group.name for group in FULL)}; servers: {', '.join(EVERY)})",
    )
    parser.add_argument("--repeats", type=int, default=3, help="visits of each server per scenario (default: 3)")
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), metavar="DIR", help="where the results go (default: build/bench)"
    )
    parser.add_argument("--peer-python", type=Path, metavar="PATH", help="a Python that has python-engineio already")
    parser.add_argument("--node-modules", type=Path, metavar="DIR", help="a node_modules folder that has engine.io")
    return parser.parse_args(arguments)


def choose(groups: Sequence[Group], only: str) -> list[Group]:
    """The groups and servers that `only` names; words for one kind leave the other kind whole."""
    words = [word for word in only.split(",") if word]
    names = [group.name for group in groups]
    chosen_groups = _named(words, names)
    chosen_servers = _named(words, EVERY)
    for word in words:
        if not _named([word], names) and not _named([word], EVERY):
            raise SystemExit(f"--only: no scenario or server begins with {word!r}")
    return [
        Group(group.name, group.measure, servers)
        for group in groups
        if not chosen_groups or group.name in chosen_groups
        if (servers := tuple(name for name in group.servers if not chosen_servers or name in chosen_servers))
    ]


def _named(words: Sequence[str], names: Sequence[str]) -> set[str]:
    """The names that a word equals; where it equals none, those that begin with it."""
    found: set[str] = set()
    for word in words:
        found.update([word] if word in names else [name for name in names if name.startswith(word)])
    return found


class Run:
    """One run: its samples, its failures, its progress."""

    def __init__(self, groups: list[Group], repeats: int, timing: Timing, available: Tools, cores: Cores) -> None:
        self.samples: list[Sample] = []
        self.failures: list[str] = []
        self._timing, self._tools, self._cores = timing, available, cores
        self._steps = [
            (group, server, repeat)
            for group in groups
            for repeat in range(repeats)
            for server in group.servers
            if available.available(server)
        ]
        self._began = time.monotonic()

    def measure_all(self) -> None:
        for done, (group, server, repeat) in enumerate(self._steps):
            try:
                self._measure(group, server, repeat, self._lead(done))
            except Exception as error:  # one broken server must not take the others' rows with it
                reason = f"{group.name} on {server}, repeat {repeat + 1}: {error!r}"
                self.failures.append(reason)
                print(f"{self._lead(done)} FAILED {reason}", flush=True)

    def _measure(self, group: Group, name: str, repeat: int, lead: str) -> None:
        with Server(name, self._tools, self._cores) as server:
            try:
                for scenario, figures in group.measure(server, self._timing, repeat == 0):
                    self.samples.append(Sample(scenario, name, repeat, figures))
                    unit = UNITS.get(scenario, "message")
                    print(f"{lead} {scenario:<18} {name:<15} {report.progress(figures, unit)}", flush=True)
            except Exception as error:
                raise RuntimeError(f"{error!r}; the server's output ends: {server.log_tail()}") from error

    def _lead(self, done: int) -> str:
        """Where the run stands: step, minutes gone, and, as soon as a guess is worth something, minutes to go."""
        gone = time.monotonic() - self._began
        left = f", ~{gone / done * (len(self._steps) - done) / 60:.0f} to go" if done > 4 else ""
        return f"[{done + 1}/{len(self._steps)}, {gone / 60:.1f} min{left}]"


def write(folder: Path, run: Run, environment: dict[str, object], repeats: int) -> None:
    """Prints the report and writes all its forms."""
    results = report.medians(run.samples)
    text = report.markdown(results, environment, run.failures, repeats)
    print("\n" + text)
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "environment": environment,
        "repeats": repeats,
        "scenarios": {scenario: label(scenario) for scenario in results},
        "medians": results,
        "promises": report.promises(results),
        "samples": [sample.as_dict() for sample in run.samples],
        "failures": run.failures,
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "report.md").write_text(text)
    drawn = chart.write(folder, results, f"{environment['machine']}, Python {environment['python']}.")
    print("written:", folder / "results.json", folder / "report.md", *drawn)


def main() -> int:
    arguments = parse()
    groups = choose(QUICK if arguments.quick else FULL, arguments.only)
    available = tools.prepare(arguments, {server for group in groups for server in group.servers})
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.load})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    environment = tools.environment(available, cores)
    print(f"server on core {cores.server}, load on core {cores.load}; {environment['machine']}", flush=True)
    timing = QUICK_TIMING if arguments.quick else FULL_TIMING
    run = Run(groups, arguments.repeats, timing, available, cores)
    run.measure_all()
    write(arguments.out, run, environment, arguments.repeats)
    return 1 if run.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
