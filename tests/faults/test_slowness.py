"""Clients that take their time, with what they send and what they are sent: waiting for them has an end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.wire import PollingClient
from tests.faults.exchanges import UPGRADE, frame, head
from tests.faults.watching import Watch
from tests.serving import Server, serve

#: Seconds that the server under test gives anybody.
GIVEN = 1
#: Seconds within which it must have noticed: a heartbeat has two parts.
NOTICED = 5
TIMES = ("header_timeout", "connect_timeout", "upgrade_timeout", "ping_interval", "ping_timeout", "close_timeout")
SETTINGS: dict[str, Any] = dict.fromkeys(TIMES, GIVEN) | {"max_blocking": 0, "message_log_format": "None"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("faults", **SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def watch(server: Server) -> Watch:
    PollingClient(server).close()
    return Watch(server)


def connect(server: Server) -> socket.socket:
    """A connection that takes little before it has been read from."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(NOTICED)
    sock.connect(("127.0.0.1", server.port))
    return sock


@pytest.fixture
def sock(server: Server) -> Iterator[socket.socket]:
    with connect(server) as sock:
        yield sock


def drip(sock: socket.socket, data: bytes) -> bool:
    """Send a byte now and then; tells whether the server hangs up before the end."""
    sock.settimeout(0.2)
    for place in range(len(data)):
        try:
            sock.sendall(data[place : place + 1])
            if not sock.recv(1000):
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def is_hung_up(sock: socket.socket) -> bool:
    """Whether the server hangs up in time, whatever it says before."""
    with contextlib.suppress(ConnectionError):
        while sock.recv(65536):
            pass
    return True


def test_a_head_that_never_ends(server: Server, watch: Watch, sock: socket.socket) -> None:
    assert drip(sock, head(b"GET", b"EIO=4&transport=polling")[:30])
    watch.settle()


def test_a_head_for_something_else_that_never_ends(server: Server, watch: Watch, sock: socket.socket) -> None:
    sock.sendall(b"GET /other HTTP/1.1\r\n")
    assert drip(sock, b"Host: local")
    watch.settle()


@pytest.mark.parametrize("fields", [b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_never_ends(server: Server, watch: Watch, sock: socket.socket, fields: bytes) -> None:
    """Its session cannot answer the heartbeat meanwhile; with the session, its request is over."""
    client = PollingClient(server)
    client.send("40")
    sock.sendall(head(b"POST", b"EIO=4&transport=polling&sid=" + client.sid.encode(), fields) + b"64\r\n42")
    assert is_hung_up(sock)
    sock.close()
    watch.settle()


def test_a_body_that_drips(server: Server, watch: Watch, sock: socket.socket) -> None:
    client = PollingClient(server)
    client.send("40")
    sock.sendall(head(b"POST", b"EIO=4&transport=polling&sid=" + client.sid.encode(), b"Content-Length: 1000\r\n"))
    assert drip(sock, b"4" * 30)
    sock.close()
    watch.settle()


def fill(client: PollingClient, size: int = 3_000_000) -> None:
    """Let the server have so much to say."""
    message = "x" * 500_000
    for _ in range(size // len(message)):
        client.send(f'42["message","{message}"]')


def test_an_answer_that_nobody_takes(server: Server, watch: Watch, sock: socket.socket) -> None:
    client = PollingClient(server)
    client.send("40")
    fill(client)
    sock.sendall(head(b"GET", b"EIO=4&transport=polling&sid=" + client.sid.encode()))
    watch.settle(NOTICED)


def greedy(sock: socket.socket, server: Server) -> None:
    """One that is sent more than it takes."""
    sock.sendall(head(b"GET", b"EIO=4&transport=websocket", UPGRADE) + frame(1, b"40"))
    for _ in range(6):
        sock.sendall(frame(1, b'42["message","%b"]' % (b"x" * 500_000)))


def half_frame(sock: socket.socket, server: Server) -> None:
    """One that sends a part of a frame."""
    sock.sendall(head(b"GET", b"EIO=4&transport=websocket", UPGRADE) + frame(1, b"40") + frame(1, b"4" * 1000)[:500])


def silent(sock: socket.socket, server: Server) -> None:
    """One that never says anything."""
    sock.sendall(head(b"GET", b"EIO=4&transport=websocket", UPGRADE))


def candidate(sock: socket.socket, server: Server) -> None:
    """A session's on polling, that probes and does no more."""
    client = PollingClient(server)
    client.send("40")
    sock.sendall(head(b"GET", b"EIO=4&transport=websocket&sid=" + client.sid.encode(), UPGRADE) + frame(1, b"2probe"))


def test_websockets_that_fall_silent(server: Server, watch: Watch) -> None:
    with contextlib.ExitStack() as stack:
        for begin in (greedy, half_frame, silent, candidate):
            sock = stack.enter_context(connect(server))
            begin(sock, server)
        watch.settle(2 * NOTICED)  # to a close frame, there is time to answer
