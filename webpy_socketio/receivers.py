"""The receiver: one client in one namespace, from its admission to its end, and what is on its way to it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from .acks import AckListener, PendingAcks
from .engine.session import Session
from .envelope import Selection
from .errors import EventError, LimitExceeded
from .history import Kept
from .overflow import Overflow
from .reasons import SERVER_DISCONNECT, TRANSPORT_CLOSE, Reason
from .services import Services
from .subscriptions import Subscriptions
from .targets import check_channels
from .wire.packets import SocketPacket, SocketType
from .wire.prepared import Prepared, Together
from .wire.socketio import encode_event, encode_packet

#: Bytes that fit into one segment of TCP, on any usual network.
ONE_SEGMENT = 1200


class Owner(Protocol):
    """What a socket needs of the conversation that it is part of."""

    @property
    def session(self) -> Session:
        """What carries the conversation."""

    @property
    def request(self) -> dict[str, Any]:
        """The WSGI environ of its handshake."""

    @property
    def followed(self) -> int:
        """How many subscriptions the client has, in all its namespaces."""

    def leave(self, socket: Any, reason: Reason) -> None:
        """End the socket, as the server wishes."""

    def perform(self, socket: Any, what: str, function: Callable[..., object], args: Sequence[Any]) -> None:
        """Run an application's function here, as a handler is run; ``what`` it is tells the log, if it fails."""

    def note_outgoing(self, socket: Any, data: list[Any]) -> None:
        """Tell the handlers of outgoing events."""

    def log_out(self) -> None:
        """End the whole conversation, and what carries it."""


class Receiver:
    """Everything about a socket but what only handlers use.

    While ``on_connect`` runs the client is not connected yet: what is sent to it meanwhile is kept, and goes out once
    the handlers have let it in.
    """

    __slots__ = (
        "__weakref__", "_acks", "_held", "_services", "_spawned", "_subscriptions", "_user", "_web_session",
        "admitted", "auth", "connected", "context", "first_number", "instances", "is_attached", "last_number", "link",
        "namespace", "owner", "pid", "reason", "recovered", "replayed_from", "request", "sid",
    )  # fmt: skip

    def __init__(self, sid: str, namespace: str, auth: dict[str, Any], services: Services, owner: Owner) -> None:
        self.sid = sid
        #: The name of the namespace.
        self.namespace = namespace
        #: The WSGI environ of the client's handshake.
        self.request = owner.request
        #: What the client sent to identify itself; an empty dict if nothing.
        self.auth = auth
        #: One dict for the life of this connection, yours to use.
        self.context: dict[str, Any] = {}
        #: Whether the client is there to receive.
        self.connected = False
        #: Whether ``on_connect`` let it in, so that there will be an end to tell of.
        self.admitted = False
        #: Whether the client came back to this socket after its connection broke.
        self.recovered = False
        #: Why the connection ended; None while it has not.
        self.reason: Reason | None = None
        #: What carries packets to the client.
        self.link = owner.session
        self.owner = owner
        #: The objects of classes bound to the namespace, each made when it is first needed.
        self.instances: dict[type, Any] | None = None
        #: Whether it is among the namespace's members, connected or waited for.
        self.is_attached = False
        #: The secret with which its client may come back; None if it may not.
        self.pid: str | None = None
        #: The numbers of the last message before it connected, and of the last that was for it; see History.
        self.first_number = self.last_number = 0
        #: See Recovery.
        self.replayed_from = 0
        self._services = services
        self._user: Hashable = None
        self._web_session: str | None = None
        self._subscriptions = Subscriptions()
        self._acks: PendingAcks | None = None
        self._held: list[tuple[Prepared, bool]] | None = []
        self._spawned: dict[object, Callable[[], None] | None] | None = None

    @property
    def channels(self) -> list[str]:
        """The channels that this socket is subscribed to, in the order it subscribed."""
        return list(self._subscriptions)

    @property
    def followed(self) -> int:
        """How many channels this socket is subscribed to."""
        return len(self._subscriptions)

    @property
    def pending_acks(self) -> int:
        """How many acknowledgements this client alone still is to send."""
        return 0 if self._acks is None else len(self._acks)

    @property
    def forgotten_number(self) -> int:
        """Up to this number of History, it may be unknown which messages were for this socket."""
        return self._subscriptions.forgotten_number

    # For handlers.

    def subscribe(self, channel: str) -> None:
        """Subscribe this client to a channel. The decision is yours: ``on_subscribe`` is not asked.

        Raises EventError for what cannot be the name of a channel.
        """
        check_channels((channel,))
        recovery = self._services.recovery
        self._subscriptions.add(channel, 0 if recovery is None else recovery.history.last_number)
        if self.is_attached:
            self._services.delivery.membership(self.namespace).add(channel, self.sid)

    def unsubscribe(self, channel: str) -> None:
        """End a subscription; nothing happens if there is none."""
        recovery = self._services.recovery
        history = None if recovery is None else recovery.history
        if self._subscriptions.discard(channel, history) and self.is_attached:
            self._services.delivery.membership(self.namespace).discard(channel, self.sid)

    def disconnect(self) -> None:
        """Put the client out of the namespace; it does not come back by itself.

        During ``on_connect`` it lets the client in first; to keep it out, refuse it.
        """
        if self._held is not None:
            self.accept()
        self.put_out(SERVER_DISCONNECT)

    # For the floors above.

    def accept(self) -> None:
        """Let the client in: it is told so, then gets what was sent meanwhile; nothing if it has left already."""
        held, self._held = self._held, None
        self.admitted = True
        if held is None or self.reason is not None:
            return
        self.connected = self.is_attached = True
        services = self._services
        services.delivery.attach(self.namespace, self, self._subscriptions)
        if services.recovery is not None and self.link.dialect.resumes:
            self.first_number = self.last_number = services.recovery.history.last_number
            self.pid = services.recovery.admit(self)
        self.deliver(self.link.dialect.connect(self.namespace, self.sid, self.pid))
        for prepared, is_kept in held:
            self._transmit(prepared, is_kept)
        if services.overflows.default is not None:
            services.overflows.wait_for_room((self.link,), services.overflows.default)

    def put_out(self, reason: Reason) -> None:
        """End this socket, and tell its client so. One that is not let in yet will not be."""
        if self._held is not None:
            self.refuse(reason.sentence)
        elif self.connected:
            self.deliver(SocketPacket(SocketType.DISCONNECT, self.namespace))
        self.owner.leave(self, reason)

    def log_out(self) -> None:
        """The client's web session is over."""
        self.owner.log_out()

    def refuse(self, message: str, data: Any = None) -> None:
        """Turn the client away, and tell it why. Raises UnsendableValue for data that has no form on the wire."""
        if self._held is not None and self.reason is None:
            refusal = self.link.dialect.connect_error(self.namespace, message, data)
            prepared = Prepared(*encode_packet(refusal, 0))
            self._held = None
            self._release()
            self.link.send(prepared)

    def deliver(self, packet: SocketPacket) -> None:
        """Send a packet to this client, after everything sent before; dropped if the client is gone."""
        prepared = Prepared(*encode_packet(packet, self._services.settings.max_attachments))
        if self._held is not None:
            self._held.append((prepared, False))
        elif self.connected:
            self.link.send(prepared)

    def provisionally(self, channel: str) -> bool:
        """Show a channel in ``channels`` while its subscription is being decided; False if it is there already."""
        known = channel in self._subscriptions
        if not known:
            self._subscriptions.add(channel, None)
        return not known

    def pause(self, reason: Reason) -> None:
        """The connection broke, but the client may come back: what is sent to it is kept for it."""
        self.reason = reason
        self.connected = False
        self._abandon_acks()
        self._services.desk.leave(self.sid)

    def resume(self, owner: Owner, auth: dict[str, Any], missed: Sequence[Kept]) -> None:
        """The client came back, on another connection: it gets what it missed, and is told that it goes on."""
        self.owner, self.link, self.request, self.auth = owner, owner.session, owner.request, auth
        self.reason = None
        self.connected = self.recovered = True
        self._services.delivery.attach(self.namespace, self, self._subscriptions.granted)
        answer = encode_packet(self.link.dialect.connect(self.namespace, self.sid, self.pid), 0)
        together = Together([*(kept.prepared for kept in missed), Prepared(*answer)])
        # A poll's answer arrives as a whole or not at all, and so does a segment.
        is_divisible = self.link.transport != "polling" and together.size > ONE_SEGMENT
        self.replayed_from = missed[0].number if missed and is_divisible else 0
        self.link.send(together)

    def missed(self, kept: Kept) -> bool:
        """Whether a kept message was for this socket."""
        number, _, selection, _ = kept
        if number <= self.first_number or selection.namespace != self.namespace:
            return False
        if any(self._was_meant(name, number) for name in selection.excluded):
            return False
        return not selection.channels or any(self._was_meant(name, number) for name in selection.channels)

    def give_up(self) -> None:
        """The client did not come back in time: it is the end."""
        self.owner.leave(self, self.reason or TRANSPORT_CLOSE)

    def detach(self, reason: Reason) -> None:
        """Receive nothing any more. ``channels`` stay readable until the handlers of the end have run."""
        self.reason = reason
        self.connected = False
        if self.is_attached:
            self.is_attached = False
            self._services.delivery.detach(self.namespace, self, self._subscriptions)
        if self._services.recovery is not None and self.pid is not None:
            self._services.recovery.forget(self.pid)
        self._abandon_acks()
        self._release()

    def forget(self) -> None:
        """Drop the channels: nobody will look at them again."""
        self._subscriptions.clear()
        self.instances = None

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
        if self.connected:
            self.link.send(prepared)

    def _send_if_ready(self, prepared: Prepared, has_offset: bool) -> bool:
        recovery = self._services.recovery
        if has_offset and self.pid is not None and recovery is not None:
            recovery.history.mark(prepared)
        return self.link.send_if_ready(prepared)

    def _release(self) -> None:
        self._services.web_sessions.discard(self._web_session, self)
        spawned, self._spawned = self._spawned, None
        for kill in list((spawned or {}).values()):
            if kill is not None:
                kill()

    def _abandon_acks(self) -> None:
        for listener in () if self._acks is None else self._acks.abandon():
            listener(None)

    def _was_meant(self, name: str, number: int) -> bool:
        return name == self.sid or self._subscriptions.had(name, number)
