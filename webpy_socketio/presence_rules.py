"""Presence rules: for which channels it is kept who is there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .declarations import ModuleRun, compile_channel
from .errors import EventError


class PresenceRule(NamedTuple):
    """What was declared for the channels whose names match a pattern."""

    pattern: re.Pattern[str]
    #: Whether the subscribers are told who is there, who joins and who leaves.
    clients: bool
    #: The run of the module that declared it, if that was at its top level.
    run: ModuleRun | None


def make_presence_rule(pattern: Any, clients: Any, run: ModuleRun | None) -> PresenceRule:
    """Return a rule. Raises EventError for what cannot be one."""
    if not isinstance(clients, bool):
        raise EventError(f"channel_presence: clients={clients!r} is neither True nor False")
    return PresenceRule(compile_channel("channel_presence: pattern", pattern), clients, run)


def presence_rule_of(rules: Sequence[PresenceRule], channel: str) -> PresenceRule | None:
    """Return the first rule that matches a channel; None if there is none."""
    return next((rule for rule in rules if rule.pattern.match(channel)), None)
