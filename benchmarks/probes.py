"""Fan-out with echoes beside it, whose time is taken."""

from __future__ import annotations

import time
from collections.abc import Sequence

from clients import WebSocket, open_websockets
from fanout import Fanout
from groups import Group, Receiver
from load import Loop, WrongData
from messages import RING, Message, text_messages


class ProbedFanout(Fanout):
    """A Fanout whose last receivers also send echoes, each at a fixed pace whether or not answers are back."""

    def __init__(self, loop: Loop, port: int, receivers: int, in_flight: int, probes: int, pace: float) -> None:
        sockets = open_websockets(loop, port, receivers + probes)
        self.latencies: list[float] = []
        self._probing = set(sockets[-probes:])
        self._probes: list[_Probe] = []
        self._pace = pace / probes
        self._turn = 0
        self._due = 0.0
        super().__init__(loop, [(Group(sockets, text_messages("cast", 0), in_flight), sockets)])

    def receiver(self, group: Group, websocket: WebSocket) -> Receiver:
        """A probe on the last sockets, a plain receiver on the others."""
        if websocket not in self._probing:
            return super().receiver(group, websocket)
        probe = _Probe(self, group, websocket, text_messages("message", 1 + len(self._probes)))
        self._probes.append(probe)
        return probe

    def start(self) -> None:
        """Put the first casts in flight, and let the probes jump the loop's queue."""
        super().start()
        for probe in self._probes:
            self.loop.hurry(probe.websocket.sock)

    def tick(self) -> float:
        """Send what is due; the probes take turns."""
        now = time.perf_counter()
        self._due = self._due or now
        if now >= self._due:
            self._probes[self._turn].send()
            self._turn = (self._turn + 1) % len(self._probes)
            self._due += self._pace
        return max(0.0, self._due - now)

    def finish(self) -> None:
        """Wait for the last echoes too."""
        self.loop.run_until(lambda: all(probe.is_idle for probe in self._probes))
        super().finish()


class _Probe(Receiver):
    __slots__ = ("_casts", "_due", "_messages", "_next", "_record")

    def __init__(self, driver: ProbedFanout, group: Group, websocket: WebSocket, messages: Sequence[Message]) -> None:
        super().__init__(group, websocket)
        self._record = driver.latencies.append
        self._casts = [message.received for message in group.messages]
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

    def on_readable(self) -> None:
        """Each frame is the next cast or the oldest echo that is due."""
        for frame in self.websocket.frames():
            if frame == self._casts[self.count % RING]:
                self.count += 1
                self._group.arrived(self.count - 1)
            elif self._due and self._due[0][0] == frame:
                self._record(time.perf_counter() - self._due.pop(0)[1])
            else:
                raise WrongData(f"nobody sent {frame!r}, or not now")
