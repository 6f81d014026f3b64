"""The backplane over Redis keeps the promises of all, and those between processes. Runs in a process with the patches.

``test_redis.py`` runs this, with the port of a Redis server in REDIS_PORT. Two backplanes in one process know no more
of each other than two processes do.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import redis

from tests.backplane.contract import BackplaneContract, as_text, message
from tests.fakes import FakeMember, make_delivery
from tests.serving import wait_for
from webpy_socketio.acks import AckDesk, Ballot
from webpy_socketio.backplane.contract import Backplane
from webpy_socketio.backplane.redis import RedisBackplane
from webpy_socketio.delivery import Delivery
from webpy_socketio.engine.deadlines import Deadlines
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


class Process:
    """One process of a cluster: what it has, and what its handlers saw."""

    def __init__(self, *namespaces: str, **options: Any) -> None:
        self.events = Events()
        for namespace in namespaces:
            self.events.on_event("any", namespace=namespace)(lambda *args: None)
        self.counters = Counters()
        self.desk = AckDesk(Deadlines(), self.counters)
        self.delivery = make_delivery(desk=self.desk, counters=self.counters, events=self.events)
        self.backplane = make(self.events, **options)
        self.backplane.start(self.delivery)
        wait_for(lambda: self.backplane.is_ready)

    def member(self, sid: str, *channels: str, **options: Any) -> FakeMember:
        """Somebody who is connected to it."""
        return FakeMember(self.delivery, sid, *channels, **options)


@pytest.fixture
def here() -> Iterator[Process]:
    process = Process()
    yield process
    process.backplane.stop(1)


@pytest.fixture
def there() -> Iterator[Process]:
    process = Process()
    yield process
    process.backplane.stop(1)


@pytest.fixture
def connection() -> Iterator[Any]:
    with redis.Redis.from_url(URL) as connection:
        yield connection


def test_who_is_meant_elsewhere(here: Process, there: Process) -> None:
    a, b, c = there.member("a", "one", "two"), there.member("b", "one"), there.member("c", namespace="/chat")
    for envelope in (
        message("all"),
        message("one", "one"),
        message("both", "one", "two"),
        message("but", "one", excluded=("two",)),
        message("b", "b"),
        message("nobody", "none"),
        message("chat", namespace="/chat"),
        Envelope(Selection("/", (), (), local=True), ["message", "local"]),
        message("last"),
    ):
        assert here.backplane.publish(envelope) == 0
    wait_for(lambda: as_text("last") in b.texts and c.texts)
    assert a.texts == [as_text(text) for text in ("all", "one", "both", "last")]
    assert b.texts == [as_text(text) for text in ("all", "one", "both", "but", "b", "last")]
    assert c.texts == ['2/chat,["message","chat"]']


def test_order_between_processes(here: Process, there: Process) -> None:
    member = there.member("a", "room")
    for number in range(2000):
        here.backplane.publish(message(str(number), *(["room"] if number % 2 else [])))
    wait_for(lambda: len(member.texts) == 2000)
    assert member.texts == [as_text(str(number)) for number in range(2000)]


def test_own_messages_come_once(here: Process, there: Process) -> None:
    member, other = here.member("a"), there.member("b")
    for _ in range(3):
        here.backplane.publish(message())
        there.backplane.publish(message("from there"))
    here.backplane.subscribe(Selection(), ["x"])
    there.backplane.publish(message("last"))
    wait_for(lambda: as_text("last") in member.texts and len(other.texts) == 7 and other.done)
    assert sorted(member.texts) == sorted([as_text("hello")] * 3 + [as_text("from there")] * 3 + [as_text("last")])
    assert (member.done, other.done) == ([("subscribe", "x")], [("subscribe", "x")])


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
    process = Process("/declared")
    assert connection.pubsub_numsub("socket.io-request#/declared#")[0][1] == 1
    process.backplane.stop(1)
    assert connection.pubsub_numsub("socket.io-request#/declared#")[0][1] == 0


def test_everybody_acknowledges(here: Process, there: Process) -> None:
    mine, other = here.member("a"), there.member("b")
    done: list[bool] = []
    ballot = Ballot(lambda: done.append(True))
    question = here.backplane.ask(Envelope(Selection(), ["ask"]), ballot, 5)
    wait_for(lambda: other.texts)
    here.desk.answer(int(mine.texts[0][1:2]), "a", ["mine"])
    assert done == []
    there.desk.answer(int(other.texts[0][1:2]), "b", [b"other", "ignored"])
    wait_for(lambda: done)
    assert (ballot.answers, ballot.missing, ballot.unreported) == (["mine", b"other"], 0, 0)
    here.backplane.stop_asking(question)
    assert here.backplane._asked == here.backplane._inquiries._pending == {}


def test_nobody_is_there_to_acknowledge(here: Process, there: Process) -> None:
    done: list[bool] = []
    question = here.backplane.ask(Envelope(Selection(), ["ask"]), Ballot(lambda: done.append(True)), 5)
    wait_for(lambda: done)
    here.backplane.stop_asking(question)


def test_an_answer_that_does_not_come(here: Process, there: Process) -> None:
    there.member("b")
    ballot = Ballot(lambda: None)
    here.backplane.ask(Envelope(Selection(), ["ask"]), ballot, 0.1)
    wait_for(lambda: not ballot.unreported)
    assert ballot.missing == 1
    assert there.desk.pending == 1
    there.desk.deadlines.expire(there.backplane._runner.now() + 0.2)
    assert there.desk.pending == 0


def test_what_is_known_of_sockets_elsewhere(here: Process, there: Process) -> None:
    here.member("a", "one")
    there.member("b", "one", "two").context["name"] = "Ada"
    there.member("c", "two")
    details = here.backplane.sockets(Selection("/", ("one",)))
    assert [tuple(d) for d in details] == [("a", ["one"], {}), ("b", ["one", "two"], {"name": "Ada"})]
    assert sorted(here.backplane.channels("/")) == ["one", "two"]
    assert here.backplane.sockets(Selection("/", (), (), local=True))[0].session_id == "a"


def test_operations_elsewhere(here: Process, there: Process) -> None:
    a, b = there.member("a", "one"), there.member("b")
    here.backplane.subscribe(Selection("/", ("one",)), ["x", "y"])
    here.backplane.unsubscribe(Selection("/", (), ("a",)), ["x"])
    here.backplane.disconnect(Selection("/", ("b", "one"), ("a",)))
    wait_for(lambda: ("disconnect",) in b.done)
    assert a.done == [("subscribe", "x"), ("subscribe", "y")]
    assert b.done == [("unsubscribe", "x"), ("disconnect",)]
    here.backplane.disconnect(Selection("/", (), (), local=True))
    here.backplane.subscribe(Selection("/", ("a",)), ["last"])
    wait_for(lambda: ("subscribe", "last") in a.done)
    assert ("disconnect",) not in a.done


def test_handlers_elsewhere(here: Process, there: Process) -> None:
    seen: list[Any] = []
    for process in (here, there):
        process.events.on_server_side_event("add")(lambda *numbers: seen.append(numbers) or sum(numbers))
        process.events.on_server_side_event("add")(lambda *numbers: "second")
    assert here.backplane.server_side_call("/", ["add", 1, 2], 2) == [3]
    assert here.backplane.server_side_call("/", ["unknown"], 2) == [None]
    here.backplane.server_side_emit("/", ["add", 3])
    wait_for(lambda: len(seen) == 2)
    assert seen == [(1, 2), (3,)]


def test_handlers_elsewhere_that_fail(here: Process, there: Process, caplog: pytest.LogCaptureFixture) -> None:
    there.events.on_server_side_event("fail")(lambda: 1 // 0)
    there.events.on_server_side_event("set")(lambda: {1})
    caplog.set_level(logging.ERROR, "webpy_socketio")
    failed = [{"error": {"code": "failed", "message": "the server could not handle this event"}}]
    assert here.backplane.server_side_call("/", ["fail"], 2) == failed
    assert here.backplane.server_side_call("/", ["set"], 2) == failed
    assert here.backplane.server_side_call("/", ["fail", 1], 2)[0]["error"]["code"] == "wrong_arguments"
    with pytest.raises(UnsendableValue):
        here.backplane.server_side_emit("/", ["fail", b"1"])
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


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


def test_a_client_that_does_not_read_is_not_waited_for(here: Process, there: Process) -> None:
    there.events.channel_overflow("^slow", "wait", timeout=30)
    slow = there.member("slow", "slow", max_outbox_packets=1)
    slow.link.write = None
    quick = there.member("quick")
    for _ in range(5):
        here.backplane.publish(message("x", "slow"))
    here.backplane.publish(message("last"))
    wait_for(lambda: quick.texts)
    assert str(slow.link.reason) == "slow"


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


def test_processes_with_other_keys_do_not_hear_each_other(there: Process) -> None:
    apart = Process(redis_key="other*")
    member, stranger = there.member("a"), apart.member("b")
    apart.backplane.publish(message())
    there.backplane.publish(message("x"))
    assert (member.texts, stranger.texts) == ([as_text("x")], [as_text("hello")])
    assert [s.session_id for s in apart.backplane.sockets(Selection())] == ["b"]
    apart.backplane.stop(1)


def test_what_waits_is_sent_before_the_end(there: Process) -> None:
    process = Process()
    member = there.member("a")
    for _ in range(100):
        process.backplane.publish(message())
    process.backplane.stop(2)
    wait_for(lambda: len(member.texts) == 100)
    assert not process.backplane.is_ready
    process.backplane.publish(message())  # nobody is there to take it, which is no error


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
    process = Process(redis_url=URL.replace("//", "//app:pw@"))
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
    process = Process(redis_url=URL.replace("//", "//mute:pw@"))
    connection.execute_command("ACL", "SETUSER", "mute", "-publish")
    process.backplane.publish(message())
    wait_for(lambda: process.counters.dropped_publishes == 1)
    assert any("Redis refuses what is published" in record.getMessage() for record in caplog.records)
    process.backplane.stop(1)


def test_whoever_cannot_publish_goes_on_listening(there: Process, connection: Any) -> None:
    process = Process(redis_timeout=0.1)
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
    process = Process(redis_timeout=0.1)
    process.backplane._bus._echo = b"socket.io-somewhere-else"
    wait_for(lambda: not process.backplane.is_ready)
    wait_for(lambda: process.counters.redis_reconnects)
    process.backplane._bus._echo = process.backplane._names.echo
    wait_for(lambda: process.backplane.is_ready)
    process.backplane.stop(1)
