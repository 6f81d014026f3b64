"""Delivery: an event goes to those it is for, encoded once."""

from __future__ import annotations

from typing import Any

import pytest

from webpy_socketio.delivery import Delivery
from webpy_socketio.engine.session import Session, State
from webpy_socketio.envelope import Envelope
from webpy_socketio.errors import UnsendableValue
from webpy_socketio.reasons import SLOW, TRANSPORT_CLOSE
from webpy_socketio.settings import load_settings
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.prepared import Prepared


class Receiver:
    """A connected client that keeps what it is sent."""

    def __init__(self, delivery: Delivery, sid: str, *channels: str, namespace: str = "/") -> None:
        self.received: list[Prepared] = []
        self.sid = sid
        self.session = Session(f"session of {sid}", V4, "websocket", load_settings({"max_outbox_packets": 2}), 0)
        self.session.state = State.OPEN
        self.session.write = self.received.append
        delivery.attach(namespace, sid, self.session, channels)

    @property
    def texts(self) -> list[str]:
        return [prepared.text.decode() for prepared in self.received]


@pytest.fixture
def delivery() -> Delivery:
    return Delivery(max_attachments=2)


def message(text: Any = "hello", *channels: str, namespace: str = "/", excluded: tuple[str, ...] = ()) -> Envelope:
    """A message to channels."""
    return Envelope(namespace, ["message", text], channels, excluded)


def test_everybody(delivery: Delivery) -> None:
    a, b = Receiver(delivery, "a"), Receiver(delivery, "b", "room")
    assert delivery.deliver(message()) == 2
    assert a.texts == b.texts == ['2["message","hello"]']


def test_one_form_for_all(delivery: Delivery) -> None:
    a, b = Receiver(delivery, "a"), Receiver(delivery, "b")
    delivery.deliver(message())
    assert a.received[0] is b.received[0]


@pytest.mark.parametrize(
    ("channels", "excluded", "receivers"),
    [
        ((), (), "abc"),
        ((), ("a",), "bc"),
        (("one",), (), "ab"),
        (("one", "two"), (), "abc"),
        (("one", "two"), ("b",), "ac"),
        (("c",), (), ""),
        (("nobody",), (), ""),
    ],
)
def test_who(delivery: Delivery, channels: tuple[str, ...], excluded: tuple[str, ...], receivers: str) -> None:
    everybody = [Receiver(delivery, "a", "one"), Receiver(delivery, "b", "one", "two"), Receiver(delivery, "c", "two")]
    assert delivery.deliver(message("x", *channels, excluded=excluded)) == len(receivers)
    assert {receiver.sid: len(receiver.received) for receiver in everybody} == {s: s in receivers for s in "abc"}


def test_namespaces_are_apart(delivery: Delivery) -> None:
    main, admin = Receiver(delivery, "a", "room"), Receiver(delivery, "b", "room", namespace="/admin")
    assert delivery.deliver(message("x", "room", namespace="/admin")) == 1
    assert delivery.deliver(message("x", namespace="/nowhere")) == 0
    assert main.texts == []
    assert admin.texts == ['2/admin,["message","x"]']


def test_detached(delivery: Delivery) -> None:
    a, b = Receiver(delivery, "a", "room"), Receiver(delivery, "b", "room")
    delivery.detach("/", "a", ["room"])
    assert delivery.deliver(message("x", "room")) == 1
    assert delivery.deliver(message("x", "a")) == 0
    assert delivery.deliver(message()) == 1
    assert (len(a.received), len(b.received)) == (0, 2)


def test_bytes(delivery: Delivery) -> None:
    receiver = Receiver(delivery, "a")
    assert delivery.deliver(message(b"\x01")) == 1
    assert receiver.texts == ['51-["message",{"_placeholder":true,"num":0}]']
    assert receiver.received[0].attachments == [b"\x01"]


@pytest.mark.parametrize("value", [{1}, float("nan"), [b"1", b"2", b"3"]])
def test_nobody_gets_what_cannot_be_sent(delivery: Delivery, value: Any) -> None:
    receiver = Receiver(delivery, "a")
    with pytest.raises(UnsendableValue):
        delivery.deliver(message(value))
    assert receiver.received == []


def test_what_cannot_be_sent_fails_without_receivers_too(delivery: Delivery) -> None:
    with pytest.raises(UnsendableValue):
        delivery.deliver(message({1}))


def test_who_is_gone_is_not_counted(delivery: Delivery) -> None:
    a, b = Receiver(delivery, "a"), Receiver(delivery, "b")
    a.session.end(TRANSPORT_CLOSE)
    assert delivery.deliver(message()) == 1
    assert (len(a.received), len(b.received)) == (0, 1)


def test_slow_client_does_not_keep_others_from_theirs(delivery: Delivery) -> None:
    slow, quick = Receiver(delivery, "a"), Receiver(delivery, "b")
    slow.session.write = None
    assert [delivery.deliver(message()) for _ in range(4)] == [2, 2, 1, 1]
    assert slow.session.reason is SLOW
    assert len(quick.received) == 4


def test_clients_may_leave_during_a_delivery(delivery: Delivery) -> None:
    receivers = [Receiver(delivery, sid, "room") for sid in "abc"]

    def leave(prepared: Prepared) -> None:
        for receiver in receivers[:2]:
            delivery.detach("/", receiver.sid, ["room"])
            receiver.session.end(TRANSPORT_CLOSE)

    receivers[0].session.write = leave
    assert delivery.deliver(message("x", "room")) == 2
    assert [len(receiver.received) for receiver in receivers] == [0, 0, 1]
