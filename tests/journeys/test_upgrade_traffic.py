"""Traffic in both directions while a client moves from polling to WebSocket: everything once, and in order."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import socketio

from tests.conformance.targets import require_node, start_server
from tests.conformance.wire import PollingClient, WebSocketClient, open_candidate
from tests.serving import CLIENTS, Server

MESSAGES = 10_000
ALL = list(range(MESSAGES))
BATCH = 50


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The conformance application: it counts what it is told, and streams numbers when asked."""
    with ExitStack() as stack:
        yield start_server(stack, {})


def counting(numbers: Any) -> list[str]:
    """Events that the server has to note."""
    return [f'42["count",{number}]' for number in numbers]


class Poller(threading.Thread):
    """Keeps one GET pending and notes what arrives, until it is told to pause."""

    def __init__(self, client: PollingClient) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.packets: list[str] = []
        self.paused = False

    def run(self) -> None:
        """Poll until paused; the GET that is pending then is answered by the server."""
        while not self.paused:
            self.packets += [packet for packet in self.client.poll() if packet != "6"]

    def pause(self) -> None:
        """Wait for the answer of the pending GET."""
        self.paused = True
        self.join(5)
        assert not self.is_alive(), "the server holds a GET of a client that upgrades"


@pytest.mark.parametrize("posted_before", [0, 500, 3000])
def test_raw_client(server: Server, posted_before: int) -> None:
    client = PollingClient(server)
    client.join()
    client.send(f'42["stream",{MESSAGES}]')
    poller = Poller(client)
    poller.start()
    numbers = iter(ALL)
    post(client, numbers, posted_before)
    socket = open_candidate(client)
    post_until_probed(client, socket, numbers)
    poller.pause()
    socket.send("5")
    socket.send(*counting(numbers))
    assert streamed([*poller.packets, *read_stream(socket, len(poller.packets))]) == ALL
    socket.send('420["counted"]')
    assert json.loads(str(socket.receive()).removeprefix("430")) == [ALL]
    socket.close()


def post(client: PollingClient, numbers: Iterator[int], count: int) -> None:
    """Post so many of the numbers, in batches."""
    for _ in range(0, count, BATCH):
        client.send(*counting(next(numbers) for _ in range(BATCH)))


def post_until_probed(client: PollingClient, socket: WebSocketClient, numbers: Iterator[int]) -> None:
    """Go on posting until the server has answered the probe."""
    socket.send("2probe")
    while socket.is_silent(0):
        post(client, numbers, BATCH)
    assert socket.last == "3probe"


def read_stream(socket: WebSocketClient, already: int) -> list[str]:
    """Read what is left of the stream."""
    return [str(socket.receive()) for _ in range(MESSAGES - already)]


def streamed(packets: list[str]) -> list[int]:
    """The numbers in the events of a stream."""
    return [json.loads(packet.removeprefix("42"))[1] for packet in packets]


@pytest.mark.parametrize("package", ["socket.io-client-3", "socket.io-client-4"])
def test_official_client(server: Server, package: str) -> None:
    require_node()
    command = ["node", str(CLIENTS / "traffic.js"), package, server.url, str(MESSAGES)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert report["received"] == ALL
    assert report["counted"] == ALL
    assert report["upgrades"] == 1
    assert report["sentBefore"] < MESSAGES


def test_python_client(server: Server) -> None:
    client = socketio.Client(reconnection=False)
    received: list[int] = []
    complete = threading.Event()

    def note(number: int) -> None:
        received.append(number)
        if len(received) == MESSAGES:
            complete.set()

    client.on("number", note)
    client.connect(server.url, transports=["polling", "websocket"])
    client.emit("stream", MESSAGES)
    for number in ALL:
        client.emit("count", number)
    assert complete.wait(30)
    assert client.call("counted") == ALL
    assert client.transport() == "websocket"
    client.disconnect()
    assert sorted(received) == ALL  # this client gives every event a thread, and so loses their order by itself
