"""One application, served in the ways that MOUNT names: each must work as the plain one does."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import os
import threading
from typing import Any

import gevent
import web
from gevent.pywsgi import WSGIServer

from webpy_socketio import *

MOUNT = os.environ.get("MOUNT", "plain")
ends: list[str] = []

web.config.debug = False


class Login:
    """Keeps a value in the web.py session."""

    def GET(self, name: str) -> str:
        session.name = name
        return "ok"


class Who:
    """Shows what is in the web.py session."""

    def GET(self) -> str:
        return session.get("name", "nobody")


class Tell:
    """Sends from a page, from a thread of its own, or from an OS thread."""

    def GET(self, how: str) -> str:
        try:
            if how == "page":
                broadcast("from a page")
            elif how == "greenlet":
                gevent.spawn(broadcast, "from a greenlet").get()
            elif how == "thread":
                gevent.get_hub().threadpool.apply(broadcast, ("from an OS thread",))
            else:
                broadcast_channel("to a channel", how)
        except NoSocket as error:
            return f"NoSocket: {error}"
        return "sent"


class Index:
    """Any page."""

    def GET(self) -> str:
        return "index"


pages = ("/", Index, "/login/(.*)", Login, "/who", Who, "/tell/(.*)", Tell)

if MOUNT == "subapp":
    sub = web.application(socketio_urls, globals())
    urls: tuple[Any, ...] = (*pages, "/chat", sub)
elif MOUNT == "resource":
    urls = (*pages, *make_socketio_urls("realtime/v1"))
else:
    urls = pages + socketio_urls

app = web.application(urls, globals())
session = web.session.Session(app, web.session.DiskStore(os.environ["SESSIONS"]), initializer={})


def remember_user() -> None:
    """What a page's loadhook puts into web.ctx, handlers find there too."""
    web.ctx.user = session.get("name", "nobody")


held = 0


def hold() -> None:
    """Like a hook that opens a database session for each request."""
    global held
    held += 1


def release() -> None:
    global held
    held -= 1


app.add_processor(web.loadhook(remember_user))
app.add_processor(web.loadhook(hold))
app.add_processor(web.unloadhook(release))
application = app.wsgifunc()


@on_connect
def connected(request: Any, socket: Any, context: Any) -> None:
    context["user"] = web.ctx.user


@on_message
def echo(request: Any, socket: Any, context: Any, message: Any) -> Any:
    return message


@on_event("context")
def context_of(request: Any, socket: Any, context: Any) -> dict[str, Any]:
    """What web.ctx holds during an event."""
    left = {name: web.ctx.get(name) for name in ("user", "path", "ip", "home", "stain")}
    web.ctx.stain = "left by an event"
    return left | {"cookie": web.cookies().get("webpy_session_id") is not None, "same": request is web.ctx.env}


@on_event("held")
def how_many_are_held(request: Any, socket: Any, context: Any) -> int:
    return held


@on_event("nap")
def nap(request: Any, socket: Any, context: Any, seconds: float) -> str:
    gevent.sleep(seconds)
    return "awake"


@on_event("ask")
def ask(request: Any, socket: Any, context: Any, question: str) -> Any:
    return socket.call("question", question, timeout=5)


@on_event("local")
def local(request: Any, socket: Any, context: Any) -> bool:
    """Whether a greenlet-local of an earlier event is still there."""
    seen = hasattr(own, "value")
    own.value = True
    return seen


own = threading.local()


@on_disconnect
def disconnected(request: Any, socket: Any, context: Any) -> None:
    ends.append(f"disconnect {socket.reason}")


@on_unsubscribe
def unsubscribed(request: Any, socket: Any, context: Any, channel: str) -> None:
    ends.append(f"unsubscribe {channel}")


@on_finish
def finished(request: Any, socket: Any, context: Any) -> None:
    gevent.sleep(0.01)
    ends.append(f"finish {socket.channels}")
    print("END", json.dumps(ends), flush=True)
    ends.clear()


def middleware(inner: Any) -> Any:
    """WSGI middleware of the usual kind: wraps the answer and adds a header."""

    def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("X-Wrapped", "yes")], exc_info)

        yield from inner(dict(environ), start)

    return wrapped


if __name__ == "__main__":
    if MOUNT == "middleware":
        application = middleware(application)
    if MOUNT == "pywsgi":
        address = (os.environ["SOCKETIO_HOST"], int(os.environ["SOCKETIO_PORT"]))
        WSGIServer(address, application).serve_forever()
    elif MOUNT == "resource":
        SocketIOServer(None, application, resource="realtime/v1").serve_forever()
    else:
        SocketIOServer(None, application).serve_forever()
