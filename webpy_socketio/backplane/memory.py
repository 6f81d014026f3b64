"""The backplane of a single process: everybody is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..acks import Ballot
from ..delivery import Delivery
from ..envelope import Envelope, Selection, SocketDetails
from ..wire.values import encode_text
from .memory_presence import MemoryPresence
from .presence_contract import PresenceRegister


class MemoryBackplane:
    """Hands everything to this process's own delivery, at once."""

    #: There is nobody else to be reached.
    is_alone = is_ready = True
    roaming = None

    def __init__(self) -> None:
        self.presence: PresenceRegister = MemoryPresence()
        self._delivery: Delivery | None = None

    def start(self, delivery: Delivery) -> None:
        """Begin to hand what is published to ``delivery``."""
        self._delivery = delivery

    def publish(self, envelope: Envelope) -> int:
        """Deliver an envelope; return how many sockets it reached. Raises UnsendableValue."""
        return 0 if self._delivery is None else self._delivery.deliver(envelope)

    def ask(self, envelope: Envelope, ballot: Ballot, seconds: float) -> int:
        """Deliver an envelope, and collect the acknowledgements. Raises UnsendableValue."""
        if self._delivery is None:
            ballot.expect(())
            return -1
        return self._delivery.ask(envelope, ballot)

    def stop_asking(self, question: int) -> None:
        """Collect no more acknowledgements of a question."""
        if self._delivery is not None:
            self._delivery.stop_asking(question)

    def sockets(self, selection: Selection) -> list[SocketDetails]:
        """List the sockets that are meant."""
        return [] if self._delivery is None else self._delivery.sockets(selection)

    def channels(self, namespace: str) -> list[str]:
        """List the channels that somebody follows."""
        return [] if self._delivery is None else self._delivery.channels(namespace)

    def subscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """Subscribe the sockets that are meant to channels."""
        if self._delivery is not None:
            self._delivery.subscribe(selection, channels)

    def unsubscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """End the subscriptions of the sockets that are meant."""
        if self._delivery is not None:
            self._delivery.unsubscribe(selection, channels)

    def disconnect(self, selection: Selection) -> None:
        """Put the sockets that are meant out of their namespace."""
        if self._delivery is not None:
            self._delivery.disconnect(selection)

    def log_out(self, web_session: str) -> bool:
        """End the connections of a web session; tells whether there are any."""
        return self._delivery is not None and self._delivery.log_out(web_session)

    def server_side_emit(self, namespace: str, data: list[Any]) -> None:
        """There is nobody else. Raises UnsendableValue for what could not be sent if there were."""
        encode_text(data)

    def server_side_call(self, namespace: str, data: list[Any], seconds: float) -> list[Any]:
        """There is nobody else to answer. Raises UnsendableValue for what could not be sent if there were."""
        encode_text(data)
        return []

    def stop(self, deadline: float) -> None:
        """Nothing is held, so there is nothing to let go of."""
        self._delivery = None
