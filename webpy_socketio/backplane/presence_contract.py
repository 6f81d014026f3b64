"""What a register of presences promises, whichever it is: who is in the channels with presence, over all processes.

* ``start`` has it follow what changes in the attendance of this process. Whatever a client does never waits for that.
* Who is new, because the first of a user's sockets has joined, is told once: to the handlers of one process, and, where
  the channel wants it, to all subscribers. So is who has gone, because the last has left; also if the process of that
  one has died. Both alternate. Who comes and goes within a moment may not be told at all.
* A subscriber is sent the list of who is there when it comes, and again if it may have missed something: each time
  before every join and leave that is newer than the list. Older ones may come before it.
* Handlers are told at most once, and not at all if what is shared by the processes broke just then.
* ``here`` lists who is there. It may wait, and raises AckTimeout, with who is here, rather than leave some out.
* ``stop`` lets go of everything, within so many seconds. Others wait for those who were here as long as this process
  would have, and tell then who has not come back to one of them.
"""

from __future__ import annotations

from typing import Protocol

from ..attendance import Attendance
from ..delivery import Delivery
from ..presence_events import PresenceEvents
from ..presences import Place, Presence


class PresenceRegister(Protocol):
    """See the module's text for the promises."""

    def start(self, delivery: Delivery, attendance: Attendance, events: PresenceEvents) -> None:
        """Begin to follow what changes, and to tell it."""

    def here(self, place: Place) -> list[Presence]:
        """List who is in a channel. May wait, and raise AckTimeout."""

    def stop(self, deadline: float) -> None:
        """Let go of everything, within so many seconds."""
