"""Clients that lose their connection go on at other processes, ours and Node's, and miss nothing."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import socketio

from tests.conformance.targets import require_node
from tests.proxy import CuttingProxy
from tests.redis_servers import RedisServer
from tests.serving import APPS, CLIENTS, Server, serve, serve_node

CLIENTS_AT_ONCE = 10
MESSAGES = 600
#: How many clients may be lost again just while they get what they missed, and so start anew.
MOST_TOLD = 3
WINDOW = 30


class Stream:
    """A Redis, and processes that share it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._redis = stack.enter_context(RedisServer())

    def add(self, **settings: Any) -> Server:
        """Start a process of ours."""
        return self._stack.enter_context(
            serve(
                "recovery",
                redis_url=self._redis.redis_url,
                redis_adapter="streams",
                recovery="true",
                recovery_window=WINDOW,
                message_log_format="None",
                ping_interval=2,
                ping_timeout=2,
                **settings,
            )
        )

    def add_node(self) -> Server:
        """Start one of Node's."""
        require_node()
        server = serve_node(
            APPS / "node_cluster.js", REDIS_URL=self._redis.redis_url, ADAPTER="streams", RECOVERY=WINDOW
        )
        return self._stack.enter_context(server)


@pytest.fixture(scope="module")
def stream() -> Iterator[Stream]:
    with ExitStack() as stack:
        yield Stream(stack)


def wander(proxy: CuttingProxy, transports: str, direct: Server, lose: Callable[[int], None]) -> list[dict[str, Any]]:
    """Let clients follow what another is sent, and lose their connections whenever they ask for it.

    :param direct: the process of the one who is not lost.
    :param lose: called with the number of the loss.
    """
    require_node()
    numbers = [str(CLIENTS_AT_ONCE), str(MESSAGES)]
    script = str(CLIENTS / "recovery.js")
    command = ["node", script, "socket.io-client-4", transports, proxy.url, direct.url, *numbers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        for count, line in enumerate(process.stdout):
            if line != "cut\n":
                return list(json.loads(line))
            lose(count)
        raise AssertionError(process.stderr.read())


def wander_between(servers: Sequence[Server], transports: str) -> list[dict[str, Any]]:
    """Let them come to another process each time."""
    with CuttingProxy(servers[0].port) as proxy:

        def lose(count: int) -> None:
            proxy.target_port = servers[(count + 1) % len(servers)].port
            proxy.cut(reset=count % 2 == 0)

        return wander(proxy, transports, servers[0], lose)


def check(reports: Sequence[dict[str, Any]]) -> None:
    """Everybody who was not told of a loss got everything, once and in order, under one identity."""
    told = [report for report in reports if report["anew"]]
    for report in reports:
        if report not in told:
            assert report["numbers"] == list(range(MESSAGES))
            assert report["binary"] == [number % 256 for number in range(0, MESSAGES, 10)]
            assert report["sids"] == 1
        assert report["numbers"] == sorted(set(report["numbers"]))
        assert report["recovered"] > 0
    assert len(told) <= MOST_TOLD


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])
def test_clients_wander_between_processes(stream: Stream, transports: str) -> None:
    servers = [stream.add(), stream.add()]
    check(wander_between(servers, transports))
    assert not any("Traceback" in server.log for server in servers)


class Traveller:
    """An official client, and what it has to tell."""

    def __init__(self, stack: ExitStack, url: str, transports: str) -> None:
        require_node()
        command = ["node", str(CLIENTS / "traveller.js"), "socket.io-client-4", transports, url]
        self._process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(self._process.kill)

    def hear(self) -> list[Any]:
        """The next that it tells."""
        assert self._process.stdout is not None
        return list(json.loads(self._process.stdout.readline()))


@pytest.mark.parametrize("transports", ["websocket", "polling"])
def test_a_client_goes_from_ours_to_nodes_and_back(stream: Stream, transports: str) -> None:
    ours, nodes = stream.add(), stream.add_node()
    with ExitStack() as stack, CuttingProxy(ours.port) as proxy:
        traveller = Traveller(stack, proxy.url, transports)
        other = stack.enter_context(socketio.SimpleClient())
        other.connect(ours.url)
        told, sid, recovered = traveller.hear()
        assert (told, recovered) == ("connect", False)
        other.emit("tell", "at the beginning")
        assert traveller.hear() == ["told", "at the beginning"]
        for server in (nodes, ours, nodes, ours):
            proxy.target_port = server.port
            proxy.refuse()
            proxy.cut()
            assert traveller.hear() == ["disconnect"]
            missed = [[number, bytes([number]) if number % 2 else "text"] for number in range(5)]
            for arguments in missed:
                other.emit("tell", arguments)
            proxy.release()
            heard = [traveller.hear() for _ in missed]
            assert [event[1][0] for event in heard] == [0, 1, 2, 3, 4]
            assert traveller.hear() == ["connect", sid, True]
            other.emit("tell", "now")
            assert traveller.hear() == ["told", "now"]


@pytest.mark.parametrize("transports", ["websocket", "polling"])
def test_clients_of_a_process_that_is_killed_go_on_elsewhere(stream: Stream, transports: str) -> None:
    first, second = stream.add(), stream.add()
    with CuttingProxy(first.port) as proxy:

        def lose(count: int) -> None:
            proxy.target_port = second.port
            if count == 1:
                first.signal(signal.SIGKILL)
            proxy.cut(reset=True)

        reports = wander(proxy, transports, second, lose)
    check(reports)
    assert all(report["anew"] == 0 for report in reports)
    assert "Traceback" not in second.log


def test_clients_of_a_process_that_stops_go_on_elsewhere(stream: Stream) -> None:
    first, second = stream.add(), stream.add()
    with CuttingProxy(first.port) as proxy:

        def lose(count: int) -> None:
            proxy.target_port = second.port
            if count == 1:
                assert first.signal(signal.SIGTERM) == 0

        check(wander(proxy, "websocket", second, lose))
