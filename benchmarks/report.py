"""The tables, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from outcomes import OURS, REFERENCE, Outcome, Row, as_json, rows
from processes import ServerKind

NOTHING = "-"


def spread(values: Sequence[float], digits: int) -> str:
    """The median, and in brackets the lowest and the highest value."""
    if not values:
        return NOTHING
    return f"{median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def comparison_table(outcomes: Iterable[Outcome], servers: Sequence[str], rivals: Sequence[str]) -> str:
    """One line per figure: ours and Node's, their ratio and the goal, and ours to itself in other checkouts."""
    pair = [name for name in (OURS, REFERENCE) if name in servers]
    lines = [("scenario", "unit", *pair, "ratio", "goal", "", *(f"{OURS} / {rival}" for rival in rivals))]
    for row in rows(outcomes):
        shown = [_cell(row, name, row.values(name)) for name in pair]
        others = [spread(row.ratios(OURS, rival), 2) for rival in rivals]
        ratio = spread(row.ratios(OURS), 2)
        lines.append((row.title, row.figure.unit, *shown, ratio, row.goal, row.verdict, *others))
    return align(lines)


def ratio_table(outcomes: Iterable[Outcome], servers: Sequence[str]) -> str:
    """One line per figure: every server's ratio to Node."""
    shown = [name for name in servers if name != REFERENCE]
    lines = [("ratio to Node", *shown)]
    for row in rows(outcomes):
        lines.append((row.title, *(_cell(row, name, row.ratios(name), 2) for name in shown)))
    return align(lines)


def _cell(row: Row, server: str, values: Sequence[float], digits: int = 1) -> str:
    return "FAILED" if server in row.outcome.failures else spread(values, digits)


def background_table(outcomes: Iterable[Outcome]) -> str:
    """One line per scenario and server: its figures, how many operations a second, and which side was the busy one."""
    lines = [("scenario", "server", "median", "per second", "server busy", "load busy", "others busy", "checked")]
    for outcome in outcomes:
        units = [figure.unit for figure in outcome.scenario.figures]
        for name, samples in outcome.samples.items():
            figures = zip(*(sample.values for sample in samples), strict=True)
            values = ", ".join(f"{median(figure):.3g} {unit}" for figure, unit in zip(figures, units, strict=True))
            rate = f"{median(sample.rate for sample in samples):,.0f}"
            shares = zip(
                *((sample.server_busy, sample.load_busy, sample.others_busy) for sample in samples), strict=True
            )
            checked = f"{sum(sample.verified for sample in samples):,}"
            busy = [f"{median(share):.0%}" for share in shares]
            lines.append((outcome.scenario.name, name, values, rate, *busy, checked))
    return align(lines)


def failures(outcomes: Iterable[Outcome]) -> str:
    """What went wrong."""
    return "\n".join(f"FAILED: {why}" for outcome in outcomes for why in outcome.failures.values())


def align(lines: Sequence[Sequence[str]]) -> str:
    """Lines with their columns under each other and a line under the first."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "  ".join("-" * width for width in widths if width), *texts[1:]])


def machine() -> dict[str, str]:
    """What the numbers were taken on."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processor": models[0] if models else platform.machine(),
        "cores": str(os.cpu_count()),
    }


def versions(kinds: Iterable[ServerKind]) -> dict[str, str]:
    """What the servers are made of."""
    found: dict[str, str] = {}
    for kind in kinds:
        found |= {name: version for name, version in kind.versions.items() if version}
    return found


def text(outcomes: Sequence[Outcome], kinds: Sequence[ServerKind], rivals: Sequence[str], command: str) -> str:
    """The whole report: the command, the machine, the versions and the tables."""
    servers = [kind.name for kind in kinds]
    parts = [
        command,
        *(", ".join(f"{name} {value}" for name, value in part.items()) for part in (machine(), versions(kinds))),
    ]
    tables = [comparison_table(outcomes, servers, rivals)]
    if REFERENCE in servers and set(servers) - {OURS, REFERENCE}:
        tables.append(ratio_table(outcomes, servers))
    return "\n\n".join(filter(None, ["\n".join(parts), *tables, background_table(outcomes), failures(outcomes)]))


def json_text(outcomes: Sequence[Outcome], kinds: Sequence[ServerKind], command: str) -> str:
    """Everything that was measured."""
    head: Mapping[str, object] = {
        "command": command,
        "machine": machine(),
        "versions": versions(kinds),
        "servers": [kind.name for kind in kinds],
    }
    return json.dumps({**head, "figures": [as_json(row) for row in rows(outcomes)]}, indent=2) + "\n"
