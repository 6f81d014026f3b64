"""Acknowledgements that were asked for and have not come yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Called with the arguments of the acknowledgement, or with None when it will never come.
AckListener = Callable[["list[Any] | None"], None]


class PendingAcks:
    """The acknowledgements that one socket waits for. Ids count up from 0, as in Node's server."""

    __slots__ = ("_next", "_pending")

    def __init__(self) -> None:
        self._next = 0
        self._pending: dict[int, tuple[float, AckListener]] = {}

    def add(self, deadline: float, listener: AckListener) -> int:
        """Wait for one more; return the id to send with the event."""
        ack_id = self._next
        self._next += 1
        self._pending[ack_id] = deadline, listener
        return ack_id

    def resolve(self, ack_id: int | None) -> AckListener | None:
        """Return the listener that an arriving acknowledgement is for; None for one too late, or never asked for."""
        _, listener = self._pending.pop(ack_id, (0.0, None)) if ack_id is not None else (0.0, None)
        return listener

    def expire(self, now: float) -> list[AckListener]:
        """Give up on those whose time is over."""
        late = [ack_id for ack_id, (deadline, _) in self._pending.items() if deadline <= now]
        return [self._pending.pop(ack_id)[1] for ack_id in late]

    def abandon(self) -> list[AckListener]:
        """Give up on all: the client is gone."""
        listeners = [listener for _, listener in self._pending.values()]
        self._pending.clear()
        return listeners
