"""The backplane over a stream of Redis', as full members of a cluster with Node's ``@socket.io/redis-streams-adapter``.

What is for all is added to the stream, which each process reads; an outage costs nothing of it. With recovery, clients
whose connection broke can go on at any process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..delivery import Delivery
from ..envelope import Envelope, Selection
from ..events import Events
from ..runner import Runner
from ..settings import Settings
from ..wire.socketio import encode_event
from .cluster import MAIN, ClusterBackplane
from .redis_wire import FETCH, Message, options_of, read_sockets
from .stream_history import StreamHistory
from .stream_order import Order
from .stream_reader import BEGINNING, StreamReader
from .stream_sessions import StreamSessions
from .streams_wire import EMIT, RESPONSES, StreamsWire, as_request, as_response, event_of, read_entry, read_message

#: Seconds that an event may be on its way to the stream and back before it is delivered here without that.
PATIENCE = 1.0


class StreamsBackplane(ClusterBackplane):
    """A process whose messages are kept for a while."""

    _wire: StreamsWire

    def __init__(self, settings: Settings, url: str, events: Events, runner: Runner) -> None:
        super().__init__(settings, url, events, runner)
        self._stream = settings.redis_key.encode()
        self._longest = b"%d" % settings.max_stream_length
        self._added = 0
        self._reader = StreamReader(self._dial, runner, self._stream, settings.redis_timeout, self._read)
        self._order = Order(self._deliver, self._count, runner, min(PATIENCE, settings.redis_timeout))
        #: What clients come back to, if they may.
        self.roaming: StreamSessions | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the other processes can be reached, and this one by them."""
        return super().is_ready and self._reader.is_reading

    def start(self, delivery: Delivery) -> None:
        """Become a member of the cluster."""
        super().start(delivery)
        self._bus.keep_up("read", self._follow)
        if self._settings.recovery:
            self._handovers = b"%s-handovers#" % self._stream
            history = StreamHistory(self._dial, self._stream, self._reader, self._settings)
            self.roaming = StreamSessions(
                self._dial, self._bus, history, self._runner, self._settings.recovery_window,
                self._settings.max_recovery_clients, self._handovers,
            )  # fmt: skip
            self._bus.hold((self._handovers,))
            self._bus.keep_up("keep sessions", self.roaming.run)

    def publish(self, envelope: Envelope) -> int:
        """Deliver an event here and send it to all others; return how many sockets of this process it reached.

        Raises UnsendableValue.
        """
        if envelope.selection.local:
            return self._deliver(envelope, None)
        if self.roaming is None:
            fields = self._wire.write_event(envelope, self._added)
            reached = self._delivery.deliver(envelope)  # what cannot be sent to clients is not added, either
            self._add(fields)
            return reached
        encode_event(MAIN, envelope.data, None, self._settings.max_attachments)  # what cannot be sent fails before
        number = self._added
        self._add(self._wire.write_event(envelope, number))
        if self._order.is_late or not self.is_ready:
            self._order.release()
            return self._deliver(envelope, None)
        return self._order.follow(number, envelope)

    def channels(self, namespace: str) -> list[str]:
        """List the channels that somebody follows. Raises AckTimeout if not all other processes tell."""
        here = self._delivery.channels(namespace)
        opts = options_of(Selection(namespace))
        return list(dict.fromkeys([*here, *self._gather(FETCH, namespace, _channels_of, here, opts=opts)]))

    def stop(self, deadline: float) -> None:
        """Send what waits, within so many seconds, and leave the cluster."""
        until = self._runner.now() + deadline
        while self.roaming is not None and not self.roaming.is_done and self.is_ready and self._runner.now() < until:
            self._runner.waiter().wait(0.005)
        super().stop(max(0.0, until - self._runner.now()))
        self._order.release()

    def _make_wire(self) -> StreamsWire:
        return StreamsWire(self._settings.redis_key)

    def _command(self, kind: int, selection: Selection, fields: dict[str, Any]) -> None:
        self._add(self._wire.write_command(kind, selection.namespace, fields, self._added))

    def _add(self, fields: list[bytes]) -> None:
        self._added += 1
        self._bus.send(b"XADD", self._stream, b"MAXLEN", b"~", self._longest, b"*", *fields)

    def _deliver(self, envelope: Envelope, place: bytes | None) -> int:
        """Deliver an event with its place in the stream; without one, it has that of the last before it."""
        if self.roaming is None:
            return self._delivery.deliver(envelope)
        where = place or self._reader.last_id or BEGINNING
        return self._delivery.deliver(envelope, can_wait=place is None, offset=where.decode())

    def _count(self, envelope: Envelope) -> int:
        return len(self._delivery.members(envelope.selection))

    # What others say.

    def _follow(self, connected: Callable[[], None]) -> None:
        """Read the stream until the connection breaks; behind each new one, there may be a Redis that forgot all."""

        def begin() -> None:
            connected()
            if self.roaming is not None:
                self.roaming.write_all()

        self._reader.run(begin)

    def _read(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        """Deal with an entry. Whatever it is, the next one is to be read."""
        try:
            entry = read_entry(fields)
            if entry is None:
                return
            if entry.uid == self._wire.uid:
                self._order.came_back(entry.number, entry_id)
            elif entry.type == EMIT and "requestId" not in entry.data:
                if self._delivery.has(entry.namespace, ""):
                    offset = None if self.roaming is None else entry_id.decode()
                    self._delivery.deliver(event_of(entry), can_wait=False, offset=offset)
            else:
                self._respondent.receive(entry.namespace, as_request(entry))
        except Exception as error:
            self._bus.complain(f"{type(error).__name__} by what was in the stream: {error} ({entry_id!r})")

    def _receive(self, channel: bytes, payload: bytes) -> None:
        if self.roaming is not None and channel == self._handovers:
            self.roaming.hand_over(payload)
            return
        if self.presence.receive(channel, payload):
            return
        message = read_message(payload)
        if message.uid == self._wire.uid:
            return
        if message.type in RESPONSES:
            self._inquiries.receive(as_response(message))
        else:
            self._respondent.receive(message.namespace, as_request(message))


def _channels_of(message: Message) -> list[str]:
    return [name for details in read_sockets(message) for name in details.channels]
