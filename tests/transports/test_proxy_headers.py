"""PROXY headers on connections, between a proxy that is only a socket and a server that only takes what it is given."""

from __future__ import annotations

import _socket
import gc
import logging
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.socket
import pytest

from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.transports.proxy_headers import SILENCE, ProxiedAddress, ProxyHeaders
from webpy_socketio.transports.streams import Stream
from webpy_socketio.wire.proxy_protocol import LONGEST_LINE, VERSION_2

HEADER_TIMEOUT = 45.0
LINE = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"
BINARY = VERSION_2 + bytes.fromhex("21 11 000f c0000207 0a000001 1267 01bb 040000")
CLIENT = ProxiedAddress("192.0.2.7", 4711, "10.0.0.1", True)
REST = b"GET / HTTP/1.1\r\n\r\n" * 500


class World:
    """A server in which time stands still, one connection of a proxy to it, and the proxy at its other end."""

    def __init__(self) -> None:
        self.time = 100.0
        self.deadlines = Deadlines()
        settings = SimpleNamespace(header_timeout=HEADER_TIMEOUT)
        runner = SimpleNamespace(now=lambda: self.time)
        hub: Any = SimpleNamespace(runner=runner, settings=settings, deadlines=self.deadlines)
        self.taken: list[tuple[Any, Any]] = []
        self.headers = ProxyHeaders(hub, lambda sock, address: self.taken.append((sock, address)))
        self.proxy: _socket.socket
        self.raw: _socket.socket

    def connect(self, address: Any = ("10.0.0.1", 33000), of_gevent: bool = False) -> None:
        """Make the connection."""
        self.raw, self.proxy = _socket.socketpair()
        sock: Any = self.raw
        if of_gevent:
            sock = gevent.socket.socket(fileno=self.raw.detach())
            self.raw = sock._sock
        self.headers.expect(sock, address)

    def send(self, data: bytes) -> None:
        """Send, and let the server take notice."""
        self.proxy.send(data)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(4):
            gevent.idle()

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        self.deadlines.expire(self.time)
        self.settle()

    @property
    def is_closed(self) -> bool:
        """Whether the connection has been closed on the server's side."""
        return self.raw.fileno() < 0


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.connect()
    yield made
    made.headers.close()
    made.raw.close()
    made.proxy.close()


@pytest.mark.parametrize("header", [LINE, BINARY])
@pytest.mark.parametrize("rest", [b"", b"G", REST])
def test_a_header_in_one_piece_with_what_follows(world: World, header: bytes, rest: bytes) -> None:
    world.send(header + rest)
    [(sock, address)] = world.taken
    assert (sock, address) == (world.raw, CLIENT)
    if rest:
        assert sock.recv(65536) == rest
    with pytest.raises(BlockingIOError):
        sock.recv(1)


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_a_header_byte_by_byte(world: World, header: bytes) -> None:
    for place in range(len(header)):
        assert world.taken == []
        world.send(header[place : place + 1])
    assert [address for _, address in world.taken] == [CLIENT]


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_a_header_in_two_pieces(header: bytes) -> None:
    for place in range(1, len(header)):
        world = World()
        world.connect()
        world.send(header[:place])
        world.send(header[place:] + REST)
        [(sock, address)] = world.taken
        assert address == CLIENT
        assert sock.recv(65536) == REST
        sock.close()
        world.proxy.close()


def test_nothing_looks_at_a_connection_any_more_that_was_taken(world: World) -> None:
    world.send(LINE)
    world.send(REST)
    world.pass_time(HEADER_TIMEOUT)
    world.headers.close()
    [(sock, _)] = world.taken
    assert sock.recv(65536) == REST
    stream = Stream(sock)
    stream.listen(lambda: None)
    stream.close()


@pytest.mark.parametrize(
    ("header", "address", "told"),
    [
        (b"PROXY UNKNOWN\r\n", ("10.0.0.1", 33), ProxiedAddress("10.0.0.1", 33, "10.0.0.1", False)),
        (b"PROXY UNKNOWN\r\n", ("fd00::1", 33, 0, 0), ProxiedAddress("fd00::1", 33, "fd00::1", False)),
        (b"PROXY UNKNOWN\r\n", "", ProxiedAddress("", 0, "unix", False)),
        (LINE, "", CLIENT._replace(proxy="unix")),
        (LINE, ("fd00::1", 33, 0, 0), CLIENT._replace(proxy="fd00::1")),
        (VERSION_2 + bytes.fromhex("20 00 0000"), ("10.0.0.1", 33), ("10.0.0.1", 33)),
        (VERSION_2 + bytes.fromhex("20 00 0000"), "", ""),
    ],
)
def test_whose_address_it_is(header: bytes, address: Any, told: Any) -> None:
    world = World()
    world.connect(address)
    world.send(header)
    [(sock, taken)] = world.taken
    assert (taken, type(taken)) == (told, type(told))
    sock.close()
    world.proxy.close()


def test_a_socket_of_gevents_is_given_back_as_it_was() -> None:
    world = World()
    world.connect(of_gevent=True)
    world.send(LINE + b"hello")
    [(sock, _)] = world.taken
    assert isinstance(sock, gevent.socket.socket)
    assert sock.recv(10) == b"hello"
    gevent.spawn_later(0.01, world.proxy.send, b"more")
    assert sock.recv(10) == b"more"  # it still waits
    sock.close()
    world.proxy.close()


@pytest.mark.parametrize("of_gevent", [False, True])
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no PROXY header"),
        (b"PROXY " + b"x" * LONGEST_LINE, "a PROXY line that does not end"),
        (VERSION_2 + b"\x21\x11\xff\xff", "a PROXY header of 65551 bytes"),
    ],
)
def test_who_sends_none_is_closed_and_the_operator_told(
    data: bytes, problem: str, of_gevent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.connect(of_gevent=of_gevent)
    world.send(data)
    assert world.is_closed
    assert world.taken == []
    assert [record.getMessage() for record in caplog.records] == [
        f"closed a connection of the proxy 10.0.0.1: {problem}; let it send PROXY headers, or switch proxy_protocol off"
    ]
    world.proxy.close()


@pytest.mark.parametrize("data", [b"", b"P", LINE[:-1], BINARY[:-1]])
def test_who_takes_too_long_is_closed(world: World, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    world.pass_time(HEADER_TIMEOUT - 1)
    world.send(data)
    assert not world.is_closed
    world.pass_time(1)
    assert world.is_closed
    assert "no PROXY header in time" in caplog.text


def test_who_only_looks_whether_somebody_listens_is_not_worth_a_word(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.proxy.close()
    world.settle()
    assert world.is_closed
    assert caplog.records == []


def test_who_hangs_up_in_the_middle_is(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.send(LINE[:9])
    world.proxy.close()
    world.settle()
    assert world.is_closed
    assert "it hung up in the middle of its PROXY header" in caplog.text


def test_no_more_than_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    for pause, lines in [(0, 1), (SILENCE - 1, 1), (1, 2), (1, 2)]:
        world.pass_time(pause)
        world.connect()
        world.send(b"GET")
        assert world.is_closed
        assert len(caplog.records) == lines
        world.proxy.close()


def test_close_ends_those_that_wait_and_nothing_is_left_of_them() -> None:
    world = World()
    world.connect()
    newcomers: list[weakref.ref[Any]] = [weakref.ref(newcomer) for newcomer in world.headers._waiting]
    world.send(LINE[:5])
    world.headers.close()
    assert world.is_closed
    world.settle()
    gc.collect()
    assert [newcomer() for newcomer in newcomers] == [None]
    world.pass_time(HEADER_TIMEOUT)
    world.proxy.close()
