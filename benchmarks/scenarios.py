"""The scenarios: what is driven, what one number comes out of a round, and the goal for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import drivers
import fanout
import longpolling
from load import LoadError, Loop, close_websockets, open_websockets
from processes import Server
from upgrades import UpgradingVisitor

ECHO_SOCKETS = 50
POLLING_CLIENTS = 20
RECEIVERS = 200
CASTS_IN_FLIGHT = 16
VISITORS = 50
UPGRADING_VISITORS = 200
HEARTBEAT_SOCKETS = 1000
HEARTBEAT_SECONDS = 0.1
PROBES, PROBE_PACE = 10, 0.02
MEMORY_WARM_UP = 100
SETTLE_SECONDS = 2.0


class Timing(NamedTuple):
    """How long a round lasts, and how many connections idle_memory opens."""

    warm_up: float
    seconds: float
    connections: int


class Sample(NamedTuple):
    """What one round on one server gave: the number to compare, and what helps to judge it."""

    value: float
    rate: float
    server_busy: float
    load_busy: float
    others_busy: float


class Scenario(NamedTuple):
    """One row of the report. `limit` is a ratio to Node, or with `absolute` a value in `unit`."""

    name: str
    title: str
    unit: str
    limit: float
    measure: Callable[[Server, Timing], Sample]
    absolute: bool = False
    heartbeat: float | None = None
    fresh_server: bool = False


class _Usage(NamedTuple):
    """What has been used and done up to a moment, or between two of them."""

    wall: float
    server: float
    load: float
    all_processes: float
    operations: int

    @classmethod
    def now(cls, server: Server, operations: int) -> _Usage:
        return cls(time.perf_counter(), server.cpu(), time.process_time(), server.cores.busy_seconds(), operations)

    def since(self, start: _Usage) -> _Usage:
        return _Usage(
            self.wall - start.wall,
            self.server - start.server,
            self.load - start.load,
            self.all_processes - start.all_processes,
            self.operations - start.operations,
        )

    def sample(self, value: float) -> Sample:
        others = max(0.0, self.all_processes - self.server - self.load)
        wall = self.wall
        return Sample(value, self.operations / wall, self.server / wall, self.load / wall, others / wall)


def _drive(
    server: Server, timing: Timing, driver: drivers.Driver, loop: Loop, is_warm: Callable[[], None] = lambda: None
) -> _Usage:
    """Warm up, measure, and let the driver finish what is in flight and verify."""
    driver.start()
    loop.run_for(timing.warm_up, driver.tick)
    is_warm()
    before = _Usage.now(server, driver.operations)
    loop.run_for(timing.seconds, driver.tick)
    used = _Usage.now(server, driver.operations).since(before)
    driver.stop()
    return used


def _cpu_per_operation(make: drivers.DriverFactory) -> Callable[[Server, Timing], Sample]:
    """Microseconds of server CPU per operation of the driver."""

    def measure(server: Server, timing: Timing) -> Sample:
        loop = Loop()
        used = _drive(server, timing, make(loop, server.port), loop)
        if not used.operations:
            raise LoadError("not one operation was finished")
        return used.sample(used.server / used.operations * 1e6)

    return measure


def _latency(server: Server, timing: Timing) -> Sample:
    """The 99th percentile, in milliseconds, of echoes made while the server has as much fan-out as it can do."""
    loop = Loop()
    driver = fanout.ProbedFanout(loop, server.port, RECEIVERS, CASTS_IN_FLIGHT, PROBES, PROBE_PACE)
    used = _drive(server, timing, driver, loop, is_warm=driver.latencies.clear)
    latencies = sorted(driver.latencies)
    return used.sample(latencies[int(len(latencies) * 0.99)] * 1e3)


def _idle_memory(server: Server, timing: Timing) -> Sample:
    """Kilobytes by which the server's resident memory grows per open, silent WebSocket."""
    loop = Loop()
    close_websockets(loop, open_websockets(loop, server.port, MEMORY_WARM_UP))
    time.sleep(SETTLE_SECONDS)
    before, start = server.resident_bytes(), _Usage.now(server, 0)
    sockets = open_websockets(loop, server.port, timing.connections)
    used = _Usage.now(server, len(sockets)).since(start)
    time.sleep(SETTLE_SECONDS)
    grown = server.resident_bytes() - before
    close_websockets(loop, sockets)
    return used.sample(grown / len(sockets) / 1024)


def _echo(loop: Loop, port: int) -> drivers.Driver:
    return drivers.Echoes(loop, port, ECHO_SOCKETS)


def _fanout(loop: Loop, port: int) -> drivers.Driver:
    return fanout.Fanout(loop, port, RECEIVERS, CASTS_IN_FLIGHT)


def _fanout_single(loop: Loop, port: int) -> drivers.Driver:
    return fanout.Fanout(loop, port, RECEIVERS, 1)


def _visits(loop: Loop, port: int) -> drivers.Driver:
    return drivers.Visits(loop, port, VISITORS, drivers.visit_by_websocket)


def _upgrades(loop: Loop, port: int) -> drivers.Driver:
    return drivers.Visits(loop, port, UPGRADING_VISITORS, UpgradingVisitor)


def _heartbeats(loop: Loop, port: int) -> drivers.Driver:
    return drivers.Heartbeats(loop, port, HEARTBEAT_SOCKETS)


def _polling_echo(loop: Loop, port: int) -> drivers.Driver:
    return longpolling.PollingEchoes(loop, port, POLLING_CLIENTS)


SCENARIOS = (
    Scenario("echo", "echo, 50 WebSockets", "us/echo", 0.75, _cpu_per_operation(_echo)),
    Scenario("fanout", "fan-out to 200, 16 casts in flight", "us/receiver", 0.68, _cpu_per_operation(_fanout)),
    Scenario(
        "fanout_single", "fan-out to 200, one cast at a time", "us/receiver", 0.52, _cpu_per_operation(_fanout_single)
    ),
    Scenario("connect", "WebSocket opened, joined and closed", "us/visit", 0.7, _cpu_per_operation(_visits)),
    Scenario("upgrade", "polling handshake, upgrade, close", "us/visit", 0.8, _cpu_per_operation(_upgrades)),
    Scenario("memory", "memory per idle WebSocket", "KB", 8.0, _idle_memory, absolute=True, fresh_server=True),
    Scenario(
        "heartbeat",
        "ping and pong, 1000 WebSockets",
        "us/pair",
        0.6,
        _cpu_per_operation(_heartbeats),
        heartbeat=HEARTBEAT_SECONDS,
    ),
    Scenario("polling", "echo over long-polling, 20 clients", "us/echo", 1.0, _cpu_per_operation(_polling_echo)),
    Scenario("latency", "p99 of an echo during fan-out", "ms", 0.7, _latency),
)
