"""An application whose clients may come back to a connection that broke; it counts what its handlers notice."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
from collections import Counter
from typing import Any

import gevent
import web

from webpy_socketio import *

PACE = 0.003

urls: tuple[Any, ...] = ("/counts", "counts")
urls += socketio_urls
app = web.application(urls, globals())
application = app.wsgifunc()
noticed: Counter[str] = Counter()


class counts:  # noqa: N801
    """What has happened so far."""

    def GET(self) -> str:
        """As JSON, with what is kept for those who are away."""
        return json.dumps(noticed)


@on_connect
@on_connect(namespace="/second")
def connected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Everybody is in the channel."""
    noticed["connect"] += 1
    context["name"] = socket.auth.get("name")
    socket.subscribe("all")


@on_disconnect
def disconnected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Count the ends that clients did not come back from."""
    noticed["disconnect"] += 1


@on_finish
def finished(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Count the ends of all."""
    noticed["finish"] += 1


@on_event("who")
def who(request: Any, socket: Any, context: dict[str, Any]) -> list[Any]:
    """Tell a client what is known of it."""
    return [context["name"], socket.channels, socket.recovered]


@on_event("tell")
@on_event("tell", namespace="/second")
def tell(request: Any, socket: Any, context: dict[str, Any], *args: Any) -> None:
    """Send something to everybody else."""
    socket.to().emit("told", *args)


@on_event("start")
def start(request: Any, socket: Any, context: dict[str, Any], count: int) -> None:
    """Broadcast numbers, also some to single sockets, and some binary, whoever is there to receive them."""
    gevent.spawn(send_numbers, count)


def send_numbers(count: int) -> None:
    """From 0 to one below the count, to the channel."""
    for number in range(count):
        to("all").emit("number", number, bytes([number % 256]) if number % 10 == 0 else None)
        gevent.sleep(PACE)
    to("all").emit("end", count)


@on_event("slow")
def slow(request: Any, socket: Any, context: dict[str, Any], number: int) -> None:
    """Take a while, and note the order in which that happens."""
    gevent.sleep(0.3)
    context.setdefault("order", []).append(number)


@on_event("order")
def order(request: Any, socket: Any, context: dict[str, Any]) -> list[int]:
    """The order of what was noted."""
    return list(context.get("order", []))


@on_event("out")
def out(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Put the client out."""
    socket.disconnect()


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
