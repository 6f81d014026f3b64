"""The probe, which shows whether what comes in pieces is passed on so."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.raw import RawClient, get
from tests.serving import Server, serve, serve_by_name
from webpy_socketio.transports.probe import FIRST, PAUSE, SECOND


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """The plain application."""
    with serve_by_name("plain") as server:
        yield server


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_the_second_line_comes_after_a_pause(plain: Server, version: bytes) -> None:
    client = RawClient(("127.0.0.1", plain.port))
    client.send(get("/socket.io/probe?t=1").replace(b"HTTP/1.1", version))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.read_some(1)
    assert b"\r\nContent-Length: 13\r\n" in head
    assert client.read_some(len(FIRST)) == FIRST
    start = time.monotonic()
    assert client.read_some(len(SECOND)) == SECOND
    assert time.monotonic() - start > PAUSE / 2
    client.close()


def test_the_connection_goes_on(plain: Server) -> None:
    client = RawClient(("127.0.0.1", plain.port))
    assert client.ask(get("/socket.io/probe")).body == FIRST + SECOND
    assert client.ask(get("/socket.io/?EIO=4&transport=polling")).status == 200
    client.close()


def test_it_is_nowhere_else(plain: Server) -> None:
    client = RawClient(("127.0.0.1", plain.port))
    assert client.ask(get("/probe")).status == 404
    assert client.ask(get("/socket.io/probe/")).status != 200
    client.close()


def test_the_engine_alone_has_one_too() -> None:
    with serve("engine") as server:
        client = RawClient(("127.0.0.1", server.port))
        assert client.ask(get("/engine.io/probe")).body == FIRST + SECOND
        client.close()
