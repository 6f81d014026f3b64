"""Real Redis servers for tests: each a process of its own, on a free port, without a file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.targets import miss
from tests.serving import Server, free_port


def require_redis() -> None:
    """Skip the test if there is no Redis server; where it must be there, fail."""
    if not shutil.which("redis-server"):
        miss("redis-server is not installed")


class RedisServer(Server):
    """A Redis server, which can be stopped, started again at the same place, and frozen.

    :param configuration: makes it a Sentinel.
    """

    def __init__(self, *options: str, configuration: Path | None = None) -> None:
        require_redis()
        port = free_port()
        if configuration is None:
            command = [
                "redis-server",
                "--bind",
                "127.0.0.1",
                "--port",
                str(port),
                "--save",
                "",
                "--dir",
                tempfile.gettempdir(),
                *options,
            ]
        else:
            command = ["redis-server", str(configuration), "--sentinel", "--port", str(port), *options]
        super().__init__(command, port, {})

    @property
    def redis_url(self) -> str:
        """Where it is, as a setting."""
        return f"redis://127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """Let it stand still, connections and all."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def thaw_if_alive(self) -> None:
        """The same, unless it has been stopped."""
        if self.process is not None and self.process.poll() is None:
            self.thaw()

    def ask(self, *command: str) -> Sequence[str]:
        """Run a command, and return the lines of its answer."""
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *command], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.splitlines()

    def __enter__(self) -> RedisServer:
        self.start()
        return self
