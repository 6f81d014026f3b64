"""Connections that do nothing: what memory they take, and what their heartbeat costs at the usual interval."""

from __future__ import annotations

import time

from clients import WebSocket, close_websockets, open_websockets
from drivers import FOREVER
from load import Loop, WrongData
from processes import Server
from usage import Effort, Sample, Usage

WARM_UP_CONNECTIONS = 100
PING_SECONDS = 25.0


def measure_memory(server: Server, effort: Effort) -> Sample:
    """Kilobytes by which the server's resident memory grows per open, silent WebSocket."""
    with Loop(server.kind.client_hangs_up) as loop:
        sockets, kilobytes, used = _fill(loop, server, effort, effort.connections)
        close_websockets(loop, sockets)
    return used.sample((kilobytes,), len(sockets))


def measure_rest(server: Server, effort: Effort) -> Sample:
    """The same for many more, and the percentage of a core that the server needs while they do nothing."""
    with Loop(server.kind.client_hangs_up) as loop:
        sockets, kilobytes, _ = _fill(loop, server, effort, effort.many_connections)
        pings = _pings(sockets)
        start = Usage.now(server)
        loop.run_for(effort.idle_seconds, lambda: FOREVER)
        used = Usage.now(server, _pings(sockets) - pings).since(start)
        if effort.idle_seconds >= PING_SECONDS + 5 and not all(websocket.pings for websocket in sockets):
            raise WrongData("some connections were never pinged")
        close_websockets(loop, sockets)
    return used.sample((kilobytes, used.server / used.wall * 100), len(sockets))


def _fill(loop: Loop, server: Server, effort: Effort, count: int) -> tuple[list[WebSocket], float, Usage]:
    """Open so many; before that some that go again, so that what is loaded on first use is not counted."""
    close_websockets(loop, open_websockets(loop, server.port, effort.clients(WARM_UP_CONNECTIONS)))
    time.sleep(effort.settle)
    before, start = server.resident_bytes(), Usage.now(server)
    sockets = open_websockets(loop, server.port, count)
    used = Usage.now(server, count).since(start)
    time.sleep(effort.settle)
    return sockets, (server.resident_bytes() - before) / count / 1024, used


def _pings(sockets: list[WebSocket]) -> int:
    return sum(websocket.pings for websocket in sockets)
