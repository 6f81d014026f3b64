"""What a backplane promises, whichever it is.

* ``publish`` hands an envelope to every process that takes part, this one included, and returns how many receivers
  were reached as far as that is known. It raises UnsendableValue, before anything was sent, for data that has no form
  on the wire; trouble of the backplane itself never reaches the caller's socket.
* ``ask`` does the same and hands the answers to a ballot, until ``stop_asking``.
* ``subscribe``, ``unsubscribe`` and ``disconnect`` are done to the sockets of every process, ``sockets`` lists them;
  ``log_out`` is done to the connections of every process.
* A selection that is ``local`` means the sockets of this process only.
* Order: envelopes published one after the other by one process are delivered in that order by each process. Between
  publishers there is no order.
* At most once: an envelope is never delivered twice to a socket; it may be lost for other processes while they cannot
  be reached. It is never lost for this one.
* ``is_ready`` tells whether the other processes can be reached now, as far as that is known; it never waits.
* ``start`` is called once before the first ``publish``, ``stop`` once after the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..acks import Ballot
from ..delivery import Delivery
from ..envelope import Envelope, Selection, SocketDetails


class Backplane(Protocol):
    """See the module's text for the promises."""

    @property
    def is_ready(self) -> bool:
        """Whether every process that takes part can be reached."""

    def start(self, delivery: Delivery) -> None:
        """Begin to hand what arrives to ``delivery``."""

    def publish(self, envelope: Envelope) -> int:
        """Send an envelope to every process."""

    def ask(self, envelope: Envelope, ballot: Ballot) -> int:
        """Send an envelope to every process, and collect the acknowledgements; return the id of the question."""

    def stop_asking(self, question: int) -> None:
        """Collect no more acknowledgements of a question."""

    def sockets(self, selection: Selection) -> list[SocketDetails]:
        """List the sockets that are meant. May wait."""

    def subscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """Subscribe the sockets that are meant to channels."""

    def unsubscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """End the subscriptions of the sockets that are meant."""

    def disconnect(self, selection: Selection) -> None:
        """Put the sockets that are meant out of their namespace."""

    def log_out(self, web_session: str) -> bool:
        """End the connections of a web session, given by its private channel; tells whether there are any, as far as
        that is known."""

    def stop(self, deadline: float) -> None:
        """Let go of everything, within so many seconds."""
