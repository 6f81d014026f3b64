"""What a round used: CPU time of the server, of the load and of everybody else, and what was done with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from drivers import Driver
from load import STALL_SECONDS, Loop, Stalled
from processes import Server


class Effort(NamedTuple):
    """How much of everything one round is; the command line's options of the same names tell more."""

    warm_up: float = 0.5
    seconds: float = 2.5
    settle: float = 2.0
    connections: int = 1000
    many_connections: int = 10_000
    idle_seconds: float = 50.0
    backlog: float = 64.0
    scale: float = 1.0
    awake: bool = False

    def clients(self, count: int) -> int:
        """So many clients, or the chosen fraction of them."""
        return max(2, round(count * self.scale))


class Sample(NamedTuple):
    """What one round on one server gave: its scenario's figures, and what helps to judge them."""

    values: tuple[float, ...]
    #: Operations whose data was checked.
    verified: int
    rate: float
    server_busy: float
    load_busy: float
    others_busy: float


class Usage(NamedTuple):
    """What has been used and done up to a moment, or between two of them."""

    wall: float
    server: float
    load: float
    all_processes: float
    operations: int

    @classmethod
    def now(cls, server: Server, operations: int = 0) -> Usage:
        """Up to now."""
        return cls(time.perf_counter(), server.cpu(), time.process_time(), server.cores.busy_seconds(), operations)

    def since(self, start: Usage) -> Usage:
        """From start to here."""
        return Usage(*(end - begin for end, begin in zip(self, start, strict=True)))  # type: ignore[arg-type]

    def sample(self, values: tuple[float, ...], verified: int) -> Sample:
        """The sample of a round that used this."""
        others = max(0.0, self.all_processes - self.server - self.load)
        wall = self.wall
        return Sample(values, verified, self.operations / wall, self.server / wall, self.load / wall, others / wall)


def drive(
    server: Server, effort: Effort, driver: Driver, loop: Loop, is_warm: Callable[[], None] = lambda: None
) -> Usage:
    """Warm up, measure, and let the driver finish what is in flight and verify."""
    driver.start()
    loop.run_for(effort.warm_up, driver.tick)
    is_warm()
    before = Usage.now(server, driver.operations)
    loop.run_for(effort.seconds, driver.tick)
    give_up = time.monotonic() + STALL_SECONDS
    while driver.operations == before.operations:  # a busy machine may need more time for even one
        if time.monotonic() > give_up:
            raise Stalled(f"not one operation was finished in {STALL_SECONDS:g} s")
        loop.run_for(0.1, driver.tick)
    used = Usage.now(server, driver.operations).since(before)
    driver.stop()
    return used
