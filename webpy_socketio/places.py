"""Places: what was sent to a channel after one of them, for clients that come back with nothing else than that."""

from __future__ import annotations

from typing import Protocol

from .wire.prepared import Prepared


class Places(Protocol):
    """A history of what was sent, in which each event has its place."""

    @property
    def place(self) -> str:
        """That of the last event."""

    def missed_by(self, namespace: str, channel: str, place: str) -> list[Prepared]:
        """Return what the followers of a channel were sent after a place, oldest first. May wait; when it returns,
        nothing else is missing.

        What was for some of them only is not among it; what was for the whole namespace is.

        Raises LookupError for what is no place, or if something after it may not be there any more, or is too much.
        """
