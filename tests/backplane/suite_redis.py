"""The backplane over Redis keeps the promises of all, and those between processes. Runs in a process with the patches.

``test_redis.py`` runs this, with the port of a Redis server in REDIS_PORT. Two backplanes in one process know no more
of each other than two processes do.
"""

from __future__ import annotations

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
from webpy_socketio.acks import Ballot
from webpy_socketio.backplane.contract import Backplane
from webpy_socketio.backplane.redis import RedisBackplane
from webpy_socketio.delivery import Delivery
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.errors import AckTimeout, UnsendableValue
from webpy_socketio.events import Events
from webpy_socketio.metrics import Counters
from webpy_socketio.settings import load_settings
from webpy_socketio.transports.workers import Workers

URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"


def make(events: Events | None = None, **options: Any) -> RedisBackplane:
    """A process that has not started yet."""
    settings = load_settings({"redis_timeout": 2, **options})
    return RedisBackplane(settings, options.get("redis_url", URL), events or Events(), Workers())


class TestRedisBackplane(BackplaneContract):
    """The suite of the contract."""

    factory = staticmethod(make)

    @pytest.fixture
    def backplane(self, delivery: Delivery) -> Iterator[Backplane]:
        backplane = make()
        backplane.start(delivery)
        wait_for(lambda: backplane.is_ready)
        yield backplane
        backplane.stop(1)

    def test_fits_the_protocol(self) -> None:
        backplane: Backplane = make()
        assert not backplane.is_alone


class TestRedisCluster(ClusterContract):
    """The suite of what holds between processes."""

    make = staticmethod(make)


@pytest.fixture
def here() -> Iterator[Process]:
    process = Process(make)
    yield process
    process.backplane.stop(1)


@pytest.fixture
def there() -> Iterator[Process]:
    process = Process(make)
    yield process
    process.backplane.stop(1)


@pytest.fixture
def connection() -> Iterator[Any]:
    with redis.Redis.from_url(URL) as connection:
        yield connection


def test_a_namespace_that_comes_and_goes(here: Process, there: Process, connection: Any) -> None:
    def listeners() -> int:
        return int(connection.pubsub_numsub("socket.io-request#/game-1#")[0][1])

    assert listeners() == 0
    member = there.member("a", "room", namespace="/game-1")
    here.backplane.publish(message("at once", "room", namespace="/game-1"))
    wait_for(lambda: len(member.texts) == 1 and listeners() == 1)
    # Who is not in it asks for it nevertheless, and is not counted.
    assert [s.session_id for s in here.backplane.sockets(Selection("/game-1"))] == ["a"]
    assert listeners() == 1
    there.delivery.detach("/game-1", member, ["room"])
    wait_for(lambda: listeners() == 0)
    assert here.backplane.sockets(Selection("/game-1")) == []


def test_declared_namespaces_are_answered_for_from_the_start(connection: Any) -> None:
    process = Process(make, "/declared")
    assert connection.pubsub_numsub("socket.io-request#/declared#")[0][1] == 1
    process.backplane.stop(1)
    assert connection.pubsub_numsub("socket.io-request#/declared#")[0][1] == 0


def test_a_process_that_does_not_answer_is_told_of(here: Process, connection: Any) -> None:
    here.member("a")
    with connection.pubsub() as mute:
        mute.subscribe("socket.io-request#/#")
        wait_for(lambda: connection.pubsub_numsub("socket.io-request#/#")[0][1] == 2)
        here.backplane._inquiries._seconds = 0.2
        with pytest.raises(AckTimeout, match="0 of 1 other processes answered") as caught:
            here.backplane.sockets(Selection())
        assert [details.session_id for details in caught.value.answers] == ["a"]
        with pytest.raises(AckTimeout):
            here.backplane.server_side_call("/", ["ping"], 0.1)
    assert here.backplane._inquiries._pending == {}


PACKET = {"type": 2, "data": ["e"], "nsp": "/"}
GARBAGE = [
    ("socket.io#/#", b""),
    ("socket.io#/#", b"\xc1"),
    ("socket.io#/#", b'{"json":1}'),
    ("socket.io#/#", b"\x91" * 3000),
    ("socket.io#/#", msgpack.packb(["evil", {"type": 2, "data": ["e", {b"1": 2}]}, {}])),
    ("socket.io#/#", msgpack.packb(["evil", {"type": 2, "data": ["e", float("nan")]}, {}])),
    ("socket.io#/#", msgpack.packb(["evil", {"type": 2, "data": ["e", *[b"."] * 11]}, {}])),
    ("socket.io#/#", msgpack.packb(["evil", {"type": 2, "data": ["disconnect"]}, {}])),
    ("socket.io#/#", msgpack.packb(["evil", {**PACKET, "nsp": "/chat"}, {}])),
    ("socket.io#/#", msgpack.packb(["evil", PACKET, {"rooms": [[1]]}])),
    ("socket.io#/#\xff", b""),
    ("socket.io#/", b""),
    ("socket.io-request#/#", b"{"),
    ("socket.io-request#/#", b"[]"),
    ("socket.io-request#/#", b'{"type":"x"}'),
    ("socket.io-request#/#", b'{"type":99,"requestId":"a"}'),
    ("socket.io-request#/#", b'{"type":4}'),
    ("socket.io-request#/#", b'{"type":4,"opts":null,"close":true}'),
    ("socket.io-request#/#", b'{"type":4,"opts":{"rooms":[{}]}}'),
    ("socket.io-request#/#", b'{"type":2,"opts":{"rooms":[]},"rooms":["-_AAAAAAAAAAAAAAAAAA"]}'),
    ("socket.io-request#/#", b'{"type":2,"opts":{"rooms":[]},"rooms":null}'),
    ("socket.io-request#/#", b'{"type":2,"sid":"a"}'),
    ("socket.io-request#/#", b'{"type":6,"data":[]}'),
    ("socket.io-request#/#", b'{"type":6,"data":[{"a":1}]}'),
    ("socket.io-request#/#", b'{"type":7,"requestId":"a"}'),
    ("socket.io-request#/#", b'{"type":7,"requestId":"a","packet":{"data":["e"],"nsp":"/other"},"opts":{}}'),
    ("socket.io-response#/#", b"\x00"),
    ("socket.io-response#/#", b'{"requestId":{"a":1}}'),
    ("socket.io-response#/#", b'{"requestId":"nobody"}'),
]


def test_nothing_that_arrives_does_harm(here: Process, connection: Any, caplog: pytest.LogCaptureFixture) -> None:
    member = here.member("a", "room")
    member.subscribe = here.member("b").subscribe  # type: ignore[method-assign]
    for channel, payload in GARBAGE * 3:
        connection.publish(channel, payload)
    connection.publish("socket.io#/#nobody#", b"not even decoded")
    connection.publish("socket.io#/#room#", msgpack.packb(["other!", PACKET, {"rooms": ["room"]}]))
    wait_for(lambda: member.texts)
    assert member.texts == ['2["e"]']
    assert member.done == []
    assert here.backplane.is_ready
    lines = [record.getMessage() for record in caplog.records]
    assert 0 < len(lines) < len(GARBAGE)
    assert all(line.isprintable() for line in lines)
    assert all(record.exc_info is None for record in caplog.records)


def test_requests_of_emitters_and_old_adapters(here: Process, connection: Any) -> None:
    member = here.member("a", "room")
    answers = connection.pubsub()
    answers.subscribe("socket.io-response#/#")
    wait_for(lambda: answers.get_message(timeout=0.1))
    for request in (
        b'{"type":2,"opts":{"rooms":["room"],"except":[]},"rooms":["j",7]}',
        b'{"type":3,"uid":"u","requestId":"1","sid":"a","room":"x"}',
        b'{"type":3,"requestId":"2","sid":"nobody","room":"x"}',
        b'{"type":0,"requestId":"3","rooms":["room"]}',
        b'{"type":1,"requestId":"4"}',
        b'{"type":4,"requestId":"5","sid":"a","close":true}',
    ):
        connection.publish("socket.io-request#/#", request)
    wait_for(lambda: ("disconnect",) in member.done)
    assert member.done[:3] == [("subscribe", "j"), ("subscribe", "7"), ("unsubscribe", "x")]
    told = [wait_for(lambda: answers.get_message(timeout=1))["data"] for _ in range(3)]
    assert told == [
        b'{"requestId":"3","sockets":["a"]}',
        b'{"requestId":"4","rooms":["a","room"]}',
        b'{"requestId":"5"}',
    ]
    answers.close()


def test_what_cannot_be_encoded_fails_its_caller_only(here: Process, there: Process) -> None:
    mine, other = here.member("a"), there.member("b")
    for value in ({1}, 10**400, float("inf")):
        with pytest.raises(UnsendableValue):
            here.backplane.publish(message(value))
    here.backplane.publish(message("\ud800", "a", "b"))
    here.backplane.publish(message(2**70))
    wait_for(lambda: len(other.texts) == 2)
    assert mine.texts == ['2["message","\\ud800"]', f'2["message",{2**70}]']
    assert other.texts == ['2["message","\ufffd"]', '2["message",1.1805916207174113e+21]']


def test_without_redis_everything_here_goes_on() -> None:
    backplane = make(redis_url="redis://127.0.0.1:1", max_redis_backlog=10_000, redis_timeout=0.2)
    counters = Counters()
    delivery: Delivery = make_delivery(counters=counters)
    backplane.start(delivery)
    member = FakeMember(delivery, "a", "one")
    for _ in range(100):
        assert backplane.publish(message()) == 1
    assert 0 < counters.dropped_publishes < 100
    backplane.subscribe(Selection(), ["x"])
    assert member.done == [("subscribe", "x")]
    with pytest.raises(AckTimeout, match="Redis is not reached") as caught:
        backplane.sockets(Selection())
    assert [details.session_id for details in caught.value.answers] == ["a"]
    ballot = Ballot(lambda: pytest.fail("it cannot be complete"))
    question = backplane.ask(Envelope(Selection("/", ("nobody",)), ["ask"]), ballot, 0.1)
    assert ballot.unreported == 1
    backplane.stop_asking(question)
    assert not backplane.is_ready
    backplane.stop(0.1)


def test_what_a_user_of_redis_has_to_be_allowed(there: Process, connection: Any) -> None:
    commands = ["-@all", "+publish", "+psubscribe", "+subscribe", "+unsubscribe", "+pubsub|numsub"]
    connection.execute_command(
        "ACL", "SETUSER", "app", "on", ">pw", "resetchannels", "&socket.io*", "&socket.io#/*", *commands
    )
    process = Process(make, redis_url=URL.replace("//", "//app:pw@"))
    member, other = process.member("a"), there.member("b")
    process.backplane.publish(message())
    wait_for(lambda: other.texts)
    assert len(process.backplane.sockets(Selection())) == 2
    assert member.texts == [as_text("hello")]
    process.backplane.stop(1)


def test_what_redis_refuses_is_told_and_counted(connection: Any, caplog: pytest.LogCaptureFixture) -> None:
    commands = ["-@all", "+publish", "+psubscribe", "+subscribe", "+unsubscribe", "+pubsub|numsub"]
    channels = ["&socket.io#/*", "&socket.io-*"]
    connection.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "resetchannels", *channels, *commands)
    process = Process(make, redis_url=URL.replace("//", "//mute:pw@"))
    connection.execute_command("ACL", "SETUSER", "mute", "-publish")
    process.backplane.publish(message())
    wait_for(lambda: process.counters.dropped_publishes == 1)
    assert any("Redis refuses what is published" in record.getMessage() for record in caplog.records)
    process.backplane.stop(1)


def test_whoever_cannot_publish_goes_on_listening(there: Process, connection: Any) -> None:
    process = Process(make, redis_timeout=0.1)
    process.backplane._bus._is_publishing = False  # so that nothing of its own comes back
    member = process.member("a")
    before = process.counters.redis_reconnects
    wait_for(lambda: not process.backplane.is_ready)
    there.backplane._runner.waiter().wait(0.3)
    there.backplane.publish(message())
    wait_for(lambda: member.texts)
    assert process.counters.redis_reconnects == before
    process.backplane._bus._is_publishing = True
    wait_for(lambda: process.backplane.is_ready)
    process.backplane.stop(1)


def test_a_connection_that_is_deaf_is_made_anew(here: Process) -> None:
    process = Process(make, redis_timeout=0.1)
    process.backplane._bus._echo = b"socket.io-somewhere-else"
    wait_for(lambda: not process.backplane.is_ready)
    wait_for(lambda: process.counters.redis_reconnects)
    process.backplane._bus._echo = process.backplane._names.echo
    wait_for(lambda: process.backplane.is_ready)
    process.backplane.stop(1)
