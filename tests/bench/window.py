"""The stretch of time that counts: what was done in it, what it cost the server, what it cost the load generator.

It owns clocks and figures. It knows nothing of what a unit of work is: a message, a delivery or a cycle.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .servers import Server


@dataclass(frozen=True)
class Timing:
    """Seconds of warm-up and of measurement for each window, and how long idle clients are watched."""

    warmup: float
    measure: float
    idle: float


@dataclass
class Figures:
    """What one measurement found; a figure that the scenario has no use for stays None."""

    cpu_us: float | None = None  # of the server's process tree, per unit
    rate: float | None = None  # units per second
    p50_ms: float | None = None
    p99_ms: float | None = None
    kb_per_client: float | None = None
    idle_percent: float | None = None  # of one core
    server_busy: float | None = None  # share of its core
    load_busy: float | None = None
    server_disturbed: float | None = None  # share of the time in which something else had the server's core
    load_disturbed: float | None = None  # the same for the load generator's core

    def as_dict(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass
class _Moment:
    """The clocks at one end of a measurement, in seconds, and the count of units."""

    at: float
    server: float
    load: float
    server_core: float
    waited: float
    count: int

    @classmethod
    def now(cls, server: Server, count: int) -> _Moment:
        cost, core = server.cpu_seconds(), server.core_seconds()
        return cls(time.perf_counter(), cost, time.process_time(), core, _waited_seconds(), count)


def _waited_seconds() -> float:
    """How long this process was ready to run and did not: the second figure of schedstat, 0 where there is none."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


@dataclass
class Window:
    """Warm-up, then measurement. The load adds to `count` and calls `tick()` between its steps until `open` is False."""

    server: Server
    timing: Timing
    count: int = 0
    open: bool = True
    measuring: bool = False
    latencies: list[float] = field(default_factory=list)
    _next: float = 0.0
    _begin: _Moment | None = None
    _end: _Moment | None = None

    def start(self) -> None:
        self._next = time.perf_counter() + self.timing.warmup

    def tick(self) -> None:
        if time.perf_counter() < self._next or not self.open:
            return
        if not self.measuring:
            self._begin = _Moment.now(self.server, self.count)
            self.measuring = True
            self._next = self._begin.at + self.timing.measure
        else:
            self._end = _Moment.now(self.server, self.count)
            self.open = self.measuring = False

    def figures(self) -> Figures:
        begin, end = self._begin, self._end
        if begin is None or end is None or end.count == begin.count:
            raise RuntimeError("nothing was finished within the time of a measurement")
        units, seconds = end.count - begin.count, end.at - begin.at
        ordered = sorted(self.latencies)
        server = end.server - begin.server
        return Figures(
            cpu_us=server / units * 1e6,
            rate=units / seconds,
            p50_ms=_quantile(ordered, 0.50),
            p99_ms=_quantile(ordered, 0.99),
            server_busy=server / seconds,
            server_disturbed=max(0.0, end.server_core - begin.server_core - server) / seconds,
            load_busy=(end.load - begin.load) / seconds,
            load_disturbed=(end.waited - begin.waited) / seconds,
        )


def _quantile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3
