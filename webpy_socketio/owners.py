"""The owner: what a socket needs of the conversation that it is part of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .engine.session import Session
from .reasons import Reason


class Owner(Protocol):
    """One client's conversation, in all the namespaces that it joined."""

    @property
    def session(self) -> Session:
        """What carries the conversation."""

    @property
    def request(self) -> dict[str, Any]:
        """The WSGI environ of its handshake."""

    @property
    def followed(self) -> int:
        """How many subscriptions the client has, in all its namespaces."""

    def leave(self, socket: Any, reason: Reason) -> None:
        """End the socket, as the server wishes."""

    def perform(self, socket: Any, what: str, function: Callable[..., object], args: Sequence[Any]) -> None:
        """Run an application's function here, as a handler is run; ``what`` it is tells the log, if it fails."""

    def note_outgoing(self, socket: Any, data: list[Any]) -> None:
        """Tell the handlers of outgoing events."""

    def log_out(self) -> None:
        """End the whole conversation, and what carries it."""
