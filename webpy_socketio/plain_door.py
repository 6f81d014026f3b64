"""The plain door: what a request for a plain WebSocket is answered, for any WSGI server."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from websockets.extensions import Extension

from .conversation import Conversation
from .engine.session import Session
from .environs import VERSION, check_handshake, has_text_path, wants_websocket
from .errors import RequestRefused
from .gate import LATER, ROUTINE, Gate, Surround, is_temporary
from .plain_peers import Wish, read_wish
from .reasons import TRANSPORT_ERROR
from .responses import Answer, Headers
from .runner import Scope
from .transports.borrowed import find_connection
from .transports.plain import PlainWebSocket
from .transports.streams import Connection, Stream
from .wire.deflate import agree
from .wire.dialects import PLAIN, plain_deflated

#: The key of a handler's ``request`` for the subprotocol that is spoken, if the client and the server agreed on one.
SUBPROTOCOL = "websocket.subprotocol"
#: What else answers with a status say: the method, or the protocol, that would be right (RFC 9110, 15.5.6 and 15.5.22).
REMEDIES: dict[str, Headers] = {
    "405 Method Not Allowed": [("Allow", "GET")],
    "426 Upgrade Required": [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", VERSION)],
}
#: Makes, of a wish and of what any conversation is made of, the one of a plain client.
ConversePlainly = Callable[[Wish, Session, "dict[str, Any]", "Scope | None"], Conversation]


class PlainDoor:
    """Answers the requests for plain WebSockets.

    :param converse: makes their conversations.
    """

    def __init__(self, gate: Gate, converse: ConversePlainly) -> None:
        self._gate = gate
        self._hub = gate.hub
        self._converse = converse
        self._protocols = gate.hub.settings.websocket_protocols
        self._compresses = gate.hub.settings.websocket_compression

    def answer(self, environ: dict[str, Any], channel: str, surround: Surround | None = None) -> Answer:
        """Judge a request, and let its client have a WebSocket.

        :param channel: the one that it wants to follow; an empty name for none.
        :param surround: makes what shall surround the client's handlers.
        """
        self._gate.identify(environ)
        try:
            return self._answer(environ, channel, surround)
        except RequestRefused as error:
            return self._refuse(error)

    def _answer(self, environ: dict[str, Any], channel: str, surround: Surround | None) -> Answer:
        self._check(environ)
        connection = find_connection(environ)
        if connection is None:
            self._gate.warn_of_transport()
            raise RequestRefused(0, "This server has no WebSockets.", "501 Not Implemented")
        headers = check_handshake(environ)
        self._gate.check_origin(environ)
        self._gate.check_open()
        protocol = choose_protocol(environ, self._protocols)
        if protocol is not None:
            headers.append(("Sec-WebSocket-Protocol", protocol))
            environ[SUBPROTOCOL] = protocol
        agreement = agree(environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", "")) if self._compresses else None
        if agreement is not None:
            headers.append(("Sec-WebSocket-Extensions", agreement.header))
        dialect = PLAIN if agreement is None else plain_deflated(agreement.window_bits)
        converse = functools.partial(self._converse, read_wish(environ, channel))
        session = self._gate.open(environ, converse, dialect, "websocket", surround)
        self._accept(connection, session, () if agreement is None else (agreement.extension,))
        environ[ROUTINE] = True
        return Answer("101 Switching Protocols", headers)

    def _check(self, environ: Mapping[str, Any]) -> None:
        """Raise RequestRefused for a request that is none for a WebSocket."""
        if environ["REQUEST_METHOD"] != "GET":
            raise RequestRefused(2, "A WebSocket begins with a GET.", "405 Method Not Allowed")
        if not wants_websocket(environ):
            self._hub.hints.lost_upgrade(environ)
            text = 'Here is a WebSocket: connect to it with new WebSocket("ws://...") or another client for WebSockets.'
            raise RequestRefused(3, text, "426 Upgrade Required")
        if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != VERSION:
            raise RequestRefused(3, f"WebSockets are spoken in version {VERSION} here.", "426 Upgrade Required")
        if not self._gate.origins.is_legal(environ) or not has_text_path(environ):
            raise RequestRefused(3, "Bad request")

    def _accept(self, connection: Connection, session: Session, extensions: Sequence[Extension]) -> None:
        """Let a WebSocket take the connection over once the answer has gone out."""
        hub = self._hub

        def take(stream: Stream, early: bytes) -> None:
            PlainWebSocket(stream, session, hub, extensions).open(early)

        connection.give_to(take, lambda: hub.end(session, TRANSPORT_ERROR))

    def _refuse(self, error: RequestRefused) -> Answer:
        self._hub.counters.refused[error.code] += 1
        body = error.message.encode()
        headers = [*REMEDIES.get(error.status, ()), ("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        if is_temporary(error):
            headers.append(LATER)
        return Answer(error.status, headers, body)


def choose_protocol(environ: Mapping[str, Any], spoken: tuple[str, ...]) -> str | None:
    """Return the first of the subprotocols that a client offers which is spoken here (RFC 6455, section 4.2.2)."""
    offered = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")
    return next((name for name in map(str.strip, offered) if name in spoken), None)
