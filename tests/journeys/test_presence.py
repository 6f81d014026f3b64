"""Presence in real processes: tabs in two of them, one that is killed, one that stops, and Redis away."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.clusters import Client, Cluster, do, is_ready
from tests.redis_servers import RedisServer
from tests.serving import serve, wait_for

#: python-socketio's client may be told something while it closes, which it does not expect.
pytestmark = pytest.mark.filterwarnings(r"ignore:Exception in thread .*\(_handle_eio_message\)")

HALL = "hall"
GRACE = 0.4


@pytest.fixture
def adapter() -> str:
    """How the processes tell each other everything else."""
    return "pubsub"


@pytest.fixture
def cluster(adapter: str) -> Iterator[Cluster]:
    """Two processes that are quick to notice."""
    with ExitStack() as stack:
        cluster = Cluster(stack, stack.enter_context(RedisServer()))
        for name in ("one", "two"):
            cluster.add_python(name, redis_timeout=1.2, presence_grace=GRACE, redis_adapter=adapter)
        yield cluster


def here(cluster: Cluster, process: str = "one") -> Any:
    """Who is there, with how many sockets, as a process knows."""
    answer = do(cluster.servers[process], "presence", channel=HALL)
    return sorted(answer) if isinstance(answer, list) else answer


def seen(cluster: Cluster, *processes: str) -> list[list[str]]:
    """What the handlers of some processes saw."""
    told = [one for process in processes for one in do(cluster.servers[process], "seen")]
    return [[what, user] for what, channel, user in told if channel == HALL]


def view(client: Client) -> set[str]:
    """Who is there, as a client knows that keeps to what it is told."""
    users: set[str] = set()
    for event in [data[1] for data in client.heard if data[0] == "presence"]:
        assert event["channel"] == HALL
        if "here" in event:
            users = {one["user"] for one in event["here"]}
        elif "join" in event:
            users.add(event["join"]["user"])
        else:
            users.discard(event["leave"]["user"])
    return users


def leaves(client: Client) -> list[str]:
    """Whose leave a client was told of."""
    return [data[1]["leave"]["user"] for data in client.heard if data[0] == "presence" and "leave" in data[1]]


@pytest.mark.parametrize("adapter", ["pubsub", "streams"])
def test_tabs_in_two_processes_are_one_user(cluster: Cluster) -> None:
    watchers = [cluster.client(name, f"watcher {name}", HALL) for name in ("one", "two")]
    tabs = [cluster.client("one", "anna 1", HALL), cluster.client("two", "anna 2", HALL)]
    for name in ("one", "two"):
        wait_for(lambda name=name: here(cluster, name) == [["anna", 2], ["watcher", 2]])
    tabs[0].close()
    wait_for(lambda: here(cluster, "two") == [["anna", 1], ["watcher", 2]])
    tabs[1].close()
    for client in watchers:
        wait_for(lambda client=client: leaves(client) == ["anna"])
        assert [data[1]["join"]["user"] for data in client.heard if "join" in data[1]].count("anna") == 1
    wait_for(lambda: len(seen(cluster, "one", "two")) == 3)
    assert sorted(seen(cluster, "one", "two")) == [["join", "anna"], ["join", "watcher"], ["leave", "anna"]]


def test_a_process_is_killed(cluster: Cluster) -> None:
    cluster.add_python("three", redis_timeout=1.2, presence_grace=GRACE)
    watchers = [cluster.client(name, f"watcher {name}", HALL) for name in ("one", "two")]
    for name in ("anna", "bert", "watcher 3"):
        cluster.client("three", name, HALL)
    cluster.client("one", "bert 2", HALL)
    wait_for(lambda: here(cluster) == [["anna", 1], ["bert", 2], ["watcher", 3]])
    cluster.servers["three"].signal(signal.SIGKILL)
    for name in ("one", "two"):
        wait_for(lambda name=name: here(cluster, name) == [["bert", 1], ["watcher", 2]], 5)
    for watcher in watchers:
        wait_for(lambda watcher=watcher: leaves(watcher) == ["anna"])
    wait_for(lambda: ["leave", "anna"] in seen(cluster, "one", "two"))
    cluster.client("two", "end", HALL)
    wait_for(lambda: ["join", "end"] in seen(cluster, "two"))
    assert [event for event in seen(cluster, "one", "two") if event[0] == "leave"] == [["leave", "anna"]]
    assert [leaves(watcher) for watcher in watchers] == [["anna"], ["anna"]]


def test_a_process_stops_and_some_come_back_to_another(cluster: Cluster) -> None:
    watcher = cluster.client("one", "watcher", HALL)
    for name in ("anna", "bert"):
        cluster.client("two", name, HALL)
    wait_for(lambda: view(watcher) == {"watcher", "anna", "bert"})
    assert cluster.servers["two"].signal(signal.SIGTERM) == 0
    cluster.client("one", "anna again", HALL)
    wait_for(lambda: leaves(watcher) == ["bert"])
    assert here(cluster) == [["anna", 1], ["watcher", 1]]
    wait_for(lambda: seen(cluster, "one") == [["join", "watcher"], ["leave", "bert"]])


def test_a_process_that_is_alone_tells_of_all_before_it_stops() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serve("cluster", presence_grace=60))
        gone = Client(server, "anna", HALL)
        gone.close()
        stack.callback(Client(server, "bert", HALL).close)
        wait_for(lambda: do(server, "presence", channel=HALL) == [["anna", 0], ["bert", 1]])
        assert server.signal(signal.SIGTERM) == 0
        assert sorted(line for line in server.log.splitlines() if line.startswith("left")) == ["left anna", "left bert"]


def test_redis_is_stopped_and_started(cluster: Cluster) -> None:
    watchers = [cluster.client(name, f"watcher {name}", HALL) for name in ("one", "two")]
    staying = [cluster.client(name, f"anna {name}", HALL) for name in ("one", "two")]
    leaving = cluster.client("two", "bert", HALL)
    wait_for(lambda: view(watchers[0]) == {"watcher", "anna", "bert"})
    wait_for(lambda: len(seen(cluster, "one", "two")) == 3)
    cluster.redis.stop()
    wait_for(lambda: not any(map(is_ready, cluster.servers.values())))
    leaving.close()
    newcomer = cluster.client("one", "carl", HALL)
    answer = here(cluster)
    assert "Redis is not reached" in answer["error"]
    assert sorted(one[0] for one in answer["answers"]) == ["anna", "carl", "watcher"]
    cluster.redis.start()
    for name in ("one", "two"):
        wait_for(lambda name=name: here(cluster, name) == [["anna", 2], ["carl", 1], ["watcher", 2]])
    for client in (*watchers, *staying, newcomer):
        wait_for(lambda client=client: view(client) == {"watcher", "anna", "carl"})
    wait_for(lambda: len(seen(cluster, "one", "two")) == 5)
    assert sorted(seen(cluster, "one", "two")) == [
        ["join", "anna"], ["join", "bert"], ["join", "carl"], ["join", "watcher"], ["leave", "bert"],
    ]  # fmt: skip
    for server in cluster.servers.values():
        assert "presence is not shared with other processes" in server.log
        assert "Traceback" not in server.log
