"""Two processes of ours and one of Node's share a Redis: each kind of message and request, in every direction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.clusters import Client, Cluster, collect, do
from tests.redis_servers import RedisServer
from tests.serving import wait_for

#: python-socketio's client may be told something while it closes, which it does not expect.
pytestmark = pytest.mark.filterwarnings(r"ignore:Exception in thread .*\(_handle_eio_message\)")

PROCESSES = ("one", "two", "node")
OURS = ("one", "two")
#: What Node's clients get for a date, undefined, a typed array and a fraction.
ODDITIES = ["date", "2023-11-14T22:13:20.123Z", None, b"\x01\x02", 2.5]


@pytest.fixture(scope="module", params=["pubsub", "streams"])
def adapter(request: pytest.FixtureRequest) -> str:
    """How they speak to each other."""
    return str(request.param)


@pytest.fixture(scope="module")
def cluster(adapter: str) -> Iterator[Cluster]:
    """Three processes."""
    with ExitStack() as stack:
        cluster = Cluster(stack, stack.enter_context(RedisServer()))
        cluster.add_node("node", ADAPTER=adapter)
        for name in OURS:
            cluster.add_python(name, redis_adapter=adapter)
        yield cluster


@pytest.fixture
def clients(cluster: Cluster) -> Iterator[dict[str, Client]]:
    with cluster.one_client_each(PROCESSES) as clients:
        yield clients


@pytest.fixture(params=PROCESSES)
def sender(request: pytest.FixtureRequest) -> str:
    """The process that sends or asks."""
    return str(request.param)


def test_every_kind_of_broadcast(cluster: Cluster, clients: dict[str, Client], sender: str) -> None:
    server = cluster.servers[sender]

    def emit(*data: Any, **whom: Any) -> None:
        do(server, "emit", data=data, **whom)

    def send_all() -> None:
        emit("all", 1, "zwei", {"drei": [4.5, None, True, "€ 😀"]})
        emit("room", channels=["room"])
        emit("two", channels=["only-one", "only-node"])
        emit("once", channels=["room", "only-one", "only-two"])
        emit("but", channels=["room"], excluding=["only-two"])
        emit("but all", excluding=["only-one", "only-two"])
        emit("but id", excluding=[clients["node"].sid])
        emit("id", channels=[clients["two"].sid])
        emit("nobody", channels=["nobody"])
        emit("elsewhere", namespace="/chat")
        emit("binary", b"\x00\xff", {"nested": b"\x01"}, b"")
        emit("local", local=True)

    got = collect(send_all, list(clients.values()), lambda: emit("end"))
    everybody = [["all", 1, "zwei", {"drei": [4.5, None, True, "€ 😀"]}], ["room"]]
    last = [["binary", b"\x00\xff", {"nested": b"\x01"}, b""]]
    expected = {
        "one": [*everybody, ["two"], ["once"], ["but"], ["but id"], *last],
        "two": [*everybody, ["once"], ["but id"], ["id"], *last],
        "node": [*everybody, ["two"], ["once"], ["but"], ["but all"], *last],
    }
    got[sender].remove(["local"])  # Node does not wait with that until what goes through the stream is back
    assert got == expected


def test_volatile(cluster: Cluster, clients: dict[str, Client], sender: str) -> None:
    def have_all() -> bool:  # who is busy at that moment does not get it
        do(cluster.servers[sender], "emit", data=["volatile"], volatile=True)
        return all(["volatile"] in client.heard for client in clients.values())

    wait_for(have_all)


def test_a_handler_sends_to_all_others(cluster: Cluster, clients: dict[str, Client], sender: str) -> None:
    clients[sender].emit("others", "hello", 1)
    for name in set(PROCESSES) - {sender}:
        assert clients[name].until("hello") == []
    do(cluster.servers[sender], "emit", data=["end"])
    assert clients[sender].until("end") == []


def test_another_namespace(cluster: Cluster, sender: str) -> None:
    clients = [cluster.client(name, name, "room", namespace="/chat") for name in PROCESSES]

    def emit(event: str) -> None:
        do(cluster.servers[sender], "emit", data=[event], namespace="/chat")

    do(cluster.servers[sender], "emit", data=["not here"])
    assert collect(lambda: emit("x"), clients, lambda: emit("end")) == {name: [["x"]] for name in PROCESSES}
    assert len(do(cluster.servers[sender], "sockets", namespace="/chat")) == 3
    for client in clients:
        client.close()


def test_each_sender_keeps_its_order(cluster: Cluster, clients: dict[str, Client]) -> None:
    for sender, channel in (("one", "only-two"), ("two", "only-node")):
        do(cluster.servers[sender], "flood", count=500, seconds=0.1, channel=channel)
    for name in ("two", "node"):
        wait_for(lambda client=clients[name]: len(client.heard) == 500, 10)
        assert clients[name].heard == [["number", number] for number in range(500)]
    assert clients["one"].heard == []


def test_everybody_is_known_to_all(cluster: Cluster, clients: dict[str, Client], sender: str) -> None:
    server = cluster.servers[sender]
    sockets = {details["session_id"]: details for details in do(server, "sockets")}
    assert set(sockets) == {client.sid for client in clients.values()}
    for name, client in clients.items():
        details = sockets[client.sid]
        assert details["channels"] == ["room", f"only-{name}"]
        assert details["context"]["name"] == name
        assert name == sender or "secret" not in details["context"]
    some = do(server, "sockets", channels=["only-one", "only-two"], excluding=["only-two"])
    assert [details["session_id"] for details in some] == [clients["one"].sid]


def test_node_is_told_of_handshakes_without_secrets(cluster: Cluster, clients: dict[str, Client]) -> None:
    (details,) = do(cluster.servers["node"], "sockets", channels=["only-one"])
    handshake = details["handshake"]
    assert (handshake["address"], handshake["secure"], handshake["auth"]) == ("127.0.0.1", False, {})
    assert handshake["query"]["EIO"] == "4"
    assert handshake["headers"]["host"].startswith("127.0.0.1:")


def test_all_channels(cluster: Cluster, clients: dict[str, Client], sender: str, adapter: str) -> None:
    if (sender, adapter) == ("node", "streams"):
        return  # it cannot ask for them
    channels = set(do(cluster.servers[sender], "channels"))
    sids = {client.sid for client in clients.values()} if sender == "node" else set()  # which has rooms for them
    assert channels == {"room", "only-one", "only-two", "only-node"} | sids


def test_everybody_acknowledges(cluster: Cluster, clients: dict[str, Client], sender: str) -> None:
    server = cluster.servers[sender]
    assert sorted(do(server, "call", data=["ask", 1])) == sorted(PROCESSES)
    assert do(server, "call", data=["ask", b"\x01"], channels=["only-two"]) == ["two"]
    assert do(server, "call", data=["ask"], channels=["nobody"]) == []


def test_who_does_not_acknowledge_is_told_of(cluster: Cluster, clients: dict[str, Client], sender: str) -> None:
    answer = do(cluster.servers[sender], "call", data=["silence"], timeout=0.3)
    assert (answer["answers"], bool(answer["error"])) == ([], True)


def test_subscribing_and_putting_out(cluster: Cluster, clients: dict[str, Client], sender: str) -> None:
    server = cluster.servers[sender]
    do(server, "subscribe", channels=["room"], excluding=["only-two"], names=["new", "other"])
    do(server, "unsubscribe", names=["other", "room"])
    do(server, "emit", data=["to new"], channels=["new"])
    do(server, "emit", data=["to nobody"], channels=["other", "room"])
    do(server, "disconnect", channels=["only-one", "only-two"])
    do(server, "emit", data=["end"])
    assert clients["node"].until("end") == [["to new"]]
    assert clients["one"].until("disconnect") == [["to new"]]
    assert clients["two"].until("disconnect") == []


def test_handlers_of_other_processes(cluster: Cluster, clients: dict[str, Client], sender: str) -> None:
    others = [cluster.servers[name] for name in PROCESSES if name != sender]
    before = {server.port: len(do(server, "heard")) for server in cluster.servers.values()}
    assert do(cluster.servers[sender], "server_call", data=["ping", {"a": 1}]) == [["pong", {"a": 1}]] * 2
    do(cluster.servers[sender], "server_emit", data=["ping", sender])
    for server in others:
        expected = [["ping", {"a": 1}], ["ping", sender]]
        wait_for(lambda server=server, expected=expected: do(server, "heard")[before[server.port] :] == expected)
    assert len(do(cluster.servers[sender], "heard")) == before[cluster.servers[sender].port]


def test_a_handler_that_fails_elsewhere(cluster: Cluster) -> None:
    answers = do(cluster.servers["one"], "server_call", data=["fail"], timeout=0.5)
    # Node answers nothing where it has no handler.
    assert [answer["error"]["code"] for answer in answers["answers"]] == ["failed"]
    wait_for(lambda: "ValueError: a defect" in cluster.servers["two"].log)


def test_what_only_javascript_has(cluster: Cluster, clients: dict[str, Client]) -> None:
    do(cluster.servers["node"], "date")
    for client in clients.values():
        wait_for(lambda client=client: client.heard)
        assert client.heard == [ODDITIES]


def test_the_emitter(cluster: Cluster, clients: dict[str, Client], adapter: str) -> None:
    if adapter == "streams":
        return  # npm has none
    do(cluster.servers["node"], "emitter", sid=clients["two"].sid)
    for name in ("one", "node"):
        assert clients[name].until("end") == [["all", b"\x01"], ["room"], ["joined"]]
    assert clients["two"].until("disconnect") == [["all", b"\x01"], ["room"]]
    wait_for(lambda: ["ping", "emitter"] in do(cluster.servers["one"], "heard"))


def test_a_node_that_answers_on_channels_of_their_own(cluster: Cluster, adapter: str) -> None:
    if adapter == "streams":
        return  # there, all do
    with ExitStack() as stack:
        others = Cluster(stack, cluster.redis)
        others.servers = dict(cluster.servers)
        others.add_node("specific", SPECIFIC="true")
        client = others.client("specific", "specific", "somewhere")
        server = cluster.servers["one"]
        assert [details["session_id"] for details in do(server, "sockets")] == [client.sid]
        assert do(server, "call", data=["ask"]) == ["specific"]
        assert do(server, "channels") == ["somewhere"]
        assert do(server, "server_call", data=["ping"]) == [["pong"]] * 3
        assert len(do(others.servers["specific"], "sockets")) == 1


def test_sending_to_an_id_of_another_process(cluster: Cluster, clients: dict[str, Client]) -> None:
    assert do(cluster.servers["one"], "send", session_id=clients["two"].sid, message="you") is None
    assert do(cluster.servers["one"], "send", session_id="nobody", message="you") is None  # who could know?
    assert clients["two"].until("message") == []


def test_a_user_who_logs_out_in_one_process_is_out_of_all(cluster: Cluster, clients: dict[str, Client]) -> None:
    assert do(cluster.servers["one"], "log_out", name="two") is None
    assert clients["two"].until("disconnect") == []
    do(cluster.servers["two"], "emit", data=["end"])
    for name in ("one", "node"):
        assert clients[name].until("end") == []


def test_nothing_of_this_was_trouble(cluster: Cluster) -> None:
    for name in OURS:
        state = do(cluster.servers[name], "state")
        assert (state["ready"], state["dropped"], state["reconnects"]) == (True, 0, 0)
        assert "Redis" not in cluster.servers[name].log
