"""Counters: what happened so far. What is so now (sessions, sockets, channels) is read from the live tables."""

from __future__ import annotations

from collections import Counter


class Counters:
    """Totals since the start, by name; shared by everything that belongs to one hub."""

    __slots__ = ("ended", "expired_acks", "opened", "refused")

    def __init__(self) -> None:
        #: Sessions opened.
        self.opened = 0
        #: Sessions ended, by the name of the reason.
        self.ended: Counter[str] = Counter()
        #: Requests refused, by Engine.IO's error code.
        self.refused: Counter[int] = Counter()
        #: Acknowledgements that clients never sent.
        self.expired_acks = 0
