"""The heartbeat of revision 4: the server pings, and the client has to answer in time."""

from __future__ import annotations

from enum import Enum


class Beat(Enum):
    """What a heartbeat that is due asks for."""

    PING = "ping"
    DEAD = "dead"


class Heartbeat:
    """When the next ping is due, or by when the last one has to be answered. All times are seconds."""

    __slots__ = ("_extended", "_interval", "_timeout", "deadline", "is_awaiting")

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        #: Whether a ping is unanswered.
        self.is_awaiting = False
        self._extended = False
        #: When something has to be done next.
        self.deadline = now + interval

    def pong(self, now: float) -> None:
        """The client answered, asked or not: the interval starts again."""
        self.is_awaiting = False
        self.deadline = now + self._interval

    def sign_of_life(self, now: float) -> None:
        """Something else than a pong came; while a pong is awaited, the first such packet grants the timeout anew."""
        if self.is_awaiting and not self._extended:
            self._extended = True
            self.deadline = now + self._timeout

    def switched(self, now: float) -> None:
        """The transport changed, and a pong may be lost in between: an unanswered ping gets its whole timeout anew."""
        if self.is_awaiting:
            self.deadline = now + self._timeout

    def postpone(self, now: float) -> None:
        """The server itself stopped reading from the client: do not hold its silence against it."""
        self.deadline = now + self._timeout

    def look_again(self, now: float) -> float:
        """When to ask :meth:`due` next: an answer in the meantime may bring the next ping closer than the deadline."""
        return min(self.deadline, now + self._interval)

    def due(self, now: float) -> Beat | None:
        """Return what has to be done now, if anything; PING is returned once, and then awaits its answer."""
        if now < self.deadline:
            return None
        if self.is_awaiting:
            return Beat.DEAD
        self.is_awaiting = True
        self._extended = False
        # Counted from when the ping was due, so that a timer a little late does not add to the client's time;
        # but if the process stood still for long, the client shall not pay for it.
        late = now - self.deadline
        self.deadline += self._timeout if late < self._timeout / 2 else self._timeout + late
        return Beat.PING
