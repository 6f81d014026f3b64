"""What a handler can do with a socket: to its client, to others, to its channels."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from webpy_socketio import AckTimeout, Disconnected, EventError, UnsendableValue
from webpy_socketio.events import Events
from webpy_socketio.sockets import Socket
from webpy_socketio.testing import TestClient, TestServer


class Stage:
    """A server whose sockets a test can hold, with a client for each."""

    def __init__(self) -> None:
        self.events = Events()
        self.server = TestServer(self.events)
        self.sockets: list[Socket] = []
        self.errors: list[Exception] = []
        self.events.on_connect(lambda request, socket, context: self.sockets.append(socket))
        self.events.on_error(lambda request, socket, context, error: self.errors.append(error))

    def enter(self, *channels: str) -> tuple[TestClient, Socket]:
        client = self.server.client()
        client.connect()
        for channel in channels:
            client.subscribe(channel)
        return client, self.sockets[-1]


@pytest.fixture
def stage() -> Stage:
    return Stage()


A, B, C, NOBODY = "a", "b", "c", ""


@pytest.mark.parametrize(
    ("send", "receivers"),
    [
        (lambda socket: socket.send("x"), A),
        (lambda socket: socket.broadcast("x"), B + C),
        (lambda socket: socket.send_and_broadcast("x"), A + B + C),
        (lambda socket: socket.broadcast_channel("x"), B),
        (lambda socket: socket.broadcast_channel("x", "room-1"), B),
        (lambda socket: socket.broadcast_channel("x", "room-2"), C),
        (lambda socket: socket.broadcast_channel("x", "room-9"), NOBODY),
        (lambda socket: socket.send_and_broadcast_channel("x"), A + B),
        (lambda socket: socket.send_and_broadcast_channel("x", "room-1"), A + B),
        (lambda socket: socket.send_and_broadcast_channel("x", "room-2"), A + C),
        (lambda socket: socket.send_and_broadcast_channel("x", "room-9"), A),
    ],
)
def test_who_gets_what(stage: Stage, send: Callable[[Socket], None], receivers: str) -> None:
    a, socket = stage.enter("room-1")
    b, _ = stage.enter("room-1")
    c, _ = stage.enter("room-2")
    send(socket)
    got = "".join(name for name, client in zip("abc", (a, b, c), strict=True) if client.received == [["message", "x"]])
    assert got == receivers
    assert sum(len(client.received) for client in (a, b, c)) == len(receivers)


def test_a_receiver_in_several_channels_gets_it_once(stage: Stage) -> None:
    _, socket = stage.enter("room-1", "room-2")
    other, _ = stage.enter("room-1", "room-2")
    socket.broadcast_channel("x")
    socket.send_and_broadcast_channel("y")
    assert other.received == [["message", "x"], ["message", "y"]]


def test_without_channels_a_broadcast_to_them_reaches_nobody_else(stage: Stage) -> None:
    client, socket = stage.enter()
    other, _ = stage.enter("room-1")
    socket.broadcast_channel("x")
    socket.send_and_broadcast_channel("y")
    assert other.received == []
    assert client.received == [["message", "y"]]


def test_channels_in_the_order_of_subscription(stage: Stage) -> None:
    client, socket = stage.enter("b", "a")
    socket.subscribe("c")
    socket.subscribe("a")
    client.unsubscribe("b")
    assert socket.channels == ["a", "c"]
    socket.unsubscribe("never")
    socket.channels.append("not really")
    assert socket.channels == ["a", "c"]


@pytest.mark.parametrize("channel", ["", None, 5])
def test_a_channel_needs_a_name(stage: Stage, channel: Any) -> None:
    _, socket = stage.enter()
    with pytest.raises(EventError, match="a channel has a name"):
        socket.subscribe(channel)


def test_the_names_of_a_socket(stage: Stage) -> None:
    client, socket = stage.enter()
    assert socket.session.session_id == socket.sid == client.sids["/"]
    assert socket.session.session_id != client.session.sid, "the id of the connection is a secret"
    assert (socket.namespace, socket.connected, socket.auth, socket.reason) == ("/", True, {}, None)


def test_emit_with_a_callback(stage: Stage) -> None:
    answers: list[Any] = []
    client, socket = stage.enter()
    client.acknowledge["ask"] = lambda question: question + "!"
    socket.emit("ask", "who", callback=answers.append)
    assert answers == ["who!"]


def test_an_ack_that_never_comes_is_given_up(stage: Stage) -> None:
    answers: list[Any] = []
    _, socket = stage.enter()
    socket.emit("ask", callback=answers.append)
    stage.server.advance(100)
    assert answers == []
    assert stage.server.hub.counters.expired_acks == 1


def test_a_callback_that_fails_reaches_on_error(stage: Stage) -> None:
    client, socket = stage.enter()
    client.acknowledge["ask"] = lambda: None
    socket.emit("ask", callback=lambda answer: 1 / 0)
    assert [type(error) for error in stage.errors] == [ZeroDivisionError]


def test_call_inside_a_handler(stage: Stage) -> None:
    stage.events.on_event("double")(lambda request, socket, context, n: socket.call("times", n, 2))
    client, _ = stage.enter()
    client.acknowledge["times"] = lambda a, b: a * b
    assert client.call("double", 21) == [42]


def test_call_times_out(stage: Stage) -> None:
    _, socket = stage.enter()
    with pytest.raises(AckTimeout, match="within 3 seconds"):
        socket.call("ask", timeout=3)
    assert stage.server.now() == 3


def test_call_of_a_client_that_leaves(stage: Stage) -> None:
    client, socket = stage.enter()
    client.acknowledge["ask"] = lambda: client.close()
    with pytest.raises(Disconnected):
        socket.call("ask", timeout=3)
    with pytest.raises(Disconnected):
        socket.call("ask", timeout=3)


def test_call_in_on_connect_lets_the_client_in(stage: Stage) -> None:
    names: list[Any] = []
    stage.events.on_connect(lambda request, socket, context: names.append(socket.call("name")))
    client = stage.server.client()
    client.acknowledge["name"] = lambda: "Ada"
    assert client.connect()
    assert names == ["Ada"]


@pytest.mark.parametrize("name", ["connect", "disconnect", "connect_error", "newListener", 5, None])
def test_reserved_names_cannot_be_sent(stage: Stage, name: Any) -> None:
    _, socket = stage.enter()
    with pytest.raises(EventError):
        socket.emit(name)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), [b""] * 11])
def test_what_cannot_be_sent_fails_the_caller_and_reaches_nobody(stage: Stage, value: Any) -> None:
    client, socket = stage.enter("room-1")
    other, _ = stage.enter("room-1")
    for send in (socket.send, socket.broadcast, socket.broadcast_channel, socket.send_and_broadcast_channel):
        with pytest.raises(UnsendableValue):
            send(value)
    assert client.received == other.received == []
    assert client.connected


def test_binary_values_arrive_as_bytes(stage: Stage) -> None:
    client, socket = stage.enter()
    socket.emit("file", {"name": "a", "parts": [b"\x00\x01", bytearray(b"\x02")]}, b"")
    assert client.received == [["file", {"name": "a", "parts": [b"\x00\x01", b"\x02"]}, b""]]


def test_disconnect_puts_the_client_out(stage: Stage) -> None:
    client, socket = stage.enter()
    socket.disconnect()
    assert client.kicked == ["/"]
    assert (socket.connected, str(socket.reason)) == (False, "server namespace disconnect")
    socket.send("nobody hears this")
    socket.disconnect()
    assert client.kicked == ["/"]
    assert client.received == []


def test_disconnect_in_on_connect_lets_the_client_in_first(stage: Stage) -> None:
    stage.events.on_connect(lambda request, socket, context: socket.disconnect())
    client = stage.server.client()
    client.connect()
    assert client.kicked == ["/"]
    assert not stage.sockets[0].connected


def test_a_client_that_overflows_while_it_is_let_in_is_forgotten() -> None:
    stage = Stage()
    stage.server = TestServer(stage.events, max_outbox_bytes=1000)
    stage.events.on_connect(lambda request, socket, context: [socket.send("x" * 600) for _ in range(5)])
    client = stage.server.client()
    client.session.write = None  # like a poll that is not there
    client.connect()
    assert stage.server.node.services.delivery.membership("/").everybody == {}
    assert len(stage.server.hub) == 0


def test_an_ack_that_came_keeps_nobody_alive(stage: Stage) -> None:
    client, socket = stage.enter()
    client.acknowledge["ask"] = lambda: "yes"
    socket.emit("ask", callback=lambda answer: None)
    reference = weakref.ref(socket)
    client.close()
    stage.sockets.clear()
    del client, socket
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("callback", [5, "x", [print]])
def test_a_callback_is_a_function(stage: Stage, callback: Any) -> None:
    client, socket = stage.enter()
    with pytest.raises(EventError, match="callback="):
        socket.emit("ask", callback=callback)
    assert client.received == []


# Volatile sends.


def test_volatile_is_sent_to_a_client_that_is_ready(stage: Stage) -> None:
    client, socket = stage.enter()
    socket.emit("position", 1, volatile=True)
    assert client.received == [["position", 1]]
    assert dropped(stage) == 0


def test_volatile_is_dropped_and_counted_when_the_client_is_not_ready(stage: Stage) -> None:
    client, socket = stage.enter()
    write, client.session.write = client.session.write, None  # like a socket whose buffer is full
    for number in range(3):
        socket.emit("position", number, volatile=True)
    assert (dropped(stage), len(client.session.outbox)) == (3, 0)
    client.session.write = write
    socket.emit("position", 3, volatile=True)
    assert client.received == [["position", 3]]


def test_volatile_to_a_poll_that_is_held_and_to_none(stage: Stage) -> None:
    client, socket = stage.enter()
    client.session.write = None
    client.session.is_awaited = True
    socket.emit("position", 1, volatile=True)
    assert (len(client.session.outbox), dropped(stage)) == (1, 0)
    socket.emit("position", 2, volatile=True)
    assert (len(client.session.outbox), dropped(stage)) == (1, 1), "the held poll is answered with the first"


def test_volatile_in_on_connect_waits_for_the_decision(stage: Stage) -> None:
    stage.events.on_connect(lambda request, socket, context: socket.emit("position", 1, volatile=True))
    client, _ = stage.enter()
    assert client.received == [["position", 1]]


def test_volatile_to_who_left_the_namespace_is_dropped(stage: Stage) -> None:
    """Though the connection, which may carry other namespaces, still stands."""
    client, socket = stage.enter()
    client.disconnect()
    client.connect()
    socket.emit("position", 1, volatile=True)
    assert (client.received, dropped(stage)) == ([], 1)


def test_volatile_with_a_callback_that_is_dropped_expects_nothing(stage: Stage) -> None:
    client, socket = stage.enter()
    client.session.write = None
    socket.emit("ask", callback=lambda answer: None, volatile=True)
    stage.server.hub.deadlines.expire(100)
    assert stage.server.hub.counters.expired_acks == 0


def dropped(stage: Stage) -> int:
    """How many volatile events were dropped."""
    return stage.server.node.services.counters.dropped_volatile


# Work that ends with the connection.


class Greenlets:
    """Stands for a runner whose spawned functions wait until the test runs them."""

    def __init__(self, stage: Stage) -> None:
        self.jobs: list[Callable[[], object]] = []
        self.killed: list[Callable[[], object]] = []
        stage.server.spawn = self.spawn  # type: ignore[method-assign]

    def spawn(self, job: Callable[[], object]) -> Callable[[], None]:
        self.jobs.append(job)
        return lambda: self.killed.append(job)


def test_spawned_work_gets_its_arguments(stage: Stage) -> None:
    done: list[Any] = []
    _, socket = stage.enter()
    socket.spawn(lambda *args: done.append(args), 1, "two")
    assert done == [(1, "two")]


def test_spawned_work_that_fails_reaches_on_error(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    client, socket = stage.enter()
    socket.spawn(lambda: 1 / 0)
    assert [type(error) for error in stage.errors] == [ZeroDivisionError]
    assert "a spawned function raised ZeroDivisionError" in caplog.text
    assert client.connected


@pytest.mark.parametrize("end", ["close", "disconnect", "kick"])
def test_spawned_work_ends_with_the_connection(stage: Stage, end: str) -> None:
    greenlets = Greenlets(stage)
    client, socket = stage.enter()
    for _ in range(3):
        socket.spawn(lambda: None)
    greenlets.jobs[1]()
    assert greenlets.killed == []
    {"close": client.close, "disconnect": client.disconnect, "kick": socket.disconnect}[end]()
    assert greenlets.killed == [greenlets.jobs[0], greenlets.jobs[2]], "what has ended is not ended again"
    with pytest.raises(Disconnected, match="the connection is over"):
        socket.spawn(lambda: None)


def test_spawned_work_of_a_client_that_is_refused(stage: Stage) -> None:
    greenlets = Greenlets(stage)

    @stage.events.on_connect
    def connect(request: Any, socket: Socket, context: Any) -> bool:
        socket.spawn(lambda: None)
        return False

    client = stage.server.client()
    assert not client.connect()
    assert greenlets.killed == greenlets.jobs
    with pytest.raises(Disconnected):
        stage.sockets[0].spawn(lambda: None)


def test_spawned_work_of_a_client_that_leaves_while_it_is_let_in(stage: Stage) -> None:
    greenlets = Greenlets(stage)

    @stage.events.on_connect
    def connect(request: Any, socket: Socket, context: Any) -> None:
        socket.spawn(lambda: None)
        client.close()
        with pytest.raises(Disconnected):
            socket.spawn(lambda: None)

    client = stage.server.client()
    client.connect()
    assert len(greenlets.jobs) == 1
    assert greenlets.killed == greenlets.jobs
    assert stage.errors == []


def test_spawned_work_that_has_not_begun_does_not_begin_any_more(stage: Stage) -> None:
    done: list[str] = []

    @stage.events.on_message
    def work(request: Any, socket: Socket, context: Any, message: str) -> None:
        socket.spawn(done.append, message)
        if message == "leave":
            socket.disconnect()

    client, _ = stage.enter()
    client.send("stay")
    client.send("leave")
    assert done == ["stay"]


def test_at_the_end_nothing_is_spawned_any_more(stage: Stage) -> None:
    stage.events.on_disconnect(lambda request, socket, context: socket.spawn(print))
    client, _ = stage.enter()
    client.close()
    assert [type(error) for error in stage.errors] == [Disconnected]


@pytest.mark.parametrize("function", [None, 5, "work"])
def test_what_is_spawned_is_a_function(stage: Stage, function: Any) -> None:
    _, socket = stage.enter()
    with pytest.raises(EventError, match="spawn takes a function"):
        socket.spawn(function)


def test_what_spawns_keeps_nobody_alive(stage: Stage) -> None:
    client, socket = stage.enter()
    socket.spawn(lambda: None)
    reference = weakref.ref(socket)
    client.close()
    stage.sockets.clear()
    del client, socket
    gc.collect()
    assert reference() is None
