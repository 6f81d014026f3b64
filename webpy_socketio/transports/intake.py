"""The intake of a WebSocket: reading, as fast as the client's handlers and its rate of messages allow.

Who may not be heard for a while is not read: its messages wait in the kernels' buffers, and then with the client.
Nothing is lost by that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from ..engine.session import Session
from ..hub import Hub
from ..wire.messages import Message, MessageReader
from .streams import READ_SIZE, Stream


class Intake(ABC):
    """Reads the messages of one connection."""

    __slots__ = ("_closing", "_held", "_hub", "_is_paused", "_reader", "_receive_now", "_session", "_stream")

    def __init__(self, stream: Stream, session: Session, hub: Hub) -> None:
        self._stream = stream
        self._receive_now = stream.raw.recv
        self._session = session
        self._hub = hub
        self._reader = MessageReader(hub.settings.max_payload)
        self._closing = False
        self._is_paused = False
        #: What the client sent too fast, and has to wait.
        self._held: list[Message] | None = None

    @abstractmethod
    def _message(self, session: Session, is_text: bool, data: bytes) -> None:
        """Take a message."""

    @abstractmethod
    def _flush_protocol(self) -> None:
        """Send what the WebSocket protocol itself has to say."""

    @abstractmethod
    def _lost(self) -> None:
        """The connection is gone."""

    def _listen(self, early: bytes) -> None:
        """Read from now on; some of it has been read already."""
        self._stream.listen(self._readable)
        if early:
            self._take(self._reader.receive(early))

    def _readable(self) -> None:
        try:
            data = self._receive_now(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._take(self._reader.receive(data))
        else:
            self._lost()

    def _take(self, arrived: Iterable[Message]) -> None:
        session, messages = self._session, iter(arrived)
        for is_text, message in messages:
            if self._closing:
                return
            self._message(session, is_text, message)
            session.credit -= 1
            if session.credit < 1 and self._hold(messages):
                return
        if self._reader.has_answers and not self._closing:
            session.credit, self._reader.uncounted = session.credit - self._reader.uncounted, 0
            self._flush_protocol()
            if session.credit < 1:
                self._hold(())

    # Sent too fast.

    def _hold(self, rest: Iterable[Message]) -> bool:
        """Take no more while the client sends too fast; tells whether it does."""
        hub, now = self._hub, self._hub.runner.now()
        seconds = self._session.earn(hub.settings, now)
        if not seconds or self._closing:
            return False
        hub.counters.limited["message_rate"] += 1
        self._held = [*rest]
        self._session.paused = True
        self._stream.pause()
        hub.deadlines.add(now + seconds, self._go_on, None)
        return True

    def _go_on(self, _: object, now: float) -> None:
        held, self._held = self._held, None
        if held is not None and not self._closing:
            self._session.earn(self._hub.settings, now)
            self._take(held)
            self._read_on()

    # Handlers that do not keep up.

    def _pause(self) -> None:
        """Read no more until the client's handlers have caught up."""
        if not self._is_paused:
            self._is_paused = self._session.paused = True
            self._session.peer.when_idle(self._resume)
            self._stream.pause()

    def _resume(self) -> None:
        self._is_paused = False
        self._read_on()

    def _read_on(self) -> None:
        """Read again, unless there still is a reason not to."""
        if not self._is_paused and self._held is None and not self._closing:
            self._session.heed(self._hub.runner.now())
            self._stream.listen(self._readable)
