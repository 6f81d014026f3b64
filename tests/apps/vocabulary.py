"""An application that uses the whole vocabulary, with pages that send from outside and tell what is so inside."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import re
from collections import Counter
from typing import Any

import gevent
import web

from webpy_socketio import *
from webpy_socketio import shortcuts

web.config.debug = False

outgoing: Counter[str] = Counter()
errors: list[str] = []
ended: list[str] = []
made: Counter[str] = Counter()


class Index:
    """Any page."""

    def GET(self) -> str:
        return "index"


class Ask:
    """Asks everybody in a channel, from a page or from an OS thread."""

    def GET(self, how: str, channel: str, timeout: str) -> str:
        def ask() -> dict[str, Any]:
            try:
                return {"answers": to(channel).call("ask", "how many", timeout=float(timeout)), "problem": None}
            except AckTimeout as error:
                return {"answers": error.answers, "problem": str(error)}

        return json.dumps(gevent.get_hub().threadpool.apply(ask) if how == "thread" else ask())


class Send:
    """Sends volatile events of some size to a channel, one after the other, and then one that is not."""

    def GET(self, channel: str, count: str, size: str) -> str:
        for number in range(int(count)):
            to(channel).emit("position", number, "x" * int(size), volatile=True)
            gevent.sleep(0)
        to(channel).emit("end")
        return "sent"


class Operate:
    """Does something to a session id, from an OS thread."""

    def GET(self, what: str, session_id: str) -> str:
        target = to(session_id)
        return str(gevent.get_hub().threadpool.apply(getattr(target, what), ("made",) if "sub" in what else ()))


class Tell:
    """Sends to a session id of a namespace."""

    def GET(self) -> str:
        query = web.input()
        return str(to(query.id, namespace=query.namespace).send(query.text))


class State:
    """Tells what is so inside."""

    def GET(self) -> str:
        node: Any = shortcuts.current()
        services = node.services
        return json.dumps(
            {
                "outgoing": outgoing,
                "errors": errors,
                "ended": sorted(ended),
                "made": made,
                "dropped": services.counters.dropped_volatile,
                "expired": services.counters.expired_acks,
                "questions": len(services.desk._ballots),
                "table": sorted(node._namespaces._table),
                "members": sorted(services.delivery._namespaces),
                "held": sum(session.is_awaited for session in node.hub._sessions.values()),
                "sockets": [[details.channels, details.context.get("name")] for details in to().sockets()],
            }
        )


urls: tuple[Any, ...] = (
    "/", Index, "/ask/(.*)/(.*)/(.*)", Ask, "/send/(.*)/(.*)/(.*)", Send, "/operate/(.*)/(.*)", Operate,
    "/tell", Tell, "/state", State,
)  # fmt: skip
urls += socketio_urls
application = web.application(urls, globals()).wsgifunc()


@on_connect
def connected(request: Any, socket: Any, context: dict[str, Any]) -> None:
    context["name"] = socket.auth.get("name")
    socket.emit("auth", socket.auth)


@on_any_outgoing
def note(request: Any, socket: Any, context: dict[str, Any], event: str, *args: Any) -> None:
    outgoing[f"{context['name']} {event}"] += 1


@on_error
def failed(request: Any, socket: Any, context: dict[str, Any], error: Exception) -> None:
    errors.append(f"{context['name']}: {error!r}")


@on_event("work")
def work(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Work until the connection ends."""
    socket.spawn(until_ended, context["name"])


def until_ended(name: str) -> None:
    try:
        while True:
            gevent.sleep(60)
    finally:
        ended.append(name)
        print("ENDED", name, flush=True)


@on_event("break")
def break_down(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Let spawned work fail."""
    socket.spawn(int, "not a number")


@connection_middleware(namespace="/members")
def members_only(request: Any, socket: Any, context: dict[str, Any], proceed: Any) -> None:
    if socket.auth.get("token") != "good":
        raise Refused("members only", {"code": 7, "got": socket.auth})
    proceed()


@packet_middleware(namespace="/members")
def shout(request: Any, socket: Any, context: dict[str, Any], event: str, args: list[Any], proceed: Any) -> Any:
    return str(proceed(*args)).upper()


@on_message(namespace="/members")
def echo(request: Any, socket: Any, context: dict[str, Any], message: Any) -> Any:
    return message


@on_namespace(re.compile("/game-[0-9]+"))
class Game:
    """One object for each connection and namespace."""

    def on_connect(self) -> None:
        made[self.socket.namespace] += 1
        self.count = 0

    def on_count(self) -> list[Any]:
        self.count += 1
        return [self.socket.namespace, self.count]


@on_namespace("/chat")
class Chat:
    """Counts what one connection said."""

    def on_connect(self) -> None:
        made["/chat"] += 1
        self.said = 0

    def on_message(self, text: str) -> int:
        self.said += 1
        return self.said

    def on_error(self, error: Exception) -> None:
        errors.append(f"chat: {error!r}")


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
