"""The socket: what a handler holds of one client in one namespace."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .acks import PendingAcks
from .engine.session import Session
from .envelope import Envelope
from .errors import AckTimeout, Disconnected, EventError
from .reasons import SERVER_DISCONNECT, Reason
from .services import Services
from .wire.packets import SocketPacket, SocketType
from .wire.prepared import Prepared
from .wire.socketio import RESERVED_EVENTS, encode_packet


class SocketSession(NamedTuple):
    """The identity of a socket: unlike the id of the connection below it, it is no secret."""

    session_id: str


class Owner(Protocol):
    """What a socket needs of the conversation that it is part of."""

    def leave(self, socket: Socket, reason: Reason) -> None:
        """End the socket, as the server wishes."""

    def run(self, socket: Socket, callback: Callable[..., object], args: list[Any]) -> None:
        """Run an application's function in a worker of its own."""


class Socket:
    """One client in one namespace.

    While ``on_connect`` runs the client is not connected yet: what is sent to it meanwhile is kept, and goes out once
    the handlers have let it in.
    """

    __slots__ = (
        "__weakref__", "_acks", "_channels", "_held", "_owner", "_services", "_session",
        "admitted", "auth", "connected", "context", "namespace", "reason", "request", "sid",
    )  # fmt: skip

    def __init__(
        self,
        sid: str,
        namespace: str,
        request: dict[str, Any],
        auth: dict[str, Any],
        session: Session,
        services: Services,
        owner: Owner,
    ) -> None:
        self.sid = sid
        #: The name of the namespace.
        self.namespace = namespace
        #: The WSGI environ of the client's handshake.
        self.request = request
        #: What the client sent to identify itself; an empty dict if nothing.
        self.auth = auth
        #: One dict for the life of this connection, yours to use.
        self.context: dict[str, Any] = {}
        #: Whether the client is there to receive.
        self.connected = False
        #: Whether ``on_connect`` let it in, so that there will be an end to tell of.
        self.admitted = False
        #: Why the connection ended; None while it has not.
        self.reason: Reason | None = None
        self._session = session
        self._services = services
        self._owner = owner
        self._channels: dict[str, None] = {}
        self._acks: PendingAcks | None = None
        self._held: list[Prepared] | None = []

    @property
    def session(self) -> SocketSession:
        """``socket.session.session_id`` names this socket to the module-level ``send``."""
        return SocketSession(self.sid)

    @property
    def channels(self) -> list[str]:
        """The channels that this socket is subscribed to, in the order it subscribed."""
        return list(self._channels)

    # To this client.

    def send(self, message: Any) -> None:
        """Send a message (the event ``message``) to this client. Raises UnsendableValue."""
        self.emit("message", message)

    def emit(self, event: str, *args: Any, callback: Callable[..., object] | None = None) -> None:
        """Send a named event to this client.

        :param callback: called with what the client acknowledges the event with; never, if it does not in time.

        Raises UnsendableValue for arguments that have no form on the wire, EventError for a reserved name.
        """
        _check_name(event)
        ack_id = None
        if callback is not None:
            ack_id = self._expect_ack(self._services.settings.ack_timeout, self._run_callback(callback))
        self.deliver(SocketPacket(SocketType.EVENT, self.namespace, [event, *args], ack_id))

    def call(self, event: str, *args: Any, timeout: float | None = None) -> Any:
        """Send a named event and wait for the client's acknowledgement; return its value (several as a list).

        :param timeout: seconds to wait; the setting ``ack_timeout`` if not given.

        Raises AckTimeout, Disconnected, UnsendableValue, EventError. During ``on_connect`` it lets the client in, since
        only a client that is connected can answer.
        """
        _check_name(event)
        if self._held is not None:
            self.accept()
        seconds = self._services.settings.ack_timeout if timeout is None else timeout
        waiter = self._services.runner.waiter()
        answers: list[Any] = []

        def answered(args: list[Any] | None) -> None:
            answers.append(args)
            waiter.set()

        if not self.connected:
            raise Disconnected(f"the client left before it was asked {event!r}")
        ack_id = self._expect_ack(seconds, answered)
        self.deliver(SocketPacket(SocketType.EVENT, self.namespace, [event, *args], ack_id))
        waiter.wait()
        if answers[0] is None:
            if self.connected:
                raise AckTimeout(f"the client did not acknowledge {event!r} within {seconds} seconds")
            raise Disconnected(f"the client left before it acknowledged {event!r}")
        return answers[0][0] if len(answers[0]) == 1 else answers[0] or None

    # To others.

    def broadcast(self, message: Any) -> None:
        """Send a message to everybody in the namespace but this client."""
        self._publish(message, (), but_me=True)

    def broadcast_channel(self, message: Any, channel: str | None = None) -> None:
        """Send a message to the subscribers of a channel, or of all this socket's channels, but not to this client."""
        channels = self._named(channel)
        if channels:
            self._publish(message, channels, but_me=True)

    def send_and_broadcast(self, message: Any) -> None:
        """Send a message to everybody in the namespace."""
        self._including_me(message, (), self._held is None)

    def send_and_broadcast_channel(self, message: Any, channel: str | None = None) -> None:
        """Send a message to this client and to the subscribers of a channel, or of all this socket's channels."""
        channels = self._named(channel)
        if channels:
            self._including_me(message, channels, self._held is None and not self._channels.keys().isdisjoint(channels))
        else:
            self.send(message)

    # Channels.

    def subscribe(self, channel: str) -> None:
        """Subscribe this client to a channel. The decision is yours: ``on_subscribe`` is not asked."""
        if not isinstance(channel, str) or not channel:
            raise EventError(f"a channel has a name, not {channel!r}")
        self._channels[channel] = None
        if self.connected:
            self._membership.add(channel, self.sid)

    def unsubscribe(self, channel: str) -> None:
        """End a subscription; nothing happens if there is none."""
        if self._channels.pop(channel, "") is None:
            self._membership.discard(channel, self.sid)

    # The end.

    def disconnect(self) -> None:
        """Put the client out of the namespace; it does not come back by itself.

        During ``on_connect`` it lets the client in first; to keep it out, refuse it.
        """
        if self._held is not None:
            self.accept()
        if self.connected:
            self.deliver(SocketPacket(SocketType.DISCONNECT, self.namespace))
        self._owner.leave(self, SERVER_DISCONNECT)

    # For the floors above.

    def accept(self) -> None:
        """Let the client in: it is told so, then gets what was sent meanwhile; nothing if it has left already."""
        held, self._held = self._held, None
        self.admitted = True
        if held is None or self.reason is not None:
            return
        self.connected = True
        self.deliver(self._session.dialect.connect(self.namespace, self.sid))
        for prepared in held:
            self._session.send(prepared)
        if not self.connected:
            return  # it was too much for its outbox
        self._services.delivery.attach(self.namespace, self.sid, self._session, self._channels)

    def refuse(self, message: str, data: Any = None) -> None:
        """Turn the client away, and tell it why. Raises UnsendableValue for data that has no form on the wire."""
        if self._held is not None and self.reason is None:
            refusal = self._session.dialect.connect_error(self.namespace, message, data)
            prepared = Prepared(*encode_packet(refusal, 0))
            self._held = None
            self._session.send(prepared)

    def deliver(self, packet: SocketPacket) -> None:
        """Send a packet to this client, after everything sent before; dropped if the client is gone."""
        prepared = Prepared(*encode_packet(packet, self._services.settings.max_attachments))
        if self._held is not None:
            self._held.append(prepared)
        elif self.connected:
            self._session.send(prepared)

    def provisionally(self, channel: str) -> bool:
        """Show a channel in ``channels`` while its subscription is being decided; False if it is there already."""
        known = channel in self._channels
        self._channels[channel] = None
        return not known

    def detach(self, reason: Reason) -> None:
        """Receive nothing any more. ``channels`` stay readable until the handlers of the end have run."""
        self.reason = reason
        if self.connected:
            self.connected = False
            self._services.delivery.detach(self.namespace, self.sid, self._channels)
        for listener in self._acks.abandon() if self._acks else ():
            listener(None)

    def forget(self) -> None:
        """Drop the channels: nobody will look at them again."""
        self._channels.clear()

    def resolve_ack(self, ack_id: int | None, args: list[Any]) -> None:
        """The client acknowledged. One that comes too late, or was never asked for, is ignored."""
        listener = self._acks.resolve(ack_id) if self._acks else None
        if listener is not None:
            listener(args)

    @property
    def _membership(self) -> Any:
        return self._services.delivery.membership(self.namespace)

    def _named(self, channel: str | None) -> tuple[str, ...]:
        return tuple(self._channels) if channel is None else (channel,)

    def _publish(self, message: Any, channels: tuple[str, ...], *, but_me: bool) -> None:
        excluded = (self.sid,) if but_me else ()
        self._services.backplane.publish(Envelope(self.namespace, ["message", message], channels, excluded))

    def _including_me(self, message: Any, channels: tuple[str, ...], among_them: bool) -> None:
        if among_them:
            self._publish(message, channels, but_me=False)
        else:
            self.send(message)
            self._publish(message, channels, but_me=True)

    def _expect_ack(self, seconds: float, listener: Callable[[list[Any] | None], None]) -> int:
        if self._acks is None:
            self._acks = PendingAcks()
        ack_id = self._acks.add(listener)
        services = self._services
        services.deadlines.add(services.runner.now() + seconds, _expire_ack, (weakref.ref(self), ack_id))
        return ack_id

    def give_up_ack(self, ack_id: int) -> None:
        """The time for an acknowledgement is over; nothing happens if it came."""
        listener = self._acks.resolve(ack_id) if self._acks else None
        if listener is not None:
            self._services.counters.expired_acks += 1
            listener(None)

    def _run_callback(self, callback: Callable[..., object]) -> Callable[[list[Any] | None], None]:
        def answered(args: list[Any] | None) -> None:
            if args is not None:
                self._owner.run(self, callback, args)

        return answered


def _expire_ack(subject: tuple[weakref.ref[Socket], int], now: float) -> None:
    reference, ack_id = subject
    socket = reference()
    if socket is not None:
        socket.give_up_ack(ack_id)


def _check_name(event: str) -> None:
    if not isinstance(event, str) or event in RESERVED_EVENTS:
        raise EventError(f"{event!r} cannot be the name of an event: choose another")
