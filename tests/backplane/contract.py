"""The suite that every backplane has to pass; ``test_<name>.py`` runs it with a factory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes import FakeMember, make_delivery
from webpy_socketio.acks import AckDesk, Ballot
from webpy_socketio.backplane.contract import Backplane
from webpy_socketio.delivery import Delivery
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.errors import UnsendableValue
from webpy_socketio.metrics import Counters
from webpy_socketio.reasons import TRANSPORT_CLOSE
from webpy_socketio.wire.prepared import Prepared


def message(
    text: Any = "hello",
    *channels: str,
    namespace: str = "/",
    excluded: tuple[str, ...] = (),
) -> Envelope:
    """A message to channels, or to sockets."""
    return Envelope(Selection(namespace, channels, excluded), ["message", text])


def as_text(text: str) -> str:
    """A message as its receivers get it."""
    return f'2["message","{text}"]'


class BackplaneContract:
    """What holds for the process that publishes, alone or not."""

    #: Makes the backplane of one process.
    factory: Callable[[], Backplane]

    @pytest.fixture
    def desk(self) -> AckDesk:
        return AckDesk(Deadlines(), Counters())

    @pytest.fixture
    def delivery(self, desk: AckDesk) -> Delivery:
        return make_delivery(desk=desk)

    @pytest.fixture
    def backplane(self, delivery: Delivery) -> Iterator[Backplane]:
        backplane = type(self).factory()
        backplane.start(delivery)
        yield backplane
        backplane.stop(1.0)

    def test_own_process_has_it_when_publish_returns(self, backplane: Backplane, delivery: Delivery) -> None:
        member = FakeMember(delivery, "a")
        backplane.publish(message())
        assert member.texts == [as_text("hello")]

    def test_count(self, backplane: Backplane, delivery: Delivery) -> None:
        assert backplane.publish(message()) == 0
        for sid in "abc":
            FakeMember(delivery, sid)
        assert backplane.publish(message()) == 3
        assert backplane.publish(message("x", "nobody")) == 0
        assert backplane.publish(message("x", "b")) == 1

    def test_channels(self, backplane: Backplane, delivery: Delivery) -> None:
        one, two, none = FakeMember(delivery, "a", "one"), FakeMember(delivery, "b", "two"), FakeMember(delivery, "c")
        assert backplane.publish(message("x", "one")) == 1
        assert backplane.publish(message("y", "one", "two")) == 2
        assert one.texts == [as_text("x"), as_text("y")]
        assert two.texts == [as_text("y")]
        assert none.texts == []

    def test_at_most_once(self, backplane: Backplane, delivery: Delivery) -> None:
        member = FakeMember(delivery, "a", "one", "two")
        assert backplane.publish(message("x", "one", "two", "one", "a")) == 1
        assert member.texts == [as_text("x")]

    def test_excluded(self, backplane: Backplane, delivery: Delivery) -> None:
        a, b = FakeMember(delivery, "a", "room"), FakeMember(delivery, "b", "room")
        assert backplane.publish(message("x", "room", excluded=("a",))) == 1
        assert backplane.publish(message("y", excluded=("a", "b", "elsewhere"))) == 0
        assert a.texts == []
        assert b.texts == [as_text("x")]

    def test_namespaces_are_apart(self, backplane: Backplane, delivery: Delivery) -> None:
        main, admin = FakeMember(delivery, "a"), FakeMember(delivery, "b", namespace="/admin")
        assert backplane.publish(message("x", namespace="/admin")) == 1
        assert main.texts == []
        assert admin.texts == ['2/admin,["message","x"]']

    def test_order(self, backplane: Backplane, delivery: Delivery) -> None:
        members = [FakeMember(delivery, sid, "room") for sid in "abc"]
        for number in range(200):
            backplane.publish(message(str(number), *(["room"] if number % 2 else [])))
        for member in members:
            assert member.texts == [as_text(str(number)) for number in range(200)]

    def test_order_of_what_a_receiver_publishes(self, backplane: Backplane, delivery: Delivery) -> None:
        member = FakeMember(delivery, "b")
        echo = FakeMember(delivery, "a")

        def publish_another(prepared: Prepared) -> None:
            backplane.publish(message("second", "b"))

        echo.link.write = publish_another
        backplane.publish(message("first", "b"))
        backplane.publish(message("again", "a"))
        assert member.texts == [as_text("first"), as_text("second")]

    @pytest.mark.parametrize("value", [{1}, float("nan"), [b"."] * 11])
    def test_unsendable(self, backplane: Backplane, delivery: Delivery, value: Any) -> None:
        member = FakeMember(delivery, "a")
        with pytest.raises(UnsendableValue):
            backplane.publish(message(value))
        assert member.texts == []
        assert backplane.publish(message()) == 1

    @pytest.mark.parametrize("value", [{1}, float("nan")])
    def test_unsendable_to_nobody(self, backplane: Backplane, value: Any) -> None:
        with pytest.raises(UnsendableValue):
            backplane.publish(message(value))

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ({"a": [1, None, "€"]}, '2["message",{"a":[1,null,"€"]}]'),
            (b"\x01", '51-["message",{"_placeholder":true,"num":0}]'),
            ("\ud800", '2["message","\\ud800"]'),
            (2**70, '2["message",1180591620717411303424]'),
        ],
    )
    def test_values(self, backplane: Backplane, delivery: Delivery, value: Any, text: str) -> None:
        member = FakeMember(delivery, "a")
        assert backplane.publish(message(value)) == 1
        assert member.texts == [text]

    def test_named_event(self, backplane: Backplane, delivery: Delivery) -> None:
        member = FakeMember(delivery, "a")
        assert backplane.publish(Envelope(Selection(), ["move", 1, 2])) == 1
        assert member.texts == ['2["move",1,2]']

    def test_receiver_that_left(self, backplane: Backplane, delivery: Delivery) -> None:
        gone, ended, here = FakeMember(delivery, "a", "room"), FakeMember(delivery, "b"), FakeMember(delivery, "c")
        delivery.detach("/", gone, ["room"])
        ended.link.end(TRANSPORT_CLOSE)
        assert backplane.publish(message()) == 1
        assert backplane.publish(message("x", "room", "a", "b")) == 0
        assert (gone.texts, ended.texts) == ([], [])
        assert here.texts == [as_text("hello")]

    def test_exclusions_of_channels_and_ids(self, backplane: Backplane, delivery: Delivery) -> None:
        a, b, c = FakeMember(delivery, "a", "one"), FakeMember(delivery, "b", "one", "two"), FakeMember(delivery, "c")
        assert backplane.publish(message("x", excluded=("two", "c"))) == 1
        assert backplane.publish(message("y", "one", "c", excluded=("a", "nobody"))) == 2
        assert (a.texts, b.texts, c.texts) == ([as_text("x")], [as_text("y")], [as_text("y")])

    def test_volatile(self, backplane: Backplane, delivery: Delivery) -> None:
        ready, full = FakeMember(delivery, "a"), FakeMember(delivery, "b")
        full.link.write = None
        assert backplane.publish(message("x")._replace(volatile=True)) == 1
        assert ready.texts == [as_text("x")]
        assert len(full.link.outbox) == 0

    def test_local(self, backplane: Backplane, delivery: Delivery) -> None:
        member = FakeMember(delivery, "a", "one")
        selection = Selection("/", ("one",), (), local=True)
        assert backplane.publish(Envelope(selection, ["message", "x"])) == 1
        assert member.texts == [as_text("x")]
        assert [details.session_id for details in backplane.sockets(selection)] == ["a"]
        backplane.subscribe(selection, ["two"])
        assert member.done == [("subscribe", "two")]

    # Questions.

    def test_ask(self, backplane: Backplane, delivery: Delivery, desk: AckDesk) -> None:
        asked, other = FakeMember(delivery, "a", "room"), FakeMember(delivery, "b", "room")
        stranger = FakeMember(delivery, "c")
        ballot = Ballot(lambda: None)
        question = backplane.ask(Envelope(Selection("/", ("room",)), ["ask", 1]), ballot, 1.0)
        assert asked.received[0] is other.received[0], "one form for all"
        assert stranger.received == []
        ack_id = int(asked.texts[0][1 : asked.texts[0].index("[")])
        assert asked.texts == [f'2{ack_id}["ask",1]']
        for sid, answer in (("b", ["first"]), ("b", ["again"]), ("c", ["stranger"]), ("a", [])):
            desk.answer(ack_id, sid, answer)
        assert (ballot.answers, ballot.missing, ballot.left) == (["first", None], 0, 0)
        backplane.stop_asking(question)
        assert desk._ballots == {}

    def test_asked_and_gone(self, backplane: Backplane, delivery: Delivery, desk: AckDesk) -> None:
        FakeMember(delivery, "a")
        gone, ended = FakeMember(delivery, "b"), FakeMember(delivery, "c")
        ended.link.end(TRANSPORT_CLOSE)
        ballot = Ballot(lambda: None)
        backplane.ask(Envelope(Selection(), ["ask"]), ballot, 1.0)
        delivery.detach("/", gone, [])
        assert (ballot.answers, ballot.missing, ballot.left) == ([], 1, 2)

    def test_nobody_is_asked(self, backplane: Backplane) -> None:
        done: list[bool] = []
        backplane.stop_asking(backplane.ask(Envelope(Selection(), ["ask"]), Ballot(lambda: done.append(True)), 1.0))
        assert done == [True]

    def test_after_stop_asking_no_answer_counts(self, backplane: Backplane, delivery: Delivery, desk: AckDesk) -> None:
        member = FakeMember(delivery, "a")
        ballot = Ballot(lambda: None)
        question = backplane.ask(Envelope(Selection(), ["ask"]), ballot, 1.0)
        backplane.stop_asking(question)
        backplane.stop_asking(question)
        desk.answer(int(member.texts[0][1:2]), "a", [1])
        assert (ballot.answers, ballot.missing) == ([], 1)

    @pytest.mark.parametrize("value", [{1}, float("nan"), [b"."] * 11])
    def test_unsendable_questions(self, backplane: Backplane, delivery: Delivery, desk: AckDesk, value: Any) -> None:
        member = FakeMember(delivery, "a")
        with pytest.raises(UnsendableValue):
            backplane.ask(Envelope(Selection(), ["ask", value]), Ballot(lambda: None), 1.0)
        assert (member.texts, desk._ballots) == ([], {})

    # Operations.

    def test_sockets(self, backplane: Backplane, delivery: Delivery) -> None:
        member, absent = FakeMember(delivery, "a", "one", "two"), FakeMember(delivery, "b", "one")
        FakeMember(delivery, "c", namespace="/chat")
        member.context["name"] = "Ada"
        absent.connected = False
        (details,) = backplane.sockets(Selection())
        assert (details.session_id, details.channels, details.context) == ("a", ["one", "two"], {"name": "Ada"})
        assert details.context is not member.context
        assert backplane.sockets(Selection("/", ("one",), ("two",))) == []

    def test_operations(self, backplane: Backplane, delivery: Delivery) -> None:
        a, b, c = FakeMember(delivery, "a", "one"), FakeMember(delivery, "b"), FakeMember(delivery, "c", "one")
        elsewhere = FakeMember(delivery, "d", "one", namespace="/chat")
        backplane.subscribe(Selection("/", ("one",)), ["x", "y"])
        backplane.unsubscribe(Selection("/", (), ("c",)), ["x"])
        backplane.disconnect(Selection("/", ("b", "one"), ("a",)))
        assert a.done == [("subscribe", "x"), ("subscribe", "y"), ("unsubscribe", "x")]
        assert b.done == [("unsubscribe", "x"), ("disconnect",)]
        assert c.done == [("subscribe", "x"), ("subscribe", "y"), ("disconnect",)]
        assert elsewhere.done == []
