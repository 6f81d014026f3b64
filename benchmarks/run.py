"""Measure the plugin against Socket.IO's own server and others: see README.rst beside this file."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from kinds import KINDS, plugin_kind
from outcomes import OURS, REFERENCE
from processes import Missing, ServerKind, allow_open_files
from report import json_text, text
from rounds import run_all
from scenarios import HEARTBEAT_SOCKETS, RECEIVERS, SCENARIOS, Scenario
from usage import Effort

STANDARD = Effort()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and print the tables."""
    options = parse(arguments)
    effort = Effort(*(getattr(options, name) for name in Effort._fields))
    chosen = choose(options)
    command = shlex.join(["python", "benchmarks/run.py", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        kinds = choose_kinds(options)
        allow_open_files(most_connections(chosen, effort))
        outcomes = run_all(chosen, kinds, options.rounds, effort)
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    print(text(outcomes, kinds, [name for name, _ in options.plugin], command))
    if options.json:
        options.json.write_text(json_text(outcomes, kinds, command))
    judged = {OURS, REFERENCE, *(name for name, _ in options.plugin)}  # another's failure is its result
    return int(any(judged & set(outcome.failures) for outcome in outcomes))


def choose(options: argparse.Namespace) -> list[Scenario]:
    """The scenarios of this run."""
    if options.only:
        return [scenario for scenario in SCENARIOS if scenario.name in options.only]
    return [scenario for scenario in SCENARIOS if options.full or not scenario.only_full]


def choose_kinds(options: argparse.Namespace) -> list[ServerKind]:
    """The servers of this run; other checkouts of the plugin follow the first one."""
    names = options.servers or (list(KINDS) if options.full else [OURS, REFERENCE])
    kinds = [KINDS[name]() for name in names]
    others = [plugin_kind(name, path) for name, path in options.plugin]
    return kinds[:1] + others + kinds[1:]


def most_connections(chosen: Sequence[Scenario], effort: Effort) -> int:
    """How many files may be open at once."""
    counts = {"memory": effort.connections, "idle": effort.many_connections}
    usual = effort.clients(max(HEARTBEAT_SOCKETS, 2 * RECEIVERS))
    return max([usual, *(counts.get(scenario.name, 0) for scenario in chosen)])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    option = parser.add_argument
    option("--full", action="store_true", help="all scenarios on all servers, instead of a few on plugin and node")
    option("--only", type=_list_of(names), default=[], help=f"of {','.join(names)}")
    option("--servers", type=_list_of(KINDS), default=[], help=f"of {','.join(KINDS)}")
    option("--plugin", type=_checkout, default=[], action="append", metavar="NAME=PATH", help="another checkout")
    option("--rounds", type=int, default=5, help="measured rounds per server, alternating (5)")
    option("--json", type=Path, help="write everything that was measured to this file")
    _add_effort(parser)
    return parser.parse_args(arguments)


def _add_effort(parser: argparse.ArgumentParser) -> None:
    helps = {
        "seconds": "length of a measured round",
        "warm_up": "seconds of load before each measurement",
        "settle": "seconds of rest before memory is read",
        "connections": "connections of the memory scenario",
        "many_connections": "connections of the idle scenario",
        "idle_seconds": "how long they are watched; better a multiple of the ping interval",
        "backlog": "MB that one does not read in the slow_reader scenario",
        "scale": "the fraction of the usual number of clients in the other scenarios",
    }
    for name, text_ in helps.items():
        default = getattr(STANDARD, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{text_} ({default:g})"
        )
    parser.add_argument("--awake", action="store_true", help="the load never sleeps, so the server need not wake it")


def _list_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """An argparse type: known names separated by commas."""

    def convert(given: str) -> list[str]:
        names = given.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return names

    return convert


def _checkout(given: str) -> tuple[str, Path]:
    """An argparse type: a name and the path of a checkout."""
    name, found, path = given.partition("=")
    if not (name and found and path) or name in KINDS:
        raise argparse.ArgumentTypeError(f"{given}: give a new name and a path, like before=../before")
    return name, Path(path).resolve()


if __name__ == "__main__":
    sys.exit(main())
