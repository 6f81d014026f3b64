"""The vocabulary over real ports: official clients, pages and OS threads on the other side of it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import socketio
from socketio.exceptions import ConnectionError as SocketIOConnectionError

from tests.conformance.targets import require_node
from tests.conformance.wire import PollingClient, WebSocketClient
from tests.serving import CLIENTS, Server, serve

PATIENCE = 15


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """One server for the tests that leave nothing behind in it."""
    with serve("vocabulary") as server:
        yield server


def get(server: Server, path: str) -> str:
    """The text of a page."""
    answer = requests.get(server.url + path, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.text


def state(server: Server) -> dict[str, Any]:
    """What is so inside."""
    return dict(json.loads(get(server, "/state")))


def wait_until(condition: Callable[[], Any]) -> None:
    """Return as soon as a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@contextlib.contextmanager
def joined(server: Server, name: str, *channels: str, **handlers: Callable[..., Any]) -> Iterator[socketio.Client]:
    """A client of python-socketio in some channels."""
    client = socketio.Client(reconnection=False)
    client.on("auth", lambda auth: None)
    for event, handler in handlers.items():
        client.on(event, handler)
    client.connect(server.url, auth={"name": name}, transports=["websocket"])
    for channel in channels:
        assert client.call("__subscribe__", channel, timeout=PATIENCE) is True
    try:
        yield client
    finally:
        client.disconnect()


def subscribe(client: PollingClient | WebSocketClient, channel: str) -> None:
    """Subscribe a raw client."""
    client.send(f'420["__subscribe__","{channel}"]')
    client.receives("430[true]")


# Questions to many.


@pytest.mark.parametrize("how", ["page", "thread"])
def test_broadcast_with_acks(shared: Server, how: str) -> None:
    channel = f"poll-{how}"
    with contextlib.ExitStack() as stack:
        for number in range(3):
            stack.enter_context(joined(shared, "voter", channel, ask=lambda question, n=number: f"{question}: {n}"))
        result = json.loads(get(shared, f"/ask/{how}/{channel}/5"))
    assert sorted(result["answers"]) == [f"how many: {number}" for number in range(3)]
    assert result["problem"] is None


@pytest.mark.parametrize("how", ["page", "thread"])
def test_broadcast_with_acks_and_one_that_never_answers(shared: Server, how: str) -> None:
    channel = f"silence-{how}"
    silent = WebSocketClient(shared)
    silent.join(auth='{"name":"silent"}')
    subscribe(silent, channel)
    with joined(shared, "voter", channel, ask=lambda question: "here"):
        before = time.monotonic()
        result = json.loads(get(shared, f"/ask/{how}/{channel}/0.2"))
        assert time.monotonic() - before >= 0.2
    assert result["answers"] == ["here"]
    assert result["problem"] == "1 acknowledged 'ask' within 0.2 seconds, 1 did not, and 0 left"
    silent.close()


@pytest.mark.parametrize("how", ["page", "thread"])
def test_broadcast_with_acks_and_one_that_leaves_meanwhile(shared: Server, how: str) -> None:
    channel = f"leaving-{how}"
    leaver = WebSocketClient(shared)
    leaver.join(auth='{"name":"leaver"}')
    subscribe(leaver, channel)
    results: list[Any] = []
    with joined(shared, "voter", channel, ask=lambda question: "here"):
        asking = threading.Thread(target=lambda: results.append(json.loads(get(shared, f"/ask/{how}/{channel}/60"))))
        asking.start()
        assert "ask" in str(leaver.receive())
        leaver.connection.socket.shutdown(2)
        asking.join(PATIENCE)
        assert not asking.is_alive(), "who is gone is still waited for"
    assert results[0]["answers"] == ["here"]
    assert results[0]["problem"].endswith("0 did not, and 1 left")
    assert state(shared)["questions"] == 0


def test_nobody_is_asked(shared: Server) -> None:
    assert json.loads(get(shared, "/ask/thread/nobody/5")) == {"answers": [], "problem": None}


@pytest.mark.parametrize("library", ["socket.io-client-3", "socket.io-client-4"])
def test_official_clients(shared: Server, library: str) -> None:
    require_node()
    command = ["node", str(CLIENTS / "vocabulary.js"), library, shared.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "broadcast": {
            "answers": ["how many: 1"],
            "problem": "1 acknowledged 'ask' within 0.5 seconds, 1 did not, and 1 left",
        },
        "refusal": {"message": "members only", "data": {"code": 7, "got": {"token": "bad"}}, "answer": "QUIET"},
        "reconnection": [1, 2, 1],
        "strangers": {
            "shape": True,
            "codes": ["invalid_channel"] * 2,
            "reached": ["1", "0"],
            "got": "secret",
            "heard": [],
        },
    }
    assert "Traceback" not in shared.log


# Volatile.


def test_volatile_to_a_websocket_that_does_not_read(shared: Server) -> None:
    client = WebSocketClient(shared)
    client.join(auth='{"name":"idle"}')
    subscribe(client, "idle")
    before = state(shared)["dropped"]
    count = 300
    get(shared, f"/send/idle/{count}/100000")
    dropped = state(shared)["dropped"] - before
    assert 0 < dropped < count
    numbers = []
    while (packet := str(client.receive())) != '42["end"]':
        numbers.append(json.loads(packet[2:])[1])
    assert len(numbers) == count - dropped
    assert numbers == sorted(numbers)
    client.send('421["__subscribe__","still-there"]')
    client.receives("431[true]")
    client.close()


def test_volatile_to_a_poll_that_is_not_held(shared: Server) -> None:
    client = PollingClient(shared)
    client.join(auth='{"name":"poller"}')
    subscribe(client, "polling")
    before = state(shared)["dropped"]
    get(shared, "/send/polling/3/1")
    assert state(shared)["dropped"] - before == 3
    assert client.poll() == ['42["end"]']
    held = state(shared)["held"]
    poll = client.hold_get()
    wait_until(lambda: state(shared)["held"] == held + 1)
    get(shared, "/send/polling/1/1")
    assert poll.answer().text.startswith('42["position",0,"x"]')
    client.close()


# Work that ends with the connection.


def test_spawned_work_ends_with_the_connection(shared: Server) -> None:
    with joined(shared, "worker") as client:
        client.call("work", timeout=PATIENCE)
        assert "worker" not in state(shared)["ended"]
    wait_until(lambda: "worker" in state(shared)["ended"])


def test_an_error_in_spawned_work_reaches_on_error(shared: Server) -> None:
    with joined(shared, "breaker") as client:
        client.call("break", timeout=PATIENCE)
        wait_until(lambda: any(error.startswith("breaker: ValueError") for error in state(shared)["errors"]))
        assert client.call("work", timeout=PATIENCE) is None, "the connection goes on"


def test_spawned_work_ends_with_the_server() -> None:
    with serve("vocabulary") as server, joined(server, "one") as one, joined(server, "two") as two:
        one.call("work", timeout=PATIENCE)
        two.call("work", timeout=PATIENCE)
        assert server.signal(signal.SIGTERM) == 0
        assert sorted(line for line in server.log.splitlines() if line.startswith("ENDED")) == [
            "ENDED one",
            "ENDED two",
        ]
        assert "Traceback" not in server.log


# Namespaces.


def test_namespaces_by_pattern_are_forgotten_when_empty(shared: Server) -> None:
    wait_until(lambda: state(shared)["sockets"] == [])
    clients = [WebSocketClient(shared) for _ in range(2)]
    for client in clients:
        for number in range(99):
            client.send(f"40/game-{number},")
            assert str(client.receive()).startswith(f"40/game-{number},")
        for _ in range(2):
            client.send('42/game-7,5["count"]')
        client.receives('43/game-7,5[["/game-7",1]]', '43/game-7,5[["/game-7",2]]')
        client.send("40/nowhere,")
        client.receives('44/nowhere,{"message":"Invalid namespace"}')
    inside = state(shared)
    assert len(inside["members"]) == 99
    assert {f"/game-{number}" for number in range(99)} < set(inside["table"])
    assert inside["made"]["/game-7"] == 2
    clients[0].send("41/game-7,")
    for client in clients:
        client.connection.socket.shutdown(2)
    wait_until(lambda: state(shared)["members"] == [])
    wait_until(lambda: not [name for name in state(shared)["table"] if name.startswith("/game-")])


def test_who_is_in_too_many_namespaces() -> None:
    with serve("vocabulary", max_namespaces=2) as server:
        client = WebSocketClient(server)
        for number in range(2):
            client.send(f"40/game-{number},")
            assert str(client.receive()).startswith(f"40/game-{number},")
        client.send("40/game-2,", '42/game-1,1["count"]')
        client.receives(
            '44/game-2,{"message":"max_namespaces: a client is in at most 2"}', '43/game-1,1[["/game-1",1]]'
        )
        client.close()


# Catch-alls, middleware, operations.


def test_a_catch_all_sees_broadcasts_go_out(shared: Server) -> None:
    with joined(shared, "hears", "news"), joined(shared, "hears not"):
        get(shared, "/send/news/2/1")
        wait_until(lambda: state(shared)["outgoing"].get("hears end") == 1)
        inside = state(shared)["outgoing"]
    assert inside["hears position"] == 2
    assert {name for name in inside if name.startswith("hears not ")} == {"hears not auth"}


def test_a_refusal_by_middleware_is_read_by_the_client(shared: Server) -> None:
    refusals: list[Any] = []
    client = socketio.Client(reconnection=False)
    client.on("connect_error", refusals.append, namespace="/members")
    with pytest.raises(SocketIOConnectionError):
        client.connect(shared.url, auth={"token": "bad"}, namespaces=["/members"], transports=["polling"])
    client.disconnect()
    assert refusals == [{"message": "members only", "data": {"code": 7, "got": {"token": "bad"}}}]


def test_operations_from_a_thread(shared: Server) -> None:
    with joined(shared, "operated") as client, joined(shared, "other", "made") as other:
        gone = threading.Event()
        client.on("disconnect", lambda *reason: gone.set())
        sid = client.get_sid()
        get(shared, f"/operate/subscribe/{sid}")
        assert sorted(state(shared)["sockets"]) == [[["made"], "operated"], [["made"], "other"]]
        assert "context={'name': 'operated'}" in get(shared, f"/operate/sockets/{sid}")
        get(shared, f"/operate/unsubscribe/{sid}")
        assert sorted(state(shared)["sockets"]) == [[[], "operated"], [["made"], "other"]]
        get(shared, f"/operate/disconnect/{sid}")
        assert gone.wait(PATIENCE)
        assert other.connected
