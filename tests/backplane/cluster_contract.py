"""The suite of what holds between the processes of a cluster; ``suite_<name>.py`` runs it with a factory of its own.

Two backplanes in one process know no more of each other than two processes do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.backplane.contract import as_text, message
from tests.fakes import FakeMember, make_delivery
from tests.serving import wait_for
from webpy_socketio.acks import AckDesk, Ballot
from webpy_socketio.backplane.cluster import ClusterBackplane
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.errors import UnsendableValue
from webpy_socketio.events import Events
from webpy_socketio.metrics import Counters

#: Makes the backplane of a process that has not started yet.
Make = Callable[..., ClusterBackplane]


class Process:
    """One process of a cluster: what it has, and what its handlers saw."""

    def __init__(self, make: Make, *namespaces: str, **options: Any) -> None:
        self.events = Events()
        for namespace in namespaces:
            self.events.on_event("any", namespace=namespace)(lambda *args: None)
        self.counters = Counters()
        self.desk = AckDesk(Deadlines(), self.counters)
        self.delivery = make_delivery(desk=self.desk, counters=self.counters, events=self.events)
        self.backplane: Any = make(self.events, **options)
        self.backplane.start(self.delivery)
        wait_for(lambda: self.backplane.is_ready)

    def member(self, sid: str, *channels: str, **options: Any) -> FakeMember:
        """Somebody who is connected to it."""
        return FakeMember(self.delivery, sid, *channels, **options)


class ClusterContract:
    """What holds between two processes."""

    make: Make
    #: Settings of all processes.
    options: dict[str, Any] = {}

    def process(self, **options: Any) -> Process:
        """One more process."""
        return Process(type(self).make, **self.options, **options)

    @pytest.fixture
    def here(self) -> Iterator[Process]:
        process = self.process()
        yield process
        process.backplane.stop(1)

    @pytest.fixture
    def there(self) -> Iterator[Process]:
        process = self.process()
        yield process
        process.backplane.stop(1)

    def test_who_is_meant_elsewhere(self, here: Process, there: Process) -> None:
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

    def test_order_between_processes(self, here: Process, there: Process) -> None:
        member = there.member("a", "room")
        for number in range(2000):
            here.backplane.publish(message(str(number), *(["room"] if number % 2 else [])))
        wait_for(lambda: len(member.texts) == 2000)
        assert member.texts == [as_text(str(number)) for number in range(2000)]

    def test_own_messages_come_once(self, here: Process, there: Process) -> None:
        member, other = here.member("a"), there.member("b")
        for _ in range(3):
            here.backplane.publish(message())
            there.backplane.publish(message("from there"))
        here.backplane.subscribe(Selection(), ["x"])
        there.backplane.publish(message("last"))
        wait_for(lambda: as_text("last") in member.texts and len(other.texts) == 7 and other.done)
        assert sorted(member.texts) == sorted([as_text("hello")] * 3 + [as_text("from there")] * 3 + [as_text("last")])
        assert (member.done, other.done) == ([("subscribe", "x")], [("subscribe", "x")])

    def test_everybody_acknowledges(self, here: Process, there: Process) -> None:
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

    def test_nobody_is_there_to_acknowledge(self, here: Process, there: Process) -> None:
        done: list[bool] = []
        question = here.backplane.ask(Envelope(Selection(), ["ask"]), Ballot(lambda: done.append(True)), 5)
        wait_for(lambda: done)
        here.backplane.stop_asking(question)

    def test_an_answer_that_does_not_come(self, here: Process, there: Process) -> None:
        there.member("b")
        ballot = Ballot(lambda: None)
        here.backplane.ask(Envelope(Selection(), ["ask"]), ballot, 0.1)
        wait_for(lambda: not ballot.unreported)
        assert ballot.missing == 1
        assert there.desk.pending == 1
        there.desk.deadlines.expire(there.backplane._runner.now() + 0.2)
        assert there.desk.pending == 0

    def test_what_is_known_of_sockets_elsewhere(self, here: Process, there: Process) -> None:
        here.member("a", "one")
        there.member("b", "one", "two").context["name"] = "Ada"
        there.member("c", "two")
        details = here.backplane.sockets(Selection("/", ("one",)))
        assert [tuple(d) for d in details] == [("a", ["one"], {}), ("b", ["one", "two"], {"name": "Ada"})]
        assert sorted(here.backplane.channels("/")) == ["one", "two"]
        assert here.backplane.sockets(Selection("/", (), (), local=True))[0].session_id == "a"

    def test_operations_elsewhere(self, here: Process, there: Process) -> None:
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

    def test_handlers_elsewhere(self, here: Process, there: Process) -> None:
        seen: list[Any] = []
        for process in (here, there):
            process.events.on_server_side_event("add")(lambda *numbers: seen.append(numbers) or sum(numbers))
            process.events.on_server_side_event("add")(lambda *numbers: "second")
        assert here.backplane.server_side_call("/", ["add", 1, 2], 2) == [3]
        assert here.backplane.server_side_call("/", ["unknown"], 2) == [None]
        here.backplane.server_side_emit("/", ["add", 3])
        wait_for(lambda: len(seen) == 2)
        assert seen == [(1, 2), (3,)]

    def test_handlers_elsewhere_that_fail(
        self, here: Process, there: Process, caplog: pytest.LogCaptureFixture
    ) -> None:
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

    def test_a_client_that_does_not_read_is_not_waited_for(self, here: Process, there: Process) -> None:
        there.events.channel_overflow("^slow", "wait", timeout=30)
        slow = there.member("slow", "slow", max_outbox_packets=1)
        slow.link.write = None
        quick = there.member("quick")
        for _ in range(5):
            here.backplane.publish(message("x", "slow"))
        here.backplane.publish(message("last"))
        wait_for(lambda: quick.texts)
        assert str(slow.link.reason) == "slow"

    def test_processes_with_other_keys_do_not_hear_each_other(self, there: Process) -> None:
        apart = self.process(redis_key="other*")
        member, stranger = there.member("a"), apart.member("b")
        apart.backplane.publish(message())
        there.backplane.publish(message("x"))
        assert (member.texts, stranger.texts) == ([as_text("x")], [as_text("hello")])
        assert [s.session_id for s in apart.backplane.sockets(Selection())] == ["b"]
        apart.backplane.stop(1)

    def test_what_waits_is_sent_before_the_end(self, there: Process) -> None:
        process = self.process()
        member = there.member("a")
        for _ in range(100):
            process.backplane.publish(message())
        process.backplane.stop(2)
        wait_for(lambda: len(member.texts) == 100)
        assert not process.backplane.is_ready
        process.backplane.publish(message())  # nobody is there to take it, which is no error
