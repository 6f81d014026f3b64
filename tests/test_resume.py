"""Clients that come back, in memory: every moment between a loss and a return can be had exactly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from webpy_socketio import broadcast_channel
from webpy_socketio.errors import Disconnected
from webpy_socketio.events import Events
from webpy_socketio.sockets import Socket
from webpy_socketio.testing import TestServer
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.packets import EngineType, SocketPacket, SocketType
from webpy_socketio.wire.prepared import Prepared


class World:
    """A server, and what its handlers saw."""

    def __init__(self, **settings: Any) -> None:
        self.events = Events()
        self.sockets: list[Socket] = []
        self.seen: list[Any] = []
        self.events.on_connect(lambda request, socket, context: self.sockets.append(socket))
        self.events.on_disconnect(lambda request, socket, context: self.seen.append(str(socket.reason)))
        self.server = TestServer(self.events, recovery=True, **settings)


class Visit:
    """One connection of a client, and the packets it received.

    :param taken: whether they go out at once, and do not wait in the outbox as those of a polling client.
    """

    def __init__(self, world: World, auth: dict[str, Any] | None = None, *, taken: bool = True) -> None:
        self.texts: list[str] = []
        #: How many packets it received with each write.
        self.writes: list[int] = []
        self.client = world.server.client()
        self.session = self.client.session
        self.session.write = self._take if taken else None
        self.client._put(SocketPacket(SocketType.CONNECT, "/", auth))

    def _take(self, prepared: Prepared) -> None:
        before = len(self.texts)
        for kind, data in V4.codec.decode_payload(prepared.piece(V4), False):
            if kind is EngineType.MESSAGE:
                self.texts.append(str(data))
        self.writes.append(len(self.texts) - before)

    @property
    def pid(self) -> str:
        """The secret that it was told."""
        [welcome] = [text for text in self.texts if text.startswith("0")]
        return str(json.loads(welcome[1:])["pid"])

    @property
    def events(self) -> list[list[Any]]:
        """What it received, with offsets."""
        return [json.loads(text[1:]) for text in self.texts if text.startswith("2[")]

    @property
    def known(self) -> dict[str, Any]:
        """What an official client sends to come back: it takes every text at the end of an event for an offset."""
        texts = [event[-1] for event in self.events if len(event) > 1 and isinstance(event[-1], str)]
        return {"pid": self.pid, "offset": texts[-1]} if texts else {"pid": self.pid}


def test_who_comes_back_needs_no_token() -> None:
    """What was granted holds, and who the client is."""
    world = World(subscriptions="closed", secrets=["a secret for the tests"])
    visit = Visit(world)
    token = world.server.node.services.tokens.make("/", "room", "alice", 1)
    visit.client.emit("__subscribe__", "room", {"token": token})
    [socket] = world.sockets
    visit.client.close()
    world.server.advance(5)
    back = Visit(world, visit.known)
    assert (socket.recovered, socket.channels, socket.user) == (True, ["room"], "alice")
    with world.server:
        broadcast_channel("still here", "room")
        assert [event[1] for event in back.events] == ["still here"]


@pytest.mark.parametrize("to_all", [False, True])
def test_a_volatile_text_does_not_cost_the_client_its_place(to_all: bool) -> None:
    world = World()
    visit = Visit(world)
    [socket] = world.sockets
    socket.send("received")
    if to_all:
        Visit(world)
        world.sockets[1].to().emit("progress", "50%", volatile=True)
    else:
        socket.emit("progress", "50%", volatile=True)
    assert [event[:2] for event in visit.events] == [["message", "received"], ["progress", "50%"]]
    visit.client.close()
    socket.send("missed")
    back = Visit(world, visit.known)
    assert [event[:2] for event in back.events] == [["message", "missed"]]


def test_a_volatile_event_during_the_connect_goes_out_with_a_place_too() -> None:
    world = World()
    world.events.on_connect(lambda request, socket, context: socket.emit("progress", "0%", volatile=True))
    visit = Visit(world)
    visit.client.close()
    back = Visit(world, visit.known)
    assert (world.sockets[0].recovered, back.events) == (True, [])


def test_what_was_missed_and_the_answer_leave_at_once() -> None:
    """Official clients keep what came before an answer that does not come, and hand it on twice."""
    world = World()
    visit = Visit(world)
    visit.client.close()
    for number in range(5):
        world.sockets[0].send(number)
    back = Visit(world, visit.known)
    assert (back.writes, [event[1] for event in back.events]) == ([6], [0, 1, 2, 3, 4])
    assert back.texts[-1].startswith("0{")


@pytest.mark.parametrize("bounds", [{"max_outbox_packets": 10}, {"max_outbox_bytes": 2000}])
def test_what_does_not_fit_is_not_sent_in_part(bounds: dict[str, int]) -> None:
    """The client would be put out for being slow each time it came, and keep the part each time."""
    world = World(**bounds)
    visit = Visit(world)
    visit.client.close()
    for _ in range(20):
        world.sockets[0].send("x" * 100)
    back = Visit(world, visit.known, taken=False)
    assert (back.session.is_open, len(back.session.outbox), len(world.sockets)) == (True, 1, 2)
    assert world.seen == ["transport close"]
    assert world.server.hub.counters.not_recovered == 1


def test_what_just_fits_is_sent() -> None:
    world = World(max_outbox_packets=21)
    visit = Visit(world)
    visit.client.close()
    for _ in range(20):
        world.sockets[0].send("x")
    back = Visit(world, visit.known, taken=False)
    assert (back.session.is_open, len(back.session.outbox), len(world.sockets)) == (True, 1, 1)


@pytest.mark.parametrize(
    "auth", [{"pid": 4711, "offset": 3}, {"pid": "4711", "offset": "3"}, {"offset": 1}, {"pid": None}]
)
def test_the_applications_own_keys_are_its_own(auth: dict[str, Any]) -> None:
    world = World()
    Visit(world, dict(auth))
    assert world.sockets[0].auth == auth


def test_ours_are_not_shown() -> None:
    world = World()
    visit = Visit(world, {"pid": "-_" + "x" * 18, "offset": "abc", "name": "Bob"})
    assert world.sockets[0].auth == {"name": "Bob"}
    Visit(world, {**visit.known, "name": "Eve"})
    assert world.sockets[0].auth == {"name": "Eve"}


def test_a_question_is_over_when_the_client_comes_back_before_its_loss_was_noticed() -> None:
    world = World()
    visit = Visit(world)

    def come_back(*args: Any) -> None:
        Visit(world, visit.known)

    world.server.node.services.deadlines.add(1, come_back, None)
    with pytest.raises(Disconnected):
        world.sockets[0].call("question")
    assert world.server.now() < 2
    assert world.sockets[0].recovered
    assert world.seen == []


def test_more_ended_subscriptions_than_are_remembered() -> None:
    world = World()
    visit = Visit(world)
    [socket] = world.sockets
    for number in range(2000):
        socket.subscribe(f"channel {number}")
    visit.client.close()
    socket.to().send("to nobody else")
    socket.send("missed")
    for number in range(2000):
        socket.unsubscribe(f"channel {number}")
    Visit(world, visit.known)
    assert (socket.recovered, len(world.sockets)) == (False, 2)
