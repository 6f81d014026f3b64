"""The publisher: one connection on which a process tells the others, in the order in which it was asked to.

Whoever publishes never waits and is never told of trouble. While Redis is away what is published waits, up to a bound;
beyond, it is dropped and counted. So is what was sent when a connection broke, but not confirmed: it may have arrived,
and must not arrive twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from hiredis import pack_command

from ..metrics import Counters
from ..runner import Runner, Waiter
from .redis_dial import Connection, Dial, Refusal

#: Bytes that are sent before a confirmation is waited for, and how many messages.
BATCH_BYTES, BATCH_SIZE = 256_000, 500
#: Bytes of memory that a message takes beside itself.
OVERHEAD = 250


class _Message(NamedTuple):
    command: tuple[bytes, ...]
    #: Bytes that it counts for.
    size: int
    #: Whether somebody else is to have it.
    is_for_others: bool


class Publisher:
    """What waits to be published.

    :param longest_backlog: bytes that may wait.
    :param complain: called with what Redis says if it refuses a message.
    """

    def __init__(
        self, dial: Dial, runner: Runner, counters: Counters, longest_backlog: int, complain: Callable[[str], None]
    ) -> None:
        self._dial = dial
        self._runner = runner
        self._counters = counters
        self._longest = longest_backlog
        self._complain = complain
        self._waiting: deque[_Message] = deque()
        self._waiter: Waiter | None = None
        self._unconfirmed: deque[_Message] = deque()
        #: Bytes that wait, and are on their way.
        self.backlog = 0

    @property
    def is_done(self) -> bool:
        """Whether Redis has confirmed everything."""
        return not self._waiting and not self._unconfirmed

    def publish(self, channel: bytes, payload: bytes) -> None:
        """Send a message on a channel; see :meth:`send`."""
        self.send(b"PUBLISH", channel, payload)

    def send(self, *command: bytes) -> None:
        """Send a command that others will notice when it is its turn; count it as dropped if too much is waiting."""
        size = sum(map(len, command)) + OVERHEAD
        if self.backlog + size > self._longest:
            self._counters.dropped_publishes += 1
        else:
            self._put(_Message(command, size, True))

    def call(self, channel: bytes) -> None:
        """Send nothing but a sign of life, when it is its turn."""
        self._put(_Message((b"PUBLISH", channel, b""), OVERHEAD, False))

    def run(self, connected: Callable[[], None]) -> None:
        """Publish on one connection until that breaks. Raises what TROUBLE has.

        :param connected: called before anything is published; may wait.
        """
        connection = self._dial.connect()
        try:
            connected()
            while True:
                self._wait()
                self._send_some(connection)
        finally:
            self._counters.dropped_publishes += sum(message.is_for_others for message in self._unconfirmed)
            self._unconfirmed.clear()
            connection.disconnect()

    def _put(self, message: _Message) -> None:
        self.backlog += message.size
        self._waiting.append(message)
        if self._waiter is not None:
            self._waiter.set()

    def _wait(self) -> None:
        if not self._waiting:
            self._waiter = self._runner.waiter()
            self._waiter.wait()
            self._waiter = None

    def _send_some(self, connection: Connection) -> None:
        if connection.can_read(0):  # nothing is to be read now, but the end of a connection that was closed meanwhile
            connection.read_response()
        batch = self._take()
        self._unconfirmed.extend(batch)
        try:
            # By hiredis itself: the way around through redis-py takes ten times as long.
            commands = b"".join(pack_command(message.command) for message in batch)  # type: ignore[arg-type]
            connection.send_packed_command([commands], check_health=False)
            for _ in batch:
                self._confirm(connection)
        finally:
            self.backlog -= sum(message.size for message in batch)

    def _take(self) -> list[_Message]:
        batch: list[_Message] = []
        size = 0
        while self._waiting and size < BATCH_BYTES and len(batch) < BATCH_SIZE:
            message = self._waiting.popleft()
            size += message.size
            batch.append(message)
        return batch

    def _confirm(self, connection: Connection) -> None:
        try:
            connection.read_response()
        except Refusal as error:
            self._counters.dropped_publishes += self._unconfirmed[0].is_for_others
            self._complain(f"Redis refuses what is published: {error}")
        self._unconfirmed.popleft()
