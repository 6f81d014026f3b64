"""A peer: one client's Socket.IO conversation, over whichever session carries it.

Packets are read as they come: acknowledgements are dealt with at once, and whatever needs a handler goes to the inbox.
One worker empties the inbox, so the handlers of one client run one after the other, in order, while reading goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .engine.session import Session
from .errors import LimitExceeded, RuleBroken
from .history import Kept
from .identifiers import LENGTH, is_private
from .namespaces import Namespace, Namespaces
from .reasons import CLIENT_DISCONNECT, LOGGED_OUT, TRANSPORT_CLOSE, Reason
from .runner import Scope
from .services import Services
from .socket_owners import SocketOwner
from .sockets import Socket
from .web_sessions import WEB_SESSION
from .wire.packets import SocketPacket, SocketType
from .wire.prepared import Prepared
from .wire.socketio import PLAIN_EVENT, Assembler, decode_event, decode_packet, encode_packet

#: More than the bytes of the answer to a client that comes back, beside the namespace.
ANSWER = 100


class Peer(SocketOwner):
    """One client, in all the namespaces it joined."""

    __slots__ = ("_assembler", "_left", "_max_depth", "_size", "_sockets", "_web_session")

    def __init__(
        self,
        session: Session,
        request: dict[str, Any],
        scope: Scope | None,
        namespaces: Namespaces,
        services: Services,
    ) -> None:
        super().__init__(session, request, scope, namespaces, services)
        self._max_depth = services.settings.max_json_depth
        self._sockets: dict[str, tuple[Socket, Namespace]] = {}
        self._left: dict[str, None] | None = None
        self._assembler: Assembler | None = None
        self._size = 0  # bytes of the message that is being read
        self._web_session: str | None = request.get(WEB_SESSION)
        services.web_sessions.add(self._web_session, self)

    def begin(self) -> None:
        """The session has been opened; some clients are in the main namespace without asking."""
        if self.session.dialect.joins_by_itself:
            self._connect(SocketPacket(SocketType.CONNECT))

    def receive(self, message: str | bytes) -> None:
        """Take the next message of the session. Raises PacketError, RuleBroken or LimitExceeded."""
        if self._assembler is None:
            self._size = len(message)
            if isinstance(message, str) and message.startswith(PLAIN_EVENT) and "/" in self._sockets:
                socket, namespace = self._sockets["/"]
                self.inbox.put(self._size, namespace.event, socket, decode_event(message[1:], self._max_depth), None)
                return
        else:
            self._size += len(message)
        if isinstance(message, str):
            if self._assembler is not None:
                raise RuleBroken("text came where an attachment was due")
            limit = self._services.settings.max_attachments
            packet: SocketPacket | None = decode_packet(message, limit, self._max_depth)
        elif self._assembler is None:
            raise RuleBroken("an attachment came that belongs to no packet")
        else:
            packet = self._assembler.add(message)
        if packet is not None:
            self._dispatch(packet)

    def end(self, reason: Reason) -> None:
        """The connection is over: every namespace ends, after the events that came before, or waits for its client."""
        recovery = self._services.recovery
        self._services.web_sessions.discard(self._web_session, self)
        for socket in self._each():
            if recovery is not None and socket.pid is not None and reason.is_recoverable:
                socket.pause(reason)
            else:
                self._end(socket.namespace, reason)
        self._assembler = None
        if recovery is not None:
            for socket in self._each():
                recovery.wait_for(socket, self._services.runner.now())

    def _dispatch(self, packet: SocketPacket) -> None:
        kind, namespace = packet.type, packet.namespace
        entry = self._sockets.get(namespace)
        if kind is SocketType.CONNECT:
            self._connect(packet)
            return
        if entry is None and (self._left is None or namespace not in self._left):
            raise RuleBroken("a packet came for a namespace that was not joined")
        if packet.attachments:
            self._assembler = Assembler(packet)
            return
        self._assembler = None
        if entry is None:
            return  # it was on its way when the server put the client out
        if kind is SocketType.EVENT or kind is SocketType.BINARY_EVENT:
            self.inbox.put(self._size, entry[1].event, entry[0], packet.data, packet.id)
        elif kind is SocketType.ACK or kind is SocketType.BINARY_ACK:
            entry[0].resolve_ack(packet.id, packet.data)
        elif kind is SocketType.DISCONNECT:
            self._end(namespace, CLIENT_DISCONNECT)
        else:
            raise RuleBroken("only a server sends a connect error")

    # Joining a namespace.

    def _connect(self, packet: SocketPacket) -> None:
        dialect = self.session.dialect
        name, auth = dialect.credentials(packet)
        if name in self._sockets:
            if dialect.joins_by_itself and name == "/":
                return  # it asks for what it has
            raise RuleBroken("the namespace is joined already")
        most = self._services.settings.max_namespaces
        if len(self._sockets) >= most:
            self._exceed(name, LimitExceeded("max_namespaces", f"a client is in at most {most}"))
            return
        if self._services.recovery is not None and dialect.resumes:
            pid = auth.get("pid")
            if isinstance(pid, str) and is_private(pid):  # else it is the application's own
                del auth["pid"]
                if self._resume(name, pid, auth.pop("offset", None), auth):
                    return
        claim = None
        if self._services.roaming is not None and dialect.resumes:
            pid = auth.get("pid")
            if isinstance(pid, str) and len(pid) == LENGTH:
                claim = auth.pop("pid"), auth.pop("offset", None)
        try:
            namespace = self._namespaces.enter(name)
        except LimitExceeded as error:
            self._exceed(name, error)
            return
        if namespace is None:
            self._turn_away(name, "Invalid namespace")
            return
        if self._left is not None:
            self._left.pop(name, None)
        socket = Socket(dialect.socket_id(self.session.sid, name), name, auth, self._services, self)
        socket.web_session_id = self._web_session
        self._sockets[name] = socket, namespace
        self.inbox.put(self._size, self._join, socket, namespace, claim)

    def _turn_away(self, name: str, message: str) -> None:
        refusal = self.session.dialect.connect_error(name, message)
        self.session.send(Prepared(*encode_packet(refusal, 0)))

    def _exceed(self, name: str, error: LimitExceeded) -> None:
        self._services.counters.limited[error.limit] += 1
        self._turn_away(name, str(error))

    def _join(self, socket: Socket, namespace: Namespace, claim: tuple[str, Any] | None) -> None:
        if claim is not None:
            socket.come_back(*claim)
        if socket.reason is not None:
            return
        if namespace.connect(socket) is None:
            self.joined = True
        elif self._is_current(socket):
            del self._sockets[socket.namespace]
            self._namespaces.leave(namespace)

    # Coming back to a connection that broke.

    def _resume(self, name: str, pid: str, offset: Any, auth: dict[str, Any]) -> bool:
        """Go on with the socket that a client comes back to; tells whether there is one and nothing of it is lost.

        What the client sends waits until the handlers of what it sent before have run.
        """
        recovery = self._services.recovery
        socket: Socket | None = None if recovery is None else recovery.find(pid, name)
        if recovery is None or socket is None:
            return False
        before: Any = socket.owner  # a peer, too
        namespace = before.take_over(socket)
        missed = recovery.missed(socket, offset)
        if missed is None or not self._has_room(name, missed):
            self._services.counters.not_recovered += 1
            before.end_elsewhere(socket, namespace)
        else:
            self._services.counters.recovered += 1
            self.joined = True
            self._sockets[name] = socket, namespace
            if self._left is not None:
                self._left.pop(name, None)
            recovery.welcome(pid)
            socket.resume(self, auth, missed)
        if before.is_busy:
            self.inbox.put(0, self._wait_for, before)
        return socket.owner is self

    def _has_room(self, name: str, missed: Sequence[Kept]) -> bool:
        """Whether what a client missed can be queued for it, and the answer after that; in part, it is of no use."""
        size = sum(kept.prepared.size for kept in missed)
        return self.session.outbox.has_room(len(missed) + 1, size + len(name) + ANSWER)

    def take_over(self, socket: Socket) -> Namespace:
        """Let go of a socket whose client has come back on another connection; this one is dead."""
        _, namespace = self._sockets.pop(socket.namespace)
        if socket.connected:  # it is believed to be there, but nothing that it was asked will be answered
            socket.pause(TRANSPORT_CLOSE)
        self.session.end(TRANSPORT_CLOSE)
        return namespace

    def end_elsewhere(self, socket: Socket, namespace: Namespace) -> None:
        """A socket that was taken over cannot go on after all."""
        self._sockets[socket.namespace] = socket, namespace
        self._end(socket.namespace, socket.reason or TRANSPORT_CLOSE)

    def _wait_for(self, before: Peer) -> None:
        waiter = self._services.runner.waiter()
        before.when_idle(waiter.set)
        waiter.wait()

    # Leaving one.

    def leave(self, socket: Socket, reason: Reason) -> None:
        """The server puts the client out of a namespace, or does not wait for it any longer."""
        if self._is_current(socket):
            # What the client still sends to a namespace that the server put it out of is not its fault.
            self._left = self._left or {}
            self._left[socket.namespace] = None
            if len(self._left) > self._services.settings.max_namespaces:
                del self._left[next(iter(self._left))]  # clients can make up any number of them
            self._end(socket.namespace, reason)

    def log_out(self) -> None:
        """The client's web session is over: end every namespace, which its client obeys, and then the connection."""
        for socket in self._each():
            socket.put_out(LOGGED_OUT)
        self._services.expel(self.session, LOGGED_OUT)

    def _end(self, name: str, reason: Reason) -> None:
        socket, namespace = self._sockets.pop(name)
        socket.detach(reason)
        self._services.ending.add(self)
        self.inbox.put(0, self._finish, socket, namespace)

    def _each(self) -> Iterable[Socket]:
        """The sockets, to end one after the other: the handlers of one's end may run at once, and put out another."""
        return filter(self._is_current, [socket for socket, _ in self._sockets.values()])

    def _is_current(self, socket: Socket) -> bool:
        entry = self._sockets.get(socket.namespace)
        return entry is not None and entry[0] is socket

    # For its sockets.

    @property
    def followed(self) -> int:
        """How many subscriptions the client has, in all its namespaces."""
        return sum(socket.followed for socket, _ in self._sockets.values())

    def note_outgoing(self, socket: Socket, data: list[Any]) -> None:
        """Tell the handlers of outgoing events."""
        entry = self._sockets.get(socket.namespace)
        if entry is not None:
            self.inbox.beside(entry[1].outgoing, socket, data)
