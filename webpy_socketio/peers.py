"""A peer: one client's Socket.IO conversation, over whichever session carries it.

Packets are read as they come: acknowledgements are dealt with at once, and whatever needs a handler goes to the inbox.
One worker empties the inbox, so the handlers of one client run one after the other, in order, while reading goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .engine.session import Session
from .errors import RuleBroken
from .namespaces import Namespace, Namespaces
from .reasons import CLIENT_DISCONNECT, Reason
from .runner import Scope
from .services import Services
from .sockets import Socket
from .wire.packets import SocketPacket, SocketType
from .wire.prepared import Prepared
from .wire.socketio import Assembler, decode_packet, encode_packet

Job = Callable[..., Any]
#: How many messages of the largest size may wait for a client's running handler.
INBOX_PAYLOADS = 4


class Peer:
    """One client, in all the namespaces it joined."""

    __slots__ = (
        "__weakref__", "_assembler", "_backlog", "_inbox", "_left", "_namespaces", "_scope", "_services", "_session",
        "_size", "_sockets", "_waiting", "_working", "joined", "request",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        request: dict[str, Any],
        scope: Scope | None,
        namespaces: Namespaces,
        services: Services,
    ) -> None:
        self.request = request
        #: Whether a namespace was ever joined.
        self.joined = False
        self._session = session
        self._scope = scope
        self._namespaces = namespaces
        self._services = services
        self._sockets: dict[str, tuple[Socket, Namespace]] = {}
        self._left: set[str] | None = None
        self._assembler: Assembler | None = None
        self._inbox: deque[tuple[Any, ...]] | None = None
        self._backlog = 0  # bytes of the messages in the inbox
        self._size = 0  # bytes of the message that is being read
        self._waiting: list[Callable[[], None]] | None = None
        self._working = False

    @property
    def is_busy(self) -> bool:
        """Whether a handler is running."""
        return self._working

    @property
    def is_swamped(self) -> bool:
        """Whether so many events wait for the running handler that reading should pause."""
        if not self._inbox:
            return False
        settings = self._services.settings
        return len(self._inbox) >= settings.max_inbox or self._backlog >= INBOX_PAYLOADS * settings.max_payload

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Have a function called once, when the inbox has become empty."""
        self._waiting = [*(self._waiting or ()), callback]

    def receive(self, message: str | bytes) -> None:
        """Take the next message of the session. Raises PacketError or RuleBroken if it may not stand here."""
        self._size = len(message) if self._assembler is None else self._size + len(message)
        if isinstance(message, str):
            if self._assembler is not None:
                raise RuleBroken("text came where an attachment was due")
            packet: SocketPacket | None = decode_packet(message, self._services.settings.max_attachments)
        elif self._assembler is None:
            raise RuleBroken("an attachment came that belongs to no packet")
        else:
            packet = self._assembler.add(message)
        if packet is not None:
            self._dispatch(packet)

    def close(self, reason: Reason) -> None:
        """The connection is over: every namespace ends, after the events that came before."""
        for namespace in list(self._sockets):
            self._end(namespace, reason)
        self._assembler = None

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
            self._enqueue(entry[1].event, entry[0], packet)
        elif kind is SocketType.ACK or kind is SocketType.BINARY_ACK:
            entry[0].resolve_ack(packet.id, packet.data)
        elif kind is SocketType.DISCONNECT:
            self._end(namespace, CLIENT_DISCONNECT)
        else:
            raise RuleBroken("only a server sends a connect error")

    def begin(self) -> None:
        """The session has been opened; some clients are in the main namespace without asking."""
        if self._session.dialect.joins_by_itself:
            self._connect(SocketPacket(SocketType.CONNECT))

    def _connect(self, packet: SocketPacket) -> None:
        dialect = self._session.dialect
        name, auth = dialect.credentials(packet)
        if name in self._sockets:
            if dialect.joins_by_itself and name == "/":
                return  # it asks for what it has
            raise RuleBroken("the namespace is joined already")
        namespace = self._namespaces.find(name)
        if namespace is None:
            refusal = dialect.connect_error(name, "Invalid namespace")
            self._session.send(Prepared(*encode_packet(refusal, 0)))
            return
        if self._left is not None:
            self._left.discard(name)
        sid = dialect.socket_id(self._session.sid, name)
        socket = Socket(sid, name, self.request, auth, self._session, self._services, self)
        self._sockets[name] = socket, namespace
        self._enqueue(self._join, socket, namespace)

    def _join(self, socket: Socket, namespace: Namespace) -> None:
        if socket.reason is not None:
            return
        if namespace.connect(socket):
            self.joined = True
        elif self._is_current(socket):
            del self._sockets[socket.namespace]

    def _end(self, name: str, reason: Reason) -> None:
        socket, namespace = self._sockets.pop(name)
        socket.detach(reason)
        self._enqueue(namespace.end, socket)

    def _is_current(self, socket: Socket) -> bool:
        entry = self._sockets.get(socket.namespace)
        return entry is not None and entry[0] is socket

    def _remember_leaving(self, namespace: str) -> None:
        """What the client still sends to a namespace that the server put it out of is not its fault."""
        if self._left is None:
            self._left = set()
        self._left.add(namespace)

    # For its sockets.

    def leave(self, socket: Socket, reason: Reason) -> None:
        """The server puts the client out of a namespace."""
        if self._is_current(socket):
            self._remember_leaving(socket.namespace)
            self._end(socket.namespace, reason)

    def run(self, socket: Socket, callback: Callable[..., object], args: list[Any]) -> None:
        """Run an application's function beside the inbox: a handler may be waiting for what it does."""
        self._services.runner.start(self._scoped, self._call_back, socket, callback, args)

    def _call_back(self, socket: Socket, callback: Callable[..., object], args: list[Any]) -> None:
        try:
            callback(*args)
        except self._services.runner.failures as error:
            namespace = self._namespaces.find(socket.namespace)
            if namespace is not None:
                namespace.report(socket, error, "the callback of an acknowledgement")

    # The inbox.

    def _enqueue(self, job: Job, *args: Any) -> None:
        if self._working:
            if self._inbox is None:
                self._inbox = deque()
            self._inbox.append((self._size, job, *args))
            self._backlog += self._size
        else:
            self._working = True
            self._services.runner.start(self._work, job, *args)

    def _work(self, job: Job, *args: Any) -> None:
        """Run one job in a worker, and hand the next one to another: nothing of one is left behind for the other."""
        try:
            self._scoped(job, *args)
        finally:
            if self._inbox:
                size, *task = self._inbox.popleft()
                self._backlog -= size
                self._services.runner.start(self._work, *task)
            else:
                self._working = False
                self._tell_idle()

    def _tell_idle(self) -> None:
        waiting, self._waiting = self._waiting, None
        for callback in waiting or ():
            callback()

    def _scoped(self, job: Job, *args: Any) -> None:
        scope = self._scope
        if scope is None:
            job(*args)
            return
        scope.enter()
        try:
            job(*args)
        finally:
            scope.leave()
