"""The application of the tests of streams and of publishing: every way in to the same channels."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os
from typing import Any

import gevent
import web

from webpy_socketio import *

web.config.debug = False

PAGE = """<!DOCTYPE html>
<title>streams</title>
<script>
  const heard = [], others = [];
  const source = new EventSource("/sse/" + location.hash.slice(1));
  source.onmessage = (event) => heard.push(event.data);
  for (const name of ["move", "__end__", "__gap__"])
    source.addEventListener(name, (event) => others.push([name, JSON.parse(event.data)]));
</script>
"""


class Page:
    """A page that shows a channel."""

    def GET(self) -> str:
        web.header("Content-Type", "text/html; charset=utf-8")
        return PAGE


class Tell:
    """Sends the subscribers of a channel a message."""

    def GET(self, channel: str, message: str) -> str:
        broadcast_channel(message, channel)
        return "told"


class Flood:
    """Sends them many of some size, as fast as it can."""

    def GET(self, channel: str, count: str, size: str) -> str:
        for number in range(int(count)):
            to(channel).send(f"{number} ".ljust(int(size), "x"))
            gevent.sleep(0)
        return "told"


class Do:
    """What else tests need."""

    def GET(self, what: str) -> str:
        if what == "emit":
            to("room").emit("move", 1, {"x": b"\x00"})
        elif what == "all":
            broadcast("to all")
        elif what == "volatile":
            return str(to("room").emit("volatile", 1, volatile=True))
        elif what == "out":
            to("room").disconnect()
        elif what == "logout":
            disconnect_session("ann's")
        elif what == "token":
            return subscribe_token("orders", "ann", 60)
        return "done"


urls: tuple[Any, ...] = (
    "/", Page, "/tell/([^/]*)/(.*)", Tell, "/flood/([^/]*)/(.*)/(.*)", Flood, "/do/(.*)", Do,
)  # fmt: skip
urls += socketio_urls
urls += websocket_urls
urls += sse_urls
urls += publish_urls
app = web.application(urls, globals(), autoreload=False)


def unload() -> None:
    """Shows when web.py is done with a request."""
    print("UNLOAD", web.ctx.path, flush=True)


app.add_processor(web.unloadhook(unload))
application = app.wsgifunc()

channel_overflow("^latest-", "latest", key=lambda event, *args: event)


@on_connect
def connected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Greet who wants to be greeted, and keep out who wants to be kept out."""
    if "refuse" in socket.auth:
        raise Refused(socket.auth["refuse"])
    if "leave" in socket.auth:
        socket.disconnect()
    if "greet" in socket.auth:
        socket.send(f"hello {socket.auth['greet']} at {web.ctx.path}")
    if "wait" in socket.auth:
        print("WAITS", flush=True)
        gevent.sleep(float(socket.auth["wait"]))
    if "session" in socket.auth:
        socket.web_session_id = socket.auth["session"]


@on_subscribe(channel="^private-")
def deny(request: Any, socket: Any, context: dict[str, Any], channel: str) -> None:
    """Nobody may follow these."""
    raise Refused("nobody: may")


@on_subscribe(channel="^slow$")
def think(request: Any, socket: Any, context: dict[str, Any], channel: str) -> None:
    """Something is sent to everybody, and to the channel, while this is decided."""
    broadcast("while deciding, to all")
    to("slow").send("while deciding")


@on_event("say")
def say(request: Any, socket: Any, context: dict[str, Any], channel: str, message: Any) -> bool:
    """Let a client speak to a channel."""
    socket.to(channel).send(message)
    return True


@on_message
def relay(request: Any, socket: Any, context: dict[str, Any], message: Any) -> None:
    """Let a plain WebSocket speak to its channel."""
    socket.broadcast_channel(message)


@on_disconnect
def disconnected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Show the end, in one piece: other processes write, too."""
    print(
        f"END {socket.reason} {socket.channels} {os.getpid()}\n", end="", flush=True
    )  # in one piece: others write, too


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
