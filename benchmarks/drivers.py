"""What the clients of each scenario do, on a Loop: start, keep a fixed amount of work in flight, stop, verify.

Every driver counts finished operations in `operations`. Each message that arrives has to be, byte for byte, one that
is due; anything else ends the run, because a server that is fast and wrong is not measured here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from clients import WebSocket, close_websockets, open_websockets
from load import STALL_SECONDS, Loop, WrongData
from messages import Message, text_messages

FOREVER = 3600.0


class Driver(Protocol):
    """The clients of one scenario."""

    @property
    def operations(self) -> int:
        """How many operations are finished."""

    def start(self) -> None:
        """Put the first work in flight."""

    def tick(self) -> float:
        """Called between two waits; returns for how many seconds it need not be called again."""

    def stop(self) -> None:
        """Start no more work, wait for what is in flight, check the totals and hang up."""


class Echoes:
    """Every socket has one message in flight: when it is back, the next one leaves."""

    def __init__(self, loop: Loop, port: int, count: int) -> None:
        self.operations = 0
        self.stopping = False
        self.in_flight = 0
        self._loop = loop
        self._sockets = open_websockets(loop, port, count)

    def start(self) -> None:
        """Send one message on each socket."""
        self.in_flight = len(self._sockets)
        for number, websocket in enumerate(self._sockets):
            echo = _Echo(self, websocket, text_messages("message", number))
            self._loop.handle(websocket.sock, echo.on_readable)

    def tick(self) -> float:
        """Nothing depends on the clock."""
        return FOREVER

    def stop(self) -> None:
        """Wait for the last echo of each socket."""
        self.stopping = True
        self._loop.run_until(lambda: self.in_flight == 0)
        close_websockets(self._loop, self._sockets)


class _Echo:
    __slots__ = ("_driver", "_due", "_messages", "_next", "_receive", "_websocket")

    def __init__(self, driver: Echoes, websocket: WebSocket, messages: list[Message]) -> None:
        self._driver = driver
        self._websocket = websocket
        self._receive = websocket.receive
        self._messages = messages
        self._next = 0
        self._send()

    def _send(self) -> None:
        sent, self._due = self._messages[self._next]
        self._next = (self._next + 1) % len(self._messages)
        self._websocket.send(sent)

    def on_readable(self) -> None:
        """Check the echo, count it and send the next message."""
        data = self._receive()
        if data != self._due and not self._is_due(data):
            return
        self._driver.operations += 1
        if self._driver.stopping:
            self._driver.in_flight -= 1
            self._due = b""
        else:
            self._send()

    def _is_due(self, data: bytes) -> bool:
        """The long way: the echo may be in pieces, or a ping may be with it."""
        frames = self._websocket.split(data)
        if frames and frames != [self._due]:
            raise WrongData(f"{frames} instead of {self._due!r}")
        return bool(frames)


class Visits:
    """So many visitors at once, each replaced when it has left. An operation is a whole visit."""

    def __init__(self, loop: Loop, port: int, count: int, begin: Callable[[Visits], object]) -> None:
        self.operations = 0
        self.loop = loop
        self.port = port
        self._begin = begin
        self._count = count
        self._present = 0
        self._stopping = False

    def start(self) -> None:
        """Let the first visitors in."""
        for _ in range(self._count):
            self._visit()

    def tick(self) -> float:
        """Nothing depends on the clock."""
        return FOREVER

    def stop(self) -> None:
        """Wait until the last visitor has left."""
        self._stopping = True
        self.loop.run_until(lambda: self._present == 0)

    def left(self) -> None:
        """A visit is over."""
        self._present -= 1
        self.operations += 1
        if not self._stopping:
            self._visit()

    def _visit(self) -> None:
        self._present += 1
        self._begin(self)


def visit_by_websocket(visits: Visits) -> None:
    """Open a connection, join the main namespace, and close with a closing handshake."""
    WebSocket(visits.loop, visits.port, lambda websocket: websocket.close(lambda _: visits.left()))


class Heartbeats:
    """Sockets that do nothing but answer the server's pings. An operation is a ping with its pong."""

    def __init__(self, loop: Loop, port: int, count: int) -> None:
        self._loop = loop
        self._sockets = open_websockets(loop, port, count)

    @property
    def operations(self) -> int:
        """All pings that were answered."""
        return sum(websocket.pings for websocket in self._sockets)

    def start(self) -> None:
        """The server begins."""

    def tick(self) -> float:
        """Nothing depends on this side's clock."""
        return FOREVER

    def stop(self) -> None:
        """Wait until nobody is left out, and hang up."""
        give_up = time.monotonic() + STALL_SECONDS
        self._loop.run_until(lambda: not self._left_out() or time.monotonic() > give_up)
        if left_out := self._left_out():
            raise WrongData(f"{left_out} sockets were never pinged")
        close_websockets(self._loop, self._sockets)

    def _left_out(self) -> int:
        return sum(1 for websocket in self._sockets if not websocket.pings)
