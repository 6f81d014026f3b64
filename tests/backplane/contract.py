"""The suite that every backplane has to pass; ``test_<name>.py`` runs it with a factory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from webpy_socketio.backplane.contract import Backplane
from webpy_socketio.delivery import Delivery
from webpy_socketio.engine.session import Session, State
from webpy_socketio.envelope import Envelope
from webpy_socketio.errors import UnsendableValue
from webpy_socketio.reasons import TRANSPORT_CLOSE
from webpy_socketio.settings import Settings
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.prepared import Prepared


class Member:
    """A client of this process that keeps what it is sent."""

    def __init__(self, delivery: Delivery, sid: str, *channels: str, namespace: str = "/") -> None:
        self.received: list[str] = []
        self.session = Session(sid, V4, "websocket", Settings(), 0)
        self.session.state = State.OPEN
        self.session.write = self._take
        delivery.attach(namespace, sid, self.session, channels)

    def _take(self, prepared: Prepared) -> None:
        self.received.append(prepared.text.decode())


def message(
    text: Any = "hello",
    *channels: str,
    namespace: str = "/",
    excluded: tuple[str, ...] = (),
    sids: tuple[str, ...] = (),
) -> Envelope:
    """A message to channels, or to sockets."""
    return Envelope(namespace, ["message", text], channels, excluded, sids)


def as_text(text: str) -> str:
    """A message as its receivers get it."""
    return f'2["message","{text}"]'


class BackplaneContract:
    """What holds for the process that publishes, alone or not."""

    #: Makes the backplane of one process.
    factory: Callable[[], Backplane]

    @pytest.fixture
    def delivery(self) -> Delivery:
        return Delivery(max_attachments=10)

    @pytest.fixture
    def backplane(self, delivery: Delivery) -> Iterator[Backplane]:
        backplane = type(self).factory()
        backplane.start(delivery)
        yield backplane
        backplane.stop(1.0)

    def test_own_process_has_it_when_publish_returns(self, backplane: Backplane, delivery: Delivery) -> None:
        member = Member(delivery, "a")
        backplane.publish(message())
        assert member.received == [as_text("hello")]

    def test_count(self, backplane: Backplane, delivery: Delivery) -> None:
        assert backplane.publish(message()) == 0
        for sid in "abc":
            Member(delivery, sid)
        assert backplane.publish(message()) == 3
        assert backplane.publish(message("x", "nobody")) == 0
        assert backplane.publish(message("x", sids=("b",))) == 1

    def test_channels(self, backplane: Backplane, delivery: Delivery) -> None:
        one, two, none = Member(delivery, "a", "one"), Member(delivery, "b", "two"), Member(delivery, "c")
        assert backplane.publish(message("x", "one")) == 1
        assert backplane.publish(message("y", "one", "two")) == 2
        assert one.received == [as_text("x"), as_text("y")]
        assert two.received == [as_text("y")]
        assert none.received == []

    def test_at_most_once(self, backplane: Backplane, delivery: Delivery) -> None:
        member = Member(delivery, "a", "one", "two")
        assert backplane.publish(message("x", "one", "two", "one", sids=("a",))) == 1
        assert member.received == [as_text("x")]

    def test_excluded(self, backplane: Backplane, delivery: Delivery) -> None:
        a, b = Member(delivery, "a", "room"), Member(delivery, "b", "room")
        assert backplane.publish(message("x", "room", excluded=("a",))) == 1
        assert backplane.publish(message("y", excluded=("a", "b", "elsewhere"))) == 0
        assert a.received == []
        assert b.received == [as_text("x")]

    def test_namespaces_are_apart(self, backplane: Backplane, delivery: Delivery) -> None:
        main, admin = Member(delivery, "a"), Member(delivery, "b", namespace="/admin")
        assert backplane.publish(message("x", namespace="/admin")) == 1
        assert main.received == []
        assert admin.received == ['2/admin,["message","x"]']

    def test_order(self, backplane: Backplane, delivery: Delivery) -> None:
        members = [Member(delivery, sid, "room") for sid in "abc"]
        for number in range(200):
            backplane.publish(message(str(number), *(["room"] if number % 2 else [])))
        for member in members:
            assert member.received == [as_text(str(number)) for number in range(200)]

    def test_order_of_what_a_receiver_publishes(self, backplane: Backplane, delivery: Delivery) -> None:
        member = Member(delivery, "b")
        echo = Session("a", V4, "websocket", Settings(), 0)
        echo.state = State.OPEN

        def publish_another(prepared: Prepared) -> None:
            backplane.publish(message("second", sids=("b",)))

        echo.write = publish_another
        delivery.attach("/", "a", echo, ())
        backplane.publish(message("first", sids=("b",)))
        backplane.publish(message("again", sids=("a",)))
        assert member.received == [as_text("first"), as_text("second")]

    @pytest.mark.parametrize("value", [{1}, float("nan"), [b"."] * 11])
    def test_unsendable(self, backplane: Backplane, delivery: Delivery, value: Any) -> None:
        member = Member(delivery, "a")
        with pytest.raises(UnsendableValue):
            backplane.publish(message(value))
        assert member.received == []
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
        member = Member(delivery, "a")
        assert backplane.publish(message(value)) == 1
        assert member.received == [text]

    def test_named_event(self, backplane: Backplane, delivery: Delivery) -> None:
        member = Member(delivery, "a")
        assert backplane.publish(Envelope("/", ["move", 1, 2])) == 1
        assert member.received == ['2["move",1,2]']

    def test_receiver_that_left(self, backplane: Backplane, delivery: Delivery) -> None:
        gone, ended, here = Member(delivery, "a", "room"), Member(delivery, "b"), Member(delivery, "c")
        delivery.detach("/", "a", ["room"])
        ended.session.end(TRANSPORT_CLOSE)
        assert backplane.publish(message()) == 1
        assert backplane.publish(message("x", "room", "a", "b")) == 0
        assert (gone.received, ended.received) == ([], [])
        assert here.received == [as_text("hello")]
