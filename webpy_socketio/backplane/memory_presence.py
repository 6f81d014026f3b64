"""The register of presences of a single process: everybody is here."""

from __future__ import annotations

from collections import deque

from ..attendance import Attendance
from ..delivery import Delivery
from ..envelope import Envelope
from ..errors import SocketIOError
from ..logs import logger, printable
from ..presence_events import PresenceEvents
from ..presences import Place, Presence, all_here, joined, left, presence_of


class MemoryPresence:
    """Tells at once what the attendance of this process has."""

    def __init__(self) -> None:
        #: Who was told to have joined, since when.
        self._known: dict[tuple[Place, str], int] = {}
        self._waiting: deque[Envelope] = deque()
        self._is_telling = False

    def start(self, delivery: Delivery, attendance: Attendance, events: PresenceEvents) -> None:
        """Begin to tell what changes."""
        self._delivery = delivery
        self._attendance = attendance
        self._events = events
        attendance.on_change = self._note
        attendance.on_arrival = self._greet

    def here(self, place: Place) -> list[Presence]:
        """List who is in a channel."""
        return list(self._attendance.here(place).values())

    def stop(self, deadline: float) -> None:
        """Nothing is held, so there is nothing to let go of."""

    def _note(self, place: Place, key: str) -> None:
        attendant, since = self._attendance.find(place, key), self._known.get((place, key))
        if attendant is not None and since is None:
            self._known[place, key] = attendant.since
            self._tell(place, presence_of(key, attendant.since, len(attendant.sids)), True)
        elif attendant is None and since is not None:
            del self._known[place, key]
            self._tell(place, presence_of(key, since, 0), False)

    def _tell(self, place: Place, presence: Presence, has_joined: bool) -> None:
        self._events.tell(place, presence, has_joined)
        if self._attendance.is_shown(place):  # a client for which that is too much leaves, which is told after this
            self._send(joined(place, presence) if has_joined else left(place, presence))

    def _greet(self, place: Place, sid: str) -> None:
        told = [one for key, one in self._attendance.here(place).items() if (place, key) in self._known]
        self._send(all_here(place, [sid], told))

    def _send(self, envelope: Envelope) -> None:
        """Send one after the other: others are served while one is sent to very many."""
        self._waiting.append(envelope)
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._waiting:
                self._deliver(self._waiting.popleft())
        finally:
            self._is_telling = False

    def _deliver(self, envelope: Envelope) -> None:
        try:
            self._delivery.deliver(envelope, can_wait=False)
        except SocketIOError as error:  # the key of channel_overflow, for example
            channel = printable(envelope.data[1]["channel"])
            logger.error("it cannot be told who is in %s: %s", channel, printable(str(error)))
