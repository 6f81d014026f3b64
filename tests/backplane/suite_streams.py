"""The backplane over a stream keeps the promises of all, and those between processes. Needs gevent's patches.

``test_redis.py`` runs this, with the port of a Redis server in REDIS_PORT.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import redis

from tests.backplane.cluster_contract import ClusterContract, Process
from tests.backplane.contract import BackplaneContract, as_text, message
from tests.fakes import FakeMember, make_delivery
from tests.serving import wait_for
from webpy_socketio.backplane.contract import Backplane
from webpy_socketio.backplane.streams import StreamsBackplane
from webpy_socketio.delivery import Delivery
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.errors import AckTimeout, UnsendableValue
from webpy_socketio.events import Events
from webpy_socketio.metrics import Counters
from webpy_socketio.settings import load_settings
from webpy_socketio.transports.workers import Workers
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.prepared import Prepared

URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"


def make(events: Events | None = None, **options: Any) -> StreamsBackplane:
    """A process that has not started yet."""
    settings = load_settings({"redis_timeout": 2, "redis_adapter": "streams", **options})
    return StreamsBackplane(settings, options.get("redis_url", URL), events or Events(), Workers())


class TestStreamsBackplane(BackplaneContract):
    """The suite of the contract."""

    factory = staticmethod(make)
    is_ordered = False

    @pytest.fixture
    def backplane(self, delivery: Delivery) -> Iterator[Backplane]:
        backplane = make(recovery=self.is_ordered)
        backplane.start(delivery)
        wait_for(lambda: backplane.is_ready)
        yield backplane
        backplane.stop(1)


class TestOrderedStreamsBackplane(TestStreamsBackplane):
    """The same, where everything is delivered on its way back from the stream."""

    is_ordered = True

    def test_order_of_what_a_receiver_publishes(self, backplane: Backplane, delivery: Delivery) -> None:
        """What is published while something is delivered takes the same way, and nobody waits for it."""
        member, echo = FakeMember(delivery, "b"), FakeMember(delivery, "a")

        def publish_another(prepared: Prepared) -> None:
            backplane.publish(message("second", "b"))

        echo.link.write = publish_another
        backplane.publish(message("first", "b"))
        backplane.publish(message("again", "a"))
        backplane.publish(message("last", "b"))
        assert member.texts == [as_text("first"), as_text("second"), as_text("last")]


class TestStreamsCluster(ClusterContract):
    """The suite of what holds between processes."""

    make = staticmethod(make)


class TestOrderedStreamsCluster(TestStreamsCluster):
    """The same, with recovery."""

    options = {"recovery": True}


@pytest.fixture(params=[False, True], ids=["plain", "recovery"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Process, Process]]:
    """Two processes, without recovery and with it."""
    processes = Process(make, recovery=request.param), Process(make, recovery=request.param)
    yield processes
    for process in processes:
        process.backplane.stop(1)


@pytest.fixture
def connection() -> Iterator[Any]:
    with redis.Redis.from_url(URL) as connection:
        yield connection


def test_with_recovery_all_see_the_same_order(connection: Any) -> None:
    processes = [Process(make, recovery=True) for _ in range(3)]
    members = [process.member(str(number), "room") for number, process in enumerate(processes)]
    workers = Workers()
    for process in processes:
        for number in range(50):
            workers.start(process.backplane.publish, message(f"{id(process)} {number}", "room"))
    wait_for(lambda: all(len(member.texts) == 150 for member in members))
    assert members[0].texts == members[1].texts == members[2].texts
    assert all(prepared.has_offset for member in members for prepared in member.received)
    places = [json.loads(str(prepared._text(V4), "utf-8")[1:])[-1] for prepared in members[0].received]
    assert places == [entry.decode() for entry, _ in connection.xrevrange("socket.io", count=150)][::-1]
    for process in processes:
        process.backplane.stop(1)


def test_binary_values_are_in_base64(pair: tuple[Process, Process], connection: Any) -> None:
    here, there = pair
    member = there.member("a")
    here.backplane.publish(message(b"\x01"))
    wait_for(lambda: member.received)
    assert member.received[0].attachments == [b"\x01"]
    fields = connection.xrevrange("socket.io", count=1)[0][1]
    assert msgpack.unpackb(base64.b64decode(fields[b"data"]))["packet"] == {"type": 2, "data": ["message", b"\x01"]}


DATA = b'{"packet":{"type":2,"data":["e"]},"opts":{"rooms":[],"except":[],"flags":{}}}'
GARBAGE = [
    {"a": "b"},
    {"nsp": "/"},
    {"nsp": "/", "type": "x", "uid": "u"},
    {"nsp": "/", "type": "3", "uid": "u", "data": "{"},
    {"nsp": "/", "type": "3", "uid": "u", "data": "not base64"},
    {"nsp": "/", "type": "3", "uid": "u", "data": "wQ=="},
    {"nsp": "/", "type": "3", "uid": "u", "data": base64.b64encode(b"\x01")},
    {"nsp": "/", "type": "3", "uid": b"\xff", "data": "{}"},
    {"nsp": "/", "type": "3", "uid": "u", "data": '{"packet":[]}'},
    {"nsp": "/", "type": "3", "uid": "u", "data": '{"packet":{"type":2,"data":["disconnect"]}}'},
    {"nsp": "/", "type": "4", "uid": "u", "data": '{"rooms":["x"]}'},
    {"nsp": "/", "type": "6", "uid": "u", "data": '{"opts":null,"close":true}'},
    {"nsp": "/", "type": "7", "uid": "u", "data": "{}"},
    {"nsp": "/", "type": "9", "uid": "u", "data": '{"packet":7}'},
    {"nsp": "/", "type": "1", "uid": "u"},
    {"nsp": "/", "type": "99999999999999999999", "uid": "u"},
    {"nsp": "/", "type": "3", "uid": "u", "data": DATA, "n": "-1"},
]


def test_nothing_that_arrives_does_harm(
    pair: tuple[Process, Process], connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    here, _ = pair
    member = here.member("a", "room")
    for fields in GARBAGE:
        connection.xadd("socket.io", fields)
    for payload in (b"", b"\xc1", msgpack.packb([]), msgpack.packb({"uid": "u", "nsp": "/", "type": 7, "data": 1})):
        connection.publish("socket.io#/#", payload)
    connection.publish("socket.io-handovers#", b"\xff")
    connection.xadd("socket.io", {"nsp": "/", "type": "3", "uid": "other", "data": DATA.replace(b'"e"', b'"last"')})
    wait_for(lambda: '2["last"]' in member.texts)
    assert member.texts == ['2["e"]', '2["last"]']
    assert member.done == []
    assert here.backplane.is_ready
    assert all(record.getMessage().isprintable() and record.exc_info is None for record in caplog.records)


def test_what_an_emitter_of_nodes_adds(pair: tuple[Process, Process], connection: Any) -> None:
    here, _ = pair
    member, other = here.member("a", "room"), here.member("b")
    head = {"uid": "emitter", "nsp": "/"}
    opts = '{"rooms":["room"],"except":[],"flags":{}}'
    packet = f'{{"packet":{{"type":2,"data":["hi"],"nsp":"/"}},"opts":{opts}}}'
    connection.xadd("socket.io", {**head, "type": "3", "data": packet})
    connection.xadd("socket.io", {**head, "type": "4", "data": f'{{"opts":{opts},"rooms":["x"]}}'})
    connection.xadd("socket.io", {**head, "type": "6", "data": f'{{"opts":{opts},"close":false}}'})
    wait_for(lambda: ("disconnect",) in member.done)
    assert (member.texts, other.texts) == (['2["hi"]'], [])
    assert member.done == [("subscribe", "x"), ("disconnect",)]


def test_a_process_starts_at_the_end_of_the_stream(connection: Any) -> None:
    connection.xadd("socket.io", {"nsp": "/", "type": "3", "uid": "u", "data": DATA})
    process = Process(make)
    member = process.member("a")
    connection.xadd("socket.io", {"nsp": "/", "type": "3", "uid": "u", "data": DATA.replace(b'"e"', b'"new"')})
    wait_for(lambda: member.texts)
    assert member.texts == ['2["new"]']
    process.backplane.stop(1)


def test_the_stream_does_not_grow_for_ever(connection: Any) -> None:
    connection.delete("short")
    process = Process(make, redis_key="short", max_stream_length=200)
    for number in range(1000):
        process.backplane.publish(message(str(number)))
    wait_for(lambda: process.backplane._bus._publisher.is_done)
    assert 200 <= connection.xlen("short") <= 400
    process.backplane.stop(1)


def test_nothing_is_missed_while_the_connection_is_made_anew(pair: tuple[Process, Process], connection: Any) -> None:
    here, there = pair
    member = there.member("a")
    for number in range(200):
        here.backplane.publish(message(str(number)))
        if number % 50 == 25:
            before = there.counters.redis_reconnects
            for client in connection.client_list():
                if client["cmd"] == "xread":
                    connection.client_kill(client["addr"])
            wait_for(lambda before=before: there.counters.redis_reconnects > before and here.backplane.is_ready)
    wait_for(lambda: as_text("199") in member.texts)
    assert member.texts == [as_text(str(number)) for number in range(200)]


@pytest.mark.parametrize("recovery", [False, True])
def test_without_redis_everything_here_goes_on(recovery: bool) -> None:
    backplane = make(redis_url="redis://127.0.0.1:1", max_redis_backlog=10_000, redis_timeout=0.2, recovery=recovery)
    counters = Counters()
    delivery: Delivery = make_delivery(counters=counters)
    backplane.start(delivery)
    member = FakeMember(delivery, "a", "one")
    for number in range(100):
        assert backplane.publish(message(str(number))) == 1
    assert member.texts == [as_text(str(number)) for number in range(100)]
    assert 0 < counters.dropped_publishes < 100
    with pytest.raises(AckTimeout, match="Redis is not reached"):
        backplane.sockets(Selection())
    assert not backplane.is_ready
    backplane.stop(0.1)


def test_what_does_not_come_back_in_time_is_delivered(connection: Any, caplog: pytest.LogCaptureFixture) -> None:
    process = Process(make, recovery=True, redis_timeout=0.2)
    member = process.member("a")
    connection.execute_command("CLIENT", "PAUSE", 600)
    assert process.backplane.publish(message("1")) == 1
    assert process.backplane.publish(message("2")) == 1
    assert member.texts == [as_text("1"), as_text("2")]
    wait_for(lambda: process.backplane.is_ready)
    process.backplane.publish(message("3"))
    assert member.texts == [as_text("1"), as_text("2"), as_text("3")]
    process.backplane.stop(1)


def test_what_cannot_be_sent_fails_its_caller_only(pair: tuple[Process, Process]) -> None:
    here, there = pair
    mine, other = here.member("a"), there.member("b")
    for value in ({1}, float("inf"), [b"."] * 11):
        with pytest.raises(UnsendableValue):
            here.backplane.publish(message(value))
    here.backplane.publish(message("last"))
    wait_for(lambda: other.texts)
    assert mine.texts == other.texts == [as_text("last")]


def test_volatile_and_local_events_have_a_place_too() -> None:
    process = Process(make, recovery=True)
    member = process.member("a")
    process.backplane.publish(message("1"))
    process.backplane.publish(message("2")._replace(volatile=True))
    process.backplane.publish(Envelope(Selection(local=True), ["message", "3"]))
    assert [prepared.has_offset for prepared in member.received] == [True] * 3
    assert member.texts == [as_text("1"), as_text("2"), as_text("3")]
    process.backplane.stop(1)


# What clients come back to.


class Roamer:
    """Stands for a socket."""

    def __init__(self, process: Process, pid: str | None = "a" * 20, *channels: str, namespace: str = "/") -> None:
        self.pid = pid
        self.sid = "-_the socket's id"
        self.namespace = namespace
        self.context: dict[str, Any] = {"name": "Ada", "own": object()}
        self.channels = list(channels)
        self.user = 7
        self.given_up = 0
        process.backplane.roaming.admit(self)

    def give_up(self) -> None:
        self.given_up += 1


@pytest.fixture
def two(connection: Any) -> Iterator[tuple[Process, Process]]:
    """Two processes whose clients may go from one to the other, and nothing left of others."""
    connection.flushall()
    processes = Process(make, recovery=True, recovery_window=30), Process(make, recovery=True, recovery_window=30)
    yield processes
    for process in processes:
        process.backplane.stop(1)


def kept(connection: Any, pid: str = "a" * 20) -> dict[str, Any] | None:
    """What Redis has of a session."""
    data = connection.get(f"sio:session:{pid}")
    return None if data is None else dict(msgpack.unpackb(base64.b64decode(data)))


def test_a_session_is_kept_as_node_does_and_renewed(two: tuple[Process, Process], connection: Any) -> None:
    here, _ = two
    roamer = Roamer(here, "a" * 20, "one")
    session = wait_for(lambda: kept(connection))
    assert {name: session[name] for name in ("sid", "pid", "rooms", "data")} == {
        "sid": roamer.sid,
        "pid": roamer.pid,
        "rooms": [roamer.sid, "one"],
        "data": {"name": "Ada"},
    }
    assert 0 < connection.ttl("sio:session:" + "a" * 20) <= 30
    roamer.channels.append("two")
    here.backplane.roaming.changed(roamer)
    wait_for(lambda: kept(connection)["rooms"] == [roamer.sid, "one", "two"])
    here.backplane.roaming.leave(roamer, may_return=False)
    wait_for(lambda: kept(connection) is None)
    here.backplane.roaming.leave(roamer, may_return=True)  # it has left
    assert here.backplane.roaming.is_done


def test_sessions_are_renewed(connection: Any) -> None:
    connection.flushall()
    process = Process(make, recovery=True, recovery_window=0.6)
    roamer = Roamer(process)
    wait_for(lambda: kept(connection))
    roamer.context["name"] = "Grace"
    wait_for(lambda: kept(connection)["data"] == {"name": "Grace"})
    connection.flushall()  # as if Node had taken it: then it is not written again
    process.backplane._runner.waiter().wait(0.5)
    assert kept(connection) is None
    process.backplane.stop(1)


def test_who_lost_the_connection_comes_back_elsewhere(two: tuple[Process, Process]) -> None:
    here, there = two
    roamer = Roamer(here, "a" * 20, "one")
    here.backplane.publish(message("before"))
    offset = here.backplane._reader.last_id.decode()
    here.backplane.roaming.leave(roamer, may_return=True)
    for envelope in (
        message("to one", "one"),
        message("to two", "two"),
        message("to it", roamer.sid),
        message("but it", excluded=(roamer.sid,)),
        message("other namespace", namespace="/chat"),
        message("volatile")._replace(volatile=True),
        message(b"\x01"),
    ):
        here.backplane.publish(envelope)
    wait_for(lambda: here.backplane.roaming.is_done)
    home = there.backplane.roaming.claim("a" * 20, offset, "/")
    assert (home.sid, home.channels, home.context, home.user) == (roamer.sid, ["one"], {"name": "Ada"}, 7)
    missed = home.missed()
    assert [prepared.text for prepared in missed[:2]] == [b'2["message","to one"]', b'2["message","to it"]']
    assert [prepared.attachments for prepared in missed] == [(), (), [b"\x01"]]
    assert all(prepared.has_offset for prepared in missed)
    assert roamer.given_up == 0


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_connection_that_looks_alive_is_taken_over(two: tuple[Process, Process], elsewhere: bool) -> None:
    here, there = two
    roamer = Roamer(here)
    wait_for(lambda: here.backplane.roaming.is_done)
    roamer.context["name"] = "newest"
    home = (there if elsewhere else here).backplane.roaming.claim("a" * 20, None, "/")
    assert home.context == {"name": "newest"}
    wait_for(lambda: roamer.given_up == 1)


@pytest.mark.parametrize("redis_timeout", [2, 0.4])
def test_who_was_with_a_dead_process_is_not_waited_for_long(connection: Any, redis_timeout: float) -> None:
    connection.flushall()
    here, there = (Process(make, recovery=True, redis_timeout=redis_timeout) for _ in range(2))
    roamer = Roamer(here, "a" * 20, "one")
    wait_for(lambda: here.backplane.roaming.is_done)
    here.backplane.roaming.hand_over = lambda request: None  # type: ignore[method-assign]
    home = there.backplane.roaming.claim("a" * 20, None, "/")
    assert (home.sid, home.channels) == (roamer.sid, ["one"])
    assert home.missed() == []
    for process in (here, there):
        process.backplane.stop(1)


def test_what_cannot_be_come_back_to(two: tuple[Process, Process], connection: Any) -> None:
    here, there = two
    claim = there.backplane.roaming.claim
    Roamer(here)
    wait_for(lambda: here.backplane.roaming.is_done)
    assert claim("b" * 20, None, "/") is None
    assert claim("too short", None, "/") is None
    assert claim("a" * 20, None, "/chat") is None
    connection.set("sio:session:" + "c" * 20, "garbage")
    connection.set("sio:session:" + "d" * 20, base64.b64encode(msgpack.packb([])))
    connection.set("sio:session:" + "e" * 20, base64.b64encode(msgpack.packb({"sid": "x", "rooms": ["x"]})))
    for letter in "cde":
        assert claim(letter * 20, None, "/") is None
    assert claim("e" * 20, "1-x", "/") is None
    assert claim("e" * 20, {"a": 1}, "/") is None
    connection.xadd("socket.io", {"nsp": "/", "type": "3", "uid": "u", "data": DATA})
    assert claim("e" * 20, "1-1", "/") is None  # the stream begins later


def test_who_had_nothing_yet_comes_back_too(two: tuple[Process, Process], connection: Any) -> None:
    here, there = two
    roamer = Roamer(here, "a" * 20, "one")
    here.backplane.roaming.leave(roamer, may_return=True)
    here.backplane.publish(message("the first ever", "one"))
    wait_for(lambda: here.backplane.roaming.is_done)
    home = there.backplane.roaming.claim("a" * 20, None, "/")
    assert [prepared.text for prepared in home.missed()] == [b'2["message","the first ever"]']


def test_what_had_to_go_while_it_was_decided_is_noticed(two: tuple[Process, Process], connection: Any) -> None:
    here, there = two
    here.backplane.publish(message("first"))
    roamer = Roamer(here)
    here.backplane.roaming.leave(roamer, may_return=True)
    wait_for(lambda: here.backplane.roaming.is_done)
    home = there.backplane.roaming.claim("a" * 20, None, "/")
    here.backplane.publish(message("second"))
    here.backplane.publish(message("third"))
    connection.xtrim("socket.io", maxlen=1, approximate=False)
    with pytest.raises(LookupError):
        home.missed()


def test_who_missed_too_much_begins_anew(connection: Any) -> None:
    connection.flushall()
    process = Process(make, recovery=True, max_outbox_packets=10)
    process.backplane.publish(message("first"))
    offset = process.backplane._reader.last_id.decode()
    roamer = Roamer(process)
    process.backplane.roaming.leave(roamer, may_return=True)
    for number in range(20):
        process.backplane.publish(message(str(number)))
    home = process.backplane.roaming.claim("a" * 20, offset, "/")
    with pytest.raises(LookupError):
        home.missed()
    process.backplane.stop(1)


def test_who_may_have_got_a_part_begins_anew_from_the_same_place(two: tuple[Process, Process]) -> None:
    here, there = two
    here.backplane.publish(message("first"))
    offset = here.backplane._reader.last_id.decode()
    roamer = Roamer(here)
    here.backplane.roaming.leave(roamer, may_return=True)
    here.backplane.publish(message("second"))
    home = here.backplane.roaming.claim("a" * 20, offset, "/")
    assert len(home.missed()) == 1
    here.backplane.roaming.admit(roamer, home.place)
    here.backplane.roaming.leave(roamer, may_return=True)
    wait_for(lambda: here.backplane.roaming.is_done)
    assert there.backplane.roaming.claim("a" * 20, offset, "/") is None
    assert there.backplane.roaming.claim("a" * 20, here.backplane._reader.last_id.decode(), "/").missed() == []


def test_requests_to_hand_over_that_cannot_be(two: tuple[Process, Process]) -> None:
    here, _ = two
    roamer = Roamer(here)
    for request in (b"", b"\xff", b"a" * 20, b"a" * 20 + b" socket.io", b"b" * 20 + b" sio:handed-over:x"):
        here.backplane.roaming.hand_over(request)
    assert roamer.given_up == 0


def test_sessions_survive_a_redis_that_forgot_them(two: tuple[Process, Process], connection: Any) -> None:
    here, _ = two
    Roamer(here)
    wait_for(lambda: kept(connection))
    connection.flushall()
    for client in connection.client_list():
        if client["id"] != connection.client_id():
            connection.client_kill_filter(_id=client["id"])
    Roamer(here, "b" * 20)
    wait_for(lambda: kept(connection) and kept(connection, "b" * 20), 10)


def test_a_complaint_is_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    process = Process(make, recovery=True)
    process.events.channel_overflow("^bad", "latest", key=lambda *args: 1 // 0)
    process.member("a", "bad")
    caplog.set_level(logging.WARNING)
    with pytest.raises(Exception, match="key"):
        process.backplane.publish(message("x", "bad"))
    process.backplane.stop(1)


def test_a_prepared_packet_is_shared(pair: tuple[Process, Process]) -> None:
    here, _ = pair
    first, second = here.member("a"), here.member("b")
    here.backplane.publish(message())
    assert isinstance(first.received[0], Prepared)
    assert first.received[0] is second.received[0]
