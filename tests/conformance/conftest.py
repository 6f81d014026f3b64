"""The servers that the conformance tests run against: ours, or Socket.IO's own with CONFORMANCE_SERVER=node.

Each set of settings is started once, when a test first asks for it, and shared by all tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.conformance.phrases import LIMIT
from tests.conformance.targets import StartServer, start_server
from tests.conformance.wire import Client, PollingClient, WebSocketClient, open_client, open_websocket
from tests.serving import Server


@pytest.fixture(scope="session")
def servers() -> Iterator[StartServer]:
    """Starts the server under test with settings, or hands out the one that already runs with them."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def serve_with(app: str = "conformance", **settings: Any) -> Server:
            key = repr((app, sorted(settings.items())))
            if key not in running:
                running[key] = start_server(stack, settings, app)
            return running[key]

        yield serve_with


@pytest.fixture
def fresh() -> Iterator[Server]:
    """A server of a test's own, which the test may stop."""
    with ExitStack() as stack:
        yield start_server(stack, {})


@pytest.fixture
def calm(servers: StartServer) -> Server:
    """A server with default settings: no heartbeat falls due while a test runs."""
    return servers()


@pytest.fixture
def quick(servers: StartServer) -> Server:
    """A server whose pings come as often as those of the published suites, with more patience for a busy machine."""
    return servers(ping_interval=0.3, ping_timeout=1)


@pytest.fixture
def strict(servers: StartServer) -> Server:
    """A server with the heartbeat of the published suites, for clients that do not answer it in time."""
    return servers(ping_interval=0.3, ping_timeout=0.2)


@pytest.fixture(params=["polling", "websocket"])
def client(request: pytest.FixtureRequest, calm: Server) -> Iterator[Client]:
    """A fresh Engine.IO session, by each transport in turn."""
    opened = open_client(request.param, calm)
    yield opened
    opened.close()


@pytest.fixture
def joined(client: PollingClient) -> Client:
    """A session that has joined the namespace "/"."""
    client.join()
    return client


@pytest.fixture
def polling(calm: Server) -> Iterator[PollingClient]:
    """A fresh session by long-polling."""
    opened = PollingClient(calm)
    yield opened
    opened.close()


@pytest.fixture
def witness(calm: Server) -> Iterator[WebSocketClient]:
    """A client that hears what the others announce."""
    socket = open_websocket(calm)
    socket.join()
    yield socket
    socket.close()


@pytest.fixture
def websocket(calm: Server) -> Iterator[WebSocketClient]:
    """A session by WebSocket that has joined "/"."""
    socket = open_websocket(calm)
    socket.join()
    yield socket
    socket.close()


@pytest.fixture
def narrow(servers: StartServer) -> Server:
    """A server that takes 1000 bytes at most."""
    return servers(max_payload=LIMIT)
