"""The suite that every backplane has to pass; ``test_<name>.py`` runs it with a factory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes import FakeMember, make_delivery
from webpy_socketio.backplane.contract import Backplane
from webpy_socketio.delivery import Delivery
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.errors import UnsendableValue
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
    def delivery(self) -> Delivery:
        return make_delivery()

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
