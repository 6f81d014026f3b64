"""The official clients, and python-socketio's, each by polling, by WebSocket, and moving from one to the other."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import socketio
from socketio.exceptions import ConnectionError as SocketIOConnectionError

from tests.conformance.targets import require_node, start_server
from tests.serving import CLIENTS, Server

TRANSPORTS = {"polling": "polling", "websocket": "websocket", "upgrade": "polling,websocket"}
PATIENCE = 15
LONG = 300_000
BYTES = bytes([0, 1, 2, 254, 255])
HEX = BYTES.hex()
PYTHON_BURST = 15  # this client refuses payloads of more than 16 packets
TEXT = '€ 😀 \u2028 \\ " \u0000'

#: What every client has to report.
EXPECTED: dict[str, Any] = {
    "auth": [{"token": "123"}],
    "connected": [True, 20],
    "early": ["before the upgrade"],
    "text": [1, "2", {"3": [True, None]}, TEXT],
    "binary": [HEX, ""],
    "nested": [HEX],
    "long": LONG,
    "nothing": [],
    "ack": [1, "2", {"3": [False]}],
    "emptyAck": [],
    "binaryAck": [HEX, HEX],
    "question": ["how", {"are": "you"}],
    "binaryQuestion": [HEX],
    "order": list(range(200)),
    "custom": {"auth": {"token": "abc"}, "reason": "io server disconnect"},
    "kicked": {"reason": "io server disconnect", "back": ["again"]},
    "shared": {"differ": True, "back": ["main goes on"]},
    "unknown": {"message": "Invalid namespace", "data": None},
    "refused": {"message": "nope", "data": {"code": 7}},
    "disconnect": ["io client disconnect", False],
}
PYTHON_EXPECTED = {
    **EXPECTED,
    "order": list(range(PYTHON_BURST)),
    "custom": {"auth": {"token": "abc"}, "reason": "server disconnect"},
    "kicked": {"reason": "server disconnect", "back": ["again"]},
    "disconnect": ["client disconnect", False],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The conformance application."""
    with ExitStack() as stack:
        yield start_server(stack, {})


@pytest.fixture(scope="module", params=TRANSPORTS)
def way(request: pytest.FixtureRequest) -> str:
    """By polling only, by WebSocket only, or with the upgrade."""
    return str(request.param)


@pytest.fixture(scope="module", params=[f"socket.io-client-{version}" for version in ("3", "4.0", "4.5", "4")])
def official(request: pytest.FixtureRequest, server: Server, way: str) -> dict[str, Any]:
    """What an official client reports."""
    require_node()
    command = ["node", str(CLIENTS / "official.js"), request.param, TRANSPORTS[way], server.url]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    return dict(json.loads(finished.stdout))


@pytest.mark.parametrize("step", EXPECTED)
def test_official_client(official: dict[str, Any], step: str) -> None:
    assert official[step] == EXPECTED[step]


def test_official_client_is_on_the_best_transport(official: dict[str, Any], way: str) -> None:
    assert official["transport"] == ("polling" if way == "polling" else "websocket")


class PythonClient:
    """python-socketio's client with words to wait in."""

    def __init__(self, url: str, way: str, auth: Any = None, namespace: str = "/") -> None:
        self.client = socketio.Client(reconnection=False)
        self.namespace = namespace
        self.refusal: Any = None
        self.auth = self.expect("auth")
        self.gone = self.expect("disconnect")
        self.client.on("connect_error", self._refused, namespace=namespace)
        self._connect = lambda: self.client.connect(
            url, transports=TRANSPORTS[way].split(","), auth=auth, namespaces=[namespace], wait_timeout=PATIENCE
        )

    def connect(self) -> PythonClient:
        """Join the namespace."""
        self._connect()
        return self

    def _refused(self, error: Any = None) -> None:
        self.refusal = error

    def expect(self, event: str) -> Callable[[], list[Any]]:
        """Note the next event of a name; the result waits for it and returns its arguments."""
        arrived = threading.Event()
        arguments: list[Any] = []

        def note(*args: Any) -> None:
            arguments.extend(args)
            arrived.set()

        def wait() -> list[Any]:
            assert arrived.wait(PATIENCE), f"no {event}"
            return arguments

        self.client.on(event, note, namespace=self.namespace)
        return wait

    def echo(self, *args: Any) -> list[Any]:
        """Send a message and return what came back."""
        back = self.expect("message-back")
        self.client.emit("message", args, namespace=self.namespace)
        return back()

    def call(self, event: str, *args: Any) -> list[Any]:
        """Send an event and return what the server acknowledged."""
        arrived = threading.Event()
        answer: list[Any] = []

        def note(*values: Any) -> None:
            answer.extend(values)
            arrived.set()

        self.client.emit(event, args, namespace=self.namespace, callback=note)
        assert arrived.wait(PATIENCE), f"no answer to {event}"
        return answer

    def question(self, *args: Any) -> list[Any]:
        """Have the server ask; answer with what it asked, and return what it heard."""
        self.client.on("question", lambda *received: received, namespace=self.namespace)
        answered = self.expect("answered")
        self.client.emit("ask", args, namespace=self.namespace)
        return answered()


def as_hex(values: list[Any]) -> list[str]:
    """Binary values in a form to compare."""
    return [value.hex() for value in values]


def python_echoes(client: PythonClient) -> dict[str, Any]:
    """Events and their echoes."""
    return {
        "early": client.echo("before the upgrade"),
        "text": client.echo(1, "2", {"3": [True, None]}, TEXT),
        "binary": as_hex(client.echo(BYTES, b"")),
        "nested": as_hex(client.echo({"deep": [BYTES]})[0]["deep"]),
        "long": len(client.echo("x" * LONG)[0]),
        "nothing": client.echo(),
    }


def python_acks(client: PythonClient) -> dict[str, Any]:
    """Acknowledgements in both directions."""
    return {
        "ack": client.call("message-with-ack", 1, "2", {"3": [False]}),
        "emptyAck": client.call("message-with-ack"),
        "binaryAck": as_hex(client.call("message-with-ack", BYTES, BYTES)),
        "question": client.question("how", {"are": "you"}),
        "binaryQuestion": as_hex(client.question(BYTES)),
    }


def python_burst(client: PythonClient) -> list[int]:
    """What comes back for numbers sent in a row, sorted: this client gives every event a thread of its own."""
    received: list[int] = []
    complete = threading.Event()

    def note(number: int) -> None:
        received.append(number)
        if len(received) == PYTHON_BURST:
            complete.set()

    client.client.on("message-back", note)
    for number in range(PYTHON_BURST):
        client.client.emit("message", number)
    assert complete.wait(PATIENCE)
    return sorted(received)


def python_custom(url: str, way: str) -> dict[str, Any]:
    """Another namespace, and being put out of it."""
    client = PythonClient(url, way, {"token": "abc"}, "/custom").connect()
    client.client.emit("leave", namespace="/custom")
    report = {"auth": client.auth()[0], "reason": client.gone()[0]}
    client.client.disconnect()
    return report


def python_kicked(url: str, way: str) -> dict[str, Any]:
    """Being put out, and coming back."""
    client = PythonClient(url, way).connect()
    client.client.emit("leave")
    reason = client.gone()[0]
    client.client.disconnect()
    again = PythonClient(url, way).connect()
    report = {"reason": reason, "back": again.echo("again")}
    again.client.disconnect()
    return report


def python_shared(url: str, way: str) -> dict[str, Any]:
    """Two namespaces over one connection."""
    client = socketio.Client(reconnection=False)
    back = threading.Event()
    client.on("message-back", lambda text: back.set())
    client.connect(url, transports=TRANSPORTS[way].split(","), namespaces=["/", "/custom"])
    differ = client.get_sid("/") != client.get_sid("/custom")
    client.emit("message", "main goes on")
    report = {"differ": differ, "back": ["main goes on"] if back.wait(PATIENCE) else []}
    client.disconnect()
    return report


def python_refusal(url: str, way: str, namespace: str, auth: Any = None) -> dict[str, Any]:
    """What a client is told that is not let in."""
    client = PythonClient(url, way, auth, namespace)
    with pytest.raises(SocketIOConnectionError):
        client.connect()
    client.client.disconnect()
    return {"message": client.refusal["message"], "data": client.refusal.get("data")}


@pytest.fixture(scope="module")
def python(server: Server, way: str) -> dict[str, Any]:
    """What python-socketio's client reports."""
    client = PythonClient(server.url, way, {"token": "123"}).connect()
    report: dict[str, Any] = {"auth": client.auth(), "connected": [client.client.connected, len(client.client.sid)]}
    report |= python_echoes(client) | python_acks(client)
    report |= {"order": python_burst(client), "transport": client.client.transport()}
    report |= {
        "custom": python_custom(server.url, way),
        "kicked": python_kicked(server.url, way),
        "shared": python_shared(server.url, way),
        "unknown": python_refusal(server.url, way, "/random"),
        "refused": python_refusal(server.url, way, "/refusing", {"reason": {"code": 7}}),
    }
    client.client.disconnect()
    report["disconnect"] = [client.gone()[0], client.client.connected]
    return report


@pytest.mark.parametrize("step", PYTHON_EXPECTED)
def test_python_client(python: dict[str, Any], step: str) -> None:
    assert python[step] == PYTHON_EXPECTED[step]


def test_python_client_is_on_the_best_transport(python: dict[str, Any], way: str) -> None:
    assert python["transport"] == ("polling" if way == "polling" else "websocket")
