"""Server processes: started on a core of their own, and what the operating system says that they used."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from load import HOST

SPARE_FILES = 200
START_SECONDS = 20
STOP_SECONDS = 15


class Missing(Exception):
    """Something has to be installed first."""


class Cores(NamedTuple):
    """Where the server runs and where the load runs; the same set if there is only one core."""

    server: frozenset[int]
    load: frozenset[int]

    @property
    def are_apart(self) -> bool:
        """Each side has a core of its own."""
        return self.server != self.load

    def busy_seconds(self) -> float:
        """How long these cores were not idle since the machine started, whatever they were doing."""
        names = {f"cpu{core}" for core in self.server | self.load}
        rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        ticks = sum(sum(_busy_ticks(row)) for row in rows if row and row[0] in names)
        return ticks / os.sysconf("SC_CLK_TCK")


def _busy_ticks(row: list[str]) -> list[int]:
    """From a line of /proc/stat: user, nice, system, irq, softirq and steal, but not idle and iowait."""
    values = [int(value) for value in row[1:9]]
    return values[:3] + values[5:]


def split_cores() -> Cores:
    """Give the first allowed core to the load and the last one to the server."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(server=frozenset(allowed[-1:]), load=frozenset(allowed[:1]))


def allow_open_files(connections: int) -> None:
    """Raise the limit on open files, here and for the servers started later."""
    needed = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY,) and needed > hard:
        raise Missing(f"{connections} connections need {needed} open files, the limit is {hard}; raise `ulimit -Hn`")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class ServerKind(NamedTuple):
    """How to start one of the compared servers; the heartbeat interval is the only setting that scenarios change."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    heartbeat: Callable[[float], Mapping[str, str]]
    #: Names and versions of what it is made of.
    versions: Mapping[str, str]
    #: Scenarios that it has no means to do.
    cannot: frozenset[str] = frozenset()
    #: What tells it to share a Redis with others, given its URL; None if it has no means to.
    on_redis: Callable[[str], Mapping[str, str]] | None = None
    #: After a closing handshake it waits until the client ends the connection.
    client_hangs_up: bool = False


class Server:
    """A running server: use it in a `with` statement."""

    def __init__(
        self, kind: ServerKind, cores: Cores, heartbeat: float | None = None, more: Mapping[str, str] | None = None
    ) -> None:
        self.name = kind.name
        self.kind = kind
        self.port = free_port()
        self.cores = cores
        settings = {} if heartbeat is None else kind.heartbeat(heartbeat)
        self._environment = {**os.environ, **kind.environment, **settings, **(more or {}), "PORT": str(self.port)}
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Server:
        self._process = subprocess.Popen(
            self.kind.command, env=self._environment, text=True, stdout=self._log, stderr=subprocess.STDOUT
        )
        os.sched_setaffinity(self.pid, self.cores.server)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise Missing(f"the {self.name} server does not start:\n{self._tail}")
            time.sleep(0.02)
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
            return True
        return False

    @property
    def pid(self) -> int:
        """The process to measure: neither server forks, threads are included."""
        assert self._process is not None
        return self._process.pid

    @property
    def _tail(self) -> str:
        self._log.seek(0)
        return self._log.read()[-4000:]

    def complaints(self) -> str:
        """The end of what the server printed, for an error message."""
        return self._tail.strip()

    def cpu(self) -> float:
        """Seconds of CPU, user and system, that all threads of the process have used so far."""
        return cpu_seconds(self.pid)

    def used_bytes(self) -> int:
        """Resident memory from the cheaper counter, for looking often."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def resident_bytes(self) -> int:
        """Resident memory, counted page by page (the cheaper counter may lag behind)."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise OSError("no Rss in smaps_rollup")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process: its POSIX CPU-time clock (nanoseconds), or else /proc/PID/stat (ticks of 10 ms)."""
    try:
        # clock_getcpuclockid(3) of Linux: the complement of the pid, and 2 for "scheduler time of the whole process".
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
