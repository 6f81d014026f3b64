"""The receiver: one client in one namespace, from its admission to its end."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from .addressees import Addressee
from .errors import EventError
from .history import Kept
from .identifiers import new_id
from .owners import Owner
from .reasons import SERVER_DISCONNECT, SERVER_SHUTDOWN, TRANSPORT_CLOSE, Reason
from .roaming import Homecoming, Roaming
from .services import Services
from .subscriptions import Subscriptions
from .targets import check_channels
from .wire.packets import SocketPacket, SocketType
from .wire.prepared import Prepared, Together
from .wire.socketio import encode_packet

#: Bytes that fit into one segment of TCP, on any usual network.
ONE_SEGMENT = 1200


class Receiver(Addressee):
    """Everything about a socket but what only handlers use."""

    __slots__ = (
        "_homecoming", "_spawned", "_subscriptions", "_user", "_web_session", "admitted", "auth", "context",
        "first_number", "instances", "is_attached", "reason", "recovered", "replayed_from", "request",
    )  # fmt: skip

    def __init__(self, sid: str, namespace: str, auth: dict[str, Any], services: Services, owner: Owner) -> None:
        super().__init__(sid, namespace, services, owner)
        #: The WSGI environ of the client's handshake.
        self.request = owner.request
        #: What the client sent to identify itself; an empty dict if nothing.
        self.auth = auth
        #: One dict for the life of this connection, yours to use.
        self.context: dict[str, Any] = {}
        #: Whether ``on_connect`` let it in, so that there will be an end to tell of.
        self.admitted = False
        #: Whether the client came back to this socket after its connection broke.
        self.recovered = False
        #: Why the connection ended; None while it has not.
        self.reason: Reason | None = None
        #: The objects of classes bound to the namespace, each made when it is first needed.
        self.instances: dict[type, Any] | None = None
        #: Whether it is among the namespace's members, connected or waited for.
        self.is_attached = False
        #: The number of the last message before it connected; see History.
        self.first_number = 0
        #: See Recovery.
        self.replayed_from = 0
        self._homecoming: Homecoming | None = None
        self._user: Hashable = None
        self._web_session: str | None = None
        self._subscriptions = Subscriptions()
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
    def forgotten_number(self) -> int:
        """Up to this number of History, it may be unknown which messages were for this socket."""
        return self._subscriptions.forgotten_number

    @property
    def user(self) -> Hashable:
        """Who the client is: what you set it to, or whom its first token for a channel was for; else None.

        Raises EventError for what cannot be told apart from others (no hash), and, if the socket is subscribed to a
        channel with presence, for what is neither text nor an integer.
        """
        return self._user

    @user.setter
    def user(self, user: Hashable) -> None:
        """Say who the client is."""
        try:
            hash(user)
        except TypeError:
            raise EventError(f"socket.user cannot be {user!r}: give something hashable, like the user's id") from None
        attendance = self._services.attendance
        if attendance.rules:
            attendance.check(self._subscriptions, user)
        before, self._user = self._user, user
        if attendance.places:
            attendance.rename(self.namespace, self.channels, (before, user), self.sid)

    # For handlers.

    def subscribe(self, channel: str) -> None:
        """Subscribe this client to a channel. The decision is yours: ``on_subscribe`` is not asked.

        Raises EventError for what cannot be the name of a channel.
        """
        check_channels((channel,))
        attendance = self._services.attendance
        if attendance.rules:
            attendance.check((channel,), self._user)
        recovery = self._services.recovery
        self._subscriptions.add(channel, 0 if recovery is None else recovery.history.last_number)
        if self.is_attached:
            is_new = self._services.delivery.membership(self.namespace).add(channel, self.sid)
            self._note_channels()
            if is_new and attendance.rules:
                attendance.join(self.namespace, channel, self._user, self.sid)

    def unsubscribe(self, channel: str) -> None:
        """End a subscription; nothing happens if there is none."""
        recovery = self._services.recovery
        history = None if recovery is None else recovery.history
        if self._subscriptions.discard(channel, history) and self.is_attached:
            self._services.delivery.membership(self.namespace).discard(channel, self.sid)
            self._note_channels()
            if self._services.attendance.places:
                self._services.attendance.leave(self.namespace, (channel,), self._user, self.sid)

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
        missed = [] if self._homecoming is None else self._catch_up(self._homecoming)
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
        elif services.roaming is not None and self.link.dialect.resumes:
            self._settle(services.roaming, missed)
        self.link.send(self._welcome(missed))
        for prepared, is_kept in held:
            self._transmit(prepared, is_kept)
        if services.attendance.rules:
            self._appear()
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
        together = self._welcome([kept.prepared for kept in missed])
        self.replayed_from = missed[0].number if missed and self._is_divisible(together.size) else 0
        self.link.send(together)

    def come_back(self, pid: str, offset: Any) -> None:
        """Be what the client was before its connection broke, at whichever process, if that is known. May wait."""
        services = self._services
        home = None if services.roaming is None else services.roaming.claim(pid, offset, self.namespace)
        if home is None:
            services.counters.not_recovered += 1
            return
        self._homecoming = home
        self.sid, self.context, self.recovered, self._user = home.sid, home.context, True, home.user
        for channel in home.channels:
            self._subscriptions.add(channel, 0)

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
            if self._services.attendance.places:
                self._services.attendance.leave(self.namespace, self.channels, self._user, self.sid)
        if self._services.recovery is not None and self.pid is not None:
            self._services.recovery.forget(self.pid)
        elif self._services.roaming is not None:
            self._services.roaming.leave(self, reason.is_recoverable or reason is SERVER_SHUTDOWN)
        self._abandon_acks()
        self._release()

    def forget(self) -> None:
        """Drop the channels: nobody will look at them again."""
        self._subscriptions.clear()
        self.instances = None

    def _welcome(self, missed: Sequence[Prepared]) -> Prepared:
        """What tells the client that it is in, after what it missed."""
        answer = Prepared(*encode_packet(self.link.dialect.connect(self.namespace, self.sid, self.pid), 0))
        return Together([*missed, answer]) if missed else answer

    def _is_divisible(self, size: int) -> bool:
        """Whether a part of so many bytes can arrive alone: a poll's answer does not, and nor does a segment."""
        return self.link.transport != "polling" and size > ONE_SEGMENT

    def _settle(self, roaming: Roaming, missed: Sequence[Prepared]) -> None:
        """Let the client come back from here to any process, if it came back itself with the same secret."""
        home = self._homecoming if self.recovered else None
        self.pid = new_id() if home is None else home.pid
        is_doubtful = bool(missed) and self._is_divisible(sum(prepared.size for prepared in missed))
        roaming.admit(self, home.place if home is not None and is_doubtful else None)

    def _catch_up(self, home: Homecoming) -> list[Prepared]:
        """What the client missed; if that is not to be had, it begins anew."""
        try:
            missed = home.missed()
        except LookupError:
            self._services.counters.not_recovered += 1
            self.recovered = False
            return []
        self._services.counters.recovered += 1
        return missed

    def _appear(self) -> None:
        """Be present in the channels that the client follows already."""
        for channel in self.channels:
            if self.is_attached:  # no longer, if what it was told was too much for it
                self._services.attendance.join(self.namespace, channel, self._user, self.sid)

    def _note_channels(self) -> None:
        if self.pid is not None and self._services.roaming is not None:
            self._services.roaming.changed(self)

    def _release(self) -> None:
        self._services.web_sessions.discard(self._web_session, self)
        spawned, self._spawned = self._spawned, None
        for kill in list((spawned or {}).values()):
            if kill is not None:
                kill()

    def _was_meant(self, name: str, number: int) -> bool:
        return name == self.sid or self._subscriptions.had(name, number)
