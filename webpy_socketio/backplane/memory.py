"""The backplane of a single process: everybody is here."""

from __future__ import annotations

from ..delivery import Delivery
from ..envelope import Envelope


class MemoryBackplane:
    """Hands every envelope to this process's own delivery, at once."""

    def __init__(self) -> None:
        self._delivery: Delivery | None = None

    def start(self, delivery: Delivery) -> None:
        """Begin to hand what is published to ``delivery``."""
        self._delivery = delivery

    def publish(self, envelope: Envelope) -> int:
        """Deliver an envelope; return how many sockets it reached. Raises UnsendableValue."""
        return 0 if self._delivery is None else self._delivery.deliver(envelope)

    def stop(self, deadline: float) -> None:
        """Nothing is held, so there is nothing to let go of."""
        self._delivery = None
