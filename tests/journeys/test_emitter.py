"""The emitter and ``python -m webpy_socketio emit`` reach the clients of a server of ours and of one of Node's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import msgpack
import pytest
import redis

from tests.clusters import PATIENCE, Client, Cluster, collect, do
from tests.redis_servers import RedisServer
from tests.serving import free_port, wait_for
from webpy_socketio import Emitter, EventError, SettingsError, UnsendableValue

#: python-socketio's client may be told something while it closes, which it does not expect.
pytestmark = pytest.mark.filterwarnings(r"ignore:Exception in thread .*\(_handle_eio_message\)")

PROCESSES = ("ours", "node")


@pytest.fixture(scope="module", params=["pubsub", "streams"])
def adapter(request: pytest.FixtureRequest) -> str:
    """How the servers speak to each other."""
    return str(request.param)


@pytest.fixture(scope="module")
def cluster(adapter: str) -> Iterator[Cluster]:
    """A server of ours and one of Node's; this process has none."""
    with ExitStack() as stack:
        cluster = Cluster(stack, stack.enter_context(RedisServer()))
        cluster.add_node("node", ADAPTER=adapter)
        cluster.add_python("ours", redis_adapter=adapter)
        yield cluster


@pytest.fixture
def clients(cluster: Cluster) -> Iterator[dict[str, Client]]:
    with cluster.one_client_each(PROCESSES) as clients:
        yield clients


@pytest.fixture
def emitter(cluster: Cluster, adapter: str) -> Emitter:
    """An emitter in this process, which has no patches and no server."""
    return Emitter(cluster.redis.redis_url, adapter=adapter)


def test_everything_that_can_be_sent(
    cluster: Cluster, emitter: Emitter, clients: dict[str, Client], adapter: str
) -> None:
    moment = datetime(2026, 11, 25, 12, 30, tzinfo=timezone.utc)

    def send_all() -> None:
        emitter.emit("all", 1, {"drei": [4.5, None, True, "€ 😀"]}, b"\x00\xff", volatile=True)
        emitter.emit("values", moment, date(2026, 11, 25), Decimal("1.10"))
        emitter.broadcast("hello")
        emitter.broadcast_channel("room", "room")
        emitter.send(clients["node"].sid, "you")
        emitter.to("room", "only-ours").emit("once")
        emitter.to("room", excluding="only-node").send("but")
        emitter.to(excluding=["only-node", "only-ours"]).send("nobody")
        emitter.emit("elsewhere", namespace="/chat")
        Emitter(cluster.redis.redis_url, key="other", adapter=adapter).emit("of others")

    got = collect(send_all, list(clients.values()), lambda: emitter.emit("end"))
    both = [
        ["all", 1, {"drei": [4.5, None, True, "€ 😀"]}, b"\x00\xff"],
        ["values", "2026-11-25T12:30:00+00:00", "2026-11-25", "1.10"],
        ["message", "hello"],
        ["message", "room"],
    ]
    assert got == {
        "ours": [*both, ["once"], ["message", "but"]],
        "node": [*both, ["message", "you"], ["once"]],
    }


def test_another_namespace(cluster: Cluster, emitter: Emitter) -> None:
    clients = [cluster.client(name, name, "room", namespace="/chat") for name in PROCESSES]
    emitter.emit("not here")
    got = collect(
        lambda: emitter.to("room", namespace="/chat").emit("x"), clients, lambda: emitter.emit("end", namespace="/chat")
    )
    assert got == {name: [["x"]] for name in PROCESSES}
    for client in clients:
        client.close()


def test_subscribing_and_putting_out(emitter: Emitter, clients: dict[str, Client]) -> None:
    emitter.to("room", excluding="only-node").subscribe("new", "other")
    emitter.to().unsubscribe("other", "room")
    emitter.emit("before")
    emitter.to("new").emit("to new")
    emitter.to("other", "room").emit("to nobody")
    emitter.to("only-ours").disconnect()
    emitter.emit("end")
    assert clients["node"].until("end") == [["before"]]
    assert clients["ours"].until("disconnect") == [["before"], ["to new"]]


def test_handlers_of_all_servers(cluster: Cluster, emitter: Emitter) -> None:
    emitter.server_side_emit("ping", {"a": 1})
    for name in PROCESSES:
        wait_for(lambda name=name: do(cluster.servers[name], "heard") == [["ping", {"a": 1}]])


def test_every_message_is_as_nodes_emitter_writes_it(
    cluster: Cluster, emitter: Emitter, clients: dict[str, Client], adapter: str
) -> None:
    if adapter == "streams":
        return  # npm has no emitter of Node's for it
    sid = clients["ours"].sid

    def ours() -> None:
        emitter.emit("all", b"\x01")
        emitter.to("room").emit("room")
        emitter.to("room", excluding=sid).subscribe("joined")
        emitter.to("joined").emit("joined")
        emitter.to(sid).disconnect()
        emitter.server_side_emit("ping", "emitter")
        emitter.emit("end")

    with tapped(cluster.redis) as tap:
        do(cluster.servers["node"], "emitter", sid=sid)
        theirs = tap.until("end")
        clients["ours"].until("disconnect")
        ours()
        expected = [(name, {**m, "close": False} if "close" in m else m) for name, m in theirs]
        assert tap.until("end") == expected
    assert len(expected) == 7


class Tap:
    """Hears all that is published at a Redis by emitters."""

    def __init__(self, pubsub: Any) -> None:
        self._pubsub = pubsub

    def until(self, event: str) -> list[tuple[bytes, Any]]:
        """The messages up to a broadcast of an event, with the names of their channels."""
        messages: list[tuple[bytes, Any]] = []
        while not (messages and isinstance(messages[-1][1], list) and messages[-1][1][1]["data"] == [event]):
            message = self._pubsub.get_message(timeout=PATIENCE)
            assert message is not None, messages
            name, data = message.get("channel"), message["data"]
            if message["type"] == "pmessage" and b"-echo#" not in name:
                messages.append((name, json.loads(data) if data[:1] == b"{" else msgpack.unpackb(data)))
        return messages


@contextmanager
def tapped(server: RedisServer) -> Iterator[Tap]:
    """Listen to everything, from now on."""
    with redis.Redis(port=server.port) as client, client.pubsub() as pubsub:
        pubsub.psubscribe("*")
        assert pubsub.get_message(timeout=PATIENCE)
        yield Tap(pubsub)


def test_nobody_counts_an_emitter(cluster: Cluster, emitter: Emitter, clients: dict[str, Client], adapter: str) -> None:
    emitter.emit("end")
    channel = "socket.io-request#/#" if adapter == "pubsub" else "socket.io#/#"
    assert cluster.redis.ask("pubsub", "numsub", channel)[1] == "2"
    assert do(cluster.servers["ours"], "call", data=["ask"], channels=["only-node"]) == ["node"]


def test_several_threads_share_one(emitter: Emitter, clients: dict[str, Client]) -> None:
    def pour(number: int) -> None:
        for count in range(50):
            emitter.to("room").emit("number", number, count)

    threads = [threading.Thread(target=pour, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    emitter.emit("end")
    heard = clients["ours"].until("end")
    for number in range(3):
        assert [data[2] for data in heard if data[1] == number] == list(range(50))


@pytest.mark.parametrize("adapter", ["pubsub", "streams"])
def test_a_redis_that_came_back_and_one_that_is_away(adapter: str) -> None:
    with RedisServer() as server:
        emitter = Emitter(server.redis_url, adapter=adapter)
        emitter.emit("x")
        server.stop()
        with pytest.raises(redis.ConnectionError):
            emitter.emit("x")
        with pytest.raises(emitter.trouble):
            emitter.to("room").subscribe("new")
        server.start()
        wait_for(lambda: server.ask("ping") == ["PONG"])
        emitter.emit("x")


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda emitter: emitter.emit("x", [object()]), "a object cannot be sent"),
        (lambda emitter: emitter.broadcast(float("nan")), "nan is not a number"),
        (lambda emitter: emitter.emit("x", *[b"1"] * 11), "holds 11 binary values; receivers take 10"),
        (lambda emitter: emitter.to("room").emit("x", 10**400), "larger number than other processes can be sent"),
        (lambda emitter: emitter.server_side_emit("x", b"1"), "binary values"),
    ],
)
def test_what_cannot_be_sent_fails_at_the_call(call: Any, problem: str) -> None:
    with pytest.raises(UnsendableValue, match=problem):
        call(Emitter("redis://127.0.0.1:1"))


@pytest.mark.parametrize(
    "call",
    [
        lambda emitter: emitter.to(1),
        lambda emitter: emitter.to(namespace="chat"),
        lambda emitter: emitter.to(excluding=3),
        lambda emitter: emitter.emit("disconnect"),
        lambda emitter: emitter.server_side_emit("connect"),
        lambda emitter: emitter.server_side_emit("x", namespace="chat"),
        lambda emitter: emitter.to().subscribe(""),
        lambda emitter: emitter.to().subscribe("-_" + "a" * 18),
        lambda emitter: emitter.to().unsubscribe(2),
    ],
)
def test_names_that_cannot_be(call: Any) -> None:
    with pytest.raises(EventError):
        call(Emitter("redis://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("url", "options"),
    [("http://127.0.0.1", {}), ("redis://127.0.0.1", {"key": ""}), ("redis://127.0.0.1", {"adapter": "sharded"})],
)
def test_places_that_cannot_be(url: str, options: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        Emitter(url, **options)


def test_what_it_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("webpy_socketio.backplane.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingsError, match=r'Emitter needs redis, .*pip install "webpy-socketio\[redis\]"'):
        Emitter("redis://127.0.0.1")


# The command.


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "webpy_socketio", "emit", *arguments]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("SOCKETIO_")}
    return subprocess.run(command, env={**variables, **env}, capture_output=True, text=True, timeout=20)


def test_the_command_sends_json_and_text(cluster: Cluster, clients: dict[str, Client], adapter: str) -> None:
    url, way = cluster.redis.redis_url, ("--adapter", adapter)
    for done in (
        run("--url", url, *way, "--channel", "room", '{"a": [1, null]}'),
        run("plain text", "-5", "NaN", SOCKETIO_REDIS_URL=url, SOCKETIO_REDIS_ADAPTER=adapter),
        run("--url", url, *way, "--key", "other", "of others"),
        run("of others", *way, SOCKETIO_REDIS_URL=url, SOCKETIO_REDIS_KEY="other"),
        run("--url", url, *way, "--namespace", "/chat", "elsewhere"),
        run("--url", url, *way, "--channel", "only-ours", "--channel", "only-node", "--event", "end"),
    ):
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for client in clients.values():
        assert client.until("end") == [["message", {"a": [1, None]}], ["message", "plain text", -5, "NaN"]]


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["--url", f"redis://127.0.0.1:{free_port()}", "x"], 1, "webpy_socketio: Redis cannot be told: "),
        (["--url", "http://127.0.0.1", "x"], 1, "one is written like 'redis://"),
        (["x"], 2, "say where Redis is: --url redis://"),
        (["--url", "redis://127.0.0.1"], 2, "say what to send"),
        (["--url", "redis://127.0.0.1", "--namespace", "chat", "x"], 2, "is not a namespace"),
        (["--url", "redis://127.0.0.1", "--event", "", "--channel", "", "x"], 2, "a channel or session id is a text"),
        (["--url", "redis://127.0.0.1", "--event", "disconnect"], 2, "cannot be the name of an event"),
    ],
)
def test_the_command_tells_what_went_wrong(arguments: list[str], status: int, problem: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
