"""Starts real servers for tests: one process each, on a free port, stopped at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "tests" / "apps"
CLIENTS = ROOT / "tests" / "clients"
START_SECONDS = 20
STOP_SECONDS = 15


class Server:
    """A server process and where to reach it."""

    #: Where the protocol under test answers.
    path = "/socket.io/"

    def __init__(self, command: list[str], port: int, env: Mapping[str, str], cwd: Path = ROOT) -> None:
        self.port = port
        self.cwd = cwd
        self.url = f"http://127.0.0.1:{port}"
        self.command = command
        self.env = {**os.environ, **env}
        descriptor, name = tempfile.mkstemp(prefix="server-", suffix=".log")
        self._log = os.fdopen(descriptor, "w")
        self._log_path = Path(name)
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process and wait until it accepts connections.

        Raises RuntimeError, with what the server printed, if it ends or stays silent.
        """
        self.process = subprocess.Popen(
            self.command, env=self.env, cwd=self.cwd, text=True, stdout=self._log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.command} did not start:\n{self.log}")

    def signal(self, number: int) -> int:
        """Send a signal, wait for the end and return the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End the process, politely at first."""
        if self.process is None or self.process.poll() is not None:
            return
        try:
            self.signal(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def log(self) -> str:
        """Everything the server printed so far."""
        return self._log_path.read_text()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self._log.close()
        self._log_path.unlink()


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve(app: str | Path, **settings: object) -> Iterator[Server]:
    """Run a Python program that serves on SOCKETIO_HOST and SOCKETIO_PORT; settings become SOCKETIO_<NAME>."""
    port = free_port()
    path = APPS / f"{app}.py" if isinstance(app, str) else app
    env = {f"SOCKETIO_{name.upper()}": str(value) for name, value in settings.items()}
    env |= {"SOCKETIO_HOST": "127.0.0.1", "SOCKETIO_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    with Server([sys.executable, str(path)], port, env) as server:
        yield server


@contextlib.contextmanager
def serve_node(script: Path, **env: object) -> Iterator[Server]:
    """Run a Node program that serves on PORT, with the packages of tests/clients."""
    port = free_port()
    variables = {name: str(value) for name, value in env.items()}
    variables |= {"PORT": str(port), "NODE_PATH": str(CLIENTS / "node_modules")}
    with Server(["node", str(script)], port, variables) as server:
        yield server
