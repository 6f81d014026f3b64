"""An application that sends as much as it is asked for, and tells what became of it."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from typing import Any

import web

from webpy_socketio import *
from webpy_socketio import shortcuts

web.config.debug = False
app = web.application(socketio_urls, globals())

channel_overflow("^latest$", "latest", key=lambda event, number, text: number % 100)


@on_event("flood")
def flood(request: Any, socket: Any, context: Any, channel: str, first: int, count: int, size: int) -> bool:
    """Send numbered pieces to a channel."""
    text = "x" * size
    for number in range(first, first + count):
        to(channel).emit("piece", number, text)
    return True


@on_event("counts")
def counts(request: Any, socket: Any, context: Any) -> Any:
    """What was counted, and how much waits for the one that has most."""
    node = shortcuts.current()
    assert node is not None
    sessions = node.hub._sessions.values()
    return {
        "overflowed": node.hub.counters.overflowed,
        "ended": node.hub.counters.ended,
        "waiting": max(session.outbox.size for session in sessions),
    }


if __name__ == "__main__":
    SocketIOServer(None, app.wsgifunc(), log=None).serve_forever()
