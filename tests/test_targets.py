"""Targets: who is meant, and what can be done to all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from webpy_socketio import AckTimeout, EventError, UnsendableValue, to
from webpy_socketio.events import Events
from webpy_socketio.identifiers import new_id
from webpy_socketio.sockets import Socket
from webpy_socketio.targets import LONGEST_WAIT, Target, seconds_to_wait
from webpy_socketio.testing import TestClient, TestServer

A, B, C = range(3)


class Room:
    """Three clients: the first is in ``one``, the second in ``one`` and ``two``, the third in ``two``."""

    def __init__(self, server: TestServer, events: Events) -> None:
        self.server = server
        self.events = events
        self.sockets: list[Socket] = []
        self.errors: list[BaseException] = []
        events.on_connect(lambda request, socket, context: self.sockets.append(socket))
        events.on_error(lambda request, socket, context, error: self.errors.append(error))
        self.clients = [self.enter("one"), self.enter("one", "two"), self.enter("two")]
        self.ids = [client.sids["/"] for client in self.clients]

    def enter(self, *channels: str) -> TestClient:
        """One more client."""
        client = self.server.client()
        assert client.connect()
        for channel in channels:
            assert client.subscribe(channel)
        return client

    def who_got(self, *event: Any) -> str:
        """Who received an event, once, and nothing else; then it is forgotten."""
        got = "".join("abc"[number] for number, client in enumerate(self.clients) if client.received == [[*event]])
        assert sum(len(client.received) for client in self.clients) == len(got)
        for client in self.clients:
            client.received.clear()
        return got

    @property
    def dropped(self) -> int:
        """How many volatile events were dropped."""
        return self.server.node.services.counters.dropped_volatile


@pytest.fixture
def room() -> Iterator[Room]:
    events = Events()
    with TestServer(events) as server:
        yield Room(server, events)


# Who is meant.


@pytest.mark.parametrize(
    ("target", "receivers"),
    [
        (lambda room: to(), "abc"),
        (lambda room: to("one"), "ab"),
        (lambda room: to("one", "two"), "abc"),
        (lambda room: to("one", "one", "nobody"), "ab"),
        (lambda room: to(room.ids[C]), "c"),
        (lambda room: to(room.ids[B], "one", room.ids[C]), "abc"),
        (lambda room: to(excluding="one"), "c"),
        (lambda room: to(excluding=room.ids[A]), "bc"),
        (lambda room: to("one", excluding="two"), "a"),
        (lambda room: to(excluding=["two", room.ids[A]]), ""),
        (lambda room: to("one", "two", excluding={"nobody", room.ids[B]}), "ac"),
        (lambda room: to(room.ids[A], excluding=room.ids[A]), ""),
        (lambda room: to(excluding=(name for name in ["one"])), "c"),
        (lambda room: to(local=True), "abc"),
        (lambda room: to("two", excluding=[room.ids[C]], local=True), "b"),
        (lambda room: to(namespace="/nowhere"), ""),
        (lambda room: room.sockets[A].to(), "bc"),
        (lambda room: room.sockets[A].to("one"), "b"),
        (lambda room: room.sockets[A].to(excluding=room.ids[B]), "c"),
        (lambda room: room.sockets[A].to(excluding=["two"]), ""),
        (lambda room: room.sockets[A].to(room.ids[A]), ""),
    ],
)
def test_who_is_meant(room: Room, target: Callable[[Room], Target], receivers: str) -> None:
    assert target(room).emit("news", 1, [2]) == len(receivers)
    assert room.who_got("news", 1, [2]) == receivers
    assert target(room).send("x") == len(receivers)
    assert room.who_got("message", "x") == receivers
    ids = [room.ids["abc".index(letter)] for letter in receivers]
    assert sorted(details.session_id for details in target(room).sockets()) == sorted(ids)


@pytest.mark.parametrize("channels", [(["a"],), (5,), (None,), ("",), (b"a",), ("a", 1), (("a", "b"),)])
def test_names_that_are_none(room: Room, channels: Any) -> None:
    for make in (to, room.sockets[A].to):
        with pytest.raises(EventError, match=r"is a text, not .*several are separate arguments"):
            make(*channels)
        with pytest.raises(EventError, match="is a text, not"):
            make(excluding=channels)


@pytest.mark.parametrize("excluding", [5, None, 1.5, object()])
def test_exclusions_that_are_none(room: Room, excluding: Any) -> None:
    for make in (to, room.sockets[A].to):
        with pytest.raises(EventError, match="excluding="):
            make(excluding=excluding)


@pytest.mark.parametrize("namespace", ["chat", "", None, 5, ["/"]])
def test_namespaces_that_are_none(room: Room, namespace: Any) -> None:
    with pytest.raises(EventError, match="namespace="):
        to(namespace=namespace)


def test_a_target_is_used_again_and_looks_anew(room: Room) -> None:
    target = to("one")
    room.clients[C].subscribe("one")
    assert target.emit("x") == 3
    room.clients[A].close()
    assert target.emit("x") == 2


def test_a_target_outlives_its_server(room: Room) -> None:
    target = to()
    room.server.__exit__(None, None, None)
    room.server.node.stop(1)
    assert (target.emit("x"), target.sockets(), target.call("x")) == (0, [], [])
    target.subscribe("one")
    target.unsubscribe("one")
    target.disconnect()


def test_in_on_connect_the_others_are_reached(room: Room) -> None:
    seen: list[Any] = []

    @room.events.on_connect
    def greet(request: Any, socket: Socket, context: Any) -> None:
        seen.append(socket.to().emit("somebody comes"))
        seen.append(len(to().sockets()))
        socket.to().subscribe("all")

    client = room.enter()
    assert seen == [3, 3]
    assert room.who_got("somebody comes") == "abc"
    assert client.received == []
    assert room.sockets[-1].channels == []
    assert room.sockets[A].channels == ["one", "all"]


# Sending.


@pytest.mark.parametrize("name", ["connect", "disconnect", "connect_error", "newListener", 5, None, ["x"]])
def test_reserved_names(room: Room, name: Any) -> None:
    for attempt in (to().emit, to().call):
        with pytest.raises(EventError, match="cannot be the name of an event"):
            attempt(name)


@pytest.mark.parametrize("value", [float("nan"), object(), [b""] * 11, [{"_placeholder": True, "num": 5}, b""]])
def test_what_no_client_could_take_fails_the_caller_and_reaches_nobody(room: Room, value: Any) -> None:
    for attempt in (to().send, lambda value: to().call("ask", value), lambda value: to("nobody").emit("x", value)):
        with pytest.raises(UnsendableValue):
            attempt(value)
    assert room.who_got() == ""
    assert all(client.connected for client in room.clients)
    assert room.server.node.services.desk._ballots == {}


def test_the_error_about_too_many_attachments_says_so(room: Room) -> None:
    with pytest.raises(UnsendableValue, match="holds 11 binary values; receivers take 10"):
        to().emit("files", *[b"x"] * 11)


def test_volatile_is_dropped_and_counted_when_a_client_is_not_ready(room: Room) -> None:
    room.clients[B].session.write = None  # like a socket whose buffer is full
    assert to().emit("position", 1, volatile=True) == 2
    assert to("two").send("x", volatile=True) == 1
    assert room.dropped == 2
    assert [len(client.received) for client in room.clients] == [1, 0, 2]
    assert len(room.clients[B].session.outbox) == 0
    assert to("one").emit("kept") == 2
    assert len(room.clients[B].session.outbox) == 1


# Asking.


def answer(room: Room, *values: Any) -> None:
    """Let the clients acknowledge; None lets one stay silent."""
    for client, value in zip(room.clients, values, strict=True):
        if value is not None:
            client.acknowledge["ask"] = lambda *args, value=value: value


def test_all_answer(room: Room) -> None:
    answer(room, 1, [2, 3], {"c": 3})
    assert to().call("ask", "what") == [1, [2, 3], {"c": 3}]
    assert room.sockets[B].to("one").call("ask") == [1]
    assert room.server.now() == 0
    assert room.server.node.services.desk._ballots == {}


def test_nobody_is_asked(room: Room) -> None:
    assert to("nobody").call("ask") == []
    assert room.server.now() == 0


def test_some_stay_silent(room: Room) -> None:
    answer(room, 1, None, None)
    with pytest.raises(AckTimeout, match="1 acknowledged 'ask' within 3 seconds, 2 did not, and 0 left") as caught:
        to().call("ask", timeout=3)
    assert caught.value.answers == [1]
    assert room.server.now() == 3
    counters = room.server.node.services.counters
    assert counters.expired_acks == 2
    assert room.server.node.services.desk._ballots == {}


def test_the_setting_is_the_timeout() -> None:
    events = Events()
    with TestServer(events, ack_timeout=7) as server:
        Room(server, events)
        with pytest.raises(AckTimeout, match="within 7"):
            to().call("ask")
        assert server.now() == 7


def test_one_leaves_meanwhile(room: Room) -> None:
    answer(room, 1, 2, None)
    room.clients[C].acknowledge["ask"] = lambda: room.clients[C].close()
    with pytest.raises(AckTimeout, match=r"2 acknowledged 'ask'.* 0 did not, and 1 left") as caught:
        to().call("ask")
    assert caught.value.answers == [1, 2]
    assert room.server.now() == 0, "nobody is waited for who is gone"


def test_one_loses_its_connection_meanwhile_but_may_come_back() -> None:
    """Its answer would not come back with it: it is as if it had left."""
    events = Events()
    with TestServer(events, recovery=True) as server:
        room = Room(server, events)
        answer(room, 1, 2, None)
        room.clients[C].acknowledge["ask"] = lambda *args: room.clients[C].close()
        with pytest.raises(AckTimeout, match="1 left"):
            to().call("ask")
        assert len(to().sockets()) == 2
        with pytest.raises(AckTimeout):
            to().call("unanswered", timeout=1)
        assert server.now() == 1


def test_one_leaves_the_namespace_meanwhile(room: Room) -> None:
    answer(room, 1, 2, None)
    room.clients[C].acknowledge["ask"] = lambda: room.clients[C].disconnect()
    with pytest.raises(AckTimeout, match="1 left"):
        to().call("ask")


def test_a_client_that_is_too_slow_to_be_asked_is_not_waited_for() -> None:
    events = Events()
    with TestServer(events, max_outbox_packets=1) as server:
        room = Room(server, events)
        answer(room, 1, 2, 3)
        room.clients[C].session.write = None
        to(room.ids[C]).send("fills the outbox")
        with pytest.raises(AckTimeout, match="1 left") as caught:
            to().call("ask")
        assert caught.value.answers == [1, 2]
        assert server.now() == 0


def test_the_sender_is_asked_by_its_own_handler(room: Room) -> None:
    room.events.on_event("poll")(lambda request, socket, context: to().call("ask"))
    answer(room, 1, 2, 3)
    assert room.clients[A].call("poll") == [[1, 2, 3]]


def test_a_question_that_is_broken_off_is_forgotten(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(BaseException):
        """Like gevent.Timeout in the caller."""

    class Waiter:
        def set(self) -> None: ...

        def wait(self, timeout: float | None = None) -> bool:
            raise Interrupted

    monkeypatch.setattr(room.server, "waiter", Waiter)
    with pytest.raises(Interrupted):
        to().call("ask")
    assert room.server.node.services.desk._ballots == {}


@pytest.mark.parametrize("timeout", ["5", True, float("nan"), object(), [1]])
def test_a_timeout_is_a_number(room: Room, timeout: Any) -> None:
    for attempt in (to().call, room.sockets[A].call):
        with pytest.raises(EventError, match="timeout="):
            attempt("ask", timeout=timeout)
    assert room.who_got() == "", "nobody was asked"


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, 60), (1.5, 1.5), (0, 0), (-2, 0), (float("inf"), LONGEST_WAIT)]
)
def test_seconds_to_wait(timeout: float | None, seconds: float) -> None:
    assert seconds_to_wait(timeout, 60) == seconds


# Operations.


def test_sockets_are_listed_with_channels_and_a_copy_of_their_context(room: Room) -> None:
    room.sockets[B].context["name"] = "Bob"
    (details,) = to(room.ids[B]).sockets()
    assert (details.session_id, details.channels, details.context) == (room.ids[B], ["one", "two"], {"name": "Bob"})
    details.channels.append("three")
    details.context["name"] = "Eve"
    assert (room.sockets[B].channels, room.sockets[B].context) == (["one", "two"], {"name": "Bob"})


def test_subscribe_and_unsubscribe_without_asking(room: Room) -> None:
    asked: list[str] = []
    room.events.on_subscribe(lambda request, socket, context, channel: asked.append(channel))
    to("one").subscribe("three", "four", "one")
    assert [socket.channels for socket in room.sockets] == [
        ["one", "three", "four"], ["one", "two", "three", "four"], ["two"]
    ]  # fmt: skip
    to(excluding=room.ids[A]).unsubscribe("three", "two", "never")
    assert [socket.channels for socket in room.sockets] == [["one", "three", "four"], ["one", "four"], []]
    assert to("three").emit("x") == 1
    assert asked == []


@pytest.mark.parametrize("channel", ["", None, 5, ["a"]])
def test_a_channel_has_a_name(room: Room, channel: Any) -> None:
    for attempt in (to().subscribe, to().unsubscribe):
        with pytest.raises(EventError, match="a channel has a name"):
            attempt("fine", channel)
    assert room.sockets[A].channels == ["one"]


@pytest.mark.parametrize("private", [new_id(), f"/chat#{new_id()}"], ids=["main", "namespace"])
def test_nobody_is_subscribed_to_a_private_channel(room: Room, private: str) -> None:
    for attempt in (to().subscribe, room.sockets[A].subscribe):
        with pytest.raises(EventError, match="private channel"):
            attempt(private)


def test_disconnect(room: Room) -> None:
    ends: list[Any] = []
    room.events.on_disconnect(lambda request, socket, context: ends.append((socket.sid, str(socket.reason))))
    to("one", excluding="two").disconnect()
    assert [client.kicked for client in room.clients] == [["/"], [], []]
    to().disconnect()
    assert ends == [(sid, "server namespace disconnect") for sid in room.ids]
    assert to().sockets() == []
    assert room.errors == []


def test_handlers_that_put_others_out_in_the_middle_of_it(room: Room) -> None:
    room.events.on_disconnect(lambda request, socket, context: to().disconnect())
    room.events.on_finish(lambda request, socket, context: socket.broadcast_channel("left"))
    to(room.ids[A]).disconnect()
    assert [client.kicked for client in room.clients] == [["/"]] * 3
    assert room.errors == []
