"""Draw the ratios to Node of a run: `python benchmarks/plot.py results.json docs/performance.svg`.

The axis is logarithmic and bars begin at 1: half and double are equally far from it, and left is better.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

REFERENCE = "node"
#: One for each server in the order of the run, told apart by people who see few colours as well.
COLOURS = ("#0b5fa5", "#e08214", "#8c6bb1", "#35978f", "#c2518a", "#8a8a8a", "#b8a000", "#5e3c23")
INK, FAINT, GRID = "#222222", "#666666", "#dddddd"
FONT = 'font-family="Helvetica, Arial, sans-serif"'
LABELS, WIDTH, RIGHT = 340, 620, 60
TOP, BAR, GAP, BOTTOM = 96, 13, 14, 44
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


class Bar(NamedTuple):
    """The rounds of one server: their median, lowest and highest ratio to Node."""

    server: str
    middle: float
    low: float
    high: float


class Group(NamedTuple):
    """One figure with a bar for each server that has it."""

    title: str
    bars: list[Bar]


class Axis(NamedTuple):
    """The logarithmic axis, from its lowest to its highest ratio."""

    low: float
    high: float

    def place(self, ratio: float) -> float:
        """Where a ratio is drawn; what lies beyond an end is drawn at that end."""
        share = math.log(min(max(ratio, self.low), self.high) / self.low) / math.log(self.high / self.low)
        return LABELS + share * WIDTH


def groups(results: Mapping[str, Any]) -> list[Group]:
    """The figures of a run that have ratios."""
    found = []
    for figure in results["figures"]:
        bars = [
            Bar(server, median(ratios), min(ratios), max(ratios))
            for server, ratios in figure["ratios"].items()
            if server != REFERENCE and ratios and median(ratios) > 0
        ]
        if bars:
            found.append(Group(figure["title"], bars))
    return found


def axis(found: Sequence[Group]) -> Axis:
    """From the tick below all medians to the one above them; 1 is always on it."""
    middles = [1.0, *(bar.middle for group in found for bar in group.bars)]
    low = max((tick for tick in TICKS if tick <= min(middles)), default=TICKS[0])
    high = min((tick for tick in TICKS if tick >= max(middles)), default=TICKS[-1])
    return Axis(min(low, 0.5), max(high, 2))


def draw(results: Mapping[str, Any]) -> str:
    """The whole picture."""
    found = groups(results)
    servers = [name for name in results["servers"] if name != REFERENCE]
    colours = dict(zip(servers, COLOURS * len(servers), strict=False))
    scale = axis(found)
    height = TOP + sum(len(group.bars) * BAR + GAP for group in found) + BOTTOM
    width = LABELS + WIDTH + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_head(colours),
        *_grid(scale, height),
        *_bars(found, scale, colours),
        _text(LABELS, height - 12, _made_of(results), 11, FAINT),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _head(colours: Mapping[str, str]) -> Iterator[str]:
    yield _text(
        16, 26, "What a piece of work costs the server, as a ratio to Socket.IO on Node", 17, INK, weight="bold"
    )
    yield _text(
        16, 46, "Left of 1 is cheaper than Node. Bars: median of the rounds; whiskers: lowest and highest.", 12, FAINT
    )
    left = 16.0
    for server, colour in colours.items():
        yield f'<rect x="{left}" y="58" width="12" height="12" fill="{colour}"/>'
        yield _text(left + 17, 68, server, 12, INK)
        left += 40 + 6.6 * len(server)


def _grid(scale: Axis, height: int) -> Iterator[str]:
    bottom = height - BOTTOM + 4
    for tick in TICKS:
        if scale.low <= tick <= scale.high:
            x, one = scale.place(tick), tick == 1
            yield f'<path d="M{x:.1f} {TOP - 6}V{bottom}" stroke="{INK if one else GRID}" stroke-width="1"/>'
            yield _text(x, TOP - 10, f"{tick:g} x", 11, INK if one else FAINT, "middle", "bold" if one else "normal")


def _bars(found: Sequence[Group], scale: Axis, colours: Mapping[str, str]) -> Iterator[str]:
    top = float(TOP)
    for group in found:
        size = len(group.bars) * BAR
        yield _text(LABELS - 12, top + size / 2 + 4, group.title, 12, INK, "end")
        for bar in group.bars:
            yield from _bar(bar, top, scale, colours[bar.server])
            top += BAR
        top += GAP


def _bar(bar: Bar, top: float, scale: Axis, colour: str) -> Iterator[str]:
    one, end = scale.place(1), scale.place(bar.middle)
    middle = top + BAR / 2
    low, high = scale.place(bar.low), scale.place(bar.high)
    x, width = min(one, end), max(abs(end - one), 1)
    yield f'<rect x="{x:.1f}" y="{top + 1}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'
    yield f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{INK}" stroke-width="1"/>'
    beyond, anchor = (min(end, low) - 4, "end") if bar.middle < 1 else (max(end, high) + 4, "start")
    yield _text(beyond, middle + 3.5, f"{bar.middle:.2g}", 10, INK, anchor)


def _made_of(results: Mapping[str, Any]) -> str:
    names = ("processor", "python")
    machine = [f"{name} {results['machine'][name]}" for name in names if name in results["machine"]]
    versions = [f"{name} {results['versions'][name]}" for name in ("node", "socket.io") if name in results["versions"]]
    return ", ".join(machine + versions)


def _text(x: float, y: float, text: str, size: int, colour: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
        f'font-weight="{weight}" {FONT}>{escape(text)}</text>'
    )


if __name__ == "__main__":
    source, target = sys.argv[1:]
    Path(target).write_text(draw(json.loads(Path(source).read_text())))
