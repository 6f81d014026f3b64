"""What a backplane promises, whichever it is.

* ``publish`` hands an envelope to every process that takes part, this one included, and returns how many receivers
  were reached as far as that is known. It raises UnsendableValue, before anything was sent, for data that has no form
  on the wire; trouble of the backplane itself never reaches the caller's socket.
* Order: envelopes published one after the other by one process are delivered in that order by each process. Between
  publishers there is no order.
* At most once: an envelope is never delivered twice to a socket; it may be lost for other processes while they cannot
  be reached. It is never lost for this one.
* ``start`` is called once before the first ``publish``, ``stop`` once after the last.
"""

from __future__ import annotations

from typing import Protocol

from ..delivery import Delivery
from ..envelope import Envelope


class Backplane(Protocol):
    """See the module's text for the promises."""

    def start(self, delivery: Delivery) -> None:
        """Begin to hand what arrives to ``delivery``."""

    def publish(self, envelope: Envelope) -> int:
        """Send an envelope to every process."""

    def stop(self, deadline: float) -> None:
        """Let go of everything, within so many seconds."""
