"""The outbox: packets that a client has not been able to take yet, bounded in number and in bytes."""

from __future__ import annotations

from collections.abc import Callable

from ..overflow import Overflow
from ..wire.prepared import Prepared
from .droppables import Droppables


class Outbox:
    """A bounded queue. Whoever appends to a full one is told so, and what follows is the caller's policy."""

    __slots__ = ("_droppables", "_items", "_next", "_size", "_waiting", "max_bytes", "max_packets")

    def __init__(self, max_packets: int, max_bytes: int) -> None:
        #: By their places, which rise: the packets, with what each took when it was queued.
        self._items: dict[int, tuple[int, Prepared]] = {}
        self._next = 0
        self._size = 0
        self._droppables: Droppables | None = None
        self._waiting: list[Callable[[], None]] | None = None
        self.max_packets = max_packets
        self.max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._items)

    @property
    def size(self) -> int:
        """About how many bytes of memory are taken by what waits."""
        return self._size

    @property
    def is_over(self) -> bool:
        """Whether more waits than may."""
        count = len(self._items)
        return count > 1 and (count > self.max_packets or self._size > self.max_bytes)

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
        if prepared.overflow is None:  # as in _put, which would be one more call for nearly all packets
            items[self._next] = size, prepared
            self._next += 1
            self._size += size
        else:
            self._put(prepared, size)
        return True

    def append_beyond(self, prepared: Prepared) -> None:
        """Queue a packet whatever the bounds are: whoever does so waits for room after it, see :meth:`when_room`."""
        self._put(prepared, prepared.memory)

    def supersede(self, prepared: Prepared) -> bool:
        """Queue a packet instead of the one that waits with the same identity; return False if none does.

        It takes the place of that one, so it does not have to wait longer the more often it is superseded. With an
        offset, by which a client tells up to where it has received everything, it goes to the end. A bound may be
        passed by what it is larger.
        """
        overflow = prepared.overflow
        place = None
        if overflow is not None and self._droppables is not None:
            place = self._droppables.place_of(overflow.identity)
        if place is None:
            return False
        size = prepared.memory
        if prepared.has_offset:
            self._remove(place)
            self._put(prepared, size)
        else:
            self._size += size - self._items[place][0]
            self._items[place] = size, prepared
        return True

    def drop_oldest(self) -> Overflow | None:
        """Drop the oldest packet whose policy is to drop old ones; return that policy, or None if there is none."""
        return self._drop(None if self._droppables is None else self._droppables.oldest)

    def drop_newest(self) -> Overflow | None:
        """Drop the newest packet whose policy is to drop new ones; return that policy, or None if there is none."""
        return self._drop(None if self._droppables is None else self._droppables.newest)

    def take(self, max_bytes: int | None = None) -> list[Prepared]:
        """Take packets out, in order: all of them, or the first ones up to about ``max_bytes`` and at least one."""
        if max_bytes is None or self._size <= max_bytes:
            packets = [prepared for _, prepared in self._items.values()]
            self.clear()
            return packets
        places: list[int] = []
        packets = []
        taken = 0
        for place, (size, prepared) in self._items.items():
            if packets and taken + size > max_bytes:
                break
            taken += size
            places.append(place)
            packets.append(prepared)
        for place in places:
            self._remove(place)
        self._release()
        return packets

    def clear(self) -> None:
        """Throw everything away."""
        self._items = {}
        self._size = 0
        self._droppables = None
        self._release()

    def when_room(self, callback: Callable[[], None]) -> None:
        """Have a function called once when no more waits than may, be it that all is thrown away."""
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(callback)

    def _put(self, prepared: Prepared, size: int) -> None:
        place = self._next
        self._next += 1
        self._items[place] = size, prepared
        self._size += size
        if prepared.overflow is not None:
            if self._droppables is None:
                self._droppables = Droppables()
            self._droppables.add(place, prepared.overflow)

    def _drop(self, place: int | None) -> Overflow | None:
        if place is None:
            return None
        dropped = self._remove(place)
        self._release()
        return dropped.overflow

    def _remove(self, place: int) -> Prepared:
        size, prepared = self._items.pop(place)
        self._size -= size
        if prepared.overflow is not None and self._droppables is not None:
            self._droppables.discard(place, prepared.overflow)
        return prepared

    def _release(self) -> None:
        if self._waiting is not None and not self.is_over:
            waiting, self._waiting = self._waiting, None
            for callback in waiting:
                callback()
