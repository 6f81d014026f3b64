"""Starts real servers for tests: one process each, on a free port, stopped at the end."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gevent

ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "tests" / "apps"
CLIENTS = ROOT / "tests" / "clients"
START_SECONDS = 20
#: Below those that systems choose from for connections.
PORTS = range(10_000, 32_000)
#: Not the common one, which tests set to the same beginning in all processes.
CHANCE = random.SystemRandom()
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
    """A TCP port that nobody listens on, and that no connection gets before a server does."""
    while True:
        port = CHANCE.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def settings_env(settings: Mapping[str, object]) -> dict[str, str]:
    """The environment with which a server has these settings."""
    return {f"SOCKETIO_{name.upper()}": str(value) for name, value in settings.items()}


@contextlib.contextmanager
def serve(app: str | Path, **settings: object) -> Iterator[Server]:
    """Run a Python program that serves on SOCKETIO_HOST and SOCKETIO_PORT; settings become SOCKETIO_<NAME>."""
    port = free_port()
    path = APPS / f"{app}.py" if isinstance(app, str) else app
    env = {"SOCKETIO_HOST": "127.0.0.1", "SOCKETIO_PORT": str(port), "PYTHONUNBUFFERED": "1"} | settings_env(settings)
    with Server([sys.executable, str(path)], port, env) as server:
        yield server


@contextlib.contextmanager
def serve_by_name(name: str, *options: str, cwd: Path = APPS, **settings: object) -> Iterator[Server]:
    """Run ``python -m webpy_socketio serve`` with an application of a directory."""
    port = free_port()
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "webpy_socketio", "serve", name, "--port", str(port), *pairs, *options]
    with Server(command, port, {"PYTHONUNBUFFERED": "1"}, cwd) as server:
        yield server


@contextlib.contextmanager
def serve_node(script: Path, **env: object) -> Iterator[Server]:
    """Run a Node program that serves on PORT, with the packages of tests/clients."""
    port = free_port()
    variables = {name: str(value) for name, value in env.items()}
    variables |= {"PORT": str(port), "NODE_PATH": str(CLIENTS / "node_modules")}
    with Server(["node", str(script)], port, variables) as server:
        yield server


class ServerHere:
    """A server in a thread of this process, so that a test can see what its application's functions see."""

    def __init__(self, make: Callable[[], Any], path: str) -> None:
        self.path = path
        self.port = 0
        #: gevent's server.
        self.served: Any = None
        self._make = make
        self._started: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._loop: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def thread_id(self) -> int | None:
        """The thread that serves."""
        return self._thread.ident

    def do(self, function: Callable[[], Any]) -> Any:
        """Call a function in the server's loop, where nothing happens meanwhile, and return its result."""
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._loop.run_callback_threadsafe(lambda: results.put(function()))
        return results.get(timeout=START_SECONDS)

    def _run(self) -> None:
        try:
            self._loop = gevent.get_hub().loop
            self.served = self._make()
            self.served.start()
        except BaseException as error:
            self._started.put(error)
            return
        self.port = self.served.server_port
        self._started.put(None)
        self.served._stop_event.wait()
        self.served.stop(1)

    def __enter__(self) -> ServerHere:
        self._thread.start()
        error = self._started.get(timeout=START_SECONDS)
        if error is not None:
            raise error
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.do(self.served._stop_event.set)
        self._thread.join(STOP_SECONDS)
        assert not self._thread.is_alive(), "the server does not stop"


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Return what the condition gives, as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)
    return result
