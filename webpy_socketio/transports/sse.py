"""Event streams: a session's packets leave as server-sent events, in the body of one answer that does not end.

The body is a plain generator, so any WSGI server on gevent can send it: it takes the next piece when the last has left.
That a piece has left is the client's sign of life.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Sequence

from ..engine.session import Session, State
from ..hub import Hub
from ..places import Places
from ..reasons import TRANSPORT_CLOSE, TRANSPORT_ERROR, Reason
from ..runner import Waiter
from ..wire.dialects import SSE
from ..wire.packets import EnginePacket, EngineType
from ..wire.prepared import PING, Prepared
from ..wire.socketio import encode_event
from .streams import Connection

#: Milliseconds after which a browser comes back to a stream that ended; not all in the same second.
RETRY = (1_000, 5_000)
#: Bytes, about, of a piece.
PIECE = 65_536
#: Tells the client why the stream ends.
END = "__end__"
PONG = EnginePacket(EngineType.PONG)


class EventStream:
    """Carries one session.

    :param places: what the client can come back to; None if there is nothing.
    :param connection: the client's, if the server gives it away.
    """

    __slots__ = ("_connection", "_hub", "_is_leaving", "_places", "_session", "_stop_watching", "_waiter")

    def __init__(self, session: Session, hub: Hub, places: Places | None, connection: Connection | None) -> None:
        self._session = session
        self._hub = hub
        self._places = places
        self._connection = connection
        self._waiter: Waiter | None = None
        self._is_leaving = False
        self._stop_watching: Callable[[], None] | None = None

    def begin(self) -> None:
        """Begin the conversation, and wait until it is decided whether the client may come in, or over."""
        settings, session, connection = self._hub.settings, self._session, self._connection
        session.wake = self._wake
        if connection is not None:
            connection.limit_silence(settings.ping_interval + settings.ping_timeout)
            self._stop_watching = connection.watch_end(self._lost)
        session.peer.begin()
        waiter = self._waiter = self._hub.runner.waiter()
        session.peer.when_idle(waiter.set)
        waiter.wait()
        self._waiter = None

    def end(self, reason: Reason) -> None:
        """Let go of everything."""
        self._is_leaving = False
        self._hub.end(self._session, reason)
        self._unwatch()

    def pieces(self) -> Generator[bytes, None, None]:
        """Return the body of the answer. Whoever does not take all of it closes it."""
        session = self._session
        try:
            first = self._encode(session.outbox.take(PIECE))
            yield self._leave(b"retry: %d\n\n%b%b" % (random.randint(*RETRY), first, self._place()))
            while session.state is not State.CLOSED:
                self._has_left()
                if session.outbox:
                    yield self._leave(self._encode(session.outbox.take(PIECE)))
                elif session.is_open:
                    self._park()
                else:
                    yield self._leave(_farewell(session.reason))
                    return
        finally:
            self.end(TRANSPORT_CLOSE)

    def _leave(self, piece: bytes) -> bytes:
        self._is_leaving = True
        return piece

    def _has_left(self) -> None:
        self._is_leaving = False
        if self._session.heartbeat.is_awaiting:
            self._hub.receive(self._session, PONG)

    def _encode(self, packets: Sequence[Prepared]) -> bytes:
        parts = []
        for prepared in packets:
            frames = prepared.frames(SSE)
            if frames and prepared.has_offset:
                parts.append(b"id: %b\n" % prepared.offset)
            parts.append(frames)
        if PING in packets:
            parts.append(self._place())
        return b"".join(parts)

    def _place(self) -> bytes:
        """Tell a client, which may get nothing else for hours, up to where it has got everything, if it has."""
        if self._places is None or self._session.outbox:
            return b""
        return b"id: %b\n\n" % self._places.place.encode()

    def _park(self) -> None:
        """Wait until something is queued, the state changes or the client hangs up."""
        session = self._session
        waiter = self._waiter = self._hub.runner.waiter()
        session.is_awaited = True
        try:
            waiter.wait()
        finally:
            session.is_awaited = False
            self._waiter = None

    def _wake(self) -> None:
        session = self._session
        if session.state is State.CLOSED:
            self._hub.end(session, TRANSPORT_ERROR)  # if it ended by itself, because it was full
            self._unwatch()
            if self._is_leaving and self._connection is not None:
                self._connection.abort()  # nobody takes what is being sent
        if self._waiter is not None and (session.is_awaited or not session.is_open):
            self._waiter.set()

    def _lost(self) -> None:
        self._hub.end(self._session, TRANSPORT_CLOSE)

    def _unwatch(self) -> None:
        stop, self._stop_watching = self._stop_watching, None
        if stop is not None:
            stop()


def _farewell(reason: Reason | None) -> bytes:
    """The event that tells why a stream ends."""
    assert reason is not None, "a session that closes has a reason"
    name, code, sentence, may_reconnect, _ = reason
    about = {"reason": name, "code": code, "message": sentence, "reconnect": may_reconnect}
    return Prepared(*encode_event("/", [END, about], None, 0)).frames(SSE)
