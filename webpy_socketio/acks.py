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
        self._pending: dict[int, AckListener] = {}

    def add(self, listener: AckListener) -> int:
        """Wait for one more; return the id to send with the event."""
        ack_id = self._next
        self._next += 1
        self._pending[ack_id] = listener
        return ack_id

    def resolve(self, ack_id: int | None) -> AckListener | None:
        """Wait for one no longer, and return its listener; None for one that is over, or was never asked for."""
        return None if ack_id is None else self._pending.pop(ack_id, None)

    def abandon(self) -> list[AckListener]:
        """Give up on all: the client is gone."""
        listeners = list(self._pending.values())
        self._pending.clear()
        return listeners
