"""The official clients of before 3.0: they speak Engine.IO 3, and never knew that the server changed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.conformance.targets import require_node
from tests.serving import CLIENTS, Server, serve

LIBRARIES = ["socket.io-client-1", "socket.io-client-2.0", "socket.io-client-2"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("conformance") as server:
        yield server


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_old_client(server: Server, library: str, transports: str) -> None:
    require_node()
    command = ["node", str(CLIENTS / "old.js"), library, transports, server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "sameId": True,
        "auth": [{}],
        "transport": transports.rpartition(",")[2],
        "text": ["hello", {"a": [1]}],
        "binary": [[1, 2, 255], [4]],
        "ack": [1, "2"],
        "answered": ["who!"],
        "custom": [{"token": "abc"}],
        "kicked": ["io server disconnect"],
        "unknown": ["Invalid namespace"],
        "refused": ["nope"],
        "broadcast": ["to all"],
    }
    assert "Traceback" not in server.log


@pytest.mark.parametrize(("library", "clients"), [("socket.io-client-2", "3-4"), ("socket.io-client-4", "1-2")])
def test_a_generation_that_is_switched_off_is_told(library: str, clients: str) -> None:
    require_node()
    with serve("conformance", clients=clients) as server:
        code = (
            f"const s = require('{library}')('{server.url}', {{transports: ['polling'], reconnection: false}});"
            "s.on('connect_error', (e) => { console.log('refused'); process.exit(0); });"
            "s.on('connect', () => process.exit(1)); setTimeout(() => process.exit(2), 10000);"
        )
        done = subprocess.run(["node", "-e", code], cwd=CLIENTS, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout) == (0, "refused\n")
        refused = "1-2" if clients == "3-4" else "3-4"
        assert f"refused a Socket.IO client {refused}.x" in server.log
