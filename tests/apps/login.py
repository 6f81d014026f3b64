"""Pages to log in and out, and clients that belong to web.py's sessions.

``RULES`` names how the pages of app.friend.localhost are declared.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
import web

from webpy_socketio import *

TESTS = Path(__file__).resolve().parent.parent
PORT = os.environ["SOCKETIO_PORT"]
FILES = {
    "": TESTS / "browser" / "pages" / "blank.html",
    "official-4.js": TESTS / "clients" / "node_modules" / "socket.io-client-4" / "dist" / "socket.io.min.js",
}

noted: list[Any] = []  # what happened here, for tests to read at /noted

urls: tuple[Any, ...] = ("/((?:official-4.js)?)", "File", "/login", "Login", "/logout", "Logout", "/noted", "Noted")
urls += socketio_urls
app = web.application(urls, globals(), autoreload=False)
web.config.session_parameters.httponly = False  # for tests to read
session = web.session.Session(app, web.session.MemoryStore(), initializer={"user": None})
application = app.wsgifunc()


class File:
    """A page, or a client."""

    def GET(self, name: str) -> str:
        web.header("Content-Type", "text/javascript" if name else "text/html; charset=utf-8")
        return FILES[name].read_text()


class Login:
    """The visitor is Ada from now on."""

    def POST(self) -> str:
        session.user = "Ada"
        return "ok"


class Logout:
    """The visitor is nobody any more, and their sockets are gone."""

    def POST(self) -> str:
        web_session_id = session.session_id
        session.kill()
        try:
            disconnect_session(web_session_id)
        except NoSocket:
            return "no socket"
        return "ok"


class Noted:
    """What happened here."""

    def GET(self) -> str:
        return json.dumps(noted)


@on_connect
@on_connect(namespace="/admin")
def connect(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Note who comes."""
    noted.append(["connect", socket.namespace, socket.web_session_id])


@on_disconnect
@on_disconnect(namespace="/admin")
def disconnect(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Note why they go."""
    noted.append(["disconnect", socket.namespace, str(socket.reason)])


@on_event("has cookie")
def has_cookie(request: Any, socket: Any, context: dict[str, Any]) -> bool:
    """Whether the browser sent the session's cookie along."""
    return web.cookies().get("webpy_session_id") is not None


def friends(origin: str, environ: Mapping[str, Any]) -> bool:
    """Decide about an origin, after a look into something that takes its time."""
    gevent.sleep(0.001)
    return origin == f"http://app.friend.localhost:{PORT}" and environ["HTTP_HOST"] == f"friend.localhost:{PORT}"


RULES: dict[str, Any] = {
    "none": (),
    "list": [f"http://app.friend.localhost:{PORT}"],
    "wildcard": f"http://*.friend.localhost:{PORT}",
    "pattern": re.compile(r"http://\w+\.friend\.localhost:[0-9]+"),
    "function": friends,
}

if __name__ == "__main__":
    SocketIOServer(None, application, cors_origins=RULES[os.environ.get("RULES", "none")]).serve_forever()
