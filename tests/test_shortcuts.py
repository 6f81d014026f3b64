"""Sending from outside an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from webpy_socketio import (
    EventError,
    NoSocket,
    UnsendableValue,
    broadcast,
    broadcast_channel,
    channels,
    send,
    server_side_call,
    server_side_emit,
    to,
)
from webpy_socketio.events import Events
from webpy_socketio.shortcuts import set_current
from webpy_socketio.testing import TestClient, TestServer


@pytest.fixture
def server() -> Iterator[TestServer]:
    events = Events()
    events.on_connect(namespace="/chat")(lambda request, socket, context: None)
    with TestServer(events) as server:
        yield server


def joined(server: TestServer, channel: str, namespace: str = "/") -> TestClient:
    client = server.client()
    client.connect(namespace)
    client.subscribe(channel, namespace)
    return client


def test_to_one_to_a_channel_and_to_all(server: TestServer) -> None:
    a, b = joined(server, "room-1"), joined(server, "room-2")
    send(a.sids["/"], "one")
    broadcast_channel("some", "room-2")
    broadcast("all")
    assert a.received == [["message", "one"], ["message", "all"]]
    assert b.received == [["message", "some"], ["message", "all"]]


def test_in_a_namespace(server: TestServer) -> None:
    a, b = joined(server, "room-1"), joined(server, "room-1", "/chat")
    send(b.sids["/chat"], "one", namespace="/chat")
    broadcast_channel("some", "room-1", namespace="/chat")
    broadcast("all", namespace="/chat")
    assert b.received == [["message", "one"], ["message", "some"], ["message", "all"]]
    assert a.received == []


def test_nobody_is_there(server: TestServer) -> None:
    with pytest.raises(NoSocket, match="no socket is connected"):
        broadcast("x")
    client = joined(server, "room-1")
    with pytest.raises(NoSocket, match="no socket with the session id 'nobody'"):
        send("nobody", "x")
    with pytest.raises(NoSocket, match="no socket is subscribed to 'room-9'"):
        broadcast_channel("x", "room-9")
    with pytest.raises(NoSocket):
        broadcast("x", namespace="/chat")
    sid = client.sids["/"]
    client.close()
    for attempt in (lambda: send(sid, "x"), lambda: broadcast_channel("x", "room-1"), lambda: broadcast("x")):
        with pytest.raises(NoSocket):
            attempt()


def test_to_speaks_for_the_server_that_runs(server: TestServer) -> None:
    a, b = joined(server, "room-1"), joined(server, "room-1", "/chat")
    assert to("room-1").emit("x", 1) == 1
    assert to("room-1", namespace="/chat").send("y") == 1
    assert (a.received, b.received) == ([["x", 1]], [["message", "y"]])
    assert to(excluding=a.sids["/"]).send("z") == 0
    with TestServer(Events()):
        assert to().send("another server") == 0


def test_no_server_runs() -> None:
    set_current(None)
    with pytest.raises(NoSocket, match=r"no Socket\.IO server runs in this process"):
        to("room-1")
    with pytest.raises(NoSocket, match=r"no Socket\.IO server runs in this process"):
        broadcast("x")


@pytest.mark.parametrize("name", [5, None, "", ["a"]])
def test_names_that_are_none(server: TestServer, name: Any) -> None:
    for attempt in (lambda: send(name, "x"), lambda: broadcast_channel("x", name), lambda: to(name)):
        with pytest.raises(EventError):
            attempt()
    for attempt in (lambda: broadcast("x", namespace=name), lambda: send("a", "x", namespace=name)):
        with pytest.raises(EventError):
            attempt()


def test_what_cannot_be_sent_fails_even_if_nobody_is_there(server: TestServer) -> None:
    with pytest.raises(UnsendableValue):
        broadcast(object())


def test_channels_that_are_followed(server: TestServer) -> None:
    joined(server, "room-1")
    joined(server, "room-1")
    joined(server, "room-2")
    joined(server, "room-3", "/chat")
    assert sorted(channels()) == ["room-1", "room-2"]
    assert channels("/chat") == ["room-3"]
    assert channels("/nowhere") == []


def test_a_process_that_is_alone_has_nobody_to_ask(server: TestServer) -> None:
    server_side_emit("refresh", {"a": 1})
    assert server_side_call("refresh") == []
    for value in (b"1", {1}, float("nan")):
        with pytest.raises(UnsendableValue):
            server_side_emit("refresh", value)
        with pytest.raises(UnsendableValue):
            server_side_call("refresh", value)


def test_what_processes_cannot_be_asked(server: TestServer) -> None:
    for name in ("connect", None):
        with pytest.raises(EventError):
            server_side_emit(name)  # type: ignore[arg-type]
        with pytest.raises(EventError):
            server_side_call(name)  # type: ignore[arg-type]
    with pytest.raises(EventError):
        server_side_call("refresh", timeout="long")  # type: ignore[arg-type]
    for ask in (channels, lambda namespace: server_side_emit("refresh", namespace=namespace)):
        with pytest.raises(EventError):
            ask("chat")


def test_without_a_server_nobody_can_be_asked() -> None:
    for ask in (channels, lambda: server_side_emit("refresh"), lambda: server_side_call("refresh")):
        with pytest.raises(NoSocket):
            ask()
