"""The outcome of a run: medians, spreads, ratios and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from scenarios import Figure, Scenario
from usage import Sample

OURS, REFERENCE = "plugin", "node"


class Outcome(NamedTuple):
    """All rounds of one scenario: the samples of each server in the order in which they were taken."""

    scenario: Scenario
    samples: Mapping[str, Sequence[Sample]]
    #: Why a server's rounds are worthless.
    failures: Mapping[str, str]


class Row(NamedTuple):
    """One figure of an outcome."""

    outcome: Outcome
    place: int

    @property
    def figure(self) -> Figure:
        """What is told here."""
        return self.outcome.scenario.figures[self.place]

    @property
    def name(self) -> str:
        """A short name, different from all other rows."""
        return " ".join(filter(None, (self.outcome.scenario.name, self.figure.name)))

    @property
    def title(self) -> str:
        """The same in words."""
        return ": ".join(filter(None, (self.outcome.scenario.title, self.figure.name)))

    def values(self, server: str) -> list[float]:
        """One value for each round on this server."""
        return [sample.values[self.place] for sample in self.outcome.samples.get(server, ())]

    def ratios(self, server: str, reference: str = REFERENCE) -> list[float]:
        """One server to another, round by round: what slows the machine down for a while slows both down."""
        pairs = zip(self.values(server), self.values(reference), strict=False)
        return [value / other for value, other in pairs if other]

    @property
    def goal(self) -> str:
        """The goal in words, if there is one."""
        if self.figure.limit is None:
            return "-"
        return f"<= {self.figure.limit:g} {self.figure.unit if self.figure.absolute else 'x'}"

    @property
    def verdict(self) -> str:
        """Whether the goal is reached, or "-" without the numbers to tell."""
        values = self.values(OURS) if self.figure.absolute else self.ratios(OURS)
        if not values or self.figure.limit is None:
            return "-"
        return "reached" if median(values) <= self.figure.limit else "MISSED"


def rows(outcomes: Iterable[Outcome]) -> Iterator[Row]:
    """All figures of all outcomes."""
    for outcome in outcomes:
        for place in range(len(outcome.scenario.figures)):
            yield Row(outcome, place)


def as_json(row: Row) -> dict[str, Any]:
    """Everything that is known about one figure."""
    outcome = row.outcome
    return {
        "scenario": outcome.scenario.name,
        "name": row.name,
        "title": row.title,
        "unit": row.figure.unit,
        "goal": row.goal,
        "verdict": row.verdict,
        "values": {name: row.values(name) for name in outcome.samples},
        "ratios": {name: row.ratios(name) for name in outcome.samples},
        "samples": {name: [sample._asdict() for sample in samples] for name, samples in outcome.samples.items()},
        "failures": dict(outcome.failures),
    }
