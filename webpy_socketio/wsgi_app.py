"""Socket.IO without web.py: beside or around any WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .doors import Application, door_of, is_under, not_found


class SocketIOApp:
    """A WSGI application that answers under Socket.IO's path, and hands every other request to another application.

    ::

        application = SocketIOApp(flask_app)
        SocketIOServer(("", 8000), application).serve_forever()

    :param application: gets the requests of all other paths; without it they are not found.
    :param resource: first part of the URL path under which Socket.IO answers; give the server the same.
    """

    def __init__(self, application: Application = not_found, resource: str = "socket.io") -> None:
        self._application = application
        self._resource = resource.strip("/")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        application = door_of(environ) if is_under(environ, self._resource) else self._application
        return application(environ, start_response)
