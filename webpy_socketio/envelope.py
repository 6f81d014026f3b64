"""The envelope: an event on its way to many, and the one noun that crosses processes."""

from __future__ import annotations

from typing import Any, NamedTuple


class Envelope(NamedTuple):
    """An event, and who is to get it."""

    namespace: str
    #: The name of the event and its arguments.
    data: list[Any]
    #: Channels of the receivers, who get it once each; with no channel and no session id, the whole namespace gets it.
    channels: tuple[str, ...] = ()
    #: Session ids of those who shall not get it.
    excluded: tuple[str, ...] = ()
    #: Session ids of further receivers. They are no channels: who knows one cannot subscribe to it.
    sids: tuple[str, ...] = ()
