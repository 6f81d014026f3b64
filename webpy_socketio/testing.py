"""For the tests of applications: a server without a network, and clients that drive its handlers.

::

    with TestServer() as server:
        alice, bob = server.client(), server.client()
        alice.connect()
        bob.connect()
        alice.subscribe("room-1")
        bob.subscribe("room-1")
        alice.send("hello")
        assert bob.received == [["message", "hello"]]

What a client sends and receives goes through the same codecs, sessions and handlers as in production. Handlers run at
once, one after the other, and time stands still until :meth:`TestServer.advance` moves it.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from .backplane.memory import MemoryBackplane
from .engine.session import Session
from .events import EVENTS, Events
from .logs import logger
from .node import Node
from .plain_peers import Wish
from .reasons import TRANSPORT_CLOSE, Reason
from .settings import load_settings
from .shortcuts import current, set_current
from .wire.dialects import PLAIN, V4
from .wire.packets import EnginePacket, EngineType, SocketPacket, SocketType
from .wire.plain import read_packet
from .wire.prepared import PING, Prepared
from .wire.socketio import Assembler, decode_packet, encode_packet

T = TypeVar("T")
UNLIMITED = 1_000


class _Waiter:
    """Waits by letting time pass."""

    def __init__(self, server: TestServer) -> None:
        self._server = server
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def wait(self, timeout: float | None = None) -> bool:
        deadlines = self._server.hub.deadlines
        end = None if timeout is None else self._server.now() + timeout
        while not self._is_set:
            due = deadlines.next
            if due is None or (end is not None and due > end):
                break
            self._server.advance(max(0.0, due - self._server.now()))
        if end is not None and not self._is_set:
            self._server.advance(max(0.0, end - self._server.now()))
        return self._is_set


class TestServer:
    """A server in memory, for the events bound with the package's decorators or for a set of your own."""

    __test__ = False  # its name must not make pytest collect it
    failures: tuple[type[BaseException], ...] = (Exception,)
    killed: tuple[type[BaseException], ...] = ()

    def __init__(self, events: Events = EVENTS, **settings: Any) -> None:
        self._time = 0.0
        self._began = time.time()
        self._jobs: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._running = False
        self._before: Node | None = None
        settings.setdefault("message_log_format", None)
        self.node = Node(load_settings(settings), events, self, MemoryBackplane())
        self.hub = self.node.hub

    def __enter__(self) -> TestServer:
        self._before = current()
        set_current(self.node)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.node.drain()
        set_current(self._before)

    def client(self, environ: Mapping[str, Any] | None = None) -> TestClient:
        """Return a new client whose handshake had this environ."""
        return TestClient(self, {"REMOTE_ADDR": "127.0.0.1", "PATH_INFO": "/socket.io/", **(environ or {})})

    def websocket(
        self, channel: str = "", token: str | None = None, environ: Mapping[str, Any] | None = None, **auth: str
    ) -> TestWebSocket:
        """Return a new plain WebSocket, which follows a channel unless its name is empty, or has been closed.

        :param environ: of its handshake.
        :param auth: what the query of its URL says beside the token.
        """
        path = f"/ws/{channel}"
        return TestWebSocket(
            self, Wish(channel, token, auth), {"REMOTE_ADDR": "127.0.0.1", "PATH_INFO": path, **(environ or {})}
        )

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due by then."""
        target = self._time + seconds
        deadlines = self.hub.deadlines
        while deadlines.next is not None and deadlines.next <= target:
            self._time = max(self._time, deadlines.next)
            self.hub.expire()
        self._time = max(self._time, target)  # a handler that waited may have let more of it pass

    # The contract of Runner.

    def now(self) -> float:
        """Seconds since the server was made."""
        return self._time

    def time(self) -> float:
        """Seconds since 1970, as if the time that tests let pass had passed."""
        return self._began + self._time

    def start(self, job: Callable[..., object], *args: Any) -> None:
        """Run a job at once, or after the one that is running."""
        self._jobs.append((job, args))
        if self._running:
            return
        self._running = True
        try:
            while self._jobs:
                self._run(*self._jobs.popleft())
        finally:
            self._running = False

    def spawn(self, job: Callable[[], object]) -> Callable[[], None]:
        """Run a job at once, to its end; one that still waits for its turn can be ended early."""
        jobs = [job]
        self.start(lambda: [job() for job in tuple(jobs)])
        return jobs.clear

    def may_wait(self) -> bool:
        """Whether one may wait: always, as that lets time pass."""
        return True

    def breathe(self) -> None:
        """There is nothing that would be ready."""

    def waiter(self) -> _Waiter:
        """Return something to wait on."""
        return _Waiter(self)

    def call(self, function: Callable[[], T]) -> T:
        """Run a function."""
        return function()

    def _run(self, job: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            job(*args)
        except Exception as error:
            logger.error("a handler raised %s", type(error).__name__, exc_info=error)


class TestClient:
    """A client of a TestServer."""

    __test__ = False

    def __init__(self, server: TestServer, environ: dict[str, Any]) -> None:
        self._hub = server.hub
        self._dialect = V4
        self._assembler: Assembler | None = None
        self._next_id = 0
        self._answers: dict[int, list[Any]] = {}
        #: Everything received, as lists of the event's name and its arguments.
        self.received: list[list[Any]] = []
        #: The session id in each namespace that let this client in.
        self.sids: dict[str, str] = {}
        #: Why a namespace refused this client: an object with ``message``, and ``data`` if there is any.
        self.refusals: dict[str, Any] = {}
        #: Namespaces that the server put this client out of.
        self.kicked: list[str] = []
        #: What this client acknowledges events with: a function of the event's arguments, by its name.
        self.acknowledge: dict[str, Callable[..., Any]] = {}
        self.session: Session = self._hub.open(server.node.converse, self._dialect, "websocket", environ, None)
        self.session.write = self._take
        self.session.wake = self._notice

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self.session.is_open

    def connect(self, namespace: str = "/", auth: dict[str, Any] | None = None) -> bool:
        """Join a namespace; tells whether it let this client in."""
        self.refusals.pop(namespace, None)
        self._put(SocketPacket(SocketType.CONNECT, namespace, auth))
        return namespace in self.sids

    def send(self, message: Any, namespace: str = "/") -> None:
        """Send a message."""
        self.emit("message", message, namespace=namespace)

    def emit(self, event: str, *args: Any, namespace: str = "/") -> None:
        """Send a named event."""
        self._put(SocketPacket(SocketType.EVENT, namespace, [event, *args]))

    def call(self, event: str, *args: Any, namespace: str = "/") -> list[Any] | None:
        """Send a named event; return what the server acknowledged it with, or None if it has not."""
        ack_id = self._next_id
        self._next_id += 1
        self._put(SocketPacket(SocketType.EVENT, namespace, [event, *args], ack_id))
        return self._answers.pop(ack_id, None)

    def subscribe(self, channel: str, namespace: str = "/", token: str | None = None) -> bool:
        """Subscribe to a channel, with a token or without; tells whether that was granted."""
        options = [] if token is None else [{"token": token}]
        return self.call("__subscribe__", channel, *options, namespace=namespace) == [True]

    def unsubscribe(self, channel: str, namespace: str = "/") -> None:
        """End a subscription."""
        self.call("__unsubscribe__", channel, namespace=namespace)

    def disconnect(self, namespace: str = "/") -> None:
        """Leave a namespace."""
        self._put(SocketPacket(SocketType.DISCONNECT, namespace))
        self.sids.pop(namespace, None)

    def close(self) -> None:
        """Hang up."""
        self._hub.end(self.session, TRANSPORT_CLOSE)

    def _put(self, packet: SocketPacket) -> None:
        encoded = encode_packet(packet, UNLIMITED)
        self._hub.receive(self.session, EnginePacket(EngineType.MESSAGE, encoded.text.decode()))
        for attachment in encoded.attachments:
            self._hub.receive(self.session, EnginePacket(EngineType.MESSAGE, attachment))

    def _take(self, prepared: Prepared) -> None:
        for kind, data in self._dialect.codec.decode_payload(prepared.piece(self._dialect), False):
            if kind is EngineType.PING:
                self._hub.receive(self.session, EnginePacket(EngineType.PONG))
            elif isinstance(data, bytes):
                assert self._assembler is not None
                self._handle(self._assembler.add(data))
            else:
                packet = decode_packet(data, UNLIMITED)
                self._assembler = Assembler(packet)
                self._handle(None if packet.attachments else packet)

    def _handle(self, packet: SocketPacket | None) -> None:
        if packet is None:
            return
        if packet.type is SocketType.CONNECT:
            self.sids[packet.namespace] = packet.data["sid"]
        elif packet.type is SocketType.CONNECT_ERROR:
            self.refusals[packet.namespace] = packet.data
        elif packet.type is SocketType.DISCONNECT:
            self.kicked.append(packet.namespace)
            self.sids.pop(packet.namespace, None)
        elif packet.type in (SocketType.ACK, SocketType.BINARY_ACK) and packet.id is not None:
            self._answers[packet.id] = packet.data
        else:
            self._receive_event(packet)

    def _receive_event(self, packet: SocketPacket) -> None:
        self.received.append(packet.data)
        name, *args = packet.data
        if packet.id is not None and name in self.acknowledge:
            answer = self.acknowledge[name](*args)
            self._put(SocketPacket(SocketType.ACK, packet.namespace, [answer], packet.id))

    def _notice(self) -> None:
        if not self.session.is_open:
            self._hub.end(self.session, TRANSPORT_CLOSE)


class TestWebSocket:
    """A client of a TestServer that speaks no Socket.IO."""

    __test__ = False

    def __init__(self, server: TestServer, wish: Wish, environ: dict[str, Any]) -> None:
        self._hub = server.hub
        #: Everything received: text, or bytes.
        self.received: list[str | bytes] = []
        #: Why it was closed, once it was; a client is told its ``code`` and its ``sentence``.
        self.reason: Reason | None = None
        converse = functools.partial(server.node.converse_plainly, wish)
        self.session: Session = self._hub.open(converse, PLAIN, "websocket", environ, None)
        self.session.write = self._take
        self.session.wake = self._notice
        self.session.peer.begin()

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self.session.is_open

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        self._hub.receive(self.session, EnginePacket(EngineType.MESSAGE, message))

    def close(self) -> None:
        """Hang up."""
        self._hub.end(self.session, TRANSPORT_CLOSE)

    def _take(self, prepared: Prepared) -> None:
        if prepared is PING:
            self._hub.receive(self.session, EnginePacket(EngineType.PONG))
        for is_text, data in read_packet(prepared.text, prepared.attachments):
            self.received.append(data.decode() if is_text else data)

    def _notice(self) -> None:
        if not self.session.is_open:
            self.reason = self.session.reason
            self._hub.end(self.session, TRANSPORT_CLOSE)
