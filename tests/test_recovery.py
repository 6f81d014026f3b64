"""Sockets that are waited for, and what their clients missed: in memory, and as a plain table of sockets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import FakeMember, make_delivery
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.history import History, Kept
from webpy_socketio.recovery import Recovery


class Absentee:
    """A socket that only knows which messages were for it."""

    namespace = "/"
    forgotten_number = 0

    def __init__(self, recovery: Recovery) -> None:
        self.first_number = self.last_number = recovery.history.last_number
        self.given_up = 0
        self.replayed_from = 0
        self.connected = False
        self.pid: str | None = recovery.admit(self)
        self._recovery = recovery

    def missed(self, kept: Kept) -> bool:
        return "room" in kept.selection.channels

    def give_up(self) -> None:
        self.given_up += 1
        assert self.pid is not None
        self._recovery.forget(self.pid)


@pytest.fixture
def deadlines() -> Deadlines:
    return Deadlines()


@pytest.fixture
def recovery(deadlines: Deadlines) -> Recovery:
    return Recovery(10, 2, History(20, 5000), deadlines)


def say(recovery: Recovery, text: str, channel: str = "room", now: float = 0.0) -> FakeMember:
    """Send something to a channel, and keep it; return somebody who received it."""
    delivery = make_delivery(history=recovery.history)
    delivery._runner.now = lambda: now
    member = FakeMember(delivery, "a", channel)
    delivery.deliver(Envelope(Selection("/", (channel,)), ["message", text]))
    return member


def texts(missed: list[Kept] | None) -> list[str]:
    assert missed is not None
    return [(kept.prepared.text or b"").decode() for kept in missed]


def test_found_by_pid_and_namespace(recovery: Recovery) -> None:
    socket = Absentee(recovery)
    assert recovery.find(socket.pid, "/") is socket
    for pid, namespace in [(socket.pid, "/other"), ("unknown", "/"), (None, "/"), (5, "/"), ([], "/")]:
        assert recovery.find(pid, namespace) is None


def test_given_up_after_the_window(recovery: Recovery, deadlines: Deadlines) -> None:
    socket = Absentee(recovery)
    recovery.wait_for(socket, 5)
    deadlines.expire(14.9)
    assert socket.given_up == 0
    deadlines.expire(15)
    assert (socket.given_up, recovery.find(socket.pid, "/")) == (1, None)


def test_who_is_back_is_not_given_up(recovery: Recovery, deadlines: Deadlines) -> None:
    socket = Absentee(recovery)
    assert socket.pid is not None
    recovery.wait_for(socket, 0)
    recovery.welcome(socket.pid)
    deadlines.expire(10)
    recovery.wait_for(socket, 11)
    deadlines.expire(20.9)
    assert socket.given_up == 0
    deadlines.expire(21)
    assert socket.given_up == 1


def test_the_one_gone_longest_makes_room(recovery: Recovery) -> None:
    first, second, third = (Absentee(recovery) for _ in range(3))
    for socket in (first, second, first, third):
        recovery.wait_for(socket, 0)
    assert [socket.given_up for socket in (first, second, third)] == [0, 1, 0]


def test_drained(recovery: Recovery) -> None:
    here, away = Absentee(recovery), Absentee(recovery)
    recovery.wait_for(away, 0)
    recovery.drain()
    assert (here.given_up, away.given_up) == (0, 1)


def test_missed_messages(recovery: Recovery) -> None:
    say(recovery, "before")
    socket = Absentee(recovery)
    say(recovery, "first")
    say(recovery, "not for it", "elsewhere")
    say(recovery, "second")
    socket.last_number = recovery.history.last_number
    assert texts(recovery.missed(socket, None)) == ['2["message","first"]', '2["message","second"]']


def test_an_offset_says_what_was_received(recovery: Recovery) -> None:
    socket = Absentee(recovery)
    offsets = []
    for text in ("one", "two", "three"):
        stamped = say(recovery, text).received[0]._stamped
        assert stamped is not None
        offsets.append(stamped.decode().split('"')[-2])
    socket.last_number = recovery.history.last_number
    assert [len(recovery.missed(socket, offset) or []) for offset in offsets] == [2, 1, 0]


def test_gone_too_early(recovery: Recovery) -> None:
    early, late = Absentee(recovery), Absentee(recovery)
    say(recovery, "x" * 3000)
    early.last_number = recovery.history.last_number
    say(recovery, "x" * 3000)
    assert recovery.missed(early, None) is None
    late.first_number = 1
    late.last_number = recovery.history.last_number
    assert len(texts(recovery.missed(late, None))) == 1


def test_lost_again_while_it_got_what_it_missed(recovery: Recovery) -> None:
    """Whether it has a part of that, nobody can tell: official clients keep it without saying so."""
    socket = Absentee(recovery)
    for text in ("one", "two"):
        say(recovery, text)
    socket.last_number = recovery.history.last_number
    missed = recovery.missed(socket, None)
    assert texts(missed) == ['2["message","one"]', '2["message","two"]']
    assert missed is not None
    socket.replayed_from = missed[0].number
    assert recovery.missed(socket, None) is None
    socket.first_number = missed[0].number  # as if it said so with its offset
    assert texts(recovery.missed(socket, None)) == ['2["message","two"]']


def test_who_missed_nothing_is_complete_whatever_is_gone(recovery: Recovery) -> None:
    socket = Absentee(recovery)
    for _ in range(5):
        say(recovery, "x" * 3000, "elsewhere")
    assert recovery.missed(socket, None) == []


def test_what_is_older_than_any_client_that_is_waited_for_is_not_missed(recovery: Recovery) -> None:
    socket = Absentee(recovery)
    say(recovery, "received long ago, as the heartbeat proved", now=0)
    say(recovery, "missed", now=30)
    socket.last_number = recovery.history.last_number
    assert texts(recovery.missed(socket, None)) == ['2["message","missed"]']


def test_a_pid_is_a_secret_of_its_own(recovery: Recovery) -> None:
    pids: set[Any] = {Absentee(recovery).pid for _ in range(100)}
    assert len(pids) == 100
