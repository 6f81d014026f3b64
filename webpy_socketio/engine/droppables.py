"""Droppables: which of the packets in an outbox may be dropped for others, and which of them goes first."""

from __future__ import annotations

from collections.abc import Hashable

from ..overflow import DROP_NEWEST, DROP_OLDEST, LATEST, Overflow


class Droppables:
    """The places of such packets. Places are numbers that rise, and none is used twice."""

    __slots__ = ("_by_identity", "_earliest", "_new", "_old")

    def __init__(self) -> None:
        #: Of those of which the oldest goes first, and of the others.
        self._old: dict[int, None] = {}
        self._new: dict[int, None] = {}
        self._by_identity: dict[Hashable, int] = {}
        # No place before is in _old. To ask the dict for its first key would take longer the more were removed there.
        self._earliest = 0

    def add(self, place: int, overflow: Overflow) -> None:
        """A packet with a policy is queued, behind all others."""
        if overflow.policy in (DROP_OLDEST, LATEST):
            if not self._old:
                self._earliest = place
            self._old[place] = None
        elif overflow.policy == DROP_NEWEST:
            self._new[place] = None
        if overflow.identity is not None:
            self._by_identity[overflow.identity] = place

    def discard(self, place: int, overflow: Overflow) -> None:
        """It is gone."""
        self._old.pop(place, None)
        self._new.pop(place, None)
        if overflow.identity is not None:
            self._by_identity.pop(overflow.identity, None)

    def place_of(self, identity: Hashable) -> int | None:
        """Where a packet with this identity waits."""
        return self._by_identity.get(identity)

    @property
    def oldest(self) -> int | None:
        """The place of the packet that goes first, of those whose policy is to drop old ones."""
        if not self._old:
            return None
        while self._earliest not in self._old:
            self._earliest += 1
        return self._earliest

    @property
    def newest(self) -> int | None:
        """The place of the packet that goes first, of those whose policy is to drop new ones."""
        return next(reversed(self._new), None)
