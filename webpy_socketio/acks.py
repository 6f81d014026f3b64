"""Acknowledgements that were asked for and have not come yet: of one socket, and of all who got one broadcast."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from .engine.deadlines import Deadlines
from .metrics import Counters

#: Called with the arguments of the acknowledgement, or with None when it will never come.
AckListener = Callable[["list[Any] | None"], None]


class AckDesk:
    """What all pending acknowledgements of a node share: one series of ids, so that a broadcast needs only one."""

    __slots__ = ("__weakref__", "_ballots", "counters", "deadlines", "next_id")

    def __init__(self, deadlines: Deadlines, counters: Counters) -> None:
        self.deadlines = deadlines
        self.counters = counters
        #: Returns an id that is in use for nothing else. Ids count up from 0, as in Node's server.
        self.next_id = itertools.count().__next__
        self._ballots: dict[int, Ballot] = {}

    def open(self, ballot: Ballot) -> int:
        """Expect the answers to a broadcast; return the id to send with it."""
        ack_id = self.next_id()
        self._ballots[ack_id] = ballot
        return ack_id

    @property
    def pending(self) -> int:
        """How many answers to broadcasts still are to come."""
        return sum(ballot.missing for ballot in self._ballots.values())

    def close(self, ack_id: int) -> None:
        """Expect no more answers to a broadcast."""
        self._ballots.pop(ack_id, None)

    def answer(self, ack_id: int, sid: str, args: list[Any]) -> None:
        """A socket answered a broadcast; nothing happens if it was not asked, has answered, or is too late."""
        ballot = self._ballots.get(ack_id)
        if ballot is not None:
            ballot.answer(sid, args)

    def leave(self, sid: str) -> None:
        """A socket is gone: it will answer nothing any more."""
        for ballot in list(self._ballots.values()):
            ballot.leave(sid)


class Ballot:
    """The answers to one broadcast: complete when everybody who got it has answered or is gone.

    Other processes report how many of their sockets got it, and pass the answers on as they come.
    """

    __slots__ = ("_done", "_elsewhere", "_expected", "answers", "left", "unreported")

    def __init__(self, done: Callable[[], None]) -> None:
        #: One for each socket that answered, in the order they came: the value, or a list if it was not just one.
        self.answers: list[Any] = []
        #: How many left without an answer.
        self.left = 0
        #: How many processes have not reported yet.
        self.unreported = 0
        self._expected: set[str] = set()
        #: How many answers are to come from other processes; an answer may overtake the report.
        self._elsewhere = 0
        self._done = done

    @property
    def missing(self) -> int:
        """How many have not answered and, as far as is known, are still there."""
        return len(self._expected) + max(0, self._elsewhere)

    def expect_reports(self, processes: int) -> None:
        """Wait for the reports of so many other processes."""
        self.unreported += processes

    def report(self, sockets: int) -> None:
        """Another process has sent the broadcast to so many sockets."""
        if self.unreported:
            self.unreported -= 1
            self._elsewhere += sockets
            self._check()

    def answer_from_elsewhere(self, value: Any) -> None:
        """Count the answer of a socket of another process."""
        self.answers.append(value)
        self._elsewhere -= 1
        self._check()

    def expect(self, sids: Iterable[str]) -> None:
        """Wait for these. With nobody to wait for, it is complete at once."""
        self._expected.update(sids)
        self._check()

    def answer(self, sid: str, args: list[Any]) -> None:
        """Count an answer, if it is expected."""
        if sid in self._expected:
            self._expected.remove(sid)
            self.answers.append(answer_value(args))
            self._check()

    def leave(self, sid: str) -> None:
        """Wait for this one no longer."""
        if sid in self._expected:
            self._expected.remove(sid)
            self.left += 1
            self._check()

    def _check(self) -> None:
        if not (self._expected or self.unreported or self._elsewhere > 0):
            self._done()


class PendingAcks:
    """The acknowledgements that one socket alone was asked for."""

    __slots__ = ("__weakref__", "_desk", "_pending")

    def __init__(self, desk: AckDesk) -> None:
        self._desk = desk
        self._pending: dict[int, AckListener] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, listener: AckListener, until: float) -> int:
        """Wait for one more, up to a time; return the id to send with the event."""
        ack_id = self._desk.next_id()
        self._pending[ack_id] = listener
        self._desk.deadlines.add_weakly(until, PendingAcks.give_up, self, ack_id)
        return ack_id

    def resolve(self, ack_id: int) -> AckListener | None:
        """Wait for one no longer, and return its listener; None for one that is over, or was never asked for."""
        return self._pending.pop(ack_id, None)

    def abandon(self) -> list[AckListener]:
        """Give up on all: the client is gone."""
        listeners = list(self._pending.values())
        self._pending.clear()
        return listeners

    def give_up(self, ack_id: int) -> None:
        """The time for an acknowledgement is over; nothing happens if it came."""
        listener = self.resolve(ack_id)
        if listener is not None:
            self._desk.counters.expired_acks += 1
            listener(None)


def answer_value(args: list[Any]) -> Any:
    """What an acknowledgement says: its one value, several as a list, or None for nothing."""
    return args[0] if len(args) == 1 else args or None
