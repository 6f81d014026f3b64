"""An application that notes all that it does when clients go, and that can be made to stop badly."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os
from typing import Any

import gevent
import web

from webpy_socketio import *

web.config.debug = False
app = web.application(socketio_urls, globals())


def note(*words: object) -> None:
    """Write a line into the file that the test reads."""
    with open(os.environ["ENDS"], "a") as file:
        print(*words, file=file)


@on_disconnect
def disconnect(request: Any, socket: Any, context: Any) -> None:
    """Note which client went, and why."""
    note("disconnect", socket.session.session_id, socket.reason)


@on_unsubscribe
def unsubscribe(request: Any, socket: Any, context: Any, channel: str) -> None:
    """Note that it followed a channel until then."""
    note("unsubscribe", socket.session.session_id, socket.reason)


@on_finish
def finish(request: Any, socket: Any, context: Any) -> None:
    """Note that this was all."""
    note("finish", socket.session.session_id, socket.reason)


@on_event("echo")
def echo(request: Any, socket: Any, context: Any, value: Any) -> Any:
    """Give a value back."""
    return value


@on_event("think")
def think(request: Any, socket: Any, context: Any, seconds: float) -> str:
    """Take a while to answer."""
    gevent.sleep(seconds)
    return "done"


@on_event("hang")
def hang(request: Any, socket: Any, context: Any) -> None:
    """Never come back."""
    gevent.sleep(1000)


@on_event("pile")
def pile(request: Any, socket: Any, context: Any, count: int) -> None:
    """Send more than a client takes that does not read."""
    for number in range(count):
        socket.emit("piece", number, "x" * 10_000)


if __name__ == "__main__":
    SocketIOServer(None, app.wsgifunc(), log=None).serve_forever()
