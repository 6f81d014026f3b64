"""The door: what an HTTP request under Socket.IO's path is answered, for any WSGI server.

A request is judged here, in the order of the protocol document; what it carries goes to its session's transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from .engine.session import Session
from .environs import check_handshake, wants_websocket
from .errors import RequestRefused
from .gate import LATER, ROUTINE, Gate, Surround, about, is_temporary
from .hub import Converse
from .logs import logger, printable
from .plain_door import PlainDoor
from .polls import Polls
from .publishing import Publishing
from .reasons import TRANSPORT_ERROR
from .reports import Reports
from .responses import Answer, Later
from .scripts import find_script, serve_script
from .sse_door import SseDoor
from .transports.borrowed import find_connection
from .transports.clock import Clock
from .transports.polling import Polling
from .transports.requests import CLOSE
from .transports.streams import Connection, Stream
from .transports.websocket import WebSocket
from .wire.dialects import Dialect, find_dialect


class Others(NamedTuple):
    """The doors for those who speak no Socket.IO."""

    plain: PlainDoor
    sse: SseDoor
    publishing: Publishing


class Door:
    """Answers the requests for one hub's sessions.

    :param converse: makes their conversations.
    """

    def __init__(
        self,
        gate: Gate,
        converse: Converse,
        clock: Clock,
        reports: Reports,
        others: Others | None = None,
    ) -> None:
        self.hub = hub = gate.hub
        #: For those who speak no Socket.IO; None where there are no channels.
        self.others = others
        self.clock = clock
        #: What an operator's programs may ask.
        self.reports = reports
        self.settings = hub.settings
        #: Whether the operator has been told of URLs that do not match the setting ``resource``.
        self.warned_of_resource = False
        self.forwarded = gate.forwarded
        self._gate = gate
        self._converse = converse
        self._refused_clients: set[str] = set()
        self._origins = gate.origins
        self._polls = Polls(hub, gate.origins)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The door as a WSGI application of its own, to be mounted where Socket.IO shall answer."""
        answer = self.answer(environ, environ.get("PATH_INFO", "").rpartition("/")[2])
        if not isinstance(answer, Answer):
            answer = answer()
        start_response(answer.status, answer.headers)
        return [answer.body]

    def answer(self, environ: dict[str, Any], name: str, surround: Surround | None = None) -> Answer | Later:
        """Judge a request, and answer it at once or later.

        :param name: what follows Socket.IO's own path in the URL.
        :param surround: makes what shall surround the handlers of a client that connects with this request.
        """
        self._gate.identify(environ)
        if name:
            found = self._page(environ, name)
            if found is not None:
                return found
        if environ["REQUEST_METHOD"] == "OPTIONS":
            headers = self._origins.preflight(environ)
            if headers is not None:
                return Answer("204 No Content", headers)
        try:
            return self._answer(environ, surround)
        except RequestRefused as error:
            return self._refuse(environ, error)

    def _page(self, environ: dict[str, Any], name: str) -> Answer | None:
        """Answer what is asked for by a name below Socket.IO's path, if there is such a thing."""
        script = find_script(name)
        if script is not None:
            return Answer(*serve_script(script, environ.get("QUERY_STRING", ""), environ))
        report = self.reports.answer(environ, name)
        if report is not None:
            environ[ROUTINE] = True
        return report

    def _answer(self, environ: dict[str, Any], surround: Surround | None) -> Answer | Later:
        query = dict(reversed(parse_qsl(environ.get("QUERY_STRING", ""))))
        connection = find_connection(environ)
        transport = self._transport(query, connection)
        if not self._origins.is_legal(environ):
            raise RequestRefused(3, "Bad request")
        environ[ROUTINE] = True
        upgrading = wants_websocket(environ)
        if transport == "websocket" and not upgrading:
            self.hub.hints.lost_upgrade(environ)
        session = self._known_session(query, transport, upgrading)
        if session is None and environ["REQUEST_METHOD"] != "GET":
            raise RequestRefused(2, "Bad handshake method")
        if upgrading != (transport == "websocket"):
            raise RequestRefused(3, "Bad request")
        if connection is not None and upgrading:
            return self._accept(environ, query, session, connection, surround)
        if session is not None:
            return self._polls.answer(environ, query, session, connection)
        session = self._gate.open(environ, self._converse, self._judge_newcomer(environ, query), transport, surround)
        session.carrier = Polling(session, self.hub)
        session.peer.begin()
        opening = self.hub.handshake(session, can_upgrade=connection is not None)
        return self._polls.begin(environ, query, session, opening)

    # Judge.

    def _transport(self, query: Mapping[str, str], connection: Connection | None) -> str:
        transport = query.get("transport", "")
        if transport not in self.settings.transports:
            raise RequestRefused(0, "Transport unknown")
        if transport == "websocket" and connection is None:
            self._gate.warn_of_transport()
            raise RequestRefused(0, "Transport unknown")
        return transport

    def _known_session(self, query: Mapping[str, str], transport: str, upgrading: bool) -> Session | None:
        if not query.get("sid"):
            return None
        session = self.hub.find(query["sid"])
        if session is None:
            raise RequestRefused(1, "Session ID unknown")
        if not upgrading and transport != session.transport:
            raise RequestRefused(3, "Bad request")
        if query.get("EIO") != session.dialect.revision:
            raise RequestRefused(3, "Bad request")
        return session

    def _judge_newcomer(self, environ: dict[str, Any], query: Mapping[str, str]) -> Dialect:
        """Return the dialect of a client that may come in."""
        self._gate.check_origin(environ, is_script="j" in query)
        dialect = find_dialect(query.get("EIO", ""), bool(query.get("b64")) or "j" in query, query.get("t", ""))
        if dialect is None or dialect.clients not in self.settings.clients:
            self._tell_of_refused_client(environ, dialect)
            raise RequestRefused(5, "Unsupported protocol version")
        self._gate.check_open()
        return dialect

    def _tell_of_refused_client(self, environ: Mapping[str, Any], dialect: Dialect | None) -> None:
        """Say once per generation which page loads a client that is not let in, and what to do about it."""
        clients = "unknown" if dialect is None else dialect.clients
        if clients in self._refused_clients:
            return
        self._refused_clients.add(clients)
        page = printable(environ.get("HTTP_REFERER", "an unknown page"))
        if dialect is None:
            text = "refused a client of %s that speaks no known protocol: load Socket.IO 1.0.3 or newer"
            logger.warning(text, page, extra=about(environ, 5))
        else:
            remedy = f"add {clients!r} to the setting clients, or load a newer client"
            text = "refused a Socket.IO client %s.x of %s: %s"
            logger.warning(text, clients, page, remedy, extra=about(environ, 5))

    def _refuse(self, environ: Mapping[str, Any], error: RequestRefused) -> Answer:
        self.hub.counters.refused[error.code] += 1
        headers = self._origins.headers(environ)
        if is_temporary(error):
            headers.append(LATER)
        if wants_websocket(environ) and "websocket" in self.settings.transports:
            status = error.status if is_temporary(error) else "400 Bad Request"
            body = error.message.encode()
            headers += [CLOSE, ("Content-Type", "text/html")]
        else:
            status, body = error.status, orjson.dumps({"code": error.code, "message": error.message})
            headers.append(("Content-Type", "application/json"))
        return Answer(status, [*headers, ("Content-Length", str(len(body)))], body)

    # WebSocket.

    def _accept(
        self,
        environ: dict[str, Any],
        query: Mapping[str, str],
        known: Session | None,
        connection: Connection,
        surround: Surround | None,
    ) -> Answer:
        """Answer 101; once that has gone out, a WebSocket takes the connection over."""
        hub, is_new = self.hub, known is None
        if known is None:
            dialect = self._judge_newcomer(environ, query)
            headers = check_handshake(environ)
            session = self._gate.open(environ, self._converse, dialect, "websocket", surround)
        else:
            session = known
            dialect = self._judge_candidate(session, query)
            headers = check_handshake(environ)

        def take(stream: Stream, early: bytes) -> None:
            websocket = WebSocket(stream, session, hub)
            if is_new:
                websocket.open(early)
            else:
                websocket.probe(dialect, early)

        def fail() -> None:
            if is_new:
                hub.end(session, TRANSPORT_ERROR)
            elif session.candidate is reserved:
                session.abandon()

        def reserved() -> None:
            """There is no WebSocket yet that could be dismissed."""

        session.candidate = None if is_new else reserved
        connection.give_to(take, fail)
        return Answer("101 Switching Protocols", headers + self._origins.headers(environ))

    def _judge_candidate(self, session: Session, query: Mapping[str, str]) -> Dialect:
        """Return the dialect of a WebSocket that may try to take a session over; ``b64`` is its own choice."""
        polling = session.is_open and session.transport == "polling"
        dialect = find_dialect(session.dialect.revision, bool(query.get("b64")))
        if not polling or session.candidate is not None or not self.settings.allow_upgrades or dialect is None:
            raise RequestRefused(3, "Bad request")
        return dialect
