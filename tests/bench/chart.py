"""The chart for the README: one panel of bars per scenario, as SVG, inside an HTML page, and as PNG where possible.

It owns geometry and colours. The SVG brings its own style for light and dark pages and needs no script.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .report import Medians, number
from .scenarios import UNITS, label
from .servers import EVERY, LABEL, NODE, OURS

SHOWN = (
    "echo-100-32B-x1",
    "echo-1000-32B-x1",
    "echo-100-32B-x16",
    "echo-100-16KiB-x1",
    "polling",
    "socket.io",
    "fan-out",
    "connect",
    "upgrade",
    "idle",
)
WIDTH, PANEL, GAP, MARGIN = 1040, 500, 40, 16
NAMES, VALUES = 205, 60  # room for the names on the left of the bars and for the values on their right
ROW, BAR, TITLE = 22, 14, 46
COLOURS = {"own": "#0b7a75", "peer": "#c9a227", "node": "#7a8793"}
FAMILIES = {"own": "engineio_green", "peer": "compatible Python implementation", "node": "Node engine.io"}
STYLE = f"""
text {{ font: 12px system-ui, sans-serif; fill: #1c2328; }}
.title {{ font-weight: 600; font-size: 13px; }}
.muted {{ fill: #5c6770; }}
{" ".join(f".{name} {{ fill: {colour}; }}" for name, colour in COLOURS.items())}
@media (prefers-color-scheme: dark) {{ text {{ fill: #e6eaed; }} .muted {{ fill: #9aa5ad; }} .own {{ fill: #2bb3ab; }} }}
"""


@dataclass(frozen=True)
class Panel:
    """One scenario: its title, what the bars count, and (server, value) of each bar."""

    title: str
    unit: str
    bars: list[tuple[str, float]]

    @property
    def height(self) -> int:
        return TITLE + ROW * len(self.bars)


def family(server: str) -> str:
    if server == NODE:
        return "node"
    return "own" if server in OURS else "peer"


def panels(results: Medians) -> Iterator[Panel]:
    for scenario in SHOWN:
        servers = results.get(scenario, {})
        figure = "kb_per_client" if scenario == "idle" else "cpu_us"
        bars = [(name, servers[name][figure]) for name in EVERY if figure in servers.get(name, {})]
        if bars:
            unit = "KB per client" if scenario == "idle" else f"µs of CPU per {UNITS.get(scenario, 'message')}"
            yield Panel(label(scenario), unit, bars)


def svg(results: Medians, caption: str) -> str:
    """The whole chart: panels in two columns, each with a scale of its own that begins at zero."""
    parts: list[str] = []
    heights = [MARGIN + 52, MARGIN + 52]
    for panel in panels(results):
        column = 0 if heights[0] <= heights[1] else 1
        parts.extend(_panel(panel, MARGIN + column * (PANEL + GAP), heights[column]))
        heights[column] += panel.height + 18
    width, height = WIDTH + 2 * MARGIN, max(heights)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
            f"<style>{STYLE}</style>",
            *_legend(caption),
            *parts,
            "</svg>\n",
        ]
    )


def _legend(caption: str) -> Iterator[str]:
    x = MARGIN
    for name, words in FAMILIES.items():
        yield f'<rect class="{name}" x="{x}" y="{MARGIN}" width="12" height="12" rx="2"/>'
        yield f'<text x="{x + 18}" y="{MARGIN + 10}">{escape(words)}</text>'
        x += 40 + 7 * len(words)
    yield f'<text class="muted" x="{MARGIN}" y="{MARGIN + 32}">Shorter is better. {escape(caption)}</text>'


def _panel(panel: Panel, x: int, y: int) -> Iterator[str]:
    yield f'<text class="title" x="{x}" y="{y + 14}">{escape(panel.title)}</text>'
    yield f'<text class="muted" x="{x}" y="{y + 31}">{escape(panel.unit)}</text>'
    longest = max(value for _, value in panel.bars) or 1.0
    for index, (server, value) in enumerate(panel.bars):
        top = y + TITLE + index * ROW - 6
        length = max(1.0, value / longest * (PANEL - NAMES - VALUES))
        yield f'<text x="{x + NAMES - 8}" y="{top + 12}" text-anchor="end">{escape(LABEL[server])}</text>'
        yield f'<rect class="{family(server)}" x="{x + NAMES}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        yield f'<text x="{x + NAMES + length + 6:.1f}" y="{top + 12}">{number(value)}</text>'


def html(drawing: str) -> str:
    """A page of its own around the drawing."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>engineio_green: benchmark</title>\n'
        '<meta name="viewport" content="width=device-width">\n'
        "<style>:root { color-scheme: light dark; } body { margin: 1rem; } svg { max-width: 100%; height: auto; }</style>\n"
        f"{drawing}</html>\n"
    )


def write(folder: Path, results: Medians, caption: str) -> list[Path]:
    """Writes chart.svg and chart.html, and chart.png if matplotlib is installed."""
    drawing = svg(results, caption)
    written = [folder / "chart.svg", folder / "chart.html"]
    written[0].write_text(drawing)
    written[1].write_text(html(drawing))
    try:
        import matplotlib
    except ImportError:
        return written
    matplotlib.use("Agg")
    written.append(folder / "chart.png")
    _png(written[-1], list(panels(results)), caption)
    return written


def _png(path: Path, shown: list[Panel], caption: str) -> None:
    from matplotlib import pyplot

    rows = (len(shown) + 1) // 2
    figure, axes = pyplot.subplots(rows, 2, figsize=(12, 2.6 * rows), squeeze=False)
    for place in axes.flat[len(shown) :]:
        place.set_visible(False)
    for place, panel in zip(axes.flat, shown, strict=False):
        names = [LABEL[server] for server, _ in panel.bars]
        colours = [COLOURS[family(server)] for server, _ in panel.bars]
        bars = place.barh(names, [value for _, value in panel.bars], color=colours)
        place.bar_label(bars, [number(value) for _, value in panel.bars], padding=3)
        place.margins(x=0.15)
        place.invert_yaxis()
        place.set_title(f"{panel.title}\n{panel.unit}", fontsize=9, loc="left")
    figure.suptitle(f"Shorter is better. {caption}", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
