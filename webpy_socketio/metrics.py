"""Counters: what happened so far. What is so now (sessions, sockets, channels) is read from the live tables."""

from __future__ import annotations

from collections import Counter


class Counters:
    """Totals since the start, by name; shared by everything that belongs to one hub."""

    __slots__ = (
        "dropped_publishes", "dropped_volatile", "ended", "expired_acks", "held_seconds", "limited",
        "not_recovered", "opened", "overflowed", "publishes", "recovered", "redis_reconnects", "refused",
        "times_held",
    )  # fmt: skip

    def __init__(self) -> None:
        #: Sessions opened.
        self.opened = 0
        #: Sessions ended, by the name of the reason.
        self.ended: Counter[str] = Counter()
        #: Requests refused, by Engine.IO's error code.
        self.refused: Counter[int] = Counter()
        #: What clients wanted beyond a limit, by the name of the setting.
        self.limited: Counter[str] = Counter()
        #: What clients did not read in time, by the policy that dealt with it: events that were dropped, or superseded
        #: (latest), events whose sender had to wait, and clients that were disconnected.
        self.overflowed: Counter[str] = Counter()
        #: Requests to publish over HTTP, by what became of them: "sent", "repeated", or the code of an error.
        self.publishes: Counter[str] = Counter()
        #: Acknowledgements that clients never sent.
        self.expired_acks = 0
        #: Volatile events that were dropped, as their receivers were not ready.
        self.dropped_volatile = 0
        #: Sockets whose client came back to its broken connection, and those whose client could not be given all.
        self.recovered = 0
        self.not_recovered = 0
        #: How often something held the event loop for longer than it may, and for how many seconds altogether.
        self.times_held = 0
        self.held_seconds = 0.0
        #: What was for other processes and was not sent, or perhaps not, as Redis was away for too long.
        self.dropped_publishes = 0
        #: How often a connection to Redis was made anew.
        self.redis_reconnects = 0
