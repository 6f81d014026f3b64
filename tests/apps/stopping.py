"""An application whose clients are counted when they go, and that can be made to stop badly."""

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


@on_finish
def finish(request: Any, socket: Any, context: Any) -> None:
    """Note the end of a client in a line of a file."""
    with open(os.environ["ENDS"], "a") as file:
        file.write(f"{socket.reason}\n")


@on_event("echo")
def echo(request: Any, socket: Any, context: Any, value: Any) -> Any:
    """Give a value back."""
    return value


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
