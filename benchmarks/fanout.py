"""Fan-out, and fan-out with echoes beside it: what the clients of these scenarios do, as in drivers.py."""

from __future__ import annotations

import time

from drivers import FOREVER
from load import Loop, WebSocket, WrongData, close_websockets, open_websockets
from messages import Message, websocket_messages


class _Cast:
    """A message on its way to all receivers."""

    __slots__ = ("left", "number")

    def __init__(self, number: int, receivers: int) -> None:
        self.number = number
        self.left = receivers


class Fanout:
    """One socket casts to all, with so many casts in flight: when everybody has received one, the next one leaves.

    An operation is one message received by one socket.
    """

    def __init__(self, loop: Loop, port: int, receivers: int, in_flight: int) -> None:
        self.operations = 0
        self.outstanding: dict[bytes, _Cast] = {}
        self.loop = loop
        self.sockets = open_websockets(loop, port, receivers)
        self._messages = websocket_messages("cast", 0)
        self._receivers: list[_Receiver] = []
        self._in_flight = in_flight
        self._casts = 0
        self._stopping = False

    def start(self) -> None:
        """Put the first casts in flight."""
        self._receivers = [self.receiver(websocket) for websocket in self.sockets]
        for receiver in self._receivers:
            self.loop.handle(receiver.websocket.sock, receiver.on_readable)
        for _ in range(self._in_flight):
            self._cast()

    def receiver(self, websocket: WebSocket) -> _Receiver:
        """The receiver on this socket."""
        return _Receiver(self, websocket)

    def tick(self) -> float:
        """Nothing depends on the clock."""
        return FOREVER

    def stop(self) -> None:
        """Wait for the last casts, then check that every socket received all of them."""
        self._stopping = True
        self.loop.run_until(lambda: not self.outstanding)
        if wrong := [receiver.count for receiver in self._receivers if receiver.count != self._casts]:
            raise WrongData(f"{len(wrong)} sockets received {wrong[:3]} casts instead of {self._casts}")
        close_websockets(self.loop, self.sockets)

    def everybody_has(self, frame: bytes) -> None:
        """A cast is complete."""
        del self.outstanding[frame]
        if not self._stopping:
            self._cast()

    def _cast(self) -> None:
        message = self._messages[self._casts % len(self._messages)]
        if message.received in self.outstanding:
            raise ValueError("two casts in flight look the same")
        self.outstanding[message.received] = _Cast(self._casts, len(self.sockets))
        self._casts += 1
        self.sockets[0].send(message.sent)


class _Receiver:
    __slots__ = ("_driver", "_outstanding", "_receive", "count", "websocket")

    def __init__(self, driver: Fanout, websocket: WebSocket) -> None:
        self.websocket = websocket
        #: How many casts have arrived here.
        self.count = 0
        self._receive = websocket.receive
        self._driver = driver
        self._outstanding = driver.outstanding

    def on_readable(self) -> None:
        """Check what arrived and count it; most often it is one whole frame."""
        data = self._receive()
        if data in self._outstanding:
            self._take(data)
            return
        for frame in self.websocket.split(data):
            if frame in self._outstanding:
                self._take(frame)
            else:
                self.other(frame)

    def _take(self, frame: bytes) -> None:
        cast = self._outstanding[frame]
        if cast.number != self.count:
            raise WrongData(f"cast {cast.number} came where {self.count} was due")
        self.count += 1
        self._driver.operations += 1
        cast.left -= 1
        if not cast.left:
            self._driver.everybody_has(frame)

    def other(self, frame: bytes) -> None:
        """What arrived is not a cast."""
        raise WrongData(f"nobody sent {frame!r}")


class ProbedFanout(Fanout):
    """A Fanout with some more receivers who also send echoes, each at a fixed pace whether or not answers are back."""

    def __init__(self, loop: Loop, port: int, receivers: int, in_flight: int, probes: int, pace: float) -> None:
        super().__init__(loop, port, receivers + probes, in_flight)
        self.latencies: list[float] = []
        self._probing = set(self.sockets[-probes:])
        self._probes: list[_Probe] = []
        self._pace = pace / probes
        self._turn = 0
        self._due = 0.0

    def receiver(self, websocket: WebSocket) -> _Receiver:
        """A probe on the last sockets, a plain receiver on the others."""
        if websocket not in self._probing:
            return super().receiver(websocket)
        number = len(self.sockets) + len(self._probes)
        probe = _Probe(self, websocket, websocket_messages("message", number))
        self._probes.append(probe)
        self.loop.hurry(websocket.sock)
        return probe

    def tick(self) -> float:
        """Let the probe whose turn it is send."""
        now = time.perf_counter()
        self._due = self._due or now
        if now >= self._due:
            self._probes[self._turn].send()
            self._turn = (self._turn + 1) % len(self._probes)
            self._due += self._pace
        return max(0.0, self._due - now)

    def stop(self) -> None:
        """Wait for the last echoes too."""
        self.loop.run_until(lambda: all(probe.is_idle for probe in self._probes))
        super().stop()


class _Probe(_Receiver):
    __slots__ = ("_due", "_messages", "_next", "_record")

    def __init__(self, driver: ProbedFanout, websocket: WebSocket, messages: list[Message]) -> None:
        super().__init__(driver, websocket)
        self._record = driver.latencies.append
        self._messages = messages
        self._next = 0
        self._due: list[tuple[bytes, float]] = []

    @property
    def is_idle(self) -> bool:
        """No echo is on its way."""
        return not self._due

    def send(self) -> None:
        """Send one echo and remember when."""
        message = self._messages[self._next]
        self._next = (self._next + 1) % len(self._messages)
        self._due.append((message.received, time.perf_counter()))
        self.websocket.send(message.sent)

    def other(self, frame: bytes) -> None:
        """An echo: the oldest one that is due."""
        if not self._due or self._due[0][0] != frame:
            super().other(frame)
        self._record(time.perf_counter() - self._due.pop(0)[1])
