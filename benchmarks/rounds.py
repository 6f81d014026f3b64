"""The rounds of a run: each scenario on all servers in turn, the load on one core and the server on another."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence

from load import LoadError
from outcomes import Outcome
from processes import Cores, Server, ServerKind, split_cores
from scenarios import Scenario
from usage import Effort, Sample


def run_all(chosen: Sequence[Scenario], kinds: Sequence[ServerKind], rounds: int, effort: Effort) -> list[Outcome]:
    """Run the scenarios one after the other, this process on the core of the load."""
    cores = split_cores()
    os.sched_setaffinity(0, cores.load)
    if not cores.are_apart:
        print("one core for server and load: the ratios are less trustworthy", file=sys.stderr)
    outcomes = []
    for scenario in chosen:
        print(f"{scenario.title} ...", file=sys.stderr, flush=True)
        outcomes.append(ScenarioRun(scenario, effort, cores).run(kinds, rounds))
    return outcomes


class ScenarioRun:
    """All rounds of one scenario. A server that fails is left out of the rest of them; the others go on."""

    def __init__(self, scenario: Scenario, effort: Effort, cores: Cores) -> None:
        self._scenario = scenario
        self._effort = effort
        self._cores = cores
        self._failures: dict[str, str] = {}

    def run(self, kinds: Sequence[ServerKind], rounds: int) -> Outcome:
        """The servers take turns, after one unmeasured round each, unless nothing is to be warmed up."""
        scenario = self._scenario
        able = [kind for kind in kinds if scenario.name not in kind.cannot]
        samples: dict[str, list[Sample]] = {kind.name: [] for kind in able}
        with contextlib.ExitStack() as running:
            servers: list[Server | ServerKind] = list(able)
            if not scenario.fresh_server:
                servers = [
                    running.enter_context(scenario.start(kind, self._cores, scenario.heartbeat)) for kind in able
                ]
                for server in servers if self._effort.warm_up else ():
                    self._try(server)
            for _ in range(min(rounds, scenario.most_rounds or rounds)):
                for server in servers:
                    if server.name not in self._failures and (sample := self._try(server)):
                        samples[server.name].append(sample)
        good = {name: found for name, found in samples.items() if name not in self._failures}
        return Outcome(scenario, good, self._failures)

    def _try(self, server: Server | ServerKind) -> Sample | None:
        """One round, on a running server or on one started for it."""
        if isinstance(server, ServerKind):
            with self._scenario.start(server, self._cores, self._scenario.heartbeat) as fresh:
                return self._try(fresh)
        gc.collect()
        gc.disable()
        try:
            return self._scenario.measure(server, self._effort)
        except (LoadError, OSError) as error:
            failure = f"{self._scenario.name} on {server.name}: {error!r}\n{server.complaints()}".strip()
            print(f"FAILED: {failure}", file=sys.stderr)
            self._failures[server.name] = failure
            return None
        finally:
            gc.enable()
