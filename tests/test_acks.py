"""Acknowledgements that are waited for, of one client and of many."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from webpy_socketio.acks import AckDesk, Ballot, PendingAcks, answer_value
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.metrics import Counters


@pytest.fixture
def desk() -> AckDesk:
    return AckDesk(Deadlines(), Counters())


def ignore(args: list[Any] | None) -> None:
    """Listen to an acknowledgement, and do nothing."""


def other(args: list[Any] | None) -> None:
    """Listen to another acknowledgement."""


def test_ids_count_from_zero_and_are_shared(desk: AckDesk) -> None:
    one, two = PendingAcks(desk), PendingAcks(desk)
    assert [one.add(ignore, 1), two.add(ignore, 1), one.add(ignore, 1)] == [0, 1, 2]
    assert desk.open(Ballot(lambda: None)) == 3


def test_resolved_once(desk: AckDesk) -> None:
    acks = PendingAcks(desk)
    first, second = acks.add(ignore, 1), acks.add(other, 1)
    assert acks.resolve(second) is other
    assert acks.resolve(second) is None
    assert acks.resolve(first) is ignore


@pytest.mark.parametrize("ack_id", [1, -1, 10**15])
def test_nobody_waits_for_it(desk: AckDesk, ack_id: int) -> None:
    acks = PendingAcks(desk)
    acks.add(ignore, 1)
    assert acks.resolve(ack_id) is None
    assert acks.resolve(0) is ignore


def test_ids_are_not_used_again(desk: AckDesk) -> None:
    acks = PendingAcks(desk)
    acks.resolve(acks.add(ignore, 1))
    acks.abandon()
    assert acks.add(ignore, 1) == 1


def test_abandoned(desk: AckDesk) -> None:
    acks = PendingAcks(desk)
    first = acks.add(ignore, 1)
    acks.add(other, 1)
    assert acks.abandon() == [ignore, other]
    assert acks.abandon() == []
    assert acks.resolve(first) is None


def test_each_has_its_time(desk: AckDesk) -> None:
    heard: list[Any] = []
    acks = PendingAcks(desk)
    acks.add(lambda args: heard.append(("late", args)), 2)
    acks.add(lambda args: heard.append(("early", args)), 1)
    desk.deadlines.expire(1.5)
    assert heard == [("early", None)]
    desk.deadlines.expire(2)
    assert heard == [("early", None), ("late", None)]
    assert desk.counters.expired_acks == 2


def test_a_deadline_keeps_nobody_alive(desk: AckDesk) -> None:
    heard: list[Any] = []
    acks = PendingAcks(desk)
    acks.add(heard.append, 1)
    del acks
    gc.collect()
    desk.deadlines.expire(2)
    assert (heard, desk.counters.expired_acks) == ([], 0)


class Vote:
    """A ballot that counts how often it was complete."""

    def __init__(self, desk: AckDesk, *sids: str) -> None:
        self.desk = desk
        self.completed = 0
        self.ballot = Ballot(self._complete)
        self.id = desk.open(self.ballot)
        self.ballot.expect(sids)

    def _complete(self) -> None:
        self.completed += 1


def test_complete_when_all_have_answered(desk: AckDesk) -> None:
    vote = Vote(desk, "a", "b")
    desk.answer(vote.id, "b", ["yes"])
    assert (vote.completed, vote.ballot.missing) == (0, 1)
    desk.answer(vote.id, "a", [])
    assert (vote.completed, vote.ballot.answers, vote.ballot.left) == (1, ["yes", None], 0)


def test_nobody_to_ask(desk: AckDesk) -> None:
    vote = Vote(desk)
    assert (vote.completed, vote.ballot.answers) == (1, [])


def test_one_voice_each_and_none_for_strangers(desk: AckDesk) -> None:
    vote = Vote(desk, "a", "b")
    for sid in ("a", "a", "c"):
        desk.answer(vote.id, sid, [sid])
    assert (vote.ballot.answers, vote.ballot.missing) == (["a"], 1)


def test_who_leaves_is_not_waited_for(desk: AckDesk) -> None:
    vote = Vote(desk, "a", "b")
    desk.answer(vote.id, "a", [1])
    desk.leave("b")
    desk.leave("c")
    assert (vote.completed, vote.ballot.answers, vote.ballot.left) == (1, [1], 1)


def test_closed(desk: AckDesk) -> None:
    vote = Vote(desk, "a")
    desk.close(vote.id)
    desk.answer(vote.id, "a", [1])
    desk.close(vote.id)
    assert vote.ballot.answers == []


@pytest.mark.parametrize(("args", "value"), [([], None), ([1], 1), ([[1]], [1]), ([None], None), ([1, 2], [1, 2])])
def test_value_of_an_answer(args: list[Any], value: Any) -> None:
    assert answer_value(args) == value


# Answers from other processes


def test_a_ballot_waits_for_reports_and_for_the_answers_they_announce() -> None:
    done: list[bool] = []
    ballot = Ballot(lambda: done.append(True))
    ballot.expect_reports(2)
    ballot.expect(["a"])
    ballot.answer("a", ["mine"])
    ballot.report(0)
    assert (done, ballot.unreported, ballot.missing) == ([], 1, 0)
    ballot.report(2)
    ballot.answer_from_elsewhere("x")
    assert (done, ballot.unreported, ballot.missing) == ([], 0, 1)
    ballot.answer_from_elsewhere(None)
    assert (done, ballot.answers, ballot.missing) == ([True], ["mine", "x", None], 0)


def test_an_answer_may_overtake_the_report() -> None:
    done: list[bool] = []
    ballot = Ballot(lambda: done.append(True))
    ballot.expect_reports(1)
    ballot.answer_from_elsewhere("x")
    assert (done, ballot.missing) == ([], 0)
    ballot.report(1)
    assert (done, ballot.answers) == ([True], ["x"])


def test_a_report_that_nobody_waits_for_changes_nothing() -> None:
    ballot = Ballot(lambda: None)
    ballot.report(5)
    assert (ballot.missing, ballot.unreported) == (0, 0)
