"""The outcome of a run: medians, spreads and ratios, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from scenarios import Sample, Scenario

OURS, REFERENCE = "plugin", "node"


class Outcome(NamedTuple):
    """All rounds of one scenario: the samples of each server in the order in which they were taken."""

    scenario: Scenario
    samples: Mapping[str, Sequence[Sample]]

    @property
    def ratios(self) -> list[float]:
        """Ours to the reference, round by round: what slows the machine down for a while slows both down."""
        pairs = zip(self.samples.get(OURS, ()), self.samples.get(REFERENCE, ()), strict=False)
        return [ours.value / reference.value for ours, reference in pairs]

    @property
    def verdict(self) -> str:
        """Whether the goal is reached, or "-" without the numbers to tell."""
        values = [sample.value for sample in self.samples.get(OURS, ())] if self.scenario.absolute else self.ratios
        if not values:
            return "-"
        return "reached" if median(values) <= self.scenario.limit else "MISSED"

    @property
    def goal(self) -> str:
        """The goal in words."""
        return f"<= {self.scenario.limit:g} {self.scenario.unit if self.scenario.absolute else 'x'}"


def spread(values: Sequence[float], digits: int) -> str:
    """The median, and in brackets the lowest and the highest value."""
    return f"{median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def comparison_table(outcomes: Iterable[Outcome]) -> str:
    """One line per scenario: both servers, their ratio and the goal."""
    rows: list[tuple[str, ...]] = [("scenario", "unit", OURS, REFERENCE, "ratio", "goal", "")]
    for outcome in outcomes:
        values = {name: [sample.value for sample in samples] for name, samples in outcome.samples.items()}
        shown = [spread(values[name], 1) if values.get(name) else "-" for name in (OURS, REFERENCE)]
        ratio = spread(outcome.ratios, 2) if outcome.ratios else "-"
        rows.append((outcome.scenario.title, outcome.scenario.unit, *shown, ratio, outcome.goal, outcome.verdict))
    return align(rows)


def background_table(outcomes: Iterable[Outcome]) -> str:
    """One line per scenario and server: how many operations a second, and which side was the busy one."""
    rows: list[tuple[str, ...]] = [("scenario", "server", "per second", "server busy", "load busy", "others busy")]
    for outcome in outcomes:
        for name, samples in outcome.samples.items():
            rate, *shares = (median(column) for column in list(zip(*samples, strict=True))[1:])
            rows.append((outcome.scenario.name, name, f"{rate:,.0f}", *(f"{share:.0%}" for share in shares)))
    return align(rows)


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows with their columns under each other and a line under the first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths if width), *lines[1:]])


def machine() -> dict[str, str]:
    """What the numbers were taken on."""
    versions = {"python": platform.python_version(), "kernel": platform.release()}
    if node := shutil.which("node"):
        versions["node"] = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    return versions | {"processor": models[0] if models else platform.machine(), "cores": str(os.cpu_count())}


def as_json(outcomes: Iterable[Outcome]) -> str:
    """Everything that was measured, with the verdicts."""
    rows: list[dict[str, Any]] = [
        {
            "scenario": outcome.scenario.name,
            "unit": outcome.scenario.unit,
            "goal": outcome.goal,
            "verdict": outcome.verdict,
            "ratios": outcome.ratios,
            "samples": {name: [sample._asdict() for sample in samples] for name, samples in outcome.samples.items()},
        }
        for outcome in outcomes
    ]
    return json.dumps({"machine": machine(), "outcomes": rows}, indent=2) + "\n"
