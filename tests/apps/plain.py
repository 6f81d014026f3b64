"""A page and an echo, to be served by name: it neither patches nor serves."""

from __future__ import annotations

from typing import Any

import web

from webpy_socketio import *

urls: tuple[Any, ...] = ("/", "index")
urls += socketio_urls
app = web.application(urls, globals())
application = app.wsgifunc()


class index:  # noqa: N801
    """The page."""

    def GET(self) -> str:
        """Say which page this is."""
        return "a plain page"


@on_message
def echo(request: Any, socket: Any, context: dict[str, Any], message: Any) -> None:
    """Send everything back."""
    socket.send(message)
