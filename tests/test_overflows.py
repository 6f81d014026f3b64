"""Clients that do not read, over real sockets: what is dropped, who waits, and who gets everything."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import gevent
import pytest

from tests.pairs import Client, World
from webpy_socketio import AckTimeout, Disconnected, EventError
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.targets import Target

PIECE = "x" * 1000


class Room:
    """Two clients that follow a channel, and one of them does not read."""

    def __init__(self, channel: str = "room", **settings: Any) -> None:
        settings.setdefault("max_outbox_packets", 20)
        self.world = World(**settings)
        self.channel = channel
        self.slow, self.quick = Client(self.world), Client(self.world)
        for socket in self.world.sockets:
            socket.subscribe(channel)

    @property
    def overflowed(self) -> dict[str, int]:
        """What was counted."""
        return dict(self.world.hub.counters.overflowed)

    def to(self, *channels: str) -> Target:
        """Sockets to send to."""
        return Target(self.world.node.services, Selection("/", channels))

    def emit(self, number: int, **more: Any) -> int:
        """Send a numbered piece to the channel, and let the quick one read."""
        reached = self.to(self.channel).emit("piece", {"number": number, "text": PIECE, **more})
        assert number_of(self.quick) == number
        return reached

    def fill(self) -> int:
        """Send pieces until the slow one has no more room, without a byte of slack; return how many that were."""
        number = 0
        while len(self.slow.session.outbox) < 20:
            self.emit(number)
            number += 1
        return number

    def left(self) -> list[int]:
        """The numbers of the pieces that the slow one reads at last, up to a mark."""
        numbers = []
        while self.slow.session.outbox or self.slow.session.write is None:
            numbers.append(number_of(self.slow))
        self.world.sockets[0].emit("mark")
        while not (text := self.slow.text()).startswith('42["mark"'):
            numbers.append(number_in(text))
        return numbers


def number_in(text: str) -> int:
    name, piece = json.loads(text[2:])[:2]
    assert (name, piece["text"]) == ("piece", PIECE)
    return int(piece["number"])


def number_of(client: Client) -> int:
    return number_in(client.text())


def test_the_oldest_are_dropped_and_each_is_counted() -> None:
    room = Room(overflow="drop_oldest")
    first = room.fill()
    for number in range(first, first + 100):
        assert room.emit(number) == 2
    numbers = room.left()
    assert numbers == [*range(first - 20), *range(first + 80, first + 100)]
    assert room.overflowed == {"drop_oldest": 100}
    assert room.world.ends == []


def test_the_newest_are_dropped_and_each_is_counted() -> None:
    room = Room(overflow="drop_newest")
    first = room.fill()
    for number in range(first, first + 100):
        assert room.emit(number) == 2
    assert room.left() == [*range(first)]
    assert room.overflowed == {"drop_newest": 100}


def test_nothing_declared_disconnects() -> None:
    room = Room()
    first = room.fill()
    assert room.emit(first) == 1
    assert room.overflowed == {"disconnect": 1}
    assert room.world.ended.wait(5)
    assert room.world.ends == ["slow"]


def test_a_channel_has_its_own_policy_and_the_rest_that_of_the_server() -> None:
    room = Room("prices-1")
    room.world.events.channel_overflow("^prices-", "drop_oldest")
    first = room.fill()
    for number in range(first, first + 10):
        assert room.emit(number) == 2
    room.to().emit("news")  # makes room for itself
    assert room.quick.text() == '42["news"]'
    assert room.overflowed == {"drop_oldest": 11}
    assert room.slow.session.is_open


def test_a_channel_may_be_stricter_than_the_server() -> None:
    room = Room("orders", overflow="drop_oldest")
    room.world.events.channel_overflow("^orders$", "disconnect")
    first = room.fill()
    assert room.emit(first) == 1
    assert room.overflowed == {"disconnect": 1}


def test_the_latest_of_each_key() -> None:
    room = Room("prices-1", max_outbox_packets=50)
    room.world.events.channel_overflow("^prices-", "latest", key=lambda event, piece: piece["key"])
    number = 0
    while not room.slow.session.outbox:
        room.emit(number, key=number)
        number += 1
    first = number - 1  # this one waits
    for number in range(first + 1, first + 101):
        room.emit(number, key=number % 3)
    assert len(room.slow.session.outbox) == 4
    newest = {number % 3: number for number in range(first + 1, first + 101)}
    in_the_order_of_their_keys = [newest[number % 3] for number in range(first + 1, first + 4)]
    assert room.left() == [*range(first + 1), *in_the_order_of_their_keys]
    assert room.overflowed == {"latest": 97}


def test_without_a_key_it_is_the_name_of_the_event() -> None:
    room = Room("prices-1")
    room.world.events.channel_overflow("^prices-", "latest")
    room.slow.session.write = None  # as if it were between two polls
    for number in range(3):
        room.to("prices-1").emit("price", number)
        room.to("prices-1").emit("status", number)
        room.to("prices-1").send(number)
    texts = [packet.text for packet in room.slow.session.outbox.take()]
    assert texts == [b'2["price",2]', b'2["status",2]', b'2["message",2]']


def test_channels_do_not_supersede_each_other() -> None:
    room = Room("prices-1")
    room.world.events.channel_overflow("^prices-", "latest")
    room.world.sockets[0].subscribe("prices-2")
    room.slow.session.write = None
    room.to("prices-1").emit("price", 1)
    room.to("prices-2").emit("price", 2)
    room.to("prices-1", "prices-2").emit("price", 3)
    assert len(room.slow.session.outbox) == 3


def test_a_key_that_fails_fails_the_sender_before_anybody_got_anything() -> None:
    room = Room("prices-1")
    room.world.events.channel_overflow("^prices-", "latest", key=lambda event, piece: piece["symbol"])
    with pytest.raises(EventError, match="KeyError: 'symbol'"):
        room.to("prices-1").emit("price", {})
    with pytest.raises(EventError, match="KeyError: 'symbol'"):
        room.to("prices-1").call("price", {})
    room.to("prices-1").emit("price", {"symbol": "ABC"})
    assert room.quick.text() == '42["price",{"symbol":"ABC"}]'


def test_what_the_kernel_took_in_part_arrives_whole() -> None:
    room = Room(overflow="drop_oldest", max_outbox_packets=2)
    for _ in range(20):
        room.world.sockets[0].send("y" * 100_000)
        room.world.sockets[0].send(b"z" * 50_000)
    while (text := room.slow.text()).startswith("42"):
        assert text == f'42["message","{"y" * 100_000}"]'
    assert text.startswith("451-")
    assert len(room.slow.frame().data) == 50_000  # an event was dropped with its attachments, or not at all


def test_a_question_is_not_dropped() -> None:
    room = Room(overflow="drop_newest")
    room.fill()
    room.to(room.world.sockets[0].sid).emit("dropped")
    asker = gevent.spawn(room.to(room.world.sockets[0].sid).call, "how many", timeout=5)
    gevent.sleep(0)
    while not (text := room.slow.text()).endswith('["how many"]'):
        pass
    room.slow.send(f'43{text[2:].partition("[")[0]}["many"]')
    assert asker.get(timeout=5) == ["many"]
    assert room.overflowed == {"drop_newest": 2}  # it took the place of another


def test_volatile_events_go_on_being_dropped_by_themselves() -> None:
    room = Room(overflow="drop_oldest")
    first = room.fill()
    room.to("room").emit("volatile", volatile=True)
    room.world.sockets[0].emit("volatile", volatile=True)
    assert room.left() == list(range(first))
    assert (room.overflowed, room.world.hub.counters.dropped_volatile) == ({}, 2)


def test_a_single_socket_has_the_policy_of_the_server_also_while_it_connects() -> None:
    world = World(overflow="drop_oldest", max_outbox_packets=3)
    world.events.on_connect(lambda request, socket, context: [socket.send(number) for number in range(50)])
    session = world.hub.open(world.node.converse, Client(world).session.dialect, "polling", {}, None)
    session.peer.receive("0")
    gevent.sleep(0)
    welcome, *texts = [packet.text for packet in session.outbox.take()]
    assert welcome is not None
    assert welcome.startswith(b"0{")  # never dropped
    assert texts == [b'2["message",48]', b'2["message",49]']


def test_it_is_told_once_for_each_connection(caplog: pytest.LogCaptureFixture) -> None:
    room = Room(overflow="drop_oldest")
    with caplog.at_level(logging.DEBUG, "webpy_socketio"):
        first = room.fill()
        for number in range(first, first + 10):
            room.emit(number)
    told = [record.getMessage() for record in caplog.records if "does not read" in record.getMessage()]
    assert told == [f"{room.slow.session} does not read as fast as it is sent to (drop_oldest); this is told once"]


# Waiting


def read_all(client: Client, seen: list[int], pause: float = 0.0) -> None:
    while True:
        seen.append(number_of(client))
        gevent.sleep(pause)


def test_a_sender_waits_for_room_and_the_others_do_not() -> None:
    room = Room(overflow="wait")
    first = room.fill()
    sender = gevent.spawn(room.to("room").emit, "piece", {"number": first, "text": PIECE})
    assert number_of(room.quick) == first  # before the sender has gone on
    gevent.sleep(0.02)
    assert not sender.ready()
    others = gevent.spawn(room.quick.send, '42["message","unharmed"]')
    assert room.quick.text() == '42["message","unharmed"]'
    seen: list[int] = []
    reader = gevent.spawn(read_all, room.slow, seen)
    assert sender.get(timeout=5) == 2
    with gevent.Timeout(5):
        while len(seen) <= first:
            gevent.sleep(0.001)
    reader.kill()
    others.join()
    assert seen == list(range(first + 1))
    assert room.overflowed == {"wait": 1}


def test_a_thread_waits_too() -> None:
    room = Room(overflow="wait")
    first = room.fill()
    sender = gevent.get_hub().threadpool.spawn(room.to("room").emit, "piece", {"number": first, "text": PIECE})
    assert number_of(room.quick) == first
    gevent.sleep(0.02)
    assert not sender.ready()
    assert [number_of(room.slow) for _ in range(first + 1)] == list(range(first + 1))
    assert sender.get(timeout=5) == 2


def test_everything_arrives_in_order_at_the_pace_of_the_slowest() -> None:
    room = Room(overflow="wait", max_outbox_packets=5)
    seen: list[int] = []
    quick: list[int] = []
    readers = [gevent.spawn(read_all, room.slow, seen, 0.0005), gevent.spawn(read_all, room.quick, quick)]
    for number in range(300):
        room.to("room").emit("piece", {"number": number, "text": PIECE})
        assert len(room.slow.session.outbox) <= 5
    with gevent.Timeout(5):
        while len(seen) < 300:
            gevent.sleep(0.001)
    gevent.killall(readers)
    assert seen == quick == list(range(300))
    assert room.overflowed["wait"] > 0


def test_who_makes_no_room_in_time_is_disconnected() -> None:
    room = Room(overflow="wait", overflow_timeout=0.05)
    first = room.fill()
    before = time.monotonic()
    room.emit(first)
    assert 0.04 < time.monotonic() - before < 2
    assert room.world.ended.wait(5)
    assert (room.world.ends, room.overflowed) == (["slow"], {"wait": 1, "disconnect": 1})


def test_a_channel_has_a_timeout_of_its_own() -> None:
    room = Room("jobs", overflow_timeout=60)
    room.world.events.channel_overflow("^jobs", "wait", timeout=0.05)
    first = room.fill()
    room.emit(first)
    assert room.world.ended.wait(5)
    assert room.world.ends == ["slow"]


def test_the_loop_does_not_wait() -> None:
    room = Room(overflow="wait", overflow_timeout=60)
    room.fill()
    sent: list[int] = []
    gevent.get_hub().loop.run_callback(lambda: sent.append(room.to("room").emit("from the loop")))
    assert room.world.ended.wait(5)
    assert (sent, room.world.ends) == ([2], ["slow"])
    assert room.quick.text() == '42["from the loop"]'


def test_a_sender_that_does_not_wait_long_enough_leaves_nothing_beyond_the_bound() -> None:
    room = Room(overflow="wait", overflow_timeout=60)
    room.fill()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
        room.to("room").emit("impatient")
    assert len(room.slow.session.outbox) == 0
    assert not room.slow.session.is_open


def test_a_question_that_is_given_up_while_it_waits_is_closed() -> None:
    room = Room(overflow="wait", overflow_timeout=60)
    room.fill()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
        room.to("room").call("impatient")
    assert room.world.node.services.desk._ballots == {}


def test_a_client_that_leaves_is_not_waited_for() -> None:
    room = Room(overflow="wait", overflow_timeout=60)
    first = room.fill()
    sender = gevent.spawn(room.to("room").emit, "piece", {"number": first, "text": PIECE})
    gevent.sleep(0.01)
    room.slow.raw.close()
    assert sender.get(timeout=5) == 2
    assert room.world.ended.wait(5)
    assert room.world.ends == ["transport close"]


@pytest.mark.parametrize("recovery", [False, True])
def test_a_single_socket_can_be_waited_for(recovery: bool) -> None:
    room = Room(overflow="wait", overflow_timeout=0.05, recovery=recovery)
    room.fill()
    room.world.sockets[0].send("one too many")
    assert room.overflowed == {"wait": 1, "disconnect": 1}
    assert not room.world.sockets[0].connected


def test_questions_wait_too() -> None:
    room = Room(overflow="wait", overflow_timeout=0.05)
    room.fill()
    with pytest.raises(AckTimeout, match="and 1 left"):
        room.to("room").call("how many", timeout=0.01)
    with pytest.raises(Disconnected):
        room.world.sockets[0].call("how many")
    assert room.overflowed == {"wait": 1, "disconnect": 1}


# Recovery


def come_back(room: Room, offset: str) -> Client:
    """The slow client loses its connection, and comes back with the offset of the last event that it received."""
    socket = room.world.sockets[0]
    room.slow.raw.close()
    with gevent.Timeout(5):
        while socket.connected:
            gevent.sleep(0.001)
    return Client(room.world, {"pid": socket.pid, "offset": offset})


def test_who_comes_back_gets_what_was_dropped_for_it() -> None:
    room = Room(overflow="drop_newest", recovery=True)
    first = room.fill()
    for number in range(first, first + 10):
        room.emit(number)
    texts = [room.slow.text() for _ in range(first)]
    back = come_back(room, json.loads(texts[-1][2:])[-1])
    assert [number_in(text) for text in back.early] == list(range(first, first + 10))
    assert room.world.hub.counters.recovered == 1


def test_who_comes_back_for_more_than_its_outbox_holds_starts_anew() -> None:
    room = Room(overflow="drop_oldest", recovery=True)
    first = room.fill()
    for number in range(first, first + 10):
        room.emit(number)
    back = come_back(room, json.loads(room.slow.text()[2:])[-1])
    assert back.early == []
    assert room.world.hub.counters.not_recovered == 1


def test_who_stays_does_not() -> None:
    room = Room(overflow="drop_oldest", recovery=True)
    first = room.fill()
    for number in range(first, first + 10):
        room.emit(number)
    assert room.left() == [*range(first - 20), *range(first - 10, first + 10)]


def test_with_offsets_the_latest_does_not_overtake_what_was_sent_before() -> None:
    """Or a client that got it only would say that it has the others, too."""
    room = Room("prices", recovery=True)
    room.world.events.channel_overflow("prices", "latest")
    room.slow.session.write = None
    room.to("prices").emit("price", 1)
    room.to().emit("news")
    room.to("prices").emit("price", 2)
    names = [json.loads((packet.text or b"")[1:]) for packet in room.slow.session.outbox.take()]
    assert names == [["news"], ["price", 2]]


def test_the_backplane_delivers_to_all_before_it_waits() -> None:
    room = Room(overflow="wait", overflow_timeout=0.05)
    first = room.fill()
    envelope = Envelope(Selection("/", ("room",)), ["piece", {"number": first, "text": PIECE}])
    assert room.world.node.services.backplane.publish(envelope) == 2
    assert number_of(room.quick) == first
