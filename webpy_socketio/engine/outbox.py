"""The outbox: packets that a client has not been able to take yet, bounded in number and in bytes."""

from __future__ import annotations

from ..wire.prepared import Prepared


class Outbox:
    """A bounded queue. Whoever appends to a full one is told so, and what follows is the caller's policy."""

    __slots__ = ("_items", "_size", "max_bytes", "max_packets")

    def __init__(self, max_packets: int, max_bytes: int) -> None:
        self._items: list[tuple[int, Prepared]] = []  # with what each took when it was queued
        self._size = 0
        self.max_packets = max_packets
        self.max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._items)

    @property
    def size(self) -> int:
        """About how many bytes of memory are taken by what waits."""
        return self._size

    def has_room(self, count: int, size: int) -> bool:
        """Whether so many packets, of so many bytes altogether, could be queued."""
        return len(self._items) + count <= self.max_packets and self._size + size <= self.max_bytes

    def append(self, prepared: Prepared) -> bool:
        """Queue a packet and return True, or return False if that would pass a bound.

        A packet larger than the bound is taken when it would be alone: it could never be sent otherwise.
        """
        size = prepared.memory
        items = self._items
        if items and (len(items) >= self.max_packets or self._size + size > self.max_bytes):
            return False
        items.append((size, prepared))
        self._size += size
        return True

    def take(self, max_bytes: int | None = None) -> list[Prepared]:
        """Take packets out, in order: all of them, or the first ones up to about ``max_bytes`` and at least one."""
        if max_bytes is None or self._size <= max_bytes:
            items, self._items, self._size = self._items, [], 0
        else:
            count = taken = 0
            while count < len(self._items) and (count == 0 or taken + self._items[count][0] <= max_bytes):
                taken += self._items[count][0]
                count += 1
            items = self._items[:count]
            del self._items[:count]
            self._size -= taken
        return [prepared for _, prepared in items]

    def clear(self) -> None:
        """Throw everything away."""
        self._items = []
        self._size = 0
