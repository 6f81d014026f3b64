"""Overflow: what becomes of an event for a client that has too much waiting for it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

DISCONNECT, DROP_OLDEST, DROP_NEWEST, WAIT = "disconnect", "drop_oldest", "drop_newest", "wait"
#: The policies of a whole server.
POLICIES = (DISCONNECT, DROP_OLDEST, DROP_NEWEST, WAIT)
#: For channels only: of the events with the same key, the last is the only one that counts.
LATEST = "latest"
CHANNEL_POLICIES = (*POLICIES, LATEST)


class Overflow(NamedTuple):
    """The policy of one event. An event without one is not to be lost: rather the client is disconnected."""

    policy: str
    #: Seconds that its sender waits for room, if that is the policy.
    timeout: float
    #: Of two events that have the same, the newer makes the older worthless; None if there is no such thing.
    identity: Hashable = None
