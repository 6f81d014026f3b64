"""The inbox: jobs of one client in order, one at a time, within its scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.inbox import Inbox


class Patient:
    """A runner that keeps what it is given until the test wants it done."""

    failures: tuple[type[BaseException], ...] = (Exception,)
    killed: tuple[type[BaseException], ...] = ()

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def start(self, job: Callable[..., object], *args: Any) -> None:
        self.waiting.append((job, args))

    def run_one(self) -> None:
        job, args = self.waiting.pop(0)
        job(*args)

    def run_all(self) -> None:
        while self.waiting:
            self.run_one()


class Surroundings:
    """A scope that notes when it is entered and left."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def enter(self) -> None:
        self.notes.append("enter")

    def leave(self, entered: Any) -> None:
        self.notes.append("leave")


@pytest.fixture
def runner() -> Patient:
    return Patient()


@pytest.fixture
def inbox(runner: Patient) -> Inbox:
    return Inbox(runner, None)  # type: ignore[arg-type]


def test_one_job_at_a_time_and_in_order(runner: Patient, inbox: Inbox) -> None:
    done: list[int] = []
    for number in range(4):
        inbox.put(1, done.append, number)
    while runner.waiting:
        assert len(runner.waiting) == 1
        assert inbox.is_busy
        runner.run_one()
    assert done == [0, 1, 2, 3]
    assert not inbox.is_busy


def test_a_job_may_put_another(runner: Patient, inbox: Inbox) -> None:
    done: list[str] = []

    def first() -> None:
        inbox.put(0, done.append, "third")
        done.append("first")

    inbox.put(0, first)
    inbox.put(0, done.append, "second")
    runner.run_all()
    assert done == ["first", "second", "third"]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1)])
def test_a_job_that_raises_holds_nobody_up(runner: Patient, inbox: Inbox, error: BaseException) -> None:
    def fail() -> None:
        raise error

    done: list[str] = []
    inbox.put(0, fail)
    inbox.put(0, done.append, "next")
    with pytest.raises(type(error)):
        runner.run_one()
    runner.run_all()
    assert done == ["next"]
    assert not inbox.is_busy


def test_each_job_runs_within_the_scope(runner: Patient) -> None:
    notes: list[str] = []
    inbox = Inbox(runner, Surroundings(notes))  # type: ignore[arg-type]

    def fail() -> None:
        notes.append("fails")
        raise ValueError

    inbox.put(0, notes.append, "first")
    inbox.put(0, fail)
    runner.run_one()
    with pytest.raises(ValueError):
        runner.run_one()
    assert notes == ["enter", "first", "leave", "enter", "fails", "leave"]


def test_a_job_beside_the_others_waits_for_none_of_them(runner: Patient, inbox: Inbox) -> None:
    done: list[str] = []
    inbox.put(0, done.append, "first")
    inbox.put(0, done.append, "second")
    inbox.beside(done.append, "beside")
    runner.run_one()
    runner.run_one()
    assert done == ["first", "beside"]
    runner.run_all()
    assert done == ["first", "beside", "second"]


def test_swamped_by_too_many_jobs(runner: Patient, inbox: Inbox) -> None:
    for _ in range(3):  # one runs, two wait
        inbox.put(0, lambda: None)
    assert not inbox.is_swamped(3, 1)
    assert inbox.is_swamped(2, 1)
    runner.run_one()
    assert not inbox.is_swamped(2, 1)


def test_swamped_by_jobs_that_are_too_big(runner: Patient, inbox: Inbox) -> None:
    inbox.put(1_000, lambda: None)
    assert not inbox.is_swamped(10, 1)  # what is being done does not wait
    inbox.put(60, lambda: None)
    inbox.put(40, lambda: None)
    assert inbox.is_swamped(10, 100)
    assert not inbox.is_swamped(10, 101)
    runner.run_one()
    assert inbox.is_swamped(10, 40)
    assert not inbox.is_swamped(10, 41)
    runner.run_one()
    assert not inbox.is_swamped(1, 1)


def test_when_idle_at_once_if_nothing_is_done(inbox: Inbox) -> None:
    called: list[str] = []
    inbox.when_idle(lambda: called.append("idle"))
    assert called == ["idle"]


def test_when_idle_after_the_last_job_and_once(runner: Patient, inbox: Inbox) -> None:
    called: list[str] = []
    inbox.put(0, called.append, "job")
    inbox.put(0, called.append, "job")
    inbox.when_idle(lambda: called.append("first"))
    inbox.when_idle(lambda: called.append("second"))
    runner.run_all()
    assert called == ["job", "job", "first", "second"]
    inbox.put(0, called.append, "later")
    runner.run_all()
    assert called[4:] == ["later"]


def test_who_was_told_that_all_is_done_may_ask_for_more(runner: Patient, inbox: Inbox) -> None:
    done: list[str] = []
    inbox.put(0, done.append, "first")
    inbox.when_idle(lambda: inbox.put(0, done.append, "more"))
    runner.run_all()
    assert done == ["first", "more"]
    assert not inbox.is_busy


@given(st.lists(st.one_of(st.none(), st.integers(0, 100))))
def test_whatever_comes_between_jobs_stay_in_order_and_nothing_is_left(steps: list[int | None]) -> None:
    runner = Patient()
    inbox = Inbox(runner, None)  # type: ignore[arg-type]
    done: list[int] = []
    put = 0
    for step in steps:
        if step is None:
            if runner.waiting:
                runner.run_one()
        else:
            inbox.put(step, done.append, put)
            put += 1
        assert inbox.is_busy == bool(runner.waiting)
        assert len(runner.waiting) <= 1
    runner.run_all()
    assert done == list(range(put))
    assert not inbox.is_swamped(1, 0)
