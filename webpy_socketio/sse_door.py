"""The stream door: what a request for a channel's stream of server-sent events is answered, for any WSGI server.

Whether the client may come in is decided before the answer begins: a browser takes any status but 200 as a refusal for
good (HTML standard, section 9.2.3).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from .conversation import Conversation
from .engine.session import Session
from .environs import has_text_path
from .errors import HttpRefused, RequestRefused, SettingsError
from .gate import LATER, ROUTINE, Gate, Surround, is_temporary
from .places import Places
from .plain_peers import Wish, read_wish
from .reasons import FORCED_CLOSE
from .responses import NO_STORE, Answer, Headers, LaterStreaming, Streaming, refusal
from .runner import Scope
from .transports.borrowed import find_connection
from .transports.sse import EventStream
from .wire.dialects import SSE

#: The query parameter with which a client comes back that cannot send the header ``Last-Event-ID``.
LAST_EVENT_ID = "lastEventId"
#: The codes of the errors, by the status; what is wrong with a request else has none of its own.
CODES = {
    "403 Forbidden": "origin",
    "405 Method Not Allowed": "method",
    "429 Too Many Requests": "over_limit",
    "503 Service Unavailable": "unavailable",
}
#: What such an answer's headers have to tell.
REMEDIES: dict[str, Headers] = {"405 Method Not Allowed": [("Allow", "GET")]}
#: For nginx: what comes is to be passed on as it comes.
NO_BUFFER = ("X-Accel-Buffering", "no")
#: Makes, of a wish, of how far the client has come and of what any conversation is made of, the one of a stream.
ConverseBySse = Callable[[Wish, "str | None", Session, "dict[str, Any]", "Scope | None"], Conversation]


class SseDoor:
    """Answers the requests for streams of one hub.

    :param converse: makes their conversations.
    :param places: has what clients may have missed; None if that is not kept.
    """

    def __init__(self, gate: Gate, converse: ConverseBySse, places: Places | None) -> None:
        self._gate = gate
        self._hub = gate.hub
        self._converse = converse
        self._places = places

    def answer(
        self, environ: dict[str, Any], channel: str, surround: Surround | None = None
    ) -> Answer | LaterStreaming:
        """Judge a request, and answer it at once, or later with the stream or what else the handlers decide.

        :param channel: the one that the client wants to follow; an empty name for none.
        :param surround: makes what shall surround the client's handlers.

        Raises SettingsError where streams cannot be: there, connections have no greenlet that could send for hours.
        """
        if environ.get("PATH_INFO", "").startswith(f"/{self._hub.settings.resource}/"):
            raise SettingsError("a stream cannot be below Socket.IO's own path: give make_sse_urls another one")
        self._gate.identify(environ)
        if environ["REQUEST_METHOD"] == "OPTIONS":
            headers = self._gate.origins.preflight(environ)
            if headers is not None:
                return Answer("204 No Content", headers)
        try:
            session = self._open(environ, channel, surround)
        except RequestRefused as error:
            self._hub.counters.refused[error.code] += 1
            remedies = [*REMEDIES.get(error.status, ()), *([LATER] if is_temporary(error) else [])]
            refused = HttpRefused(error.status, CODES.get(error.status, "bad_request"), error.message, *remedies)
            return refusal(refused, self._gate.origins.headers(environ))
        stream = EventStream(session, self._hub, self._places, find_connection(environ))
        return functools.partial(self._begin, environ, stream, session)

    def _open(self, environ: dict[str, Any], channel: str, surround: Surround | None) -> Session:
        if environ["REQUEST_METHOD"] != "GET":
            raise RequestRefused(2, "A stream is asked for with GET.", "405 Method Not Allowed")
        if not self._gate.origins.is_legal(environ) or not has_text_path(environ):
            raise RequestRefused(3, "Bad request")
        self._gate.check_origin(environ)
        self._gate.check_open()
        wish = read_wish(environ, channel)
        after = _last_event_id(environ, wish)
        return self._gate.open(environ, functools.partial(self._converse, wish, after), SSE, "sse", surround)

    def _begin(self, environ: dict[str, Any], stream: EventStream, session: Session) -> Answer | Streaming:
        """Answer a request once the handlers have decided. May wait."""
        peer, headers = session.peer, self._gate.origins.headers(environ)
        stream.begin()
        if session.is_open:
            environ[ROUTINE] = True
            return Streaming("200 OK", [("Content-Type", "text/event-stream"), NO_STORE, NO_BUFFER, *headers],
                             stream.pieces())  # fmt: skip
        reason = session.reason or FORCED_CLOSE
        stream.end(reason)
        code, _, message = (peer.refusal or "").partition(": ")
        if code:
            return refusal(HttpRefused("403 Forbidden", code, message), headers)
        if not reason.may_reconnect:
            return refusal(HttpRefused("403 Forbidden", "refused", reason.sentence), headers)
        return refusal(HttpRefused("503 Service Unavailable", "unavailable", reason.sentence, LATER), headers)


def _last_event_id(environ: Mapping[str, Any], wish: Wish) -> str | None:
    """The place up to which a client says it has come; None if it says nothing. It is not among its credentials."""
    asked: str | None = wish.auth.pop(LAST_EVENT_ID, None)
    return environ.get("HTTP_LAST_EVENT_ID") or asked or None
