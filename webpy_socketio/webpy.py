"""The web.py side: the view classes behind ``socketio_urls`` and ``websocket_urls``.

web.py's processors surround the handshake only. They are over before the first event, however long the connection
lasts: a session saved hours later would overwrite what pages have put into it since.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import web

from .door import Door
from .doors import door_of, others_of
from .logs import logger
from .responses import Answer, LaterStreaming, Streaming
from .transports.borrowed import find_connection
from .web_sessions import WEB_SESSION


class WebContext:
    """The ``web.ctx`` of a client's handshake, which its handlers find again while they run."""

    __slots__ = ("_values",)

    def __init__(self, request: dict[str, Any]) -> None:
        self._values = dict(web.ctx.items())
        self._values["env"] = self._values["environ"] = request
        self._values |= {"status": "200 OK", "output": ""}
        for key in ("headers", "app_stack", "_oldctx"):
            self._values.pop(key, None)

    def enter(self) -> dict[str, Any]:
        """Fill ``web.ctx``; what handlers would set on a response goes nowhere, as there is none."""
        values: dict[str, Any] = web.ctx.__dict__
        values.update(self._values)
        values["headers"] = []
        values["app_stack"] = []
        return values

    def leave(self, entered: dict[str, Any]) -> None:
        """Leave nothing of this client to the next."""
        entered.clear()


class SocketIOView:
    """Answers every request under Socket.IO's path. See :func:`make_socketio_urls`."""

    resource = "socket.io"

    def GET(self, name: str) -> Any:
        """Answer a request at once, or let the server make the answer when web.py has finished with the request.

        A server that cannot gets a generator: web.py runs it after its processors, but before its unloadhooks.
        """
        environ = web.ctx.env
        door = door_of(environ)
        self._check_resource(door)
        return _give_or_defer(environ, door.answer(environ, name, _surround))

    POST = PUT = PATCH = DELETE = HEAD = OPTIONS = GET

    def _check_resource(self, door: Door) -> None:
        wanted = door.settings.resource
        if wanted != self.resource and not door.warned_of_resource:
            door.warned_of_resource = True
            logger.warning(
                "resource=%r is set, but the URLs are those of %r: write urls += make_socketio_urls(%r)",
                wanted, self.resource, wanted,
            )  # fmt: skip


class WebSocketView:
    """Opens a plain WebSocket that follows the channel which the rest of the path names. See
    :func:`make_websocket_urls`.
    """

    def GET(self, channel: str) -> bytes:
        """Answer a request."""
        environ = web.ctx.env
        return _give(others_of(environ).plain.answer(environ, channel, _surround))

    POST = PUT = PATCH = DELETE = HEAD = OPTIONS = GET


class SseView:
    """Streams the events of the channel which the rest of the path names. See :func:`make_sse_urls`."""

    def GET(self, channel: str) -> Any:
        """Answer a request, or let the server do it; as in :class:`SocketIOView`."""
        environ = web.ctx.env
        return _give_or_defer(environ, others_of(environ).sse.answer(environ, channel, _surround))

    POST = PUT = PATCH = DELETE = HEAD = OPTIONS = GET


class PublishView:
    """Answers requests to publish. See :func:`make_publish_urls`."""

    def POST(self, channel: str) -> bytes:
        """Answer a request."""
        environ = web.ctx.env
        return _give(others_of(environ).publishing.answer(environ, channel))

    GET = PUT = PATCH = DELETE = HEAD = OPTIONS = POST


def _surround(request: dict[str, Any]) -> WebContext:
    web_session_id = _find_web_session()
    if web_session_id is not None:
        request[WEB_SESSION] = web_session_id
    return WebContext(request)


def _find_web_session() -> str | None:
    """Return the id of web.py's session, also if it begins with this request; None if the application has none.

    The processor of a session is a method of it, and has loaded it by now.
    """
    for application in web.ctx.app_stack:
        for processor in application.processors:
            session = getattr(processor, "__self__", None)
            if isinstance(session, web.session.Session):
                return str(session.session_id)
    return None


def _give_or_defer(environ: dict[str, Any], answer: Answer | LaterStreaming) -> bytes | Iterator[bytes]:
    """Give an answer that there is; let the server make one that is to come, or web.py if the server cannot."""
    if isinstance(answer, Answer):
        return _give(answer)
    connection = find_connection(environ)
    if connection is None or not connection.defers:
        return _give_later(answer)
    connection.later = answer
    return b""


def _give(answer: Answer) -> bytes:
    _start(answer)
    return answer.body


def _give_later(later: LaterStreaming) -> Iterator[bytes]:
    answer = later()
    if isinstance(answer, Answer):
        yield _give(answer)
    else:
        _start(answer)
        yield from answer.pieces


def _start(answer: Answer | Streaming) -> None:
    web.ctx.status = answer.status
    web.ctx.headers.extend(answer.headers)


def make_socketio_urls(resource: str = "socket.io") -> tuple[Any, ...]:
    """Return the URLs to add to an application's, so that Socket.IO answers under ``/resource/``."""
    name = resource.strip("/")
    view = type("SocketIOView", (SocketIOView,), {"resource": name})
    return (f"/{re.escape(name)}/(.*)", view)


def make_publish_urls(prefix: str = "publish") -> tuple[Any, ...]:
    """Return the URLs to add to an application's, so that programs publish by ``POST /prefix/<channel>``.

    Nobody may until the setting ``publish_keys`` is set.
    """
    return _channel_urls(prefix, PublishView)


def make_websocket_urls(prefix: str = "ws") -> tuple[Any, ...]:
    """Return the URLs to add to an application's, so that ``/prefix/channel`` is a WebSocket that follows a channel."""
    return _channel_urls(prefix, WebSocketView)


def make_sse_urls(prefix: str = "sse") -> tuple[Any, ...]:
    """Return the URLs to add to an application's, so that ``/prefix/channel`` streams a channel's events."""
    return _channel_urls(prefix, SseView)


def _channel_urls(prefix: str, view: type) -> tuple[Any, ...]:
    """The URLs of a view for channels, whose names may have slashes and line ends."""
    return (f"/{re.escape(prefix.strip('/'))}/(?s:(.*))", view)


#: Add them to the URLs of an application: ``urls += socketio_urls``.
socketio_urls = make_socketio_urls()
#: And these for clients that speak no Socket.IO: ``urls += websocket_urls``.
websocket_urls = make_websocket_urls()
#: For those that only read, from EventSource or with curl: ``urls += sse_urls``.
sse_urls = make_sse_urls()
#: For those that publish over HTTP: ``urls += publish_urls``.
publish_urls = make_publish_urls()
