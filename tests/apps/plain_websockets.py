"""The application that the tests of plain WebSockets talk to: it echoes, and does what single tests need."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import os
from typing import Any

import gevent
import web
from gevent.pywsgi import WSGIServer

from webpy_socketio import *
from webpy_socketio.engineio import EngineIO

urls: tuple[Any, ...] = ("/", "Page", "/tell/([^/]*)/(.*)", "Tell")
urls += socketio_urls
urls += websocket_urls
app = web.application(urls, globals(), autoreload=False)
application = app.wsgifunc()


class Page:
    """An empty page."""

    def GET(self) -> str:
        web.header("Content-Type", "text/html; charset=utf-8")
        return "<!DOCTYPE html><title>plain</title>"


class Tell:
    """Sends the subscribers of a channel a message, or its size in bytes of nothing."""

    def GET(self, channel: str, message: str) -> str:
        return str(to(channel).send(bytes(int(message)) if message.isdigit() else message))


def remember() -> None:
    """What a loadhook puts into web.ctx, handlers find there."""
    web.ctx.hooked = web.ctx.path


app.add_processor(web.loadhook(remember))


@on_connect
def connected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Greet who wants to be greeted, and keep out who wants to be kept out."""
    if "refuse" in socket.auth:
        raise Refused(socket.auth["refuse"])
    if "greet" in socket.auth:
        about = {"hooked": web.ctx.hooked, "auth": socket.auth, "protocol": request.get("websocket.subprotocol")}
        socket.send(about)


@on_subscribe(channel="^private-")
def deny(request: Any, socket: Any, context: dict[str, Any], channel: str) -> None:
    """Nobody may follow these."""
    raise Refused("nobody may")


@on_subscribe(channel="^slow-")
def think(request: Any, socket: Any, context: dict[str, Any], channel: str) -> None:
    """Takes its time."""
    gevent.sleep(0.1)


@on_message
def echo(request: Any, socket: Any, context: dict[str, Any], message: Any) -> None:
    """Send it back, unless it is an order."""
    if isinstance(message, str) and message.startswith("!"):
        order, *args = json.loads(message[1:])
        ORDERS[order](socket, *args)
    else:
        socket.send(message)


def call(socket: Any) -> None:
    """What comes of a question."""
    try:
        socket.call("question")
    except EventError as error:
        socket.send(str(error))


ORDERS: dict[str, Any] = {
    "who": lambda socket: socket.send([socket.channels, socket.user, web.ctx.hooked]),
    "channel": lambda socket, message: socket.broadcast_channel(message),
    "all": lambda socket, message: socket.send_and_broadcast(message),
    "emit": lambda socket, *args: socket.emit(*args),
    "emit_bytes": lambda socket: (socket.emit("message"), socket.emit("message", b"a", b"b"), socket.send({"x": b"a"})),
    "call": call,
    "call_all": lambda socket: socket.send(to().call("question", timeout=5)),
    "leave": lambda socket: socket.disconnect(),
    "fail": lambda socket: 1 / 0,
    "refuse": lambda socket: (_ for _ in ()).throw(Refused("not today")),
    "nap": lambda socket, seconds: (gevent.sleep(seconds), socket.send("awake")),
    "flood": lambda socket, count, size: [to("flood").send("x" * size) for _ in range(count)],
    "token": lambda socket, channel: socket.send(subscribe_token(channel, "ann", 60)),
}


@on_event("say")
def say(request: Any, socket: Any, context: dict[str, Any], channel: str, message: Any) -> int:
    """Let a Socket.IO client speak to a channel."""
    return socket.to(channel).send(message)


@on_disconnect
def disconnected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Show the end."""
    print("END", socket.reason, socket.channels, flush=True)


if __name__ == "__main__":
    if os.environ.get("SERVER") == "pywsgi":
        WSGIServer((os.environ["SOCKETIO_HOST"], int(os.environ["SOCKETIO_PORT"])), application).serve_forever()
    elif os.environ.get("SERVER") == "engine":
        SocketIOServer(None, EngineIO(print, application=application)).serve_forever()
    else:
        SocketIOServer(None, application).serve_forever()
