"""The addressee: what is on its way to one client in one namespace, and what it still is to acknowledge."""

from __future__ import annotations

from typing import Any

from .acks import AckListener, PendingAcks
from .envelope import Envelope, Selection
from .errors import EventError, LimitExceeded
from .overflow import Overflow
from .owners import Owner
from .services import Services
from .wire.packets import SocketPacket
from .wire.prepared import Prepared
from .wire.socketio import encode_event, encode_packet


class Addressee:
    """Whom events are sent to.

    While ``on_connect`` runs the client is not connected yet: what is sent to it meanwhile is kept, and goes out once
    the handlers have let it in.
    """

    __slots__ = (
        "__weakref__", "_acks", "_held", "_services", "connected", "last_number", "link", "namespace", "owner", "pid",
        "sid",
    )  # fmt: skip

    def __init__(self, sid: str, namespace: str, services: Services, owner: Owner) -> None:
        self.sid = sid
        #: The name of the namespace.
        self.namespace = namespace
        #: Whether the client is there to receive.
        self.connected = False
        #: What carries packets to the client.
        self.link = owner.session
        self.owner = owner
        #: The secret with which its client may come back; None if it may not.
        self.pid: str | None = None
        #: The number of the last kept message that was for it; see History.
        self.last_number = 0
        self._services = services
        self._acks: PendingAcks | None = None
        self._held: list[tuple[Prepared, bool]] | None = []

    @property
    def pending_acks(self) -> int:
        """How many acknowledgements this client alone still is to send."""
        return 0 if self._acks is None else len(self._acks)

    def deliver(self, packet: SocketPacket) -> None:
        """Send a packet to this client, after everything sent before; dropped if the client is gone."""
        prepared = Prepared(*encode_packet(packet, self._services.settings.max_attachments))
        if self._held is not None:
            self._held.append((prepared, False))
        elif self.connected:
            self.link.send(prepared)

    def resolve_ack(self, ack_id: int | None, args: list[Any]) -> None:
        """The client acknowledged. One that comes too late, or was never asked for, is ignored."""
        if ack_id is None:
            return
        listener = None if self._acks is None else self._acks.resolve(ack_id)
        if listener is not None:
            listener(args)
        else:
            self._services.desk.answer(ack_id, self.sid, args)

    def note_outgoing(self, data: list[Any]) -> None:
        """Tell the handlers of outgoing events."""
        self.owner.note_outgoing(self, data)

    def _emit(self, data: list[Any], seconds: float, listener: AckListener | None, volatile: bool) -> None:
        services = self._services
        if self.pid is not None and listener is None and services.roaming is not None:
            services.backplane.publish(Envelope(Selection(self.namespace, (self.sid,)), data, volatile))
            return
        ack_id = None
        if listener is not None:
            ack_id = self._expect_ack(listener, services.runner.now() + seconds)
        try:
            prepared = Prepared(*encode_event(self.namespace, data, ack_id, services.settings.max_attachments))
        except BaseException:
            if self._acks is not None and ack_id is not None:
                self._acks.resolve(ack_id)
            raise
        if self._held is not None:
            prepared.overflow = self._overflow(ack_id)
            self._held.append((prepared, ack_id is None))
        elif not volatile:
            if self.pid is None and self.connected and self.link.write is not None:
                self.link.write(prepared)  # as _transmit and link.send do, with fewer steps
            else:
                prepared.overflow = self._overflow(ack_id)
                self._transmit(prepared, ack_id is None)
                if prepared.overflow is not None:
                    services.overflows.wait_for_room((self.link,), prepared.overflow)
        elif not (self.connected and self._send_if_ready(prepared, ack_id is None)):
            services.counters.dropped_volatile += 1
            if self._acks is not None and ack_id is not None:
                self._acks.resolve(ack_id)
            return
        if services.events.on_any_outgoing.is_bound:
            self.note_outgoing(data)

    def _expect_ack(self, listener: AckListener, until: float) -> int:
        services = self._services
        if not self.link.dialect.acknowledges:
            raise EventError("the client cannot acknowledge: it speaks no Socket.IO. Send it a message instead")
        if self._acks is None:
            self._acks = PendingAcks(services.desk)
        most = services.settings.max_pending_acks
        if most and len(self._acks) >= most:
            services.counters.limited["max_pending_acks"] += 1
            raise LimitExceeded("max_pending_acks", f"the client has not acknowledged {most} events yet")
        return self._acks.add(listener, until)

    def _overflow(self, ack_id: int | None) -> Overflow | None:
        overflows = self._services.overflows
        return overflows.default if ack_id is None else overflows.default_of_questions

    def _transmit(self, prepared: Prepared, is_kept: bool) -> None:
        services = self._services
        if is_kept and self.pid is not None and services.recovery is not None:
            selection = Selection(self.namespace, (self.sid,))
            self.last_number = services.recovery.history.keep(selection, prepared, services.runner.now())
        elif is_kept and self.pid is not None and services.roaming is not None:
            services.roaming.mark(prepared)
        if self.connected:
            self.link.send(prepared)

    def _send_if_ready(self, prepared: Prepared, has_offset: bool) -> bool:
        recovery = self._services.recovery
        if has_offset and self.pid is not None and recovery is not None:
            recovery.history.mark(prepared)
        return self.link.send_if_ready(prepared)

    def _abandon_acks(self) -> None:
        for listener in () if self._acks is None else self._acks.abandon():
            listener(None)
