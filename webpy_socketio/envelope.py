"""The envelope: an event on its way to many, and the one noun that crosses processes."""

from __future__ import annotations

from typing import Any, NamedTuple


class Envelope(NamedTuple):
    """An event, and who is to get it."""

    namespace: str
    #: The name of the event and its arguments.
    data: list[Any]
    #: Channels, or session ids, of the receivers, who get it once each; none means the whole namespace.
    channels: tuple[str, ...] = ()
    #: Session ids of those who shall not get it.
    excluded: tuple[str, ...] = ()
