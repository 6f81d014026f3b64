"""The application that the browser client's tests talk to; ``node_server.js`` is its twin on Socket.IO's server."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gevent
import web

from webpy_socketio import (
    NoSocket,
    Refused,
    SocketIOServer,
    broadcast_channel,
    on_connect,
    on_disconnect,
    on_event,
    on_message,
    on_subscribe,
    on_unsubscribe,
    socketio_urls,
)
from webpy_socketio.reasons import FORCED_CLOSE, REASONS, Reason
from webpy_socketio.receivers import Receiver
from webpy_socketio.shortcuts import current

TESTS = Path(__file__).resolve().parent.parent
PACKAGES = TESTS / "clients" / "node_modules"
FILES = {
    "": TESTS / "browser" / "pages" / "blank.html",
    "official-3.js": PACKAGES / "socket.io-client-3" / "dist" / "socket.io.min.js",
    "official-4.js": PACKAGES / "socket.io-client-4" / "dist" / "socket.io.min.js",
}
NAMESPACES = ("/", "/other", "/guarded", "/slow")
BURST = 100

log: list[dict[str, Any]] = []  # what happened here, for tests to read at /log

urls: tuple[Any, ...] = ("/log", "Log", "/((?:official-[34].js)?)", "File")
urls += socketio_urls
app = web.application(urls, globals(), autoreload=False)
application = app.wsgifunc()


class Log:
    """What happened here."""

    def GET(self) -> str:
        """As JSON."""
        web.header("Content-Type", "application/json")
        return json.dumps(log)


class File:
    """The blank page, and the official clients."""

    def GET(self, name: str) -> bytes:
        """As it is."""
        web.header("Content-Type", "text/javascript" if name else "text/html")
        return FILES[name].read_bytes()


Handler = Callable[..., Any]


def everywhere(decorator: Any) -> Callable[[Handler], Handler]:
    """Bind a handler in all the namespaces."""

    def bind(handler: Handler) -> Handler:
        for namespace in NAMESPACES:
            decorator(namespace=namespace)(handler)
        return handler

    return bind


def handles(name: str) -> Callable[[Handler], Handler]:
    """Bind a handler to a named event everywhere; its occurrences are noted."""

    def bind(function: Handler) -> Handler:
        def handler(request: Any, socket: Any, context: dict[str, Any], *args: Any) -> Any:
            context["seen"].append(name)
            return function(request, socket, context, *args)

        return everywhere(partial(on_event, name))(handler)

    return bind


@everywhere(on_connect)
def connect(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Let clients in, except where they are to be refused."""
    context.update(numbers=[], seen=[])
    if socket.namespace == "/guarded" and socket.auth.get("token") != "good":
        raise Refused("not authorized", {"code": 42})
    if socket.namespace == "/slow":
        gevent.sleep(0.1)
    log.append({"connect": socket.namespace, "auth": socket.auth})


def note_loss(socket: Receiver, reason: Reason, pause: Callable[..., None] = Receiver.pause) -> None:
    """Log a loss when it happens; ``on_disconnect`` is told only when the client is given up."""
    pause(socket, reason)
    log.append({"disconnect": socket.namespace, "reason": str(reason)})


Receiver.pause = note_loss  # type: ignore[method-assign]


@everywhere(on_disconnect)
def disconnect(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Note the end."""
    log.append({"disconnect": socket.namespace, "reason": str(socket.reason), "numbers": len(context["numbers"])})


@everywhere(on_message)
def message(request: Any, socket: Any, context: dict[str, Any], value: Any) -> None:
    """Send a message back."""
    socket.send(value)


@everywhere(on_subscribe)
def subscribe(request: Any, socket: Any, context: dict[str, Any], channel: str) -> None:
    """Let anybody subscribe to anything but secrets."""
    context["seen"].append("__subscribe__")
    if channel.startswith("secret"):
        raise Refused(f"no access to {channel}")
    log.append({"subscribe": channel})


@everywhere(on_unsubscribe)
def unsubscribe(request: Any, socket: Any, context: dict[str, Any], channel: str) -> None:
    """Note it."""
    log.append({"unsubscribe": channel})


@handles("echo")
def echo(request: Any, socket: Any, context: dict[str, Any], *values: Any) -> None:
    """Send the arguments back."""
    socket.emit("echo", *values)


@handles("ack")
def ack(request: Any, socket: Any, context: dict[str, Any], value: Any) -> Any:
    """Answer with the argument."""
    return value


@handles("silent")
def silent(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Never answer."""
    while socket.connected:
        gevent.sleep(0.01)


@handles("ask")
def ask(request: Any, socket: Any, context: dict[str, Any], value: Any) -> None:
    """Ask the client something, and tell it what it answered."""
    socket.emit("question", value, callback=lambda answer: socket.emit("answer", answer))


@handles("seen")
def seen(request: Any, socket: Any, context: dict[str, Any]) -> Any:
    """The names of the events so far."""
    return context["seen"]


@handles("number")
def number(request: Any, socket: Any, context: dict[str, Any], value: Any) -> None:
    """Note a value."""
    context["numbers"].append(value)


@handles("numbers")
def numbers(request: Any, socket: Any, context: dict[str, Any]) -> Any:
    """The values noted."""
    return context["numbers"]


@handles("handshake")
def handshake(request: Any, socket: Any, context: dict[str, Any]) -> dict[str, Any]:
    """What the client brought along."""
    query = dict(parse_qsl(request["QUERY_STRING"]))
    return {"auth": socket.auth, "query": query, "header": request.get("HTTP_X_TEST")}


@handles("kick")
def kick(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Put the client out."""
    socket.disconnect()


@handles("drop")
def drop(request: Any, socket: Any, context: dict[str, Any], name: str = FORCED_CLOSE.name) -> None:
    """Close the connection as such, as no application would."""
    node = current()
    assert node is not None
    reason = next(reason for reason in REASONS if reason.name == name)
    node.hub.close(socket.link, reason)


@handles("flood")
def flood(request: Any, socket: Any, context: dict[str, Any], count: int) -> None:
    """Send numbers, while the client goes on talking."""
    gevent.spawn(pour, socket, count)


def pour(socket: Any, count: int) -> None:
    """Count, in bursts."""
    for value in range(count):
        socket.emit("number", value)
        if value % BURST == BURST - 1:
            gevent.sleep(0.002)


@handles("publish")
def publish(request: Any, socket: Any, context: dict[str, Any], channel: str, value: Any) -> None:
    """Tell a channel's subscribers."""
    try:
        broadcast_channel([channel, value], channel, namespace=socket.namespace)
    except NoSocket:
        log.append({"nobody in": channel})


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
