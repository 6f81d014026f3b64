"""Subscriptions: the channels that one socket follows, and since when, so that it can be told what it missed."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from operator import itemgetter

from .history import History

#: How many ended subscriptions are remembered of one socket: clients can end any number.
MOST_ENDED = 1000


class _Past:
    """The subscriptions that are over: each had the messages after one number, up to another."""

    __slots__ = ("_order", "_spans", "forgotten_number")

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._order: deque[tuple[int, str]] = deque()
        self.forgotten_number = 0

    def add(self, channel: str, after: int, until: int, oldest: int) -> None:
        """Remember one more; forget what ended before the oldest message, and what is too much."""
        self._spans.setdefault(channel, []).append((after, until))
        self._order.append((until, channel))
        while self._order[0][0] < oldest or len(self._order) > MOST_ENDED:
            gone, name = self._order.popleft()
            del self._spans[name][0]
            if not self._spans[name]:
                del self._spans[name]
            if gone >= oldest:
                self.forgotten_number = gone

    def had(self, channel: str, number: int) -> bool:
        """Whether one of them had a message to a channel, with this number."""
        spans = self._spans.get(channel, ())
        place = bisect_left(spans, number, key=itemgetter(1))
        return place < len(spans) and spans[place][0] < number


class Subscriptions:
    """An ordered set of channels. Numbers are those of History; None stands for a subscription not granted yet."""

    __slots__ = ("_after", "_past")

    def __init__(self) -> None:
        self._after: dict[str, int | None] = {}
        self._past: _Past | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._after)

    def __len__(self) -> int:
        return len(self._after)

    def __contains__(self, channel: str) -> bool:
        return channel in self._after

    @property
    def forgotten_number(self) -> int:
        """Up to this number, it may be unknown which messages were for the socket."""
        return 0 if self._past is None else self._past.forgotten_number

    @property
    def granted(self) -> list[str]:
        """The channels whose messages are for the socket."""
        return [channel for channel, after in self._after.items() if after is not None]

    def has_one_of(self, channels: Iterable[str]) -> bool:
        """Whether a subscription to at least one of some channels is granted."""
        after = self._after
        for channel in channels:  # noqa: SIM110 any() would take three times as long
            if after.get(channel) is not None:
                return True
        return False

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
            self._past = self._past or _Past()
            self._past.add(channel, after, history.last_number, history.first_number)
        return True

    def had(self, channel: str, number: int) -> bool:
        """Whether a message to a channel, with this number, was for the socket."""
        after = self._after.get(channel)
        if after is not None and number > after:
            return True
        return self._past is not None and self._past.had(channel, number)

    def clear(self) -> None:
        """Follow nothing any more."""
        self._after.clear()
        self._past = None
