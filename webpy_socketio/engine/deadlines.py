"""Deadlines: everything that has to happen at a time, in one heap, so that no connection needs a timer of its own."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

Action = Callable[[Any, float], None]


class Deadlines:
    """A heap of (time, action, subject). Nothing is ever cancelled: an action checks whether it still applies."""

    __slots__ = ("_heap", "_order", "wake")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action, Any]] = []
        self._order = count()
        #: Called when something became due earlier than everything before; a clock puts itself here.
        self.wake: Callable[[], None] | None = None

    @property
    def next(self) -> float | None:
        """The time of the earliest deadline, if there is any."""
        return self._heap[0][0] if self._heap else None

    def add(self, when: float, action: Action, subject: Any) -> None:
        """Have ``action(subject, now)`` called at ``when``."""
        first = not self._heap or when < self._heap[0][0]
        heapq.heappush(self._heap, (when, next(self._order), action, subject))
        if first and self.wake is not None:
            self.wake()

    def expire(self, now: float) -> None:
        """Call everything that is due, earliest first."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, _, action, subject = heapq.heappop(heap)
            action(subject, now)
