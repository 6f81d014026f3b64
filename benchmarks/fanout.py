"""Fan-out, and fan-out with echoes beside it: what the clients of these scenarios do, as in drivers.py."""

from __future__ import annotations

import time

from drivers import FOREVER
from load import Loop, WebSocket, WrongData, close_websockets, open_websockets
from messages import Message, websocket_messages


class _Cast:
    """A message on its way to all receivers."""

    __slots__ = ("caster", "left", "number")

    def __init__(self, caster: _Caster, number: int, receivers: int) -> None:
        self.caster = caster
        self.number = number
        self.left = receivers


class Fanout:
    """Some sockets cast to all: each has one cast in flight, and casts again when everybody has received it.

    An operation is one message received by one socket.
    """

    def __init__(self, loop: Loop, port: int, receivers: int, casters: int) -> None:
        self.operations = 0
        self.stopping = False
        self.outstanding: dict[bytes, _Cast] = {}
        self.casts = 0
        self.loop = loop
        self.sockets = open_websockets(loop, port, receivers)
        self._casters = casters
        self._receivers: list[_Receiver] = []

    def start(self) -> None:
        """Let each caster cast."""
        self._receivers = [self.receiver(websocket) for websocket in self.sockets]
        for receiver in self._receivers:
            self.loop.handle(receiver.websocket.sock, receiver.on_readable)
        for number, websocket in enumerate(self.sockets[: self._casters]):
            _Caster(self, websocket, websocket_messages("cast", number)).cast()

    def receiver(self, websocket: WebSocket) -> _Receiver:
        """The receiver on this socket."""
        return _Receiver(self, websocket)

    def tick(self) -> float:
        """Nothing depends on the clock."""
        return FOREVER

    def stop(self) -> None:
        """Wait for the last casts, then check that every socket received each cast once."""
        self.stopping = True
        self.loop.run_until(lambda: not self.outstanding)
        due = (self.casts, sum(range(self.casts)))
        if wrong := [found for receiver in self._receivers if (found := receiver.totals) != due]:
            raise WrongData(f"{len(wrong)} sockets received {wrong[:3]} instead of {due}")
        close_websockets(self.loop, self.sockets)

    def send(self, caster: _Caster, message: Message) -> None:
        """Put one cast in flight."""
        if message.received in self.outstanding:
            raise ValueError("two casts in flight look the same")
        self.outstanding[message.received] = _Cast(caster, self.casts, len(self.sockets))
        self.casts += 1
        caster.websocket.send(message.sent)

    def everybody_has(self, frame: bytes) -> None:
        """A cast is complete: the next one leaves from the same socket."""
        cast = self.outstanding.pop(frame)
        if not self.stopping:
            cast.caster.cast()


class _Caster:
    __slots__ = ("_driver", "_messages", "_next", "websocket")

    def __init__(self, driver: Fanout, websocket: WebSocket, messages: list[Message]) -> None:
        self.websocket = websocket
        self._driver = driver
        self._messages = messages
        self._next = 0

    def cast(self) -> None:
        """Send the next message of the ring."""
        message = self._messages[self._next]
        self._next = (self._next + 1) % len(self._messages)
        self._driver.send(self, message)


class _Receiver:
    __slots__ = ("_count", "_driver", "_outstanding", "_receive", "_sum", "websocket")

    def __init__(self, driver: Fanout, websocket: WebSocket) -> None:
        self.websocket = websocket
        self._receive = websocket.receive
        self._driver = driver
        self._outstanding = driver.outstanding
        self._count = 0
        self._sum = 0

    @property
    def totals(self) -> tuple[int, int]:
        """How many casts arrived here and the sum of their numbers, so that a lost and a doubled one show."""
        return self._count, self._sum

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
        self._count += 1
        self._sum += cast.number
        self._driver.operations += 1
        cast.left -= 1
        if not cast.left:
            self._driver.everybody_has(frame)

    def other(self, frame: bytes) -> None:
        """What arrived is not a cast."""
        raise WrongData(f"nobody sent {frame!r}")


class ProbedFanout(Fanout):
    """A Fanout with some more receivers who also send echoes, each at a fixed pace whether or not answers are back."""

    def __init__(self, loop: Loop, port: int, receivers: int, casters: int, probes: int, pace: float) -> None:
        super().__init__(loop, port, receivers + probes, casters)
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
