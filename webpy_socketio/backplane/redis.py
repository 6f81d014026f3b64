"""The backplane over Redis' Pub/Sub, as full members of a cluster with Node's ``@socket.io/redis-adapter``.

What is for others is published, and each picks what concerns it.
"""

from __future__ import annotations

from typing import Any

from ..delivery import Delivery
from ..envelope import Envelope, Selection
from .cluster import ClusterBackplane
from .inquiries import new_id
from .redis_wire import (
    ALL_ROOMS,
    SOCKETS,
    Names,
    decode_broadcast,
    decode_message,
    decode_request,
    encode_broadcast,
    own_marks,
    read_names,
    splits,
)
from .wires import PubSubWire


class RedisBackplane(ClusterBackplane):
    """A process whose messages are for who hears them now."""

    roaming = None
    _wire: PubSubWire

    def start(self, delivery: Delivery) -> None:
        """Become a member of the cluster."""
        self._pattern = Names(self._settings.redis_key, "").all_broadcasts
        super().start(delivery)
        self._own = own_marks(self._wire.uid)

    def publish(self, envelope: Envelope) -> int:
        """Deliver an event here and send it to all others; return how many sockets of this process it reached.

        Raises UnsendableValue.
        """
        if envelope.selection.local:
            return self._delivery.deliver(envelope)
        message = encode_broadcast(self._wire.uid, envelope)
        reached = self._delivery.deliver(envelope)
        self._bus.publish(self._names.broadcast(envelope.selection), message)
        return reached

    def channels(self, namespace: str) -> list[str]:
        """List the channels that somebody follows. Raises AckTimeout if not all other processes tell."""
        here = self._delivery.channels(namespace)
        rooms = self._gather(ALL_ROOMS, namespace, lambda message: read_names(message, "rooms"), here)
        # In Node, each socket is in a room of its own.
        sids = set(self._gather(SOCKETS, namespace, lambda message: read_names(message, "sockets"), here, rooms=[]))
        return list(dict.fromkeys([*here, *(name for name in rooms if name not in sids)]))

    def _make_wire(self) -> PubSubWire:
        uid = new_id()
        return PubSubWire(Names(self._settings.redis_key, uid), uid)

    def _command(self, kind: int, selection: Selection, fields: dict[str, Any]) -> None:
        namespace = selection.namespace
        self._bus.publish(self._wire.requests(namespace), self._wire.write_request(kind, namespace, None, fields))

    def _receive(self, channel: bytes, payload: bytes) -> None:
        if payload.startswith(self._own):
            return
        names = self._names
        if channel.startswith(names.broadcasts):
            self._deliver(channel[len(names.broadcasts) :], payload)
        elif channel.startswith(names.responses):
            self._inquiries.receive(decode_message(payload))
        elif not self.presence.receive(channel, payload):
            namespace = channel[len(names.requests) : -1].decode("utf-8", "replace")
            self._respondent.receive(namespace, decode_request(payload))

    def _deliver(self, rest: bytes, payload: bytes) -> None:
        """Deliver a broadcast; one that by its channel's name is for nobody here is not even decoded."""
        meant = [namespace for namespace, room in splits(rest) if self._delivery.has(namespace, room)]
        if meant:
            envelope = decode_broadcast(payload)
            if envelope.selection.namespace in meant:
                self._delivery.deliver(envelope, can_wait=False)
