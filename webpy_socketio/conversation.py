"""The conversation: what a session carries, in Socket.IO or in whatever an application speaks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from .engine.session import Session
from .inbox import Inbox
from .reasons import Reason
from .runner import Runner, Scope
from .settings import Settings

#: How many messages of the largest size may wait for what is being done.
INBOX_PAYLOADS = 4


class Conversation(ABC):
    """One client's conversation, and its inbox."""

    __slots__ = ("__weakref__", "inbox", "joined", "request", "session")

    def __init__(self, session: Session, request: dict[str, Any], scope: Scope | None, runner: Runner) -> None:
        #: What carries it.
        self.session = session
        #: The WSGI environ of its handshake.
        self.request = request
        #: Whether it has begun; a session whose conversation does not begin in time is closed.
        self.joined = False
        #: What the client asked for and has not been done.
        self.inbox = Inbox(runner, scope)

    @property
    def is_busy(self) -> bool:
        """Whether something that the client asked for is being done."""
        return self.inbox.is_busy

    def is_swamped(self, settings: Settings) -> bool:
        """Whether so much waits to be done that reading should pause."""
        return self.inbox.is_swamped(settings.max_inbox, INBOX_PAYLOADS * settings.max_payload)

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Have a function called once, when everything has been done."""
        self.inbox.when_idle(callback)

    @abstractmethod
    def begin(self) -> None:
        """The session can send now."""

    @abstractmethod
    def receive(self, message: str | bytes) -> None:
        """Take the next message. Raises PacketError, RuleBroken or LimitExceeded; the session then ends."""

    @abstractmethod
    def end(self, reason: Reason) -> None:
        """The connection is over. If it began to close before that, called then and, with nothing left to do, now."""
