"""Clients that vanish without a word, as with their battery: the heartbeat and the timeouts find out."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.wire import open_websocket
from tests.faults.exchanges import UPGRADE, frame, head, post
from tests.faults.unplugged import Cable, cable
from tests.faults.watching import Watch
from tests.proxy import CuttingProxy
from tests.serving import Server, serve

GIVEN = 1
POLLING, WEBSOCKET = b"EIO=4&transport=polling", b"EIO=4&transport=websocket"
JOINED = head(b"GET", WEBSOCKET, UPGRADE) + frame(1, b"40") + frame(1, b'420["__subscribe__","room-1"]')
ANSWERED = b"430[true]"
BIG = b'42["message","%b"]' % (b"x" * 400_000)

Connect = Callable[[], socket.socket]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    times = ("connect", "upgrade", "ping", "close", "header")
    settings = {f"{time}_timeout": GIVEN for time in times} | {"ping_interval": GIVEN, "message_log_format": "None"}
    with serve("faults", host="0.0.0.0", **settings) as running:
        yield running


@pytest.fixture
def watch(server: Server) -> Watch:
    with open_websocket(server).connection:  # what the first client makes is no leak
        pass
    return Watch(server)


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return data


def open_polling(sock: socket.socket) -> bytes:
    """Open a session that has joined, and return its query."""
    sock.sendall(head(b"GET", POLLING))
    opening = json.loads(read_until(sock, b"maxPayload").partition(b"\r\n\r\n0")[2])
    query = POLLING + b"&sid=" + opening["sid"].encode()
    sock.sendall(post(query, b"40"))
    read_until(sock, b"ok")
    sock.sendall(head(b"GET", query))
    read_until(sock, b"40{")
    return query


def begin_everything(connections: Iterator[socket.socket]) -> None:
    """Leave connections in every state in which one may be."""
    next(connections)  # nothing was said
    next(connections).sendall(head(b"GET", POLLING)[:30])
    joined = next(connections)
    joined.sendall(JOINED)
    read_until(joined, ANSWERED)
    asked = next(connections)
    asked.sendall(JOINED + frame(1, b'421["wait",1]'))
    read_until(asked, b"question")
    greedy = next(connections)
    greedy.sendall(JOINED + frame(1, BIG) * 5)
    greedy.recv(10)
    half = next(connections)
    half.sendall(JOINED + frame(1, BIG)[:100_000])
    read_until(half, ANSWERED)
    held = next(connections)
    held.sendall(head(b"GET", open_polling(held)))
    posting = next(connections)
    posting.sendall(post(open_polling(posting), BIG)[:100_000])
    query = open_polling(next(connections))
    candidate = next(connections)
    candidate.sendall(head(b"GET", query.replace(b"polling", b"websocket"), UPGRADE) + frame(1, b"2probe"))
    read_until(candidate, b"3probe")


#: Connections that begin_everything takes.
EVERYTHING = 10


def check_others(server: Server) -> None:
    """Pages are answered meanwhile."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/numbers", headers={"Connection": "close"})
    assert connection.getresponse().status == 200
    connection.close()


def test_clients_that_fall_silent(server: Server, watch: Watch) -> None:
    with CuttingProxy(server.port) as proxy, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 10))
                       for _ in range(EVERYTHING)]  # fmt: skip
        begin_everything(iter(connections))
        proxy.hold()
        check_others(server)
        watch.settle()
    watch.check_log("silence")


@pytest.fixture
def laid() -> Iterator[Cable]:
    """A cable, where a network namespace can be made."""
    if shutil.which("ip") is None:
        assert os.environ.get("CI") != "true", "iproute2 is missing"
        pytest.skip("no iproute2")
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(cable())
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces cannot be made here: {error}")
        yield made


def test_clients_whose_cable_is_pulled_out(server: Server, watch: Watch, laid: Cable) -> None:
    connections = laid.connect(server.port, EVERYTHING)
    with contextlib.ExitStack() as stack:
        for each in connections:
            stack.enter_context(each)
        begin_everything(iter(connections))
        laid.pull()
        check_others(server)
        watch.settle()
    watch.check_log("a pulled cable")
