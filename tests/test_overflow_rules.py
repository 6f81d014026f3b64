"""What is declared for channels whose clients do not read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from webpy_socketio.errors import EventError
from webpy_socketio.events import Events
from webpy_socketio.identifiers import new_id
from webpy_socketio.overflow_rules import rule_of


@pytest.mark.parametrize(
    ("args", "options", "problem"),
    [
        (("^prices-(", "latest"), {}, "regular expression"),
        ((b"prices", "latest"), {}, "regular expression"),
        ((None, "latest"), {}, "regular expression"),
        (("prices", "drop_oldst"), {}, "Did you mean 'drop_oldest'"),
        (("prices", None), {}, "knows no policy None"),
        (("prices", ["latest"]), {}, "knows no policy"),
        (("prices", "drop_oldest"), {"key": len}, "key is for the policy 'latest'"),
        (("prices", "latest"), {"key": "symbol"}, "no plain function"),
        (("prices", "latest"), {"timeout": 5}, "timeout is for the policy 'wait'"),
        (("prices", "wait"), {"timeout": 0}, "above 0"),
        (("prices", "wait"), {"timeout": "soon"}, "above 0"),
    ],
)
def test_what_cannot_be_declared(args: tuple[Any, Any], options: dict[str, Any], problem: str) -> None:
    events = Events()
    with pytest.raises(EventError, match=problem):
        events.channel_overflow(*args, **options)
    assert events.overflow_rules == []


def test_a_key_is_called_and_not_awaited() -> None:
    async def key(event: str, *args: Any) -> str:
        return event

    with pytest.raises(EventError, match="no plain function"):
        Events().channel_overflow("prices", "latest", key=key)


def test_a_pattern_has_one_policy() -> None:
    events = Events()
    events.channel_overflow("^prices-", "latest")
    with pytest.raises(EventError, match=r"'\^prices-' has a policy already"):
        events.channel_overflow("^prices-", "drop_oldest")


@pytest.mark.parametrize(
    ("channels", "policy"),
    [
        (["prices-1"], "latest"),
        (["prices-1", "prices-2"], "latest"),
        (["log"], "drop_oldest"),
        (["a log"], None),  # matched from the start
        (["prices-1", "log"], None),
        (["log", "room"], None),
        (["room"], None),
        ([], None),
        (["prices-of-old"], "latest"),  # the first that matches
    ],
)
def test_which_rule(channels: list[str], policy: str | None) -> None:
    events = Events()
    events.channel_overflow("prices-", "latest")
    events.channel_overflow("log", "drop_oldest")
    events.channel_overflow("prices-of-old", "wait")
    rule = rule_of(events.overflow_rules, channels)
    assert (None if rule is None else rule.policy) == policy


def test_a_session_id_is_no_channel_with_a_rule() -> None:
    events = Events()
    events.channel_overflow("", "latest")
    assert rule_of(events.overflow_rules, ["room"]) is not None
    assert rule_of(events.overflow_rules, [new_id()]) is None
    assert rule_of(events.overflow_rules, ["room", new_id()]) is None


@pytest.mark.parametrize("args", [(), ({},), ([],)])
def test_a_key_that_fails_is_told(args: tuple[Any, ...]) -> None:
    events = Events()
    events.channel_overflow("^prices-", "latest", key=lambda event, *args: args[0] and args[0]["symbol"])
    [rule] = events.overflow_rules
    assert rule.key_of("price", [{"symbol": "ABC"}]) == "ABC"
    with pytest.raises(EventError, match=re.escape("key of channel_overflow('^prices-') has no answer")):
        rule.key_of("price", args if args != ({},) else [{"price": 1}])


def test_a_key_that_is_no_key_is_told() -> None:
    events = Events()
    events.channel_overflow("prices", "latest", key=lambda event, *args: list(args))
    with pytest.raises(EventError, match="unhashable"):
        events.overflow_rules[0].key_of("price", [1])
