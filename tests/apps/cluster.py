"""One process of a cluster; a page does what a test wants to have done. node_cluster.js is its twin."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
from typing import Any

import gevent
import web

from webpy_socketio import *
from webpy_socketio import shortcuts

web.config.debug = False
heard: list[Any] = []
seen: list[Any] = []
channel_presence("^hall", clients=True)


class Do:
    """Runs one of the operations below."""

    def POST(self) -> str:
        order = json.loads(web.data(), object_hook=with_bytes)
        try:
            answer = OPERATIONS[order.pop("do")](**order)
        except AckTimeout as error:
            answer = {"error": str(error), "answers": error.answers}
        except SocketIOError as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        return json.dumps(answer, default=repr)


def with_bytes(value: dict[str, Any]) -> Any:
    """JSON has no bytes."""
    return bytes.fromhex(value["hex"]) if set(value) == {"hex"} else value


urls: tuple[Any, ...] = ("/do", Do)
urls += socketio_urls
urls += publish_urls
app = web.application(urls, globals())
application = app.wsgifunc()


def target(channels: Any = (), excluding: Any = (), namespace: str = "/", local: bool = False) -> Any:
    """Who is meant."""
    return to(*channels, excluding=excluding, namespace=namespace, local=local)


def state() -> dict[str, Any]:
    """What is known of the bus."""
    node = shortcuts.current()
    assert node is not None
    counters = node.hub.counters
    return {
        "ready": node.services.backplane.is_ready,
        "dropped": counters.dropped_publishes,
        "reconnects": counters.redis_reconnects,
        "processes": node.services.backplane._bus._audience,  # type: ignore[attr-defined]
    }


def flood(count: int, seconds: float, channel: str) -> None:
    """Send numbers, spread over some time."""

    def pour() -> None:
        for number in range(count):
            to(channel).emit("number", number)
            if number % 10 == 9:
                gevent.sleep(seconds / count * 10)

    gevent.spawn(pour)


OPERATIONS: dict[str, Any] = {
    "emit": lambda data, volatile=False, **whom: target(**whom).emit(*data, volatile=volatile),
    "call": lambda data, timeout=3, **whom: target(**whom).call(*data, timeout=timeout),
    "sockets": lambda **whom: [details._asdict() for details in target(**whom).sockets()],
    "subscribe": lambda names, **whom: target(**whom).subscribe(*names),
    "unsubscribe": lambda names, **whom: target(**whom).unsubscribe(*names),
    "disconnect": lambda **whom: target(**whom).disconnect(),
    "channels": lambda namespace="/": channels(namespace),
    "log_out": lambda name: disconnect_session(name),
    "send": lambda session_id, message: send(session_id, message),
    "server_emit": lambda data: server_side_emit(*data),
    "server_call": lambda data, timeout=3: server_side_call(*data, timeout=timeout),
    "heard": lambda: heard,
    "presence": lambda channel: [[one.user, one.connections] for one in presence(channel)],
    "seen": lambda: seen,
    "state": state,
    "flood": flood,
}


@on_connect
@on_connect(namespace="/chat")
def connected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Clients say what they are called, and where they want to be."""
    context["name"] = socket.auth["name"]
    socket.user = socket.auth["name"].partition(" ")[0]
    socket.web_session_id = socket.auth["name"]
    context["secret"] = object()  # has no form in JSON
    for channel in socket.auth["channels"]:
        socket.subscribe(channel)


@on_join
def joined(channel: str, one: Presence) -> None:
    """Somebody is new in the cluster."""
    seen.append(["join", channel, one.user])


@on_leave
def left(channel: str, one: Presence) -> None:
    """Somebody has gone."""
    gevent.sleep(0.05)  # a handler may wait
    seen.append(["leave", channel, one.user])
    print("left", one.user)


@on_event("others")
def others(request: Any, socket: Any, context: dict[str, Any], *data: Any) -> None:
    """To everybody but the sender."""
    socket.to().emit(*data)


@on_server_side_event("ping")
def ping(*args: Any) -> Any:
    """Another process wants to know whether this one is there."""
    heard.append(["ping", *args])
    gevent.sleep(0.01)  # a handler may wait
    return ["pong", *args]


@on_server_side_event("fail")
def fail() -> None:
    """A handler that fails."""
    raise ValueError("a defect")


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
