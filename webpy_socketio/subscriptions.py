"""Subscriptions: the channels that one socket follows, and since when, so that it can be told what it missed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .history import History


class _Ended(NamedTuple):
    """A subscription that is over: it had the messages after one number, up to another."""

    channel: str
    after: int
    until: int


class Subscriptions:
    """An ordered set of channels. Numbers are those of History; None stands for a subscription not granted yet."""

    __slots__ = ("_after", "_ended")

    def __init__(self) -> None:
        self._after: dict[str, int | None] = {}
        self._ended: list[_Ended] | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._after)

    def __contains__(self, channel: str) -> bool:
        return channel in self._after

    def has_one_of(self, channels: Iterable[str]) -> bool:
        """Whether at least one of some channels is followed."""
        return not self._after.keys().isdisjoint(channels)

    def add(self, channel: str, after: int | None) -> None:
        """Follow a channel after the message with a number; one that is followed stays as it is."""
        if self._after.get(channel) is None:
            self._after[channel] = after

    def discard(self, channel: str, history: History | None) -> bool:
        """Follow a channel no longer; tells whether it was followed."""
        after = self._after.pop(channel, -1)
        if after == -1:
            return False
        if history is not None and after is not None and after < history.last_number:
            oldest = history.first_number
            ended = [past for past in self._ended or () if past.until >= oldest]
            self._ended = [*ended, _Ended(channel, after, history.last_number)]
        return True

    def had(self, channel: str, number: int) -> bool:
        """Whether a message to a channel, with this number, was for the socket."""
        after = self._after.get(channel)
        if after is not None and number > after:
            return True
        return any(past.channel == channel and past.after < number <= past.until for past in self._ended or ())

    def clear(self) -> None:
        """Follow nothing any more."""
        self._after.clear()
        self._ended = None
