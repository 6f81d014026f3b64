"""Socket.IO without web.py: beside or around any WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .doors import Application, check_application, door_of, is_under, not_found
from .logs import logger
from .settings import load_settings
from .wsgi import Door


class SocketIOApp:
    """A WSGI application that answers under Socket.IO's path, and hands every other request to another application.

    ::

        application = SocketIOApp(flask_app)
        SocketIOServer(("", 8000), application).serve_forever()

    :param application: gets the requests of all other paths; without it they are not found.
    :param resource: first part of the URL path under which Socket.IO answers; give the server the same.
    """

    def __init__(self, application: Application = not_found, resource: str = "socket.io") -> None:
        check_application(application)
        self._application = application
        self._resource = load_settings({"resource": resource}).resource

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if not is_under(environ, self._resource):
            return self._application(environ, start_response)
        door = door_of(environ)
        self._check_resource(door)
        return door(environ, start_response)

    def _check_resource(self, door: Door) -> None:
        wanted = door.settings.resource
        if wanted != self._resource and not door.warned_of_resource:
            door.warned_of_resource = True
            logger.warning("resource=%r is set, and pages are told so, but SocketIOApp answers under %r: "
                           "give both the same", wanted, self._resource)  # fmt: skip
