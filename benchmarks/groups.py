"""A group of sockets that all receive what one of them casts, and the check that each gets exactly that, in order.

What a receiver is due is known in advance, byte for byte: the same ring of messages again and again. So it only keeps
its place in the ring, and a lost, doubled, misplaced or damaged message is the first byte that differs.
"""

from __future__ import annotations

from collections.abc import Sequence

from clients import WebSocket
from frames import CLOSE, ENGINE_PING
from load import RECEIVE_BYTES, Disconnected, WrongData
from messages import RING, Message

LARGE_MESSAGE = 2048
LARGE_RECEIVE_BYTES = 131_072


class Group:
    """The first socket casts, with so many casts in flight: when everybody has received one, the next one leaves.

    An operation is one message received by one socket.
    """

    def __init__(self, sockets: Sequence[WebSocket], messages: Sequence[Message], in_flight: int) -> None:
        if len({len(message.received) for message in messages}) != 1 or not 0 < in_flight < len(messages) == RING:
            raise ValueError("a ring of messages of one length is needed, longer than what is in flight")
        self.operations = 0
        #: How many messages have been cast, and how many may be; after them, or once it is stopping, no more.
        self.casts = 0
        self.limit: float = float("inf")
        self.messages = messages
        self.unit = len(messages[0].received)
        self.receive_bytes = RECEIVE_BYTES if self.unit < LARGE_MESSAGE else LARGE_RECEIVE_BYTES
        ring = b"".join(message.received for message in messages)
        self.ring_bytes = len(ring)
        #: Long enough that what one receive gives is a slice of it wherever it begins.
        self.due = ring * (2 + self.receive_bytes // len(ring))
        self._sender = sockets[0]
        self.size = len(sockets)
        self._in_flight = in_flight
        self._left = [0] * RING

    def start(self) -> None:
        """Put the first casts in flight."""
        for _ in range(self._in_flight):
            self._cast()

    def stop(self) -> None:
        """Start no more casts."""
        self.limit = self.casts

    @property
    def is_quiet(self) -> bool:
        """Nothing is in flight."""
        return not any(self._left)

    def arrived(self, number: int) -> None:
        """One receiver has all of a cast."""
        left = self._left[number % RING] - 1
        if left < 0:
            raise WrongData(f"message {number} arrived but was not sent")
        self._left[number % RING] = left
        self.operations += 1
        if not left:
            self._cast()

    def _cast(self) -> None:
        if self.casts < self.limit:
            slot = self.casts % RING
            self._left[slot] = self.size
            self.casts += 1
            self._sender.send(self.messages[slot].sent)


class Receiver:
    """One socket of a group that receives nothing but its casts."""

    __slots__ = ("_group", "_held", "_is_due", "_missing", "_position", "_receive", "_size", "count", "websocket")

    def __init__(self, group: Group, websocket: WebSocket) -> None:
        self.websocket = websocket
        #: How many casts have arrived here.
        self.count = 0
        self._receive = websocket.receive
        self._size = group.receive_bytes
        self._is_due = group.due.startswith
        self._group = group
        self._position = 0
        self._missing = group.unit
        self._held = b""

    def on_readable(self) -> None:
        """Check what arrived and count what is complete."""
        data = self._receive(self._size)
        if data and not self._held and self._is_due(data, self._position):
            self._advance(len(data))
        else:
            self._take_slowly(data)

    def _advance(self, size: int) -> None:
        group = self._group
        self._position = (self._position + size) % group.ring_bytes
        self._missing -= size
        while self._missing <= 0:
            self._missing += group.unit
            self.count += 1
            group.arrived(self.count - 1)

    def _take_slowly(self, data: bytes) -> None:
        """The long way: a ping may stand between two messages, or its first byte where a message begins as well."""
        if not data:
            raise Disconnected("the server closed a WebSocket")
        data = self._take_back() + self._held + data
        self._held = b""
        while data:
            if self._missing == self._group.unit and data[:1] == ENGINE_PING[:1] and len(data) < len(ENGINE_PING):
                self._held = data
                return
            if self._missing == self._group.unit and data.startswith(ENGINE_PING):
                self.websocket.answer_ping()
                data = data[len(ENGINE_PING) :]
                continue
            piece = data[: self._missing]
            self._check(piece)
            self._advance(len(piece))
            data = data[len(piece) :]

    def _take_back(self) -> bytes:
        """What was already taken of a message that has just begun."""
        taken = self._group.unit - self._missing
        if not 0 < taken < len(ENGINE_PING):
            return b""
        self._position -= taken
        self._missing += taken
        return self._group.due[self._position : self._position + taken]

    def _check(self, piece: bytes) -> None:
        if self._is_due(piece, self._position):
            return
        if self._missing == self._group.unit and piece[0] == 0x80 | CLOSE:
            raise Disconnected(f"the server closed a WebSocket: {piece[:100]!r}")
        due = self._group.due[self._position :]
        place = next(index for index, byte in enumerate(piece) if byte != due[index])
        raise WrongData(
            f"after {self.count} messages {piece[place : place + 60]!r} where {due[place : place + 60]!r} was due"
        )
