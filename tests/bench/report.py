"""Figures to tables: medians, ratios, promises kept or not; as text for the terminal, Markdown and JSON.

It owns presentation only. Every figure shown is the median of the repeats of one run.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from .scenarios import AIMS, UNITS, Aim, label
from .servers import EVERY, LABEL, NODE, OWN, OWN_ASYNC, OWN_SOCKETIO
from .window import Figures

BUSY = 0.90  # of its core: from here on the load generator may be what is measured
DISTURBED = 0.10  # of the time: something else ran on a core of the benchmark

COUNTERPART = {
    "gevent": "peer-gevent",
    "eventlet": "peer-eventlet",
    "werkzeug": "peer-threading",
    "gunicorn": "peer-threading",
    "uvicorn": "peer-uvicorn",
    "aiohttp": "peer-aiohttp",
    **{name: f"peer-{name}" for name in OWN_SOCKETIO},
}
FIGURE = {
    "cpu_us": "µs CPU per",
    "p50_ms": "ms p50 of",
    "kb_per_client": "KB per idle websocket",
    "idle_percent": "% of a core while idle",
}
Medians = dict[str, dict[str, dict[str, float]]]  # scenario -> server -> figure -> value


@dataclass(frozen=True)
class Sample:
    """One measurement of one scenario on one server."""

    scenario: str
    server: str
    repeat: int
    figures: Figures

    def as_dict(self) -> dict[str, object]:
        return {"scenario": self.scenario, "server": self.server, "repeat": self.repeat, **self.figures.as_dict()}


def medians(samples: Iterable[Sample]) -> Medians:
    """The median of each figure over the repeats."""
    collected: dict[str, dict[str, dict[str, list[float]]]] = {}
    for sample in samples:
        per_server = collected.setdefault(sample.scenario, {}).setdefault(sample.server, {})
        for name, value in sample.figures.as_dict().items():
            per_server.setdefault(name, []).append(value)
    return {
        scenario: {
            server: {name: statistics.median(values) for name, values in servers[server].items()}
            for server in EVERY
            if server in servers
        }
        for scenario, servers in collected.items()
    }


def number(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return "-"
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def progress(figures: Figures, unit: str) -> str:
    """One line's worth of a measurement, for the eyes of who waits."""
    parts = []
    if figures.cpu_us is not None:
        parts.append(f"{number(figures.cpu_us):>7} µs/{unit}  {number(figures.rate):>7}/s  p50 {number(figures.p50_ms)} ms")
    if figures.kb_per_client is not None:
        parts.append(f"{number(figures.kb_per_client):>7} KB per client")
    if figures.idle_percent is not None:
        parts.append(f"idle {number(figures.idle_percent)} %")
    parts += warnings(figures.as_dict())
    return "  ".join(parts)


def warnings(figures: dict[str, float]) -> list[str]:
    """Why a measurement should not be believed."""
    found = []
    if figures.get("load_busy", 0) > BUSY:
        found.append(f"WARNING: load generator {figures['load_busy']:.0%} busy")
    for core in ("server", "load"):
        if (share := figures.get(f"{core}_disturbed", 0)) > DISTURBED:
            found.append(f"WARNING: other work on the {core}'s core {share:.0%} of the time")
    return found


def judge(aim: Aim, results: Medians) -> dict[str, object] | None:
    """One row of the table of promises; None if the run did not measure it."""
    servers = results.get(aim.scenario, {})
    value = servers.get(aim.server, {}).get(aim.figure)
    base = servers.get(aim.against, {}).get(aim.figure) if aim.against else None
    if value is None or (aim.against and base is None):
        return None
    measured = value / base if base is not None else value
    if aim.at_least is None or aim.aim is None:
        verdict = ""
    elif measured <= aim.aim:
        verdict = "aim reached"
    else:
        verdict = "reached" if measured <= aim.at_least else "MISSED"
    unit = UNITS.get(aim.scenario, "message")
    name = FIGURE[aim.figure] + (f" {unit}" if aim.figure in ("cpu_us", "p50_ms") else "")
    return {
        "scenario": label(aim.scenario),
        "server": LABEL[aim.server],
        "against": LABEL[aim.against] if aim.against else "",
        "figure": name,
        "value": value,
        "base": base,
        "measured": measured,
        "at_least": aim.at_least,
        "aim": aim.aim,
        "verdict": verdict,
    }


def promises(results: Medians) -> list[dict[str, object]]:
    """The table of promises, as far as the run measured it."""
    return [row for aim in AIMS if (row := judge(aim, results)) is not None]


def _table(head: list[str], rows: list[list[str]]) -> str:
    """An aligned Markdown table: the first column to the left, figures to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, [("-" * (w - 1) + ":") if i else "-" * w for i, w in enumerate(widths)], *rows]
    return "\n".join(
        "| " + " | ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))) + " |"
        for line in lines
    )


def promise_table(results: Medians) -> str:
    rows = []
    for row in promises(results):
        against = f" / {row['against']}" if row["against"] else ""
        values = number(row["value"]) + (f" / {number(row['base'])}" if row["against"] else "")  # type: ignore[arg-type]
        what = f"{row['scenario']}: {row['server']}{against}"
        figures = [number(row[name]) for name in ("measured", "at_least", "aim")]  # type: ignore[arg-type]
        rows.append([what, str(row["figure"]), values, *figures, str(row["verdict"])])
    if not rows:
        return "none of the promised figures was measured"
    return _table(["promise", "figure", "values", "measured", "at least", "aim", "verdict"], rows)


def scenario_table(scenario: str, results: Medians) -> str:
    servers = results[scenario]
    if scenario == "idle":
        rows = [
            [LABEL[name], number(found.get("kb_per_client")), number(found.get("idle_percent"))]
            for name, found in servers.items()
        ]
        return _table(["server", "KB per client", "% of a core"], rows)
    rows = []
    for name, found in servers.items():
        cost = found["cpu_us"]
        rows.append(
            [
                LABEL[name],
                number(cost),
                _ratio(cost, servers.get(COUNTERPART.get(name, ""))),
                _ratio(cost, servers.get(NODE)) if name in OWN + OWN_ASYNC else "-",
                number(found["rate"]),
                number(found.get("p50_ms")),
                number(found.get("p99_ms")),
                f"{found['server_busy']:.0%}",
                f"{found['load_busy']:.0%}{' !' if warnings(found) else ''}",
            ]
        )
    unit = UNITS.get(scenario, "message")
    head = ["server", f"µs CPU per {unit}", "/ Python peer", "/ Node", f"{unit} per s", "p50 ms", "p99 ms"]
    return _table([*head, "server busy", "load busy"], rows)


def _ratio(cost: float, base: dict[str, float] | None) -> str:
    return number(cost / base["cpu_us"]) if base else "-"


def markdown(results: Medians, environment: dict[str, object], failures: list[str], repeats: int) -> str:
    """The whole report."""
    parts = [
        f"{environment['machine']}; Python {environment['python']}; medians of {repeats} interleaved repeats",
        "### Promises",
        promise_table(results),
    ]
    for scenario in results:
        parts += [f"### {label(scenario)[:1].upper()}{label(scenario)[1:]}", scenario_table(scenario, results)]
    if any(warnings(found) for servers in results.values() for found in servers.values()):
        parts.append(
            "`!`: the load generator was over 90 % busy, or something else ran on one of the two cores for over 10 % of "
            "the time; rate and latency of such a row say little, CPU per unit less than usual."
        )
    if failures:
        parts += ["### Failed measurements", "\n".join(f"- {failure}" for failure in failures)]
    return "\n\n".join(parts) + "\n"
