"""Clients from 1.7 to 4.8 in Node, each by polling, by WebSocket, and moving from one to the other.

What runs in pages, JSONP and the clients 1.0 and 1.3, is in ``tests/browser/test_generations.py``, and so is the room
that holds them all.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.clients.generations import NODE_CLIENTS, TEXT, InNode, check_journey, package_and_way
from tests.conformance.targets import require_node
from tests.serving import CLIENTS, Server, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("generations") as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def node() -> Iterator[InNode]:
    require_node()
    with InNode() as node:
        yield node


@pytest.mark.parametrize("name", NODE_CLIENTS)
def test_journey(server: Server, node: InNode, name: str) -> None:
    package, way = package_and_way(name)
    check_journey(name, node.call("journey", package, server.url, way, TEXT))


@pytest.mark.parametrize(("library", "clients"), [("socket.io-client-2", "3-4"), ("socket.io-client-4", "1-2")])
def test_a_generation_that_is_switched_off_is_told(library: str, clients: str) -> None:
    require_node()
    with serve("generations", clients=clients) as server:
        code = (
            f"const s = require('{library}')('{server.url}', {{transports: ['polling'], reconnection: false}});"
            "s.on('connect_error', (e) => { console.log('refused'); process.exit(0); });"
            "s.on('connect', () => process.exit(1)); setTimeout(() => process.exit(2), 10000);"
        )
        done = subprocess.run(["node", "-e", code], cwd=CLIENTS, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout) == (0, "refused\n")
        refused = "1-2" if clients == "3-4" else "3-4"
        assert f"refused a Socket.IO client {refused}.x" in server.log
