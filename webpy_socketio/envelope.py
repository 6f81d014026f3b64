"""The envelope: an event on its way to many. With whom it is for, the noun that crosses processes."""

from __future__ import annotations

from typing import Any, NamedTuple


class Selection(NamedTuple):
    """Some of a namespace's sockets."""

    namespace: str = "/"
    #: Channels whose subscribers are meant, each once, or session ids; with none of them, the whole namespace.
    channels: tuple[str, ...] = ()
    #: Channels and session ids of those who are not meant.
    excluded: tuple[str, ...] = ()
    #: Whether only sockets of this process are meant.
    local: bool = False

    def concerns(self, namespace: str, channel: str) -> bool:
        """Whether who follows a channel, and no other, is meant."""
        if self.namespace != namespace or channel in self.excluded:
            return False
        return not self.channels or channel in self.channels


class Envelope(NamedTuple):
    """An event, and who is to get it."""

    selection: Selection
    #: The name of the event and its arguments.
    data: list[Any]
    #: Whether it may be dropped for a client that is not ready to take it at once.
    volatile: bool = False


class SocketDetails(NamedTuple):
    """What is known of a socket, wherever it is connected."""

    session_id: str
    #: The channels it is subscribed to.
    channels: list[str]
    #: A copy of what the handlers have put into its context.
    context: dict[str, Any]
