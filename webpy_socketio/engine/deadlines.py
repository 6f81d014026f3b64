"""Deadlines: everything that has to happen at a time, in one heap, so that no connection needs a timer of its own."""

from __future__ import annotations

import heapq
import weakref
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

    def add_weakly(self, when: float, method: Callable[..., object], owner: object, *args: Any) -> None:
        """Have ``method(owner, *args)`` called at ``when``, unless the owner, which is not kept alive, is gone by then.

        :param method: as the owner's class has it, or of whoever deals with the owner; not bound to the owner itself.
        """
        self.add(when, _call_if_alive, (method, weakref.ref(owner), args))

    def expire(self, now: float) -> None:
        """Call everything that is due, earliest first."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, _, action, subject = heapq.heappop(heap)
            action(subject, now)


def _call_if_alive(subject: tuple[Callable[..., object], weakref.ref[Any], tuple[Any, ...]], now: float) -> None:
    method, reference, args = subject
    owner = reference()
    if owner is not None:
        method(owner, *args)
