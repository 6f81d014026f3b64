"""The programs of docs/engine.rst, and the first of docs/wsgi.rst, as they are but for the port, with clients."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import engineio
import pytest
import requests
import socketio

from tests.conformance.targets import require_node
from tests.samples import on_port, python_samples
from tests.serving import CLIENTS, ROOT, Server, free_port, wait_for

ALONE, BESIDE_WEBPY = python_samples(ROOT / "docs" / "engine.rst")
WITHOUT_WEBPY, *_ = python_samples(ROOT / "docs" / "wsgi.rst")


@contextmanager
def run(code: str, directory: Path) -> Iterator[Server]:
    port = free_port()
    script = directory / "sample.py"
    script.write_text(on_port(code, port))
    with Server([sys.executable, str(script)], port, {"PYTHONUNBUFFERED": "1"}, directory) as server:
        yield server
        assert "Traceback" not in server.log


class EngineClient:
    """python-engineio's client, whose messages can be waited for."""

    def __init__(self, url: str, transports: list[str], path: str = "engine.io") -> None:
        self._inbox: queue.Queue[str | bytes] = queue.Queue()
        self._client = engineio.Client()
        self._client.on("message", self._inbox.put)
        self._client.connect(url, transports=transports, engineio_path=path)
        self.send = self._client.send
        self.close = self._client.disconnect

    def receive(self) -> str | bytes:
        return self._inbox.get(timeout=5)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run(ALONE, tmp_path_factory.mktemp("alone")) as server:
        yield server


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
def test_python_clients_hear_each_other(alone: Server, transports: list[str]) -> None:
    ends = alone.log.count("is gone: transport close")
    one, two = EngineClient(alone.url, transports), EngineClient(alone.url, transports)
    assert [one.receive(), two.receive()] == ["1 here", "2 here"]
    for message in ("hello €😀", b"\x01\x02"):
        one.send(message)
        assert one.receive() == two.receive() == message
    one.close()
    two.close()
    wait_for(lambda: alone.log.count("is gone: transport close") == ends + 2)


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
@pytest.mark.parametrize("library", ["socket.io-client-2", "socket.io-client-3", "socket.io-client-4"])
def test_official_clients_hear_themselves(alone: Server, library: str, transports: str) -> None:
    require_node()
    ends = alone.log.count("is gone")
    command = ["node", str(CLIENTS / "engine.js"), library, alone.url, transports]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    last = transports.rpartition(",")[2]
    assert json.loads(done.stdout) == {"received": ["1 here", "hello €😀", "0102ff"], "transport": last}
    wait_for(lambda: alone.log.count("is gone") == ends + 1)


def test_beside_webpy(tmp_path: Path) -> None:
    with run(BESIDE_WEBPY, tmp_path) as server, socketio.SimpleClient() as simple:
        assert requests.get(server.url, timeout=5).text == "a page"
        simple.connect(server.url)
        simple.emit("message", {"a": 1})
        assert simple.receive(timeout=5) == ["message", {"a": 1}]
        client = EngineClient(server.url, ["websocket"], path="measure")
        client.send(b"12345")
        assert client.receive() == "5 bytes"
        client.close()


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="-".join)
def test_without_webpy(tmp_path: Path, transports: list[str]) -> None:
    with run(WITHOUT_WEBPY, tmp_path) as server:
        assert requests.get(server.url, timeout=5).text == "a page"
        with socketio.SimpleClient() as one, socketio.SimpleClient() as two:
            for client in (one, two):
                client.connect(server.url, transports=transports)
            two.emit("message", "ready")
            assert two.receive(timeout=5) == one.receive(timeout=5) == ["message", "ready"]
