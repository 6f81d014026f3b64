"""The subscriber: one connection on which a process hears the others.

Redis counts those who subscribed to the channel of a namespace's requests, so a process subscribes to it as long as it
will answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from ..runner import Runner, Waiter
from .redis_dial import Connection, Dial, Silence

#: Messages after which others have their turn, although there may be more to read.
MANY = 50

#: Called with the channel and what came.
Receive = Callable[[bytes, bytes], None]


class Subscriber:
    """What a process listens to.

    :param pattern: what it listens to all the time, besides; None for nothing.
    :param receive: called with each message; must not raise, nor wait.
    :param is_deaf: tells whether the connection has to be given up although it looks alive; nothing may have come for
        as long as the connection's own timeout.
    """

    def __init__(
        self, dial: Dial, runner: Runner, pattern: bytes | None, receive: Receive, is_deaf: Callable[[], bool]
    ) -> None:
        self._dial = dial
        self._runner = runner
        self._pattern = pattern
        self._receive = receive
        self._is_deaf = is_deaf
        self._wanted: Counter[bytes] = Counter()
        self._asked: set[bytes] = set()
        self._confirmed: set[bytes] = set()
        self._waiters: list[Waiter] = []
        self._is_stale = False

    def hold(self, channels: Iterable[bytes]) -> bool:
        """Listen to channels until they are released as often as they were held.

        Tells whether the next message has to come soon: Redis is asked for them after that.
        """
        self._wanted.update(channels)
        return self._changed()

    def release(self, channels: Iterable[bytes]) -> bool:
        """Listen to channels no longer, unless somebody else holds them. Tells the same."""
        self._wanted.subtract(channels)
        self._wanted = +self._wanted
        return self._changed()

    def hears(self, *channels: bytes) -> bool:
        """Whether Redis has confirmed that it sends what is published there."""
        return self._confirmed.issuperset(channels)

    def holds(self, channel: bytes) -> bool:
        """Whether somebody holds a channel."""
        return channel in self._wanted

    def wait_for(self, channels: Iterable[bytes], seconds: float) -> bool:
        """Wait until that is so; tell whether it is in time."""
        until = self._runner.now() + seconds
        while not self.hears(*channels):
            waiter = self._runner.waiter()
            self._waiters.append(waiter)
            if not waiter.wait(max(0.0, until - self._runner.now())):
                self._waiters = [other for other in self._waiters if other is not waiter]
                return False
        return True

    def run(self, connected: Callable[[], None]) -> None:
        """Listen on one connection until that breaks. Raises what TROUBLE has, TimeoutError if it is deaf.

        :param connected: called once it is listened to everything that is wanted.
        """
        connection = self._dial.connect()
        try:
            self._asked.clear()
            if self._pattern is not None:
                connection.send_command("PSUBSCRIBE", self._pattern)
            self._keep_up(connection)
            self._listen(connection, connected)
        finally:
            self._confirmed.clear()
            connection.disconnect()

    def _listen(self, connection: Connection, connected: Callable[[], None]) -> None:
        is_new, count = True, 0
        while not self._is_deaf():
            try:
                kind, *what = connection.read_response(disable_decoding=True, disconnect_on_error=False)
            except Silence:
                continue
            if kind == b"pmessage":
                self._receive(what[1], what[2])
            elif kind == b"message":
                self._receive(what[0], what[1])
            else:
                self._note(kind, what[0])
            if self._is_stale:
                self._keep_up(connection)
            if is_new and self._confirmed >= self._asked:
                is_new = False
                connected()
            count += 1
            if count % MANY == 0:
                self._runner.breathe()
        raise TimeoutError("nothing comes back that this process sends itself")

    def _changed(self) -> bool:
        was_stale, self._is_stale = self._is_stale, self._wanted.keys() != self._asked
        return self._is_stale and not was_stale

    def _keep_up(self, connection: Connection) -> None:
        """Ask for what is wanted by now, and for nothing else."""
        self._is_stale = False
        wanted = set(self._wanted)
        for command, channels in (("SUBSCRIBE", wanted - self._asked), ("UNSUBSCRIBE", self._asked - wanted)):
            if channels:
                connection.send_command(command, *channels)
        self._confirmed &= wanted
        self._asked = wanted

    def _note(self, kind: bytes, channel: bytes) -> None:
        if kind == b"subscribe" and channel in self._asked:
            self._confirmed.add(channel)
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.set()
