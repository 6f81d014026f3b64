"""A node on the real loop, and WebSocket clients of it over real pairs of sockets, which hold little."""

from __future__ import annotations

import _socket
import json
from typing import Any

import gevent
from gevent.event import Event
from websockets.frames import Frame
from websockets.protocol import CLIENT, Protocol

from webpy_socketio.backplane.memory import MemoryBackplane
from webpy_socketio.engine.session import Session
from webpy_socketio.events import Events
from webpy_socketio.node import Node
from webpy_socketio.settings import load_settings
from webpy_socketio.sockets import Socket
from webpy_socketio.transports.streams import Stream
from webpy_socketio.transports.websocket import WebSocket
from webpy_socketio.transports.workers import Workers
from webpy_socketio.wire.dialects import V4


class Client:
    """The other end of a WebSocket, which has joined the main namespace."""

    def __init__(self, world: World, auth: dict[str, Any] | None = None) -> None:
        raw, self.raw = _socket.socketpair()
        raw.setblocking(False)
        self.raw.setblocking(False)
        raw.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 8192)
        self.protocol = Protocol(CLIENT, max_size=None)
        self.session: Session = world.hub.open(world.node.converse, V4, "websocket", {}, None)
        WebSocket(Stream(raw), self.session, world.hub).open(b"")
        self.frames: list[Frame] = []
        self.send("40" if auth is None else f"40{json.dumps(auth)}")
        assert self.text().startswith("0{")
        #: What came before the answer: to one that comes back, what it missed.
        self.early = list(iter(self._before_answer, None))

    def send(self, text: str) -> None:
        self.protocol.send_text(text.encode())
        for data in self.protocol.data_to_send():
            self.raw.send(data)

    def _before_answer(self) -> str | None:
        text = self.text()
        return None if text.startswith("40{") else text

    def frame(self) -> Frame:
        """The next frame, letting the loop run while there is none."""
        with gevent.Timeout(5):
            while not self.frames:
                try:
                    self.protocol.receive_data(self.raw.recv(65536))
                    self.frames += [f for f in self.protocol.events_received() if isinstance(f, Frame)]
                except BlockingIOError:
                    gevent.sleep(0.001)
        return self.frames.pop(0)

    def text(self) -> str:
        return bytes(self.frame().data).decode()


class World:
    """A hub on the real loop, with handlers that a test needs."""

    def __init__(self, **settings: Any) -> None:
        self.events = Events()
        self.sockets: list[Socket] = []
        self.ends: list[str] = []
        self.ended = Event()
        self.events.on_connect(lambda request, socket, context: self.sockets.append(socket))
        self.events.on_message(lambda request, socket, context, message: socket.send(message))
        self.events.on_disconnect(self._note_end)
        options = {"message_log_format": None, **settings}
        self.node = Node(load_settings(options), self.events, Workers(), MemoryBackplane())
        self.hub = self.node.hub

    def _note_end(self, request: Any, socket: Socket, context: Any) -> None:
        self.ends.append(str(socket.reason))
        self.ended.set()
