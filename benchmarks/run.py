"""Measure the plugin against Socket.IO's own server: `python benchmarks/run.py`, see README.rst beside this file."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from load import LoadError
from processes import KINDS, Cores, Missing, Server, ServerKind, allow_open_files, split_cores
from report import Outcome, as_json, background_table, comparison_table, machine
from scenarios import HEARTBEAT_SOCKETS, SCENARIOS, Sample, Scenario, Timing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and print the tables."""
    options = parse(arguments)
    timing = Timing(options.warm_up, options.seconds, options.connections)
    try:
        kinds = [KINDS[name]() for name in options.servers]
        allow_open_files(max(options.connections, HEARTBEAT_SOCKETS))
        chosen = [scenario for scenario in SCENARIOS if scenario.name in options.only]
        outcomes = run_all(chosen, kinds, options.rounds, timing)
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    if outcomes:
        print_report(outcomes)
    if options.json:
        options.json.write_text(as_json(outcomes))
    return int(len(outcomes) < len(chosen))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds per server, alternating (5)")
    parser.add_argument("--seconds", type=float, default=2.5, help="length of a measured round (2.5)")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds of load before each measurement (0.5)")
    parser.add_argument("--connections", type=int, default=1000, help="idle connections for the memory scenario (1000)")
    parser.add_argument("--only", type=_list_of(names), default=names, help=f"scenarios: {','.join(names)}")
    parser.add_argument("--servers", type=_list_of(KINDS), default=list(KINDS), help=f"of {','.join(KINDS)}")
    parser.add_argument("--json", type=Path, help="write everything that was measured to this file")
    return parser.parse_args(arguments)


def _list_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """An argparse type: known names separated by commas."""

    def convert(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return names

    return convert


def run_all(chosen: Sequence[Scenario], kinds: Sequence[ServerKind], rounds: int, timing: Timing) -> list[Outcome]:
    """Run the scenarios one after the other, this process on the core of the load; leave out those that fail."""
    cores = split_cores()
    os.sched_setaffinity(0, cores.load)
    if not cores.are_apart:
        print("one core for server and load: the ratios are less trustworthy", file=sys.stderr)
    outcomes = []
    for scenario in chosen:
        print(f"{scenario.title} ...", file=sys.stderr, flush=True)
        try:
            outcomes.append(run_scenario(scenario, kinds, rounds, timing, cores))
        except LoadError as error:
            print(f"FAILED: {error}", file=sys.stderr)
    return outcomes


def run_scenario(scenario: Scenario, kinds: Sequence[ServerKind], rounds: int, timing: Timing, cores: Cores) -> Outcome:
    """All rounds of one scenario, the servers taking turns after one unmeasured round each."""
    samples: dict[str, list[Sample]] = {kind.name: [] for kind in kinds}
    with contextlib.ExitStack() as running:
        start = running.enter_context
        if scenario.fresh_server:
            servers: list[Server | ServerKind] = list(kinds)
        else:
            servers = [start(Server(kind, cores, scenario.heartbeat)) for kind in kinds]
            for server in servers:
                measure(scenario, server, timing, cores)
        for _ in range(rounds):
            for server in servers:
                samples[server.name].append(measure(scenario, server, timing, cores))
    return Outcome(scenario, samples)


def measure(scenario: Scenario, server: Server | ServerKind, timing: Timing, cores: Cores) -> Sample:
    """One round, on a running server or on one started for it; an error tells what the server had printed."""
    if isinstance(server, ServerKind):
        with Server(server, cores, scenario.heartbeat) as fresh:
            return measure(scenario, fresh, timing, cores)
    gc.collect()
    gc.disable()
    try:
        return scenario.measure(server, timing)
    except (LoadError, OSError) as error:
        said = server.complaints()
        raise LoadError(f"{scenario.name} on {server.name}: {error!r}\n{said}") from error
    finally:
        gc.enable()


def print_report(outcomes: Sequence[Outcome]) -> None:
    """Both tables, under a line about the machine."""
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"\n{comparison_table(outcomes)}\n\n{background_table(outcomes)}")


if __name__ == "__main__":
    sys.exit(main())
