"""The scenarios: what is driven, which numbers come out of a round, and the goals for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import drivers
import fanout
import idle
import longpolling
import slowreader
from load import Loop, Stalled
from messages import Message, binary_messages, text_messages
from pair import Pair, measure_bus
from probes import ProbedFanout
from processes import Cores, Server, ServerKind
from upgrades import UpgradingVisitor
from usage import Effort, Sample, drive

ECHO_SOCKETS = 50
POLLING_CLIENTS = 20
RECEIVERS = 200
CASTS_IN_FLIGHT = 16
LARGE_CASTS_IN_FLIGHT = 2
CHANNELS, MEMBERS = 100, 10
VISITORS = 50
UPGRADING_VISITORS = 200
HEARTBEAT_SOCKETS = 1000
HEARTBEAT_SECONDS = 0.1
PROBES, PROBE_PACE = 10, 0.02
LONG_ROUNDS = 3

Measure = Callable[[Server, Effort], Sample]
DriverFactory = Callable[[Loop, int, Effort], drivers.Driver]


class Figure(NamedTuple):
    """One number of a scenario. Its limit is a ratio to Node, or with `absolute` a value in `unit`."""

    unit: str
    limit: float | None = None
    absolute: bool = False
    name: str = ""


class Scenario(NamedTuple):
    """One or more rows of the report."""

    name: str
    title: str
    figures: Sequence[Figure]
    measure: Measure
    heartbeat: float | None = None
    fresh_server: bool = False
    #: Only with --full, and then with so many rounds at most.
    only_full: bool = False
    most_rounds: int | None = None
    #: What is started of each kind.
    start: Callable[[ServerKind, Cores, float | None], Server] = Server


def _cpu_per_operation(make: DriverFactory) -> Measure:
    """Microseconds of server CPU per operation of the driver."""

    def measure(server: Server, effort: Effort) -> Sample:
        with Loop(server.kind.client_hangs_up, effort.awake) as loop:
            driver = make(loop, server.port, effort)
            used = drive(server, effort, driver, loop)
        return used.sample((used.server / used.operations * 1e6,), driver.operations)

    return measure


def _latency(server: Server, effort: Effort) -> Sample:
    """Percentiles, in milliseconds, of echoes made while the server has as much fan-out as it can do."""
    receivers, probes = effort.clients(RECEIVERS), effort.clients(PROBES)
    with Loop(server.kind.client_hangs_up, effort.awake) as loop:
        driver = ProbedFanout(loop, server.port, receivers, CASTS_IN_FLIGHT, probes, PROBE_PACE)
        used = drive(server, effort, driver, loop, is_warm=driver.latencies.clear)
    latencies = sorted(driver.latencies)
    if not latencies:
        raise Stalled("not one echo was back in time")
    return used.sample(
        tuple(latencies[int(len(latencies) * share)] * 1e3 for share in (0.5, 0.99, 0.999)), driver.operations
    )


def _echo(loop: Loop, port: int, effort: Effort) -> drivers.Driver:
    return drivers.Echoes(loop, port, effort.clients(ECHO_SOCKETS))


def _fanout(receivers: int, in_flight: int, messages: Callable[[], Sequence[Message]]) -> Measure:
    return _cpu_per_operation(
        lambda loop, port, effort: fanout.fanout_to_all(loop, port, effort.clients(receivers), in_flight, messages())
    )


def _short_texts() -> Sequence[Message]:
    return text_messages("cast", 0)


def _channels(loop: Loop, port: int, effort: Effort) -> drivers.Driver:
    return fanout.fanout_to_channels(loop, port, effort.clients(CHANNELS), MEMBERS)


def _visits(loop: Loop, port: int, effort: Effort) -> drivers.Driver:
    return drivers.Visits(loop, port, effort.clients(VISITORS), drivers.visit_by_websocket)


def _upgrades(loop: Loop, port: int, effort: Effort) -> drivers.Driver:
    return drivers.Visits(loop, port, effort.clients(UPGRADING_VISITORS), UpgradingVisitor)


def _heartbeats(loop: Loop, port: int, effort: Effort) -> drivers.Driver:
    return drivers.Heartbeats(loop, port, effort.clients(HEARTBEAT_SOCKETS))


def _polling_echo(loop: Loop, port: int, effort: Effort) -> drivers.Driver:
    return longpolling.PollingEchoes(loop, port, effort.clients(POLLING_CLIENTS))


def _fanout_grid() -> Iterator[Scenario]:
    """Every other number of receivers and size of message than those of the scenario `fanout`."""
    sizes = (
        ("100", "100 B", CASTS_IN_FLIGHT, _short_texts),
        ("4k", "4 KB", CASTS_IN_FLIGHT, lambda: text_messages("cast", 0, 4096)),
        ("64k", "64 KB binary", LARGE_CASTS_IN_FLIGHT, lambda: binary_messages("cast", 0, 65_536)),
    )
    for receivers in (50, 200, 1000):
        for short, size, in_flight, messages in sizes:
            if (receivers, short) != (RECEIVERS, "100"):
                title = f"fan-out of {size} to {receivers}, {in_flight} casts in flight"
                measure = _fanout(receivers, in_flight, messages)
                figures = (Figure("us/receiver"),)
                yield Scenario(f"fanout_{receivers}_{short}", title, figures, measure, only_full=True)


SCENARIOS = (
    Scenario("echo", "echo, 50 WebSockets", [Figure("us/echo", 0.75)], _cpu_per_operation(_echo)),
    Scenario(
        "fanout",
        "fan-out of 100 B to 200, 16 casts in flight",
        [Figure("us/receiver", 0.68)],
        _fanout(RECEIVERS, CASTS_IN_FLIGHT, _short_texts),
    ),
    Scenario(
        "fanout_single",
        "fan-out of 100 B to 200, one cast at a time",
        [Figure("us/receiver", 0.52)],
        _fanout(RECEIVERS, 1, _short_texts),
    ),
    *_fanout_grid(),
    Scenario(
        "channels",
        "100 channels of 10, one cast at a time in each",
        [Figure("us/receiver")],
        _cpu_per_operation(_channels),
        only_full=True,
    ),
    Scenario("connect", "WebSocket opened, joined and closed", [Figure("us/visit", 0.7)], _cpu_per_operation(_visits)),
    Scenario("upgrade", "polling handshake, upgrade, close", [Figure("us/visit", 0.8)], _cpu_per_operation(_upgrades)),
    Scenario(
        "memory",
        "memory per idle WebSocket",
        [Figure("KB", 8.0, absolute=True)],
        idle.measure_memory,
        fresh_server=True,
    ),
    Scenario(
        "idle",
        "many idle WebSockets",
        [Figure("KB", 8.0, absolute=True, name="memory of one"), Figure("% of a core", name="heartbeat of all")],
        idle.measure_rest,
        fresh_server=True,
        only_full=True,
        most_rounds=LONG_ROUNDS,
    ),
    Scenario(
        "heartbeat",
        "ping and pong, 1000 WebSockets",
        [Figure("us/pair", 0.6)],
        _cpu_per_operation(_heartbeats),
        heartbeat=HEARTBEAT_SECONDS,
    ),
    Scenario(
        "polling", "echo over long-polling, 20 clients", [Figure("us/echo", 1.0)], _cpu_per_operation(_polling_echo)
    ),
    Scenario(
        "latency",
        "echo during fan-out",
        [Figure("ms", name="p50"), Figure("ms", 0.7, name="p99"), Figure("ms", name="p99.9")],
        _latency,
    ),
    Scenario(
        "bus",
        "message to a client of another process, by Redis",
        [Figure("us/message")],
        measure_bus,
        only_full=True,
        start=Pair,
    ),
    Scenario(
        "slow_reader",
        "growth for one who never reads",
        [Figure("MB", 5.0, absolute=True)],
        slowreader.measure_backlog,
        fresh_server=True,
        only_full=True,
        most_rounds=LONG_ROUNDS,
    ),
)
