"""The application that the conformance tests talk to: it echoes, acknowledges, and does what single rows need.

``node_conformance.js`` is the same application on Socket.IO's own server.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from typing import Any

import gevent
import web

from webpy_socketio import Refused, SocketIOServer, on_connect, on_event, socketio_urls

BURST = 50

urls: tuple[Any, ...] = ("/", "index")
urls += socketio_urls
app = web.application(urls, globals())
application = app.wsgifunc()


class index:  # noqa: N801
    """An ordinary page beside the plugin."""

    def GET(self) -> str:
        """Say which page this is."""
        return "index"


@on_connect
@on_connect(namespace="/custom")
def connected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Tell the client which auth object arrived."""
    context["counted"] = []
    socket.emit("auth", socket.auth)


@on_connect(namespace="/refusing")
def refuse(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Let nobody in, and hand back the reason that the client gave."""
    raise Refused("nope", socket.auth.get("reason"))


@on_event("message")
def echo(request: Any, socket: Any, context: dict[str, Any], *args: Any) -> None:
    """Send the arguments back as they came."""
    socket.emit("message-back", *args)


@on_event("message-with-ack")
def acknowledge(request: Any, socket: Any, context: dict[str, Any], *args: Any) -> tuple[Any, ...]:
    """Answer with the arguments as they came."""
    return args


@on_event("announce")
def announce(request: Any, socket: Any, context: dict[str, Any], text: str) -> None:
    """Tell everybody else."""
    socket.broadcast(text)


@on_event("leave")
@on_event("leave", namespace="/custom")
def leave(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Put the client out of the namespace."""
    socket.disconnect()


@on_event("ask")
def ask(request: Any, socket: Any, context: dict[str, Any], *args: Any) -> None:
    """Ask the client something, and tell it what it answered."""
    socket.emit("question", *args, callback=lambda *answer: socket.emit("answered", *answer))


@on_event("fail")
def fail(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Break, as a handler with a mistake in it does."""
    raise ValueError("a mistake in a handler")


@on_event("refuse")
def turn_down(request: Any, socket: Any, context: dict[str, Any], data: Any) -> None:
    """Turn the client's wish down, with data."""
    raise Refused("not today", data)


@on_event("count")
def count(request: Any, socket: Any, context: dict[str, Any], number: int) -> None:
    """Note a number."""
    context["counted"].append(number)


@on_event("counted")
def counted(request: Any, socket: Any, context: dict[str, Any]) -> list[int]:
    """Answer with all the numbers noted, as they came."""
    return context["counted"]


@on_event("stream")
def stream(request: Any, socket: Any, context: dict[str, Any], count: int) -> None:
    """Send numbered events from a greenlet of its own, while the client goes on talking."""
    gevent.spawn(send_numbers, socket, count)


def send_numbers(socket: Any, count: int) -> None:
    """Emit ``number`` events, counting from 0, in bursts."""
    for number in range(count):
        socket.emit("number", number)
        if number % BURST == BURST - 1:
            gevent.sleep(0.001)


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
