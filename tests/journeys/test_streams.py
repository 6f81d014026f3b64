"""Clients that lose their connection go on at other processes, ours and Node's, and miss nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.conformance.targets import require_node
from tests.losses import Report, check_reports, lose_clients
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


def wander(proxy: CuttingProxy, transports: str, direct: Server, lose: Callable[[int], None]) -> list[Report]:
    """Let clients lose their connections; see :func:`lose_clients`."""
    return lose_clients(transports, proxy.url, direct.url, CLIENTS_AT_ONCE, MESSAGES, lose)


def wander_between(servers: Sequence[Server], transports: str) -> list[Report]:
    """Let them come to another process each time."""
    with CuttingProxy(servers[0].port) as proxy:

        def lose(count: int) -> None:
            proxy.target_port = servers[(count + 1) % len(servers)].port
            proxy.cut(reset=count % 2 == 0)

        return wander(proxy, transports, servers[0], lose)


def check(reports: Sequence[Report]) -> None:
    """They missed nothing."""
    check_reports(reports, MESSAGES, MOST_TOLD)


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


def test_clients_of_workers_that_are_killed_go_on_with_others(stream: Stream) -> None:
    crew, other = stream.add(workers=2), stream.add()
    with CuttingProxy(crew.port) as proxy:

        def lose(count: int) -> None:
            if count % 2:
                assert crew.process is not None
                os.kill(children(crew.process.pid)[0], signal.SIGKILL)
            else:
                proxy.cut(reset=True)

        check(wander(proxy, "polling,websocket", other, lose))
    assert crew.log.count("another takes its place") > 1


def children(pid: int) -> list[int]:
    """The processes that a process has started, oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
