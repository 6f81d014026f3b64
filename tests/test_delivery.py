"""Delivery: an event goes to those it is for, encoded once."""

from __future__ import annotations

from typing import Any

import gevent
import gevent.event
import pytest

from tests.fakes import FakeMember, make_delivery
from webpy_socketio.acks import AckDesk, Ballot
from webpy_socketio.delivery import AT_ONCE, Delivery
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.errors import UnsendableValue
from webpy_socketio.events import Events
from webpy_socketio.metrics import Counters
from webpy_socketio.reasons import SLOW, TRANSPORT_CLOSE
from webpy_socketio.wire.prepared import Prepared


def receiver_of(delivery: Delivery, sid: str, *channels: str, namespace: str = "/") -> FakeMember:
    """A connected client with little room for what it does not read."""
    return FakeMember(delivery, sid, *channels, namespace=namespace, max_outbox_packets=2)


@pytest.fixture
def delivery() -> Delivery:
    return make_delivery(max_attachments=2)


def message(text: Any = "hello", *channels: str, namespace: str = "/", excluded: tuple[str, ...] = ()) -> Envelope:
    """A message to channels."""
    return Envelope(Selection(namespace, channels, excluded), ["message", text])


def test_everybody(delivery: Delivery) -> None:
    a, b = receiver_of(delivery, "a"), receiver_of(delivery, "b", "room")
    assert delivery.deliver(message()) == 2
    assert a.texts == b.texts == ['2["message","hello"]']


@pytest.mark.parametrize("is_callback", [False, True])
def test_a_huge_fan_out_lets_others_run_and_keeps_the_order(delivery: Delivery, is_callback: bool) -> None:
    members = [receiver_of(delivery, str(number)) for number in range(3 * AT_ONCE)]
    got: list[int] = []
    done = gevent.event.Event()

    def send() -> None:
        assert delivery.deliver(message("first")) == delivery.deliver(message("second")) == len(members)
        done.set()

    def look() -> None:
        got.append(sum(len(member.received) for member in members))

    loop = gevent.get_hub().loop
    if is_callback:
        loop.run_callback(send)
    else:
        gevent.spawn(send)
    loop.run_callback(look)
    done.wait(5)
    assert got == ([2 * len(members)] if is_callback else [AT_ONCE])
    assert all(member.texts == ['2["message","first"]', '2["message","second"]'] for member in members)


def test_one_form_for_all(delivery: Delivery) -> None:
    a, b = receiver_of(delivery, "a"), receiver_of(delivery, "b")
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
        (("c",), (), "c"),
        (("one", "c"), ("b",), "ac"),
        ((), ("one",), "c"),
        (("two",), ("one", "c"), ""),
        (("nobody",), (), ""),
    ],
)
def test_who(delivery: Delivery, channels: tuple[str, ...], excluded: tuple[str, ...], receivers: str) -> None:
    everybody = [
        receiver_of(delivery, "a", "one"),
        receiver_of(delivery, "b", "one", "two"),
        receiver_of(delivery, "c", "two"),
    ]
    assert delivery.deliver(message("x", *channels, excluded=excluded)) == len(receivers)
    assert {receiver.sid: len(receiver.received) for receiver in everybody} == {s: s in receivers for s in "abc"}


def test_namespaces_are_apart(delivery: Delivery) -> None:
    main, admin = receiver_of(delivery, "a", "room"), receiver_of(delivery, "b", "room", namespace="/admin")
    assert delivery.deliver(message("x", "room", namespace="/admin")) == 1
    assert delivery.deliver(message("x", namespace="/nowhere")) == 0
    assert main.texts == []
    assert admin.texts == ['2/admin,["message","x"]']


def test_detached(delivery: Delivery) -> None:
    a, b = receiver_of(delivery, "a", "room"), receiver_of(delivery, "b", "room")
    delivery.detach("/", a, ["room"])
    assert delivery.deliver(message("x", "room")) == 1
    assert delivery.deliver(message("x", "a")) == 0
    assert delivery.deliver(message()) == 1
    assert (len(a.received), len(b.received)) == (0, 2)


def test_bytes(delivery: Delivery) -> None:
    receiver = receiver_of(delivery, "a")
    assert delivery.deliver(message(b"\x01")) == 1
    assert receiver.texts == ['51-["message",{"_placeholder":true,"num":0}]']
    assert receiver.received[0].attachments == [b"\x01"]


@pytest.mark.parametrize("value", [{1}, float("nan"), [b"1", b"2", b"3"]])
def test_nobody_gets_what_cannot_be_sent(delivery: Delivery, value: Any) -> None:
    receiver = receiver_of(delivery, "a")
    with pytest.raises(UnsendableValue):
        delivery.deliver(message(value))
    assert receiver.received == []


def test_what_cannot_be_sent_fails_without_receivers_too(delivery: Delivery) -> None:
    with pytest.raises(UnsendableValue):
        delivery.deliver(message({1}))


def test_who_is_gone_is_not_counted(delivery: Delivery) -> None:
    a, b = receiver_of(delivery, "a"), receiver_of(delivery, "b")
    a.link.end(TRANSPORT_CLOSE)
    assert delivery.deliver(message()) == 1
    assert (len(a.received), len(b.received)) == (0, 1)


def test_slow_client_does_not_keep_others_from_theirs(delivery: Delivery) -> None:
    slow, quick = receiver_of(delivery, "a"), receiver_of(delivery, "b")
    slow.link.write = None
    assert [delivery.deliver(message()) for _ in range(4)] == [2, 2, 1, 1]
    assert slow.link.reason is SLOW
    assert len(quick.received) == 4


def test_clients_may_leave_during_a_delivery(delivery: Delivery) -> None:
    receivers = [receiver_of(delivery, sid, "room") for sid in "abc"]

    def leave(prepared: Prepared) -> None:
        for receiver in receivers[:2]:
            delivery.detach("/", receiver, ["room"])
            receiver.link.end(TRANSPORT_CLOSE)

    receivers[0].link.write = leave
    assert delivery.deliver(message("x", "room")) == 2
    assert [len(receiver.received) for receiver in receivers] == [0, 0, 1]


# Volatile.


def test_volatile_goes_to_who_is_ready_and_the_others_are_counted() -> None:
    counters = Counters()
    delivery = make_delivery(counters=counters)
    ready, full, polling, waiting = (receiver_of(delivery, sid) for sid in "abcd")
    for receiver in (full, polling, waiting):
        receiver.link.write = None
    polling.link.is_awaited = True
    assert delivery.deliver(message()._replace(volatile=True)) == 2
    assert (counters.dropped_volatile, len(ready.received)) == (2, 1)
    assert [len(receiver.link.outbox) for receiver in (full, polling, waiting)] == [0, 1, 0]


def test_volatile_that_cannot_be_sent_is_an_error_too(delivery: Delivery) -> None:
    with pytest.raises(UnsendableValue):
        delivery.deliver(message({1})._replace(volatile=True))


# Outgoing.


def test_members_are_told_of_what_goes_out_to_them() -> None:
    events = Events()
    delivery = make_delivery(events=events)
    a, b = receiver_of(delivery, "a", "room"), receiver_of(delivery, "b")
    delivery.deliver(message("nobody listens"))
    events.on_any_outgoing(lambda request, socket, context, *args: None)
    delivery.deliver(message("x", "room"))
    b.link.write = None
    delivery.deliver(message("y")._replace(volatile=True))
    delivery.ask(message("z"), Ballot(lambda: None))
    assert a.outgoing == [["message", "x"], ["message", "y"], ["message", "z"]]
    assert b.outgoing == [["message", "z"]]


# Questions.


def test_a_question_that_cannot_be_sent_is_closed() -> None:
    desk = AckDesk(Deadlines(), Counters())
    delivery = make_delivery(desk=desk)
    receiver = receiver_of(delivery, "a")
    with pytest.raises(UnsendableValue):
        delivery.ask(message({1}), Ballot(lambda: None))
    assert (desk._ballots, receiver.received) == ({}, [])


def test_an_answer_may_come_while_others_are_being_asked() -> None:
    desk = AckDesk(Deadlines(), Counters())
    delivery = make_delivery(desk=desk)
    a, b = receiver_of(delivery, "a"), receiver_of(delivery, "b")
    done: list[bool] = []
    ballot = Ballot(lambda: done.append(True))
    a.link.write = lambda prepared: desk.answer(0, "a", [1])
    b.link.write = lambda prepared: desk.answer(0, "b", [2])
    delivery.ask(message(), ballot)
    assert (ballot.answers, ballot.missing, done) == ([1, 2], 0, [True])


def test_who_is_only_waited_for_is_neither_asked_nor_listed(delivery: Delivery) -> None:
    here, absent = receiver_of(delivery, "a"), receiver_of(delivery, "b")
    absent.connected = False
    ballot = Ballot(lambda: None)
    delivery.ask(message(), ballot)
    assert (ballot.missing, len(here.received), len(absent.received)) == (1, 1, 0)
    assert [details.session_id for details in delivery.sockets(Selection())] == ["a"]


def test_empty_namespaces_leave_nothing_behind(delivery: Delivery) -> None:
    receiver = receiver_of(delivery, "a", "room", namespace="/game-1")
    selection = Selection("/nowhere", ("room",))
    delivery.deliver(message(namespace="/nowhere"))
    delivery.sockets(selection)
    delivery.subscribe(selection, ["x"])
    delivery.disconnect(selection)
    assert list(delivery._namespaces) == ["/game-1"]
    delivery.detach("/game-1", receiver, ["room"])
    assert delivery._namespaces == {}
