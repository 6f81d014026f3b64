"""Connections of a server that does not know of us; gunicorn itself is in tests/journeys/test_gunicorn.py."""

from __future__ import annotations

import io
import ssl
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.socket
import gevent.ssl
import pytest

from webpy_socketio.transports.borrowed import GUNICORN, find_connection
from webpy_socketio.transports.streams import KEY, Connection, Stream

ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nServer: gunicorn\r\nUpgrade: websocket\r\n"
#: As older gunicorn has it.
WITH_A_BODY = b"Transfer-Encoding: chunked\r\ncontent-length: 0\r\n"


class World:
    """A client, the socket that its server has of it, and what becomes of the connection."""

    def __init__(self) -> None:
        self.server, self.client = gevent.socket.socketpair()
        self.client.settimeout(5)
        self.taken: list[tuple[Stream, bytes]] = []
        self.failures = 0
        #: What the server's parser has read beyond the request.
        self.read_too_much = b""

    def environ(self) -> dict[str, Any]:
        unreader = SimpleNamespace(read=lambda: self.read_too_much or self.server.recv(100))
        body = SimpleNamespace(reader=SimpleNamespace(unreader=unreader))
        return {GUNICORN: self.server, "wsgi.input": body}

    def give(self) -> None:
        connection = find_connection(self.environ())
        assert connection is not None
        connection.give_to(lambda stream, early: self.taken.append((stream, early)), self.fail)

    def fail(self) -> None:
        self.failures += 1


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for stream, _ in world.taken:
        stream.close()
    world.server.close()
    world.client.close()


def test_a_connection_is_found_where_the_server_puts_it() -> None:
    ours, theirs = gevent.socket.socketpair()
    connection = Connection(ours)
    assert find_connection({KEY: connection}) is connection
    assert find_connection({KEY: "something else"}) is None
    assert find_connection({}) is None
    ours.close()
    theirs.close()


def test_it_is_found_once(world: World) -> None:
    environ = world.environ()
    found = find_connection(environ)
    assert found is not None
    assert not found.defers
    assert find_connection(environ) is found


def test_none_is_to_be_had_with_tls(world: World) -> None:
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    encrypted = context.wrap_socket(world.server, do_handshake_on_connect=False)
    assert find_connection({GUNICORN: encrypted, "wsgi.input": io.BytesIO()}) is None
    encrypted.close()


@pytest.mark.parametrize("early", [b"", b"a frame"])
@pytest.mark.parametrize("body", [b"", WITH_A_BODY])
def test_the_response_goes_through_and_then_the_connection_to_its_taker(
    world: World, early: bytes, body: bytes
) -> None:
    world.read_too_much = early
    world.give()
    for piece in (ACCEPTED[:20], ACCEPTED[20:] + body, b"\r\n", b"0\r\n\r\n"):
        world.server.sendall(piece)
    assert world.server.recv(100) == b"", "the server sees the end"
    assert world.client.recv(1000) == ACCEPTED + b"\r\n"
    [(stream, received)] = world.taken
    assert received == early
    world.client.sendall(b"more")
    assert stream.receive() == b"more"
    stream.send(b"back")
    assert world.client.recv(100) == b"back"
    assert not world.failures


def test_another_answer_reaches_the_client_too(world: World) -> None:
    answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
    world.give()
    world.server.sendall(answer)
    world.server.close()
    assert world.client.recv(1000) == answer
    assert world.client.recv(1000) == b""
    assert (world.taken, world.failures) == ([], 1)


def test_a_server_that_answers_nothing(world: World) -> None:
    world.give()
    world.server.close()
    assert world.client.recv(1000) == b""
    assert (world.taken, world.failures) == ([], 1)


def test_a_client_that_has_gone(world: World) -> None:
    world.give()
    world.client.close()
    world.server.sendall(ACCEPTED + b"\r\n")
    gevent.sleep(0.01)
    assert (world.taken, world.failures) == ([], 1)
