"""Redis goes away, comes back, hangs and cuts connections, while two processes send."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.clusters import Client, Cluster, do, is_ready
from tests.redis_servers import RedisServer
from tests.serving import Server, wait_for

COUNT = 300
PATIENCE = 15


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two processes that are quick to notice."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        stack.callback(redis.thaw_if_alive)
        cluster = Cluster(stack, redis)
        for name in ("one", "two"):
            cluster.add_python(name, redis_timeout=0.6, health=True, max_redis_backlog=40_000)
        for server in cluster.servers.values():
            wait_for(lambda server=server: do(server, "state")["processes"] == 2)
        yield cluster


@pytest.fixture
def clients(cluster: Cluster) -> tuple[Client, Client]:
    """One of each."""
    return cluster.client("one", "one", "room"), cluster.client("two", "two", "room")


def flood(cluster: Cluster, seconds: float) -> None:
    """Let the first process send numbers to the channel of both, over some seconds."""
    do(cluster.servers["one"], "flood", count=COUNT, seconds=seconds, channel="room")


def numbers(client: Client) -> list[Any]:
    """What came of them."""
    return [data[1] for data in client.heard if data[0] == "number"]


def health(server: Server) -> int:
    """The status that balancers see."""
    try:
        with urllib.request.urlopen(f"{server.url}/socket.io/health", timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def until_all_is_well(cluster: Cluster, clients: tuple[Client, Client]) -> None:
    """Wait until both processes are ready and what one sends reaches both."""
    for server in cluster.servers.values():
        wait_for(lambda server=server: is_ready(server), PATIENCE)
        assert health(server) == 200
    wait_for(lambda: len(numbers(clients[0])) == COUNT, PATIENCE)
    do(cluster.servers["one"], "emit", data=["after"], channels=["room"])
    for client in clients:
        wait_for(lambda client=client: ["after"] in client.heard, PATIENCE)


def check(cluster: Cluster, clients: tuple[Client, Client]) -> tuple[list[Any], int]:
    """The process's own client got everything; the other got each once, in order. Return that, and what was dropped."""
    here, there = map(numbers, clients)
    assert here == list(range(COUNT))
    assert there == sorted(set(there))
    return there, int(do(cluster.servers["one"], "state")["dropped"])


def test_redis_is_stopped_and_started(cluster: Cluster, clients: tuple[Client, Client]) -> None:
    one = cluster.servers["one"]
    assert health(one) == 200
    flood(cluster, 1.5)
    wait_for(lambda: len(numbers(clients[1])) >= 50)
    cluster.redis.stop()
    wait_for(lambda: not is_ready(one))
    assert health(one) == 503
    assert "Redis is not reached" in do(one, "sockets")["error"]
    wait_for(lambda: len(numbers(clients[0])) >= COUNT - 100)
    cluster.redis.start()
    until_all_is_well(cluster, clients)
    there, dropped = check(cluster, clients)
    assert COUNT - len(there) <= dropped < COUNT / 2, "only what was on its way is lost, and it is counted"
    assert do(one, "state")["reconnects"] >= 2
    assert "other processes are not reached" in one.log
    assert "Redis is there again" in one.log
    assert "Traceback" not in one.log
    assert len(do(one, "sockets")) == 2


def test_more_is_sent_than_may_wait(cluster: Cluster, clients: tuple[Client, Client]) -> None:
    one = cluster.servers["one"]
    cluster.redis.stop()
    wait_for(lambda: not is_ready(one))
    flood(cluster, 0.3)
    wait_for(lambda: len(numbers(clients[0])) == COUNT)
    dropped = do(one, "state")["dropped"]
    assert 0 < dropped < COUNT
    assert numbers(clients[1]) == []
    cluster.redis.start()
    until_all_is_well(cluster, clients)
    there, dropped_then = check(cluster, clients)
    assert (there, dropped_then) == (list(range(COUNT - dropped)), dropped), "the first ones waited"


def test_redis_hangs(cluster: Cluster, clients: tuple[Client, Client]) -> None:
    one = cluster.servers["one"]
    flood(cluster, 2.5)
    wait_for(lambda: len(numbers(clients[1])) >= 30)
    cluster.redis.freeze()
    wait_for(lambda: not is_ready(one))
    assert health(one) == 503
    before = len(numbers(clients[0]))
    wait_for(lambda: len(numbers(clients[0])) > before + 20)
    cluster.redis.thaw()
    until_all_is_well(cluster, clients)
    there, dropped = check(cluster, clients)
    assert COUNT - len(there) <= dropped


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
def test_redis_cuts_connections(cluster: Cluster, clients: tuple[Client, Client], kind: str) -> None:
    flood(cluster, 1.0)
    wait_for(lambda: len(numbers(clients[1])) >= 30)
    assert int(cluster.redis.ask("CLIENT", "KILL", "TYPE", kind)[0]) >= 2
    for server in cluster.servers.values():
        wait_for(lambda server=server: do(server, "state")["reconnects"] == 1)
    until_all_is_well(cluster, clients)
    there, dropped = check(cluster, clients)
    if kind == "normal":
        assert COUNT - len(there) <= dropped <= 20
    assert len(there) > COUNT / 2


def test_a_process_starts_without_redis(cluster: Cluster) -> None:
    cluster.redis.stop()
    with ExitStack() as stack:
        others = Cluster(stack, cluster.redis)
        server = others.add_python("three", wait=False, redis_timeout=0.6)
        client = others.client("three", "three")
        assert not is_ready(server)
        assert do(server, "emit", data=["x"]) == 1
        client.until("x")
        cluster.redis.start()
        wait_for(lambda: is_ready(server), PATIENCE)
