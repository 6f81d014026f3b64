"""Publishing over HTTP to the clients of several processes, ours and Node's."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.clusters import Client, Cluster, do
from tests.redis_servers import RedisServer
from tests.serving import Server

pytestmark = pytest.mark.filterwarnings(r"ignore:Exception in thread .*\(_handle_eio_message\)")

PROCESSES = ("one", "two", "node")
KEY = "a key of some length"
PATIENCE = 1.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three processes, which do not wait long for each other."""
    with ExitStack() as stack:
        cluster = Cluster(stack, stack.enter_context(RedisServer()))
        cluster.add_node("node")
        for name in ("one", "two"):
            cluster.add_python(name, publish_keys=KEY, redis_timeout=PATIENCE)
        yield cluster


def publish(server: Server, where: str, body: str) -> tuple[int, dict[str, object]]:
    """Publish a text; return the status and the answer."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}
    request = urllib.request.Request(f"{server.url}/publish/{where}", body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_channel_and_a_prefix_reach_the_clients_of_all_processes(cluster: Cluster) -> None:
    server = cluster.servers["one"]
    with cluster.one_client_each(PROCESSES) as clients:
        for name in PROCESSES:  # each in two channels below the prefix
            do(server, "subscribe", names=[f"users/{name}", "users/all"], channels=[f"only-{name}"])
        for client in clients.values():
            joined(cluster, client)
        assert publish(server, "room", "a channel") == (202, {"reached": 1})
        assert publish(server, "users/", "a prefix") == (202, {"reached": 1})
        assert publish(server, "users/node", "one of another process") == (202, {"reached": 0})
        assert publish(server, "nobody", "nobody knows that there is nobody") == (202, {"reached": 0})
        assert publish(server, "nobody/", "nor here") == (202, {"reached": 0})
        do(server, "emit", data=["end"])
        heard = {name: client.until("end") for name, client in clients.items()}
        both = [["message", "a channel"], ["message", "a prefix"]]
        assert heard == {"one": both, "two": both, "node": [*both, ["message", "one of another process"]]}


def joined(cluster: Cluster, client: Client) -> None:
    """Wait until a client follows what it was subscribed to, as its own process sees it."""
    deadline = time.monotonic() + 10
    while f"users/{client.name}" not in do(cluster.servers["one"], "channels"):
        assert time.monotonic() < deadline


def test_a_prefix_reaches_nobody_while_a_process_does_not_tell_its_channels(cluster: Cluster) -> None:
    two = cluster.servers["two"].process
    assert two is not None
    with cluster.one_client_each(["one"]) as clients:
        do(cluster.servers["one"], "subscribe", names=["users/one"])
        os.kill(two.pid, signal.SIGSTOP)
        try:
            status, answer = publish(cluster.servers["one"], "users/", "lost")
        finally:
            os.kill(two.pid, signal.SIGCONT)
        assert (status, answer["error"]["code"]) == (503, "cluster")  # type: ignore[index]
        do(cluster.servers["one"], "emit", data=["end"])
        assert clients["one"].until("end") == []
