"""Which door a request belongs to, and which requests belong to a door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .door import Door, Others
from .errors import SettingsError
from .farewell import promise
from .logs import logger
from .startup import check_patched, read_settings, start_node

#: The environ's key under which a server that has a door of its own puts it.
DOOR = "webpy_socketio.door"

#: What is wrong with more than one process behind one address, if they do not know of each other.
SEVERAL_PROCESSES = (
    "the server has more than one process, but a long-polling client's requests must all come to the same one: take "
    "gunicorn's worker webpy_socketio.worker.SocketIOWorker, whose processes hand them over to each other, or start "
    "each process with an address of its own, behind a proxy that keeps every client with its process"
)
#: What is wrong if nothing carries messages between them.
NO_BUS = "the server has more than one process, and without redis_url, send and broadcast reach the clients of one only"

#: A WSGI application.
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_default: Door | None = None


def door_of(environ: Mapping[str, Any]) -> Door:
    """Return the door of the server that a request came in by; under another server, one for the whole process.

    That is made with the first request, so that nothing of it is there when the server forks.
    """
    global _default
    door = environ.get(DOOR)
    if isinstance(door, Door):
        return door
    if _default is None:
        _default = _open_default(environ)
    return _default


def others_of(environ: Mapping[str, Any]) -> Others:
    """Return the doors for those who speak no Socket.IO, of the server that a request came in by."""
    others = door_of(environ).others
    assert others is not None, "only the door of an engine alone has none, and no page leads to that"
    return others


def _open_default(environ: Mapping[str, Any]) -> Door:
    check_patched()
    settings = read_settings({})
    if environ.get("wsgi.multiprocess"):
        logger.warning(SEVERAL_PROCESSES)
        if settings.redis_url is None:
            logger.warning(NO_BUS)
    running = start_node(settings)
    promise(running.node, running.node.hub.settings.stop_timeout)
    return running.door


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
