"""Plain WebSockets: those that carry no Engine.IO, so that heartbeats are pings and pongs of their own protocol."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.extensions import Extension

from ..engine.session import Session
from ..hub import Hub
from ..wire.packets import EnginePacket, EngineType
from .streams import Stream
from .websocket import WebSocket

PONG = EnginePacket(EngineType.PONG)
#: Seconds for the answers to messages right behind which the client closes the WebSocket: to be made, and to be taken.
LAST_ANSWERS = 1.0


class PlainWebSocket(WebSocket):
    """Carries one session over one WebSocket.

    :param extensions: what decodes the client's frames.
    """

    __slots__ = ("_is_concluding",)

    def __init__(self, stream: Stream, session: Session, hub: Hub, extensions: Sequence[Extension] = ()) -> None:
        super().__init__(stream, session, hub)
        self._reader.extensions = extensions
        #: Whether the end is only waiting for the answers to what came before.
        self._is_concluding = False

    def _message(self, session: Session, is_text: bool, data: bytes) -> None:
        if session.heartbeat.is_awaiting:
            self._hub.receive(session, PONG)  # what it is sending leaves no doubt that the client is there
        super()._message(session, is_text, data)

    def _flush_protocol(self) -> None:
        """Send what the WebSocket protocol has to say, and heed pongs.

        An end is not answered before the messages in front of it are: a close may be, but need not be, answered at once
        (RFC 6455, section 5.5.1), and a client that says its last word and closes shall get what it asked for.
        """
        reader, session = self._reader, self._session
        if reader.heard_pong:
            reader.heard_pong = False
            self._hub.receive(session, PONG)
        if reader.is_open:
            super()._flush_protocol()
        elif not self._is_concluding:
            self._is_concluding = session.is_refused = True
            session.peer.when_idle(self._answered)
            if self._is_concluding:
                self._hub.deadlines.add(self._hub.runner.now() + LAST_ANSWERS, self._conclude, None)

    def _flush(self) -> None:
        super()._flush()
        self._answered()

    def _answered(self) -> None:
        """Handlers are done, or the kernel has taken more: conclude, if there is nothing else to wait for."""
        session = self._session
        is_done = session.peer is None or not (session.peer.is_busy or self._stream.is_blocked or session.outbox)
        if self._is_concluding and is_done:
            self._conclude(None, 0)

    def _conclude(self, _: object, now: float) -> None:
        if self._is_concluding and not self._closing:
            self._is_concluding = False
            super()._flush_protocol()
