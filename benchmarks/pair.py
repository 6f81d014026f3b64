"""Two servers of a kind that share a Redis: what it costs to send something to the clients of another process."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable

from clients import open_websockets
from fanout import Fanout
from groups import Group
from load import HOST, Loop
from messages import text_messages
from processes import START_SECONDS, Cores, Missing, Server, ServerKind, free_port
from usage import Effort, Sample, drive

IN_FLIGHT = 16
#: Asks how many processes hear each other: what each subscribes to last.
CENSUS = b"PUBSUB NUMSUB socket.io-request#/#\r\n"


class Pair(Server):
    """The first of two servers, and with it the other, and their Redis, which runs where the load does."""

    def __init__(self, kind: ServerKind, cores: Cores, heartbeat: float | None = None) -> None:
        if kind.on_redis is None:
            raise Missing(f"{kind.name} has no way to share a Redis")
        if shutil.which("redis-server") is None:
            raise Missing("no redis-server on the PATH: install Redis, or leave out the scenario bus")
        self._redis_port = free_port()
        shared = kind.on_redis(f"redis://{HOST}:{self._redis_port}")
        super().__init__(kind, cores, heartbeat, shared)
        self.other = Server(kind, cores, heartbeat, shared)
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Pair:
        command = ["redis-server", "--bind", HOST, "--port", str(self._redis_port), "--save", ""]
        redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._running.callback(redis.wait)
        self._running.callback(redis.terminate)
        self._wait(lambda: self._ask(b"PING\r\n") == b"+PONG\r\n")
        super().__enter__()
        self._running.enter_context(self.other)
        self._wait(lambda: self._ask(CENSUS).endswith(b":2\r\n"))
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._running:
            super().__exit__(*exc_info)

    def cpu(self) -> float:
        """Of both servers; what Redis needs is the same for all kinds."""
        return super().cpu() + self.other.cpu()

    def _ask(self, command: bytes) -> bytes:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self._redis_port), 1) as connection:
            connection.sendall(command)
            return connection.recv(1000)
        return b""

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise Missing(f"two {self.name} servers do not find each other at a Redis:\n{self.complaints()}")
            time.sleep(0.02)


def measure_bus(server: Server, effort: Effort) -> Sample:
    """Microseconds of both servers' CPU for a message that a client of one sends to itself and to one of the other."""
    assert isinstance(server, Pair)
    with Loop(server.kind.client_hangs_up, effort.awake) as loop:
        sockets = open_websockets(loop, server.port, 1) + open_websockets(loop, server.other.port, 1)
        driver = Fanout(loop, [(Group(sockets, text_messages("cast", 0), IN_FLIGHT), sockets)])
        used = drive(server, effort, driver, loop)
    return used.sample((used.server / used.operations * len(sockets) * 1e6,), driver.operations)
