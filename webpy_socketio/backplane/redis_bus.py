"""The bus: a process's two connections to Redis, kept up whatever happens to them.

What is sent to itself, again and again, tells whether both work: one that looks alive may have been forgotten by the
other side, or by something in between.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

from ..logs import logger, printable
from ..metrics import Counters
from ..runner import Runner, Waiter
from .redis_dial import TROUBLE, Dial
from .redis_publisher import Publisher
from .redis_subscriber import Receive, Subscriber

#: Seconds before it is tried again to connect, at first and at the most.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 3.0
#: Seconds that others have, after an outage, to listen again before what waits for them is published.
GRACE = LONGEST_PAUSE + 0.5
#: Seconds within which the same complaint is not repeated.
QUIET = 10.0
LONGEST_COMPLAINT = 300
#: Keeps up one connection, and calls something when it is there.
Run = Callable[[Callable[[], None]], None]


class Bus:
    """Both connections. Nothing is connected before :meth:`start`.

    :param seconds: within which what is sent has to come back.
    :param echo: the channel on which a process hears itself.
    :param census: the channel, subscribed to by every process, by which they are counted.
    """

    def __init__(
        self,
        dial: Dial,
        runner: Runner,
        counters: Counters,
        longest_backlog: int,
        seconds: float,
        pattern: bytes | None,
        echo: bytes,
        census: bytes,
        receive: Receive,
    ) -> None:
        self._dial = dial
        self._runner = runner
        self._counters = counters
        self._seconds = seconds
        self._echo = echo
        self._census = census
        self._receive = receive
        self._publisher = Publisher(dial, runner, counters, longest_backlog, self.complain)
        self._subscriber = Subscriber(dial, runner, pattern, self._hear, self._is_deaf)
        #: Sends a message on a channel; see :meth:`Publisher.publish`.
        self.publish = self._publisher.publish
        #: Tells whether channels are listened to.
        self.hears = self._subscriber.hears
        #: Called when they are, for the first time or again: something may have been missed.
        self.on_return: Callable[[], None] = _nothing
        #: Sends a command; see :meth:`Publisher.send`.
        self.send = self._publisher.send
        #: When something of our own was heard last; and when, if ever, it would be too late for it.
        self._heard, self._late = -math.inf, math.inf
        self._complained: dict[str, float] = {}
        self._kills: list[Callable[[], None]] = []
        self._running: list[Waiter] = []
        self._is_told = True
        self._is_publishing = False
        #: How many processes there were when that could last be asked.
        self._audience = 0

    @property
    def is_ready(self) -> bool:
        """Whether what is published arrives, as far as that can be known."""
        return self._runner.now() < self._heard + 1.5 * self._seconds

    def start(self) -> None:
        """Begin to connect."""
        self._subscriber.hold((self._echo,))
        for work in (self._publish, self._subscribe, self._beat):
            self._run(work)

    def keep_up(self, what: str, run: Run) -> None:
        """Keep up one more connection, for what else is done at Redis."""
        self._run(lambda: self._keep(what, run, _nothing, _nothing))

    def stop(self, seconds: float) -> None:
        """Send what waits, within so many seconds, and disconnect."""
        until = self._runner.now() + seconds
        while self._is_publishing and not self._publisher.is_done and self._runner.now() < until:
            self._pause(0.005)
        kills, self._kills = self._kills, []
        for kill in kills:
            kill()
        for waiter in self._running:  # one that had not begun is not among them, and will not begin
            waiter.wait(max(0.1, until - self._runner.now()))
        self._heard = -math.inf
        self._dial.close()

    def hold(self, channels: Iterable[bytes]) -> None:
        """Listen to channels; see :meth:`Subscriber.hold`."""
        if self._subscriber.hold(channels):
            self._call()

    def release(self, channels: Iterable[bytes]) -> None:
        """Listen to channels no longer; see :meth:`Subscriber.release`."""
        if self._subscriber.release(channels):
            self._call()

    def holds(self, channel: bytes) -> bool:
        """Whether a channel is to be listened to."""
        return self._subscriber.holds(channel)

    def wait_for(self, channels: Iterable[bytes], seconds: float) -> bool:
        """Wait until channels are listened to; tell whether they are in time."""
        return self._subscriber.wait_for(channels, seconds)

    def count(self, channel: bytes) -> int | None:
        """How many processes listen to a channel, by its name; None if nobody can tell. Waits for the answer."""
        try:
            return self._dial.count(channel) if self.is_ready else None
        except TROUBLE as error:
            self.complain(f"Redis does not tell who is there: {error}")
            return None

    def complain(self, problem: str) -> None:
        """Write a line into the log, unless the like of it was written just now."""
        kind, now = problem[:30], self._runner.now()
        if now - self._complained.get(kind, -math.inf) >= QUIET:
            if len(self._complained) > 100:
                self._complained.clear()
            self._complained[kind] = now
            logger.warning("%s", printable(problem[:LONGEST_COMPLAINT]))

    # The three greenlets.

    def _run(self, work: Callable[[], None]) -> None:
        def run() -> None:
            ended = self._runner.waiter()
            self._running.append(ended)
            try:
                work()
            finally:
                ended.set()

        self._kills.append(self._runner.spawn(run))

    def _publish(self) -> None:
        def connected() -> None:
            self._await_others()
            self._is_publishing = True

        def lost() -> None:
            self._is_publishing = False

        self._keep("publish", self._publisher.run, connected, lost)

    def _subscribe(self) -> None:
        self._keep("subscribe", self._subscriber.run, lambda: self.on_return(), _nothing)

    def _beat(self) -> None:
        while True:
            self._call()
            self._audience = self.count(self._census) or self._audience
            self._pause(self._seconds / 2)

    def _keep(self, what: str, run: Run, connected: Callable[[], None], lost: Callable[[], None]) -> None:
        """Connect again and again."""
        pause, is_first = FIRST_PAUSE, True

        def begin() -> None:
            nonlocal pause, is_first
            connected()
            self._counters.redis_reconnects += not is_first
            pause, is_first = FIRST_PAUSE, False
            self._late = self._runner.now() + 1.5 * self._seconds
            self._call()

        while True:
            try:
                run(begin)
            except Exception as error:  # whatever it is, trying again is better than silence
                lost()
                self._lose(f"cannot {what} at Redis: {error}")
            self._pause(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _lose(self, problem: str) -> None:
        self._heard, self._late = -math.inf, math.inf
        self._is_told = False
        self.complain(f"{problem}; other processes are not reached until that is over")

    def _await_others(self) -> None:
        """What is published before the others listen again, after an outage, would be lost to them."""
        until = self._runner.now() + GRACE
        while self._runner.now() < until:
            try:
                if self._dial.count(self._census) >= self._audience:
                    return
            except TROUBLE:
                return  # there will be another outage
            self._pause(0.02)

    # Hearing oneself.

    def _call(self) -> None:
        if self._is_publishing:  # else there will be a call as soon as it is
            self._publisher.call(self._echo)

    def _hear(self, channel: bytes, payload: bytes) -> None:
        if channel != self._echo:
            self._receive(channel, payload)
            return
        self._heard = self._runner.now()
        self._late = self._heard + 1.5 * self._seconds
        if not self._is_told:
            self._is_told = True
            logger.info("Redis is there again")

    def _is_deaf(self) -> bool:
        return self._is_publishing and self._runner.now() > self._late

    def _pause(self, seconds: float) -> None:
        self._runner.waiter().wait(seconds)


def _nothing() -> None:
    pass
