"""What a session carries: one client's conversation, in Socket.IO or in whatever an application speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..reasons import Reason


class Conversation(Protocol):
    """What the hub needs to know of the conversation above a session."""

    @property
    def joined(self) -> bool:
        """Whether it has begun; a session whose conversation does not begin in time is closed."""

    @property
    def is_busy(self) -> bool:
        """Whether something that the client asked for is being done."""

    @property
    def is_swamped(self) -> bool:
        """Whether so much waits to be done that reading should pause."""

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Have a function called once, when everything has been done."""

    def begin(self) -> None:
        """The session can send now."""

    def receive(self, message: str | bytes) -> None:
        """Take the next message. Raises PacketError or RuleBroken if it may not stand here; the session then ends."""

    def close(self, reason: Reason) -> None:
        """The connection is over. Called once."""
