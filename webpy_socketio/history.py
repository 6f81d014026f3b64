"""The history: what was sent lately, kept for clients whose connection broke, within bounds of time and bytes."""

from __future__ import annotations

import secrets
from collections import deque
from typing import Any, NamedTuple

from .envelope import Selection
from .wire.prepared import Prepared

#: About how many bytes of memory a kept message takes beside its own.
OVERHEAD = 400
DIGITS = 15


class Kept(NamedTuple):
    """A message that was sent, and to whom. Numbers count up from 1."""

    number: int
    when: float
    selection: Selection
    prepared: Prepared


class History:
    """The messages of one process, oldest first.

    :param seconds: how long a message is kept; whoever has been silent for longer than that is given up anyway.
    :param max_bytes: how much is kept at the most.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._kept: deque[Kept] = deque()
        self._bytes = 0
        #: The number of the last message.
        self.last_number = 0
        #: Up to this number, messages may have been thrown away too early.
        self.lost_number = 0
        # A client may come back with what another process told it.
        self._epoch = secrets.token_urlsafe(3)

    @property
    def size(self) -> int:
        """About how many bytes of memory the messages take."""
        return self._bytes

    def keep(self, selection: Selection, prepared: Prepared, now: float) -> int:
        """Keep a message that is about to be sent, and stamp it with its place; return its number."""
        self.last_number += 1
        prepared.stamp(self.place)
        self._kept.append(Kept(self.last_number, now, selection, prepared))
        self._bytes += prepared.size + OVERHEAD
        self._trim(now)
        return self.last_number

    def mark(self, prepared: Prepared) -> None:
        """Stamp a message that is not kept with the place of the last that is.

        Clients take a text at the end of an event for its offset. One that is none would cost them their place.
        """
        prepared.stamp(self.place)

    # See Places.

    @property
    def place(self) -> str:
        """That of the last message, as clients are told it."""
        return f"{self._epoch}{self.last_number}"

    def missed_by(self, namespace: str, channel: str, place: str) -> list[Prepared]:
        """Return what the followers of a channel were sent after a place."""
        number = self.number_of(place)
        if not 0 < number <= self.last_number or number + 1 < self.first_number:
            raise LookupError(place)
        return [kept.prepared for kept in self.after(number) if kept.selection.concerns(namespace, channel)]

    def number_of(self, offset: Any) -> int:
        """The number of the message that a client names as its last; 0 if it is none of ours."""
        if not isinstance(offset, str) or not offset.startswith(self._epoch):
            return 0
        digits = offset[len(self._epoch) :]
        if not digits.isascii() or not digits.isdigit() or len(digits) > DIGITS:
            return 0
        return int(digits)

    def after(self, number: int) -> list[Kept]:
        """The messages after that with a number, oldest first."""
        newer = self.last_number - number
        kept = self._kept
        return [kept[index] for index in range(max(0, len(kept) - newer), len(kept))] if newer > 0 else []

    @property
    def first_number(self) -> int:
        """The number of the oldest message that is still there; that of the next one, if there is none."""
        return self._kept[0].number if self._kept else self.last_number + 1

    def _trim(self, now: float) -> None:
        kept, oldest = self._kept, now - self._seconds
        while kept and (kept[0].when < oldest or self._bytes > self._max_bytes):
            gone = kept.popleft()
            self._bytes -= gone.prepared.size + OVERHEAD
            if gone.when >= oldest:
                self.lost_number = gone.number
