"""Presences: who is in a channel, and the events by which its subscribers are told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from .envelope import Envelope, Selection
from .errors import EventError

User = str | int | None
#: The event that clients get.
PRESENCE = "presence"
#: The integers that have a form everywhere.
SMALLEST, LARGEST = -(2**63), 2**63 - 1
#: How the keys of sockets without a user begin; those of users are JSON.
NOBODY = "s"


class Presence(NamedTuple):
    """One who is in a channel, with however many sockets."""

    #: What ``socket.user`` is; None for a socket that has none, each of which is a presence of its own.
    user: User
    #: Seconds since 1970.
    since: float
    #: How many sockets these are, in all processes; 0 for one that has left, or may be about to.
    connections: int


class Place(NamedTuple):
    """A channel of a namespace."""

    namespace: str
    channel: str


def check_user(user: Any, channel: str) -> None:
    """Raise EventError for a ``socket.user`` that cannot be told to other processes and clients."""
    is_number = isinstance(user, int) and not isinstance(user, bool) and SMALLEST <= user <= LARGEST
    if not (user is None or isinstance(user, str) or is_number):
        raise EventError(
            f"socket.user cannot be {user!r} in {channel!r}, a channel with presence: "
            "give a text or an integer (of 64 bits), like the user's id"
        )


def key_of(user: Any, sid: str) -> str:
    """What tells a presence from others: its user, or the socket, if there is none. ASCII, in one line.

    Who is in no channel with presence may have a user of any other type.
    """
    return json.dumps(user) if isinstance(user, (str, int)) else NOBODY + sid


def user_of(key: str) -> User:
    """Whose key it is."""
    if key.startswith(NOBODY):
        return None
    user: User = json.loads(key)
    return user


def presence_of(key: str, since: int, connections: int) -> Presence:
    """Return a presence.

    :param since: milliseconds since 1970.
    """
    return Presence(user_of(key), since / 1000, connections)


def joined(place: Place, presence: Presence) -> Envelope:
    """What the subscribers are told of one who is new."""
    return _event(place, (place.channel,), join=_shown(presence))


def left(place: Place, presence: Presence) -> Envelope:
    """What they are told of one who has gone."""
    return _event(place, (place.channel,), leave={"user": presence.user})


def all_here(place: Place, sids: Iterable[str], presences: Iterable[Presence]) -> Envelope:
    """What some of them are told of all who are there."""
    return _event(place, tuple(sids), here=[_shown(presence) for presence in presences])


def _shown(presence: Presence) -> dict[str, Any]:
    """What clients see. How many sockets somebody has changes without an event, and is nobody else's business."""
    return {"user": presence.user, "since": presence.since}


def _event(place: Place, receivers: tuple[str, ...], **fields: Any) -> Envelope:
    return Envelope(Selection(place.namespace, receivers), [PRESENCE, {"channel": place.channel, **fields}])
