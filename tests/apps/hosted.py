"""An application for servers that others start, stop and replace: gunicorn, circus.

Run as a program it serves on the listening socket whose descriptor is its argument.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os
import socket as sockets
import sys
from typing import Any

import gevent
import web

from webpy_socketio import *

web.config.debug = False


class Tell:
    """Broadcasts."""

    def GET(self) -> str:
        broadcast("news")
        return "told"


class Who:
    """Tells which process this is."""

    def GET(self) -> str:
        return str(os.getpid())


class Slow:
    """A page that takes its time."""

    def GET(self, seconds: str) -> str:
        print("SLOW", flush=True)
        gevent.sleep(float(seconds))
        return "at last"


urls = ("/tell", Tell, "/who", Who, "/slow/(.*)", Slow)
urls += socketio_urls
app = web.application(urls, globals())


def fail_if_asked() -> None:
    """Like a hook that cannot save what it has to."""
    if web.ctx.env.get("HTTP_X_FAIL"):
        raise OSError("the disk is full")


app.add_processor(web.unloadhook(fail_if_asked))
application = app.wsgifunc()


@on_message
def echo(request: Any, socket: Any, context: Any, message: Any) -> Any:
    return message


@on_event("nap")
def nap(request: Any, socket: Any, context: Any, seconds: float) -> None:
    gevent.sleep(seconds)


@on_disconnect
def disconnected(request: Any, socket: Any, context: Any) -> None:
    context["end"] = str(socket.reason)


@on_finish
def finished(request: Any, socket: Any, context: Any) -> None:
    gevent.sleep(0.01)
    print("END", context["end"], flush=True)


if __name__ == "__main__":
    SocketIOServer(sockets.socket(fileno=int(sys.argv[1])), application).serve_forever()
