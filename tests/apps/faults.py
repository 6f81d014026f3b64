"""An application to be mistreated: it has handlers of all kinds, some of which misbehave when told to.

Its page ``/state`` tells what there is of everything that has to come to an end with its client.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import gc
import json
import os
import re
import sys
from collections import Counter
from typing import Any

import gevent
import web
from greenlet import greenlet

from webpy_socketio import *
from webpy_socketio.shortcuts import current
from webpy_socketio.transports import requests, streams

# A test cannot wait as long as a browser.
requests.KEEP_ALIVE = 1.0
streams.LINGER = 1.0
web.config.debug = False
GAMES = re.compile("/game-[0-9]+")
#: Classes of which there is nothing left when the clients are gone.
MORTAL = frozenset(
    ("Session", "Peer", "Socket", "WebSocket", "Polling", "HttpConnection", "Handshake", "TlsSocket", "_Newcomer",
     "SocketIOHandler", "Ballot")
)  # fmt: skip
MOST_DEAD = 20
admitted: Counter[str] = Counter()
finished: Counter[str] = Counter()
dead: list[Any] = []


class State:
    """The page that tells what there is."""

    def GET(self) -> str:
        dead.clear()
        for _ in range(3):
            gc.collect()
        objects = gc.get_objects()
        kinds = Counter(type(each).__name__ for each in objects)
        greenlets = [each for each in objects if isinstance(each, greenlet) and each]
        node = current()
        assert node is not None
        services, hub = node.services, node.hub
        memberships = services.delivery._namespaces.values()
        return json.dumps(
            {
                "sessions": len(hub),
                "sockets": sum(len(membership.everybody) for membership in memberships),
                "channels": sum(membership.channel_count for membership in memberships),
                "awaited": 0 if services.recovery is None else services.recovery.awaited,
                "asked": services.desk.pending,
                "greenlets": len(greenlets) - len(hub.runner._parked),  # type: ignore[attr-defined]
                "descriptors": len(os.listdir("/proc/self/fd")),
                "unfinished": len(admitted.keys() - finished.keys()),
                "finished twice": sum(count > 1 for count in finished.values()),
                **{kind: kinds[kind] for kind in sorted(MORTAL)},
            }
        )


class Numbers:
    """The page of what only grows, or should not: bytes of memory, deadlines, ends."""

    def GET(self) -> str:
        node = current()
        assert node is not None
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        answer = {
            "rss": pages * os.sysconf("SC_PAGE_SIZE"),
            "deadlines": len(node.hub.deadlines._heap),
            "finished": finished.total(),
        }
        finished.clear()
        admitted.clear()
        return json.dumps(answer)


urls: tuple[Any, ...] = ("/state", State, "/numbers", Numbers)
urls += socketio_urls
app = web.application(urls, globals())
application = app.wsgifunc()


# Handlers that behave.


@on_connect
@on_connect(namespace="/chat")
@on_connect(namespace=GAMES)
def connected(request: Any, socket: Any, context: Any) -> None:
    admitted[socket.sid] += 1


@on_message
@on_message(namespace="/chat")
@on_message(namespace=GAMES)
def echo(request: Any, socket: Any, context: Any, message: Any) -> Any:
    socket.send(message)
    return message


@on_event("say")
def say(request: Any, socket: Any, context: Any, *args: Any) -> Any:
    socket.broadcast_channel(args)
    return len(args)


@on_event("ask")
def ask(request: Any, socket: Any, context: Any, question: Any = None) -> None:
    """Ask back, without waiting."""
    socket.emit("question", question, callback=lambda *answer: socket.send(answer))
    to("room-1").emit("news", question, volatile=True)


@on_event("wait")
def wait(request: Any, socket: Any, context: Any, question: Any = None) -> Any:
    """Ask back, and wait."""
    return socket.call("question", question, timeout=0.05)


@on_event("number")
def number(request: Any, socket: Any, context: Any, value: int) -> int:
    """Tell everybody who is well-behaved."""
    socket.broadcast_channel(value, "well-behaved")
    return value


@on_subscribe
def subscribing(request: Any, socket: Any, context: Any, channel: str) -> bool:
    return not channel.startswith("closed")


@on_finish
@on_finish(namespace="/chat")
@on_finish(namespace=GAMES)
def finish(request: Any, socket: Any, context: Any) -> None:
    finished[socket.sid] += 1


# Handlers that misbehave, as the client's credentials say: ``what`` and ``where``.


def misbehave(socket: Any, where: str) -> Any:
    """Do what the client wants done in one of the handlers."""
    return MISCHIEF[socket.auth["what"]](socket) if socket.auth.get("where") == where else None


def fail(socket: Any) -> None:
    raise ValueError("a mistake that was asked for")


def die(socket: Any) -> None:
    raise gevent.GreenletExit


def be_killed(socket: Any) -> None:
    gevent.spawn(gevent.kill, gevent.getcurrent())
    gevent.sleep(5)


def leave(socket: Any) -> None:
    sys.exit("a handler that wants to end the process")


def time_out(socket: Any) -> None:
    with gevent.Timeout(0.01):
        gevent.sleep(5)


def leave_timeout(socket: Any) -> None:
    """Start a timeout, and forget it."""
    gevent.Timeout(0.03).start()


def block(socket: Any) -> None:
    gevent.sleep(0.1)


def disconnect(socket: Any) -> None:
    socket.disconnect()


def spawn(socket: Any) -> None:
    if socket.connected:
        socket.spawn(gevent.sleep, 60)
        socket.spawn(fail, socket)


def disturb_the_dead(socket: Any) -> None:
    """Do to sockets that are gone whatever can be done to a socket."""
    for other in dead:
        other.send("are you there?")
        other.emit("are you there?", callback=fail)
        other.subscribe("hell")
        other.send_and_broadcast_channel("hello")
        other.disconnect()
        to(other.sid, namespace="/bad").disconnect()
        for action in (lambda other=other: other.call("what?"), lambda other=other: other.spawn(fail, other)):
            try:
                action()
            except Disconnected:
                continue
            raise AssertionError("it is not dead")


def unsendable(socket: Any) -> Any:
    return object()


MISCHIEF = {
    function.__name__: function
    for function in (
        fail, die, be_killed, leave, time_out, leave_timeout, block, disconnect, spawn, disturb_the_dead, unsendable,
    )
}  # fmt: skip


@on_connect(namespace="/bad")
def bad_connect(request: Any, socket: Any, context: Any) -> None:
    socket.subscribe("bad")
    misbehave(socket, "connect")


@on_message(namespace="/bad")
def bad_message(request: Any, socket: Any, context: Any, message: Any) -> Any:
    socket.send("something goes out")
    return misbehave(socket, "message")


@on_event("break", namespace="/bad")
def break_down(request: Any, socket: Any, context: Any) -> None:
    """Fail, so that ``on_error`` has something to do."""
    raise ValueError("a mistake that was asked for")


@on_event("well", namespace="/bad")
def well(request: Any, socket: Any, context: Any) -> str:
    """Behave, but take a moment."""
    gevent.sleep(0.05)
    return "well"


@on_subscribe(namespace="/bad")
def bad_subscribe(request: Any, socket: Any, context: Any, channel: str) -> Any:
    return misbehave(socket, "subscribe")


@on_unsubscribe(namespace="/bad")
def bad_unsubscribe(request: Any, socket: Any, context: Any, channel: str) -> None:
    misbehave(socket, "unsubscribe")


@on_any(namespace="/bad")
def bad_any(request: Any, socket: Any, context: Any, event: Any, *args: Any) -> None:
    misbehave(socket, "any")


@on_any_outgoing(namespace="/bad")
def bad_outgoing(request: Any, socket: Any, context: Any, event: Any, *args: Any) -> None:
    misbehave(socket, "outgoing")


@on_error(namespace="/bad")
def bad_error(request: Any, socket: Any, context: Any, error: BaseException) -> None:
    misbehave(socket, "error")


@on_disconnect(namespace="/bad")
def bad_disconnect(request: Any, socket: Any, context: Any) -> None:
    misbehave(socket, "disconnect")


@on_finish(namespace="/bad")
def bad_finish(request: Any, socket: Any, context: Any) -> None:
    finished[socket.sid] += 1
    del dead[: -MOST_DEAD + 1]
    dead.append(socket)
    misbehave(socket, "finish")


@connection_middleware(namespace="/bad")
def around(request: Any, socket: Any, context: Any, proceed: Any) -> None:
    misbehave(socket, "before")
    proceed()
    misbehave(socket, "after")
    admitted[socket.sid] += 1


@packet_middleware(namespace="/bad")
def around_packets(request: Any, socket: Any, context: Any, event: Any, args: Any, proceed: Any) -> Any:
    misbehave(socket, "packet")
    return proceed(*args)


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
