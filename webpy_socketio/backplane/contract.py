"""What a backplane promises, whichever it is.

* ``publish`` hands an envelope to every process that takes part, this one included, and returns how many receivers
  were reached as far as that is known: those of this process. Where it ``is_alone``, that is all there are. It raises
  UnsendableValue, before anything was sent, for data that has no form on the wire; trouble of the backplane itself
  never reaches the caller's socket.
* ``ask`` does the same and hands the answers to a ballot, until ``stop_asking``.
* ``subscribe``, ``unsubscribe`` and ``disconnect`` are done to the sockets of every process; ``sockets`` lists them,
  ``channels`` the channels that any of them follows. What lists waits for all processes, and raises AckTimeout, with
  what is known, rather than leave some out.
* ``server_side_emit`` and ``server_side_call`` have handlers run by every process but this one.
* No handler of the application runs within what comes from other processes: whoever listens to them never waits.
* ``log_out`` is done to the connections of every process.
* A selection that is ``local`` means the sockets of this process only.
* Order: envelopes published one after the other by one process are delivered in that order by each process. Between
  publishers there is no order.
* At most once: an envelope is never delivered twice to a socket; it may be lost for other processes while they cannot
  be reached. It is never lost for this one.
* ``is_ready`` tells whether the other processes can be reached now, as far as that is known; it never waits.
* Where there is ``roaming``, every event that is not volatile has its place in a history that all processes share.
* ``start`` is called once before the first ``publish``, ``stop`` once after the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..acks import Ballot
from ..delivery import Delivery
from ..envelope import Envelope, Selection, SocketDetails
from ..roaming import Roaming
from .presence_contract import PresenceRegister


class Backplane(Protocol):
    """See the module's text for the promises."""

    #: Who is in the channels with presence; there once it has been started.
    presence: PresenceRegister

    @property
    def is_alone(self) -> bool:
        """Whether there can be no other process that takes part."""

    @property
    def is_ready(self) -> bool:
        """Whether every process that takes part can be reached."""

    @property
    def roaming(self) -> Roaming | None:
        """What lets clients come back to any process, once it has started; None if they cannot."""

    def start(self, delivery: Delivery) -> None:
        """Begin to hand what arrives to ``delivery``."""

    def publish(self, envelope: Envelope) -> int:
        """Send an envelope to every process."""

    def ask(self, envelope: Envelope, ballot: Ballot, seconds: float) -> int:
        """Send an envelope to every process, and collect the acknowledgements; return the id of the question.

        :param seconds: for which answers are of use.
        """

    def stop_asking(self, question: int) -> None:
        """Collect no more acknowledgements of a question."""

    def sockets(self, selection: Selection) -> list[SocketDetails]:
        """List the sockets that are meant. May wait, and raise AckTimeout."""

    def channels(self, namespace: str) -> list[str]:
        """List the channels that somebody follows. May wait, and raise AckTimeout."""

    def subscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """Subscribe the sockets that are meant to channels."""

    def unsubscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """End the subscriptions of the sockets that are meant."""

    def disconnect(self, selection: Selection) -> None:
        """Put the sockets that are meant out of their namespace."""

    def log_out(self, web_session: str) -> bool:
        """End the connections of a web session, given by its private channel; tells whether there are any, as far as
        that is known."""

    def server_side_emit(self, namespace: str, data: list[Any]) -> None:
        """Have the handlers of a server-side event, by its name and arguments, run by all other processes."""

    def server_side_call(self, namespace: str, data: list[Any], seconds: float) -> list[Any]:
        """The same, and wait for what each of them answers. Raises AckTimeout."""

    def stop(self, deadline: float) -> None:
        """Let go of everything, within so many seconds."""
