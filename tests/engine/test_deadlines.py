"""Deadlines: what is due, in which order, and when the clock has to be told."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.engine.deadlines import Deadlines


class Log:
    """Remembers what became due."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, float]] = []

    def note(self, subject: Any, now: float) -> None:
        self.entries.append((subject, now))


@pytest.fixture
def log() -> Log:
    return Log()


def test_empty(log: Log) -> None:
    deadlines = Deadlines()
    assert deadlines.next is None
    deadlines.expire(100)
    assert deadlines.next is None


def test_earliest_first(log: Log) -> None:
    deadlines = Deadlines()
    for when in (3, 1, 2):
        deadlines.add(when, log.note, f"at {when}")
    assert deadlines.next == 1
    deadlines.expire(2)
    assert log.entries == [("at 1", 2), ("at 2", 2)]
    assert deadlines.next == 3


def test_not_before_its_time(log: Log) -> None:
    deadlines = Deadlines()
    deadlines.add(1, log.note, "x")
    deadlines.expire(0.999)
    assert log.entries == []
    deadlines.expire(1)
    deadlines.expire(1)
    assert log.entries == [("x", 1)]


def test_same_time_in_the_order_added(log: Log) -> None:
    deadlines = Deadlines()
    subjects = [object() for _ in range(20)]  # which cannot be compared
    for subject in subjects:
        deadlines.add(1, log.note, subject)
    deadlines.expire(1)
    assert [subject for subject, _ in log.entries] == subjects


def test_action_that_adds_another(log: Log) -> None:
    deadlines = Deadlines()

    def again(subject: Any, now: float) -> None:
        log.note(subject, now)
        deadlines.add(now + 1, again, subject)

    deadlines.add(1, again, "x")
    deadlines.expire(1)
    assert deadlines.next == 2
    deadlines.expire(5)
    assert log.entries == [("x", 1), ("x", 5)]
    assert deadlines.next == 6


def test_action_that_adds_one_that_is_due(log: Log) -> None:
    deadlines = Deadlines()
    deadlines.add(1, lambda subject, now: deadlines.add(1, log.note, subject), "x")
    deadlines.expire(1)
    assert log.entries == [("x", 1)]


def test_failing_action_does_not_take_others_with_it(log: Log) -> None:
    deadlines = Deadlines()

    def fail(subject: Any, now: float) -> None:
        raise ValueError(subject)

    deadlines.add(1, fail, "x")
    deadlines.add(2, log.note, "y")
    with pytest.raises(ValueError, match="x"):
        deadlines.expire(2)
    deadlines.expire(2)
    assert log.entries == [("y", 2)]


def test_wake_only_for_an_earlier_one(log: Log) -> None:
    deadlines = Deadlines()
    woken: list[float | None] = []
    deadlines.wake = lambda: woken.append(deadlines.next)
    for when in (10, 20, 10, 5, 7, 4):
        deadlines.add(when, log.note, when)
    assert woken == [10, 5, 4]
    deadlines.expire(30)
    deadlines.add(50, log.note, 50)
    assert woken == [10, 5, 4, 50]


@given(st.lists(st.integers(0, 100)), st.lists(st.integers(0, 100)))
def test_everything_happens_once_and_in_order(times: list[int], clock: list[int]) -> None:
    deadlines, log = Deadlines(), Log()
    for when in times:
        deadlines.add(when, log.note, when)
    for now in [*sorted(clock), 100]:
        deadlines.expire(now)
        assert deadlines.next is None or deadlines.next > now
    assert [when for when, _ in log.entries] == sorted(times)


def test_a_weak_deadline_calls_a_method_of_what_is_still_there() -> None:
    deadlines, owner = Deadlines(), Log()
    deadlines.add_weakly(1, Log.note, owner, "due", 7.0)
    deadlines.expire(0.5)
    assert owner.entries == []
    deadlines.expire(1)
    assert owner.entries == [("due", 7.0)]


def test_a_weak_deadline_keeps_nothing_alive() -> None:
    deadlines, owner = Deadlines(), Log()
    entries = owner.entries
    deadlines.add_weakly(1, Log.note, owner, "due", 7.0)
    reference = weakref.ref(owner)
    del owner
    assert reference() is None
    deadlines.expire(1)
    assert entries == []
