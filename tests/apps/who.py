"""Tells its clients who they are: on a page, and to handlers, as their request and as ``web.ctx`` have it.

With ``SERVER=pywsgi`` it is served by gevent's own server; ``CERTIFICATE`` is a file with key and certificate.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import os
from typing import Any

import web
from gevent.pywsgi import WSGIServer

from webpy_socketio import SocketIOServer, on_event, on_message, socketio_urls

urls: tuple[Any, ...] = ("/who", "Who")
urls += socketio_urls
app = web.application(urls, globals(), autoreload=False)
application = app.wsgifunc()


def tell(environ: Any) -> list[Any]:
    """Who made a request, and how."""
    return [web.ctx.ip, *map(environ.get, ("REMOTE_ADDR", "wsgi.url_scheme", "REMOTE_PORT", "PROXY_ADDR"))]


class Who:
    """A page."""

    def GET(self) -> str:
        """As JSON."""
        return json.dumps(tell(web.ctx.env))


@on_event("who")
def who(request: Any, socket: Any, context: dict[str, Any]) -> None:
    """Tell a client."""
    socket.emit("you", tell(request))


@on_message
def message(request: Any, socket: Any, context: dict[str, Any], value: Any) -> None:
    """It only has to be in the log."""


if __name__ == "__main__":
    if os.environ.get("SERVER") == "pywsgi":
        WSGIServer((os.environ["SOCKETIO_HOST"], int(os.environ["SOCKETIO_PORT"])), application).serve_forever()
    certificate = os.environ.get("CERTIFICATE")
    files = {"keyfile": certificate, "certfile": certificate} if certificate else {}
    SocketIOServer(None, application, **files).serve_forever()
