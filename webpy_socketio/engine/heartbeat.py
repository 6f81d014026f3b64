"""Heartbeats: in revision 4 the server pings and the client has to answer, in revision 3 it is the other way round."""

from __future__ import annotations

from enum import Enum

from ..errors import TransportMisused
from ..wire.packets import EngineType
from ..wire.prepared import PONG, Prepared


class Beat(Enum):
    """What a heartbeat that is due asks for."""

    PING = "ping"
    DEAD = "dead"


class ServerHeartbeat:
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

    def hear(self, kind: EngineType, now: float) -> Prepared | None:
        """The client answered, asked or not: the interval starts again. Raises TransportMisused if it pings itself."""
        if kind is not EngineType.PONG:
            raise TransportMisused("a client of revision 4 answers pings; it does not send them")
        self.is_awaiting = False
        self.deadline = now + self._interval
        return None

    def sign_of_life(self, now: float) -> None:
        """Something else than a pong came; while a pong is awaited, the first such packet grants the timeout anew."""
        if self.is_awaiting and not self._extended:
            self._extended = True
            self.deadline = now + self._timeout

    def switched(self, now: float) -> None:
        """The transport changed, or we did not read, so a pong may be late: an unanswered ping has its time anew."""
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


class ClientHeartbeat:
    """By when the client has to ping again. All times are seconds."""

    __slots__ = ("_allowance", "deadline")

    #: There is never a ping of ours to be answered.
    is_awaiting = False

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._allowance = interval + timeout
        #: When the client has been silent for too long.
        self.deadline = now + self._allowance

    def hear(self, kind: EngineType, now: float) -> Prepared | None:
        """The client pinged: return the answer. Raises TransportMisused if it answers a ping that was never sent."""
        if kind is not EngineType.PING:
            raise TransportMisused("a client of revision 3 sends pings; it does not answer them")
        self.deadline = now + self._allowance
        return PONG

    def sign_of_life(self, now: float) -> None:
        """Only pings count."""

    def switched(self, now: float) -> None:
        """The transport changed, or we did not read, so that a ping may be late: the client has its whole time anew."""
        self.deadline = now + self._allowance

    def postpone(self, now: float) -> None:
        """The server itself stopped reading from the client: do not hold its silence against it."""
        self.deadline = now + self._allowance

    def look_again(self, now: float) -> float:
        """When to ask :meth:`due` next: a ping moves it only further away."""
        return self.deadline

    def due(self, now: float) -> Beat | None:
        """Return DEAD when the client has been silent for too long."""
        return Beat.DEAD if now >= self.deadline else None
