"""What the tests of process managers share: gunicorn, and clients that stay whatever happens to their server."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import socketio

from tests.serving import APPS, CLIENTS, Server, free_port, settings_env

PLAIN, OURS = "gevent", "webpy_socketio.worker.SocketIOWorker"
WAYS = ("polling", "websocket", "polling,websocket")
PATIENCE = 20


@contextlib.contextmanager
def gunicorn(
    worker: str, *options: str, home: Path, app: str = "hosted:application", **settings: object
) -> Iterator[Server]:
    """Run an application of tests/apps under gunicorn; settings become SOCKETIO_<NAME>.

    :param home: where gunicorn may write what it writes into the home directory.
    """
    port = free_port()
    env = settings_env(settings) | {"PYTHONUNBUFFERED": "1", "HOME": str(home)}
    command = [sys.executable, "-m", "gunicorn", "-k", worker, "-b", f"127.0.0.1:{port}", *options, app]
    with Server(command, port, env, APPS) as server:
        yield server


def is_alive(pid: int) -> bool:
    """Whether there is a process with this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Stayers:
    """A client by each way, which comes back whenever it loses its server."""

    def __init__(self, ways: Sequence[str] = WAYS) -> None:
        self.ways = ways
        self._queue: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        self._unexpected: list[tuple[str, str, Any]] = []

    def note(self, way: str, what: str, value: Any) -> None:
        """Something has happened to a client."""
        self._queue.put((way, what, value))

    def expect(self, what: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until this has happened to every client once more, and return what came with it.

        Raises queue.Empty if nothing has happened for so many seconds.
        """
        seen: dict[str, Any] = {}
        waiting, self._unexpected = self._unexpected, []
        while len(seen) < len(self.ways):
            way, happened, value = waiting.pop(0) if waiting else self._queue.get(timeout=seconds)
            if happened == what and way not in seen:
                seen[way] = value
            else:
                self._unexpected.append((way, happened, value))
        self._unexpected += waiting
        return seen


class OfficialStayers(Stayers):
    """Official clients, in a Node process."""

    def __init__(self, package: str, url: str) -> None:
        super().__init__()
        self._process = subprocess.Popen(
            ["node", "--no-deprecation", str(CLIENTS / "stay.js"), package, url],
            cwd=CLIENTS,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.note(**json.loads(line))

    def __enter__(self) -> OfficialStayers:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._process:
            self._process.kill()


class PythonStayers(Stayers):
    """Clients of python-socketio."""

    def __init__(self, url: str, ways: Sequence[str] = WAYS) -> None:
        super().__init__(ways)
        self._clients = [self._connect(way, url) for way in ways]

    def _connect(self, way: str, url: str) -> socketio.Client:
        client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.3)

        def connected() -> None:
            client.emit("message", {"a": [1, "ü"]}, callback=answered)

        def answered(answer: Any) -> None:
            self.note(way, "connect", {"transport": client.transport(), "answer": answer})

        client.on("connect", connected)
        client.on("disconnect", lambda reason: self.note(way, "disconnect", reason))
        client.on("message", lambda message: self.note(way, "message", message))
        client.connect(url, transports=way.split(","))
        return client

    def __enter__(self) -> PythonStayers:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for client in self._clients:
            client.shutdown()
