"""Attendance: who is in the channels with presence by the sockets of this process, and for how long after they left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .engine.deadlines import Deadlines
from .presence_rules import PresenceRule, presence_rule_of
from .presences import Place, Presence, check_user, key_of, presence_of
from .runner import Runner


class Attendant:
    """One user, or a socket without one, in one channel."""

    __slots__ = ("sids", "since", "until")

    def __init__(self, since: int) -> None:
        #: The sockets; none if they have left, and may be back soon.
        self.sids: set[str] = set()
        #: Milliseconds since 1970.
        self.since = since
        #: Until when that is waited for.
        self.until = 0.0


def _nothing(*args: Any) -> None:
    """Nobody wants to know."""


class Attendance:
    """The attendants of all channels.

    :param rules: for which channels it is kept; the list may change.
    :param grace: seconds for which one who has left is still there, as a page that loads again soon is back.
    """

    def __init__(self, rules: Sequence[PresenceRule], grace: float, deadlines: Deadlines, runner: Runner) -> None:
        self.rules = rules
        #: See the parameter.
        self.grace = grace
        #: The channels that somebody is in, by their attendants' keys.
        self.places: dict[Place, dict[str, Attendant]] = {}
        #: Called with the place and the key when something of an attendant is new.
        self.on_change: Callable[[Place, str], None] = _nothing
        #: Called with the place and the session id of a socket that is to be told who is there, before others are told
        #: that it is new.
        self.on_arrival: Callable[[Place, str], None] = _nothing
        self._deadlines = deadlines
        self._runner = runner

    def __len__(self) -> int:
        return sum(map(len, self.places.values()))

    def has(self, channel: str) -> bool:
        """Whether it is kept for a channel."""
        return presence_rule_of(self.rules, channel) is not None

    def check(self, channels: Iterable[str], user: Any) -> None:
        """Raise EventError if a user cannot be in some channels, as one of them has presence."""
        for channel in channels:
            if self.has(channel):
                check_user(user, channel)

    def join(self, namespace: str, channel: str, user: Any, sid: str) -> None:
        """A socket has subscribed to a channel. It may be gone when this returns, if it cannot take what it is told."""
        rule = presence_rule_of(self.rules, channel)
        if rule is not None:
            place, key = Place(namespace, channel), key_of(user, sid)
            self._add(place, key, sid)
            if rule.clients:
                self.on_arrival(place, sid)
            self.on_change(place, key)

    def leave(self, namespace: str, channels: Iterable[str], user: Any, sid: str) -> None:
        """It is subscribed no longer."""
        key = key_of(user, sid)
        for channel in channels:
            place = Place(namespace, channel)
            if self._discard(place, key, sid):
                self.on_change(place, key)

    def rename(self, namespace: str, channels: Iterable[str], users: tuple[Any, Any], sid: str) -> None:
        """The user of a socket is another now: ``users`` are the one before and the one from now on.

        Who it was before is not waited for.
        """
        before, after = key_of(users[0], sid), key_of(users[1], sid)
        if before == after:
            return
        places = [Place(namespace, channel) for channel in channels]
        places = [place for place in places if self._discard(place, before, sid)]
        for place in places:  # all of them before the first is told, which may be too much for the socket
            self._add(place, after, sid)
        for place in places:
            self.on_change(place, after)
            self._end(place, before)

    def find(self, place: Place, key: str) -> Attendant | None:
        """Return an attendant; None if it is not here."""
        return self.places.get(place, {}).get(key)

    def here(self, place: Place) -> dict[str, Presence]:
        """Who is there, by key, as far as this process knows."""
        attendants = self.places.get(place, {})
        return {key: presence_of(key, one.since, len(one.sids)) for key, one in attendants.items()}

    def is_shown(self, place: Place) -> bool:
        """Whether the subscribers of a channel are told who is there."""
        rule = presence_rule_of(self.rules, place.channel)
        return rule is not None and rule.clients

    def drain(self) -> None:
        """Wait for nobody any more who has left, nor who will."""
        self.grace = 0.0
        for place, key in [(place, key) for place, attendants in self.places.items() for key in attendants]:
            self._end(place, key)

    def _add(self, place: Place, key: str, sid: str) -> None:
        attendants = self.places.setdefault(place, {})
        attendant = attendants.get(key)
        if attendant is None:
            attendant = attendants[key] = Attendant(round(self._runner.time() * 1000))
        attendant.sids.add(sid)

    def _discard(self, place: Place, key: str, sid: str) -> bool:
        """Take a socket from an attendant; tells whether it was there."""
        attendant = self.find(place, key)
        if attendant is None or sid not in attendant.sids:
            return False
        attendant.sids.discard(sid)
        if not attendant.sids:
            if self.grace:
                attendant.until = self._runner.now() + self.grace
                self._deadlines.add(attendant.until, self._expire, (place, key))
            else:
                self._remove(place, key)
        return True

    def _expire(self, subject: tuple[Place, str], now: float) -> None:
        attendant = self.find(*subject)
        if attendant is not None and attendant.until <= now:
            self._end(*subject)

    def _end(self, place: Place, key: str) -> None:
        """Forget one who has left, if it is still so."""
        attendant = self.find(place, key)
        if attendant is not None and not attendant.sids:
            self._remove(place, key)
        self.on_change(place, key)

    def _remove(self, place: Place, key: str) -> None:
        attendants = self.places[place]
        del attendants[key]
        if not attendants:
            del self.places[place]
