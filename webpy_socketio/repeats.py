"""Repeats: a request that its sender repeats, since it saw no answer, is answered again and does nothing again.

As in the IETF's draft of the header field Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), whose section
2.7 has the two errors. What is remembered is this process's own, and bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from .errors import HttpRefused
from .responses import Answer

#: Seconds for which an answer is remembered.
LIFE = 600.0
#: Answers that are remembered; beyond, the oldest are forgotten.
MOST = 10_000


class _Entry:
    """One request: what it was, and its answer once there is one."""

    __slots__ = ("answer", "fingerprint", "until")

    def __init__(self, fingerprint: bytes, until: float) -> None:
        self.fingerprint = fingerprint
        self.until = until
        self.answer: Answer | None = None


class Repeats:
    """The requests of the last minutes, by their keys."""

    def __init__(self, life: float = LIFE, most: int = MOST) -> None:
        self._life = life
        self._most = most
        self._entries: dict[Hashable, _Entry] = {}
        self._order: deque[tuple[Hashable, _Entry]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, key: Hashable, fingerprint: bytes, now: float) -> Answer | None:
        """Return the answer to a request if it has been given; else the request begins, and :meth:`end` has to follow.

        Raises HttpRefused if a request with this key is being answered still, or was another one.
        """
        self._forget(now)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(fingerprint, now + self._life)
            self._order.append((key, entry))
            return None
        if entry.fingerprint != fingerprint:
            text = "this Idempotency-Key was that of another request: make a new one for each"
            raise HttpRefused("422 Unprocessable Content", "key_reused", text)
        if entry.answer is None:
            text = "the request with this Idempotency-Key is being answered: ask again"
            raise HttpRefused("409 Conflict", "in_progress", text)
        return entry.answer

    def end(self, key: Hashable, answer: Answer | None) -> None:
        """Note the answer of a request; None if it did nothing, so that it may be tried again."""
        if answer is None:
            self._entries.pop(key, None)
        elif key in self._entries:
            self._entries[key].answer = answer

    def _forget(self, now: float) -> None:
        order, entries = self._order, self._entries
        while order and (order[0][1].until <= now or len(order) >= self._most):
            key, entry = order.popleft()
            if entries.get(key) is entry:
                del entries[key]
