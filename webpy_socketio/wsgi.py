"""All of it without web.py: beside or around any WSGI application, of Flask, Bottle or no framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .door import Door
from .doors import Application, check_application, door_of, is_under, not_found, others_of
from .errors import SettingsError
from .logs import logger
from .responses import Answer, LaterStreaming
from .settings import load_settings

#: Answers a request, of which it is told what follows the prefix in the path.
Mounted = Callable[["dict[str, Any]", str], "Answer | LaterStreaming"]


class SocketIOApp:
    """A WSGI application that answers under Socket.IO's path, and hands every other request to another application.

    ::

        application = SocketIOApp(flask_app, websocket="ws", sse="sse", publish="publish")
        SocketIOServer(("", 8000), application).serve_forever()

    :param application: gets the requests of all other paths; without it they are not found.
    :param resource: first part of the URL path under which Socket.IO answers; give the server the same.
    :param websocket: the same for plain WebSockets, as ``/ws/<channel>``; None for none of them.
    :param sse: the same for streams of server-sent events.
    :param publish: the same for publishing by POST, which nobody may without ``publish_keys``.
    """

    def __init__(
        self,
        application: Application = not_found,
        resource: str = "socket.io",
        *,
        websocket: str | None = None,
        sse: str | None = None,
        publish: str | None = None,
    ) -> None:
        check_application(application)
        self._application = application
        self._resource = _prefix(resource)
        wanted = ((websocket, _open_websocket), (sse, _stream), (publish, _publish))
        mounts: list[tuple[str, Mounted]] = [(_prefix(each), mounted) for each, mounted in wanted if each is not None]
        self._mounts = dict(mounts)
        names = [self._resource, *(prefix for prefix, _ in mounts)]
        for name in names:
            if any(f"{name}/".startswith(f"{other}/") for other in names if other != name) or names.count(name) > 1:
                raise SettingsError(f"the paths {', '.join(names)} are not apart: give each a name of its own")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if is_under(environ, self._resource):
            door = door_of(environ)
            self._check_resource(door)
            return door(environ, start_response)
        for prefix, mounted in self._mounts.items():
            if is_under(environ, prefix):
                # WSGI shows the path byte by byte (PEP 3333); whoever answers refuses what is no text.
                rest = environ["PATH_INFO"][len(prefix) + 2 :].encode("latin-1").decode(errors="replace")
                return _respond(mounted(environ, rest), start_response)
        return self._application(environ, start_response)

    def _check_resource(self, door: Door) -> None:
        wanted = door.settings.resource
        if wanted != self._resource and not door.warned_of_resource:
            door.warned_of_resource = True
            logger.warning("resource=%r is set, and pages are told so, but SocketIOApp answers under %r: "
                           "give both the same", wanted, self._resource)  # fmt: skip


def _prefix(path: str) -> str:
    """A path as the setting ``resource`` has it. Raises SettingsError."""
    return load_settings({"resource": path}).resource


def _open_websocket(environ: dict[str, Any], channel: str) -> Answer:
    return others_of(environ).plain.answer(environ, channel)


def _stream(environ: dict[str, Any], channel: str) -> Answer | LaterStreaming:
    return others_of(environ).sse.answer(environ, channel)


def _publish(environ: dict[str, Any], channel: str) -> Answer:
    return others_of(environ).publishing.answer(environ, channel)


def _respond(answer: Answer | LaterStreaming, start_response: Callable[..., Any]) -> Iterable[bytes]:
    made = answer if isinstance(answer, Answer) else answer()
    start_response(made.status, made.headers)
    return [made.body] if isinstance(made, Answer) else made.pieces
