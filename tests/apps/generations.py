"""The application that clients of every generation talk to, in Node and in pages, all in one channel."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import web

from webpy_socketio import Refused, SocketIOServer, on_connect, on_disconnect, on_event, socketio_urls

TESTS = Path(__file__).resolve().parent.parent
PACKAGES = TESTS / "clients" / "node_modules"
#: Escapes, quotes, line ends of JavaScript, and characters of two, three and four bytes.
TEXT = "€ é 😀 \u2028\u2029 \\ \\n \" ' \n </script> %41+&=\x00"

reasons: dict[str, str] = {}  # why the clients that told a name are gone

urls: tuple[Any, ...] = ("/", "Page", r"/(socket\.io-client-[0-9.]+)\.js", "Client")
urls += socketio_urls
app = web.application(urls, globals(), autoreload=False)
application = app.wsgifunc()


class Page:
    """A page with a script in it, which clients put theirs before."""

    def GET(self) -> str:
        web.header("Content-Type", "text/html; charset=utf-8")
        return '<!DOCTYPE html><html><head><link rel="icon" href="data:,"></head><body><script></script></body></html>'


class Client:
    """What a package offers to pages."""

    def GET(self, package: str) -> bytes:
        web.header("Content-Type", "text/javascript; charset=utf-8")
        places = (PACKAGES / package / place / "socket.io.js" for place in ("dist", "."))
        return next(place for place in places if place.exists()).read_bytes()


@on_connect
@on_connect(namespace="/custom")
def connect(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Tell the client what it brought along."""
    query = parse_qs(request["QUERY_STRING"])
    socket.emit("brought", socket.auth, query.get("token"))


@on_connect(namespace="/refusing")
def refuse(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Let nobody in."""
    raise Refused("nope")


@on_disconnect
def disconnect(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Note why."""
    if "name" in context:
        reasons[context["name"]] = str(socket.reason)


@on_event("name")
def name(request: Any, socket: Any, context: dict[str, Any], name: str) -> None:
    """The client has a name from now on."""
    context["name"] = name


@on_event("reason")
def reason(request: Any, socket: Any, context: dict[str, Any], name: str) -> str | None:
    """Tell why a client is gone, if it is."""
    return reasons.get(name)


@on_event("message")
@on_event("echo")
def echo(request: Any, socket: Any, context: dict[str, Any], *args: Any) -> None:
    """Send the arguments back as they came."""
    socket.emit("back", *args)


@on_event("text")
def text(request: Any, socket: Any, context: dict[str, Any]) -> str:
    """Answer with a text of the server's."""
    return TEXT


@on_event("answer")
def answer(request: Any, socket: Any, context: dict[str, Any], *args: Any) -> tuple[Any, ...]:
    """Answer with the arguments as they came."""
    return args


@on_event("ask")
def ask(request: Any, socket: Any, context: dict[str, Any], *args: Any) -> None:
    """Ask the client something, and tell it what it answered."""
    socket.emit("question", *args, callback=lambda *answer: socket.emit("answered", *answer))


@on_event("leave")
@on_event("leave", namespace="/custom")
def leave(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Put the client out of the namespace."""
    socket.disconnect()


@on_event("announce")
def announce(request: Any, socket: Any, context: dict[str, Any], value: Any) -> None:
    """Tell everybody else."""
    socket.broadcast(value)


@on_event("tell")
def tell(request: Any, socket: Any, context: dict[str, Any], value: Any) -> bool:
    """Tell everybody else in the room, with a text of the server's."""
    socket.broadcast_channel({"from": context["name"], "value": value, "text": TEXT}, "room")
    return True


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
