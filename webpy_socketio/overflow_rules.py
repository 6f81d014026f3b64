"""Overflow rules: which channels have a policy of their own for clients that do not read."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from .declarations import ModuleRun, compile_channel, is_called
from .errors import EventError
from .identifiers import is_private
from .options import as_seconds, suggestion
from .overflow import CHANNEL_POLICIES, LATEST, WAIT


class OverflowRule(NamedTuple):
    """What was declared for the channels whose names match a pattern."""

    pattern: re.Pattern[str]
    policy: str
    key: Callable[..., Hashable] | None
    timeout: float | None
    #: The run of the module that declared it, if that was at its top level.
    run: ModuleRun | None

    def key_of(self, event: str, args: Sequence[Any]) -> Hashable:
        """What an event has in common with those that it makes worthless. Raises EventError if ``key`` fails."""
        if self.key is None:
            return event
        try:
            key = self.key(event, *args)
            hash(key)
        except Exception as error:
            raise EventError(
                f"the key of channel_overflow({self.pattern.pattern!r}) has no answer for the event {event!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return key


def make_rule(pattern: Any, policy: Any, key: Any, timeout: Any, run: ModuleRun | None) -> OverflowRule:
    """Return a rule. Raises EventError for what cannot be one."""
    compiled = compile_channel("channel_overflow: pattern", pattern)
    if policy not in CHANNEL_POLICIES:
        raise EventError(
            f"channel_overflow knows no policy {policy!r}; choose from {', '.join(CHANNEL_POLICIES)}"
            + suggestion(str(policy), CHANNEL_POLICIES)
        )
    if key is not None:
        if policy != LATEST:
            raise EventError(f"channel_overflow: key is for the policy {LATEST!r}, not for {policy!r}")
        if not callable(key) or not is_called(key):
            raise EventError(f"channel_overflow: key={key!r} is no plain function of the event's name and arguments")
    if timeout is not None:
        if policy != WAIT:
            raise EventError(f"channel_overflow: timeout is for the policy {WAIT!r}, not for {policy!r}")
        try:
            timeout = as_seconds(timeout)
        except ValueError as error:
            raise EventError(f"channel_overflow: timeout={timeout!r} {error}") from None
    return OverflowRule(compiled, policy, key, timeout, run)


def rule_of(rules: Sequence[OverflowRule], channels: Sequence[str]) -> OverflowRule | None:
    """Return the rule that all these channels have in common; None if there is none.

    A session id is nobody's channel to have a rule for, even if a pattern matches it.
    """
    found = None
    for channel in channels:
        rule = next((rule for rule in rules if rule.pattern.match(channel)), None)
        if rule is None or (found is not None and rule is not found) or is_private(channel):
            return None
        found = rule
    return found
