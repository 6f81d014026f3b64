"""One reader that never reads, beside others to whom much is sent: how much of it piles up in the server."""

from __future__ import annotations

import time

from clients import WebSocket, close_websockets, open_websockets
from groups import Group, Receiver
from load import Disconnected, Loop
from messages import text_messages
from processes import Server
from usage import Effort, Sample, Usage

READERS = 4
MESSAGE_SIZE = 4096
CASTS_IN_FLIGHT = 16
WARM_UP_MEGABYTES = 1.0
LOOK_EVERY = 0.01


def measure_backlog(server: Server, effort: Effort) -> Sample:
    """The highest growth of the server's resident memory, in MB, while the readers receive `backlog` MB each."""
    with Loop(server.kind.client_hangs_up) as loop:
        readers = open_websockets(loop, server.port, READERS)
        _cast(loop, server, readers, WARM_UP_MEGABYTES, sender=1)
        [silent] = open_websockets(loop, server.port, 1)
        loop.neglect(silent.sock)
        time.sleep(effort.settle)
        before, start = server.used_bytes(), Usage.now(server)
        peak, group = _cast(loop, server, readers, effort.backlog, sender=2)
        used = Usage.now(server, group.operations).since(start)
        _read_at_last(loop, silent, group)
        close_websockets(loop, readers)
    return used.sample((max(0.0, peak - before) / 1e6,), group.operations)


def _cast(loop: Loop, server: Server, readers: list[WebSocket], megabytes: float, sender: int) -> tuple[int, Group]:
    """Cast so much and wait until the readers have it all; the highest use of memory meanwhile."""
    group = Group(readers, text_messages("cast", sender, MESSAGE_SIZE), CASTS_IN_FLIGHT)
    group.limit = max(CASTS_IN_FLIGHT, round(megabytes * 1e6 / MESSAGE_SIZE))
    receivers = [Receiver(group, websocket) for websocket in readers]
    for receiver in receivers:
        loop.handle(receiver.websocket.sock, receiver.on_readable)
    group.start()
    peak, look = 0, 0.0

    def done() -> bool:
        nonlocal peak, look
        is_over = group.casts == group.limit and group.is_quiet
        if is_over or time.monotonic() > look:
            peak, look = max(peak, server.used_bytes()), time.monotonic() + LOOK_EVERY
        return is_over

    loop.run_until(done)
    return peak, group


class _Leftover(Group):
    """What the silent reader is due; nothing waits for it."""

    def arrived(self, number: int) -> None:
        """Nobody counts."""


def _read_at_last(loop: Loop, silent: WebSocket, group: Group) -> None:
    """Read what the server kept: all of it, or its beginning if the server hung up, but not one wrong byte."""
    receiver = Receiver(_Leftover([silent], group.messages, CASTS_IN_FLIGHT), silent)
    loop.handle(silent.sock, receiver.on_readable)
    try:
        loop.run_until(lambda: receiver.count == group.casts)
        close_websockets(loop, [silent])
    except (Disconnected, ConnectionError):
        loop.close(silent.sock)
