"""Overflows: chooses what becomes of an event for clients whose outbox is full, and lets senders wait for room.

An event that asks for an acknowledgement is never dropped: whoever asked would wait in vain. One of several channels
has the policy that all of them have in common, else the server's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .engine.session import Session
from .envelope import Selection
from .overflow import DISCONNECT, LATEST, WAIT, Overflow
from .overflow_rules import OverflowRule, rule_of
from .runner import Runner
from .settings import Settings


class Overflows:
    """The policies of one node."""

    def __init__(self, settings: Settings, rules: Sequence[OverflowRule], runner: Runner) -> None:
        policy, self._timeout = settings.overflow, settings.overflow_timeout
        self._runner = runner
        #: Those of channels, as they were declared; there may be more of them later.
        self.rules = rules
        #: That of the server; None to disconnect the client.
        self.default = None if policy == DISCONNECT else Overflow(policy, self._timeout)
        #: The same for events that ask for an acknowledgement.
        self.default_of_questions = _for_questions(self.default)

    def choose(self, selection: Selection, data: Sequence[Any]) -> Overflow | None:
        """Return the policy of an event. Raises EventError if the ``key`` of its channel fails."""
        rule = rule_of(self.rules, selection.channels)
        if rule is None:
            return self.default
        if rule.policy == DISCONNECT:
            return None
        event, *args = data
        identity = None
        if rule.policy == LATEST:
            identity = (selection.namespace, selection.channels, rule.key_of(event, args))
        return Overflow(rule.policy, self._timeout if rule.timeout is None else rule.timeout, identity)

    def choose_for_question(self, selection: Selection, data: Sequence[Any]) -> Overflow | None:
        """Return the policy of an event that asks for acknowledgements."""
        return _for_questions(self.choose(selection, data))

    def wait_for_room(self, links: Iterable[Session], overflow: Overflow, can_wait: bool = True) -> None:
        """Let the sender of an event wait, if that is the policy, while clients have more waiting than they may have.

        Who still has when the time is over is disconnected. So it is, at once, if the sender must not wait, or is kept
        from it (by a timeout of its own, say): nothing goes beyond a bound but what somebody waits with.

        :param can_wait: False if the sender is in another process.
        """
        late = [link for link in links if link.outbox.is_over] if overflow.policy == WAIT else []
        if not late:
            return
        until = self._runner.now() + overflow.timeout
        try:
            if can_wait and self._runner.may_wait():
                late = self._wait(late, until)
        finally:
            for link in late:
                if link.outbox.is_over:
                    link.end_as_slow()

    def _wait(self, late: Sequence[Session], until: float) -> list[Session]:
        """Return those who have no room in time."""
        waiters = [self._runner.waiter() for _ in late]
        for link, waiter in zip(late, waiters, strict=True):
            link.outbox.when_room(waiter.set)
        return [
            link
            for link, waiter in zip(late, waiters, strict=True)
            if not waiter.wait(max(0.0, until - self._runner.now()))
        ]


def _for_questions(overflow: Overflow | None) -> Overflow | None:
    return overflow if overflow is not None and overflow.policy == WAIT else None
