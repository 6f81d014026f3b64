"""Which door a request belongs to, and which requests belong to a door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import SettingsError
from .startup import read_settings, start_node
from .wsgi import Door

#: The environ's key under which a server that has a door of its own puts it.
DOOR = "webpy_socketio.door"

#: A WSGI application.
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_default: Door | None = None


def door_of(environ: Mapping[str, Any]) -> Door:
    """Return the door of the server that a request came in by; under another server, one for the whole process."""
    global _default
    door = environ.get(DOOR)
    if isinstance(door, Door):
        return door
    if _default is None:
        _default = start_node(read_settings({})).door
    return _default


def is_under(environ: Mapping[str, Any], resource: str) -> bool:
    """Whether a request's path begins with a resource's name."""
    path: str = environ.get("PATH_INFO", "")
    return path.startswith(f"/{resource}/")


def check_application(application: object) -> None:
    """Raise SettingsError for what is no WSGI application, rather than fail at the first request for it."""
    if not callable(application):
        raise SettingsError(f"{application!r} is no WSGI application; of web.py's, give app.wsgifunc()")


def not_found(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application that has nothing."""
    body = b"Not found"
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
