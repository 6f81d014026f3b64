"""Delivery: who is connected to this process, and handing an event to those it is for."""

from __future__ import annotations

from collections.abc import Iterable

from .channels import Membership
from .engine.session import Session
from .envelope import Envelope
from .wire.packets import SocketPacket, SocketType
from .wire.prepared import Prepared
from .wire.socketio import encode_packet


class Delivery:
    """The members of every namespace in this process."""

    def __init__(self, max_attachments: int) -> None:
        self._namespaces: dict[str, Membership] = {}
        self._max_attachments = max_attachments

    def membership(self, namespace: str) -> Membership:
        """Who is in a namespace, and follows which channels."""
        return self._namespaces.setdefault(namespace, Membership())

    def attach(self, namespace: str, sid: str, session: Session, channels: Iterable[str]) -> None:
        """From now on, a socket receives what is sent to its namespace and to these channels."""
        membership = self.membership(namespace)
        membership.everybody[sid] = session
        for channel in channels:
            membership.add(channel, sid)

    def detach(self, namespace: str, sid: str, channels: Iterable[str]) -> None:
        """From now on, a socket receives nothing."""
        self.membership(namespace).drop(sid, channels)

    def deliver(self, envelope: Envelope) -> int:
        """Send an event to everyone here whom it is for; return how many that were.

        Raises UnsendableValue before anybody got anything.
        """
        namespace, data, channels, excluded, sids = envelope
        packet = SocketPacket(SocketType.EVENT, namespace, data)
        prepared = Prepared(*encode_packet(packet, self._max_attachments))
        reached = 0
        for session in self.membership(namespace).select(channels, excluded, sids):
            reached += session.send(prepared)
        return reached
