"""A plain peer: the conversation of a client that speaks no Socket.IO.

It has one socket, in the main namespace, which follows the channel that the client named when it connected. Whatever
the client sends is a message; it cannot name events, nor acknowledge them. A client that can only read is one, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from .engine.session import Session
from .namespaces import SUBSCRIBE, Namespaces
from .reasons import LOGGED_OUT, Reason, refused
from .runner import Scope
from .services import Services
from .socket_owners import SocketOwner
from .sockets import Socket
from .web_sessions import WEB_SESSION

MAIN = "/"


class Wish(NamedTuple):
    """What a plain client asks for, when it connects."""

    #: The channel to follow; an empty name for none.
    channel: str
    #: What lets it follow that.
    token: str | None
    #: What else it sends to identify itself.
    auth: dict[str, Any]


def read_wish(environ: Mapping[str, Any], channel: str) -> Wish:
    """Return what a plain client asks for with a channel's name and a query, of which ``token`` lets it follow that."""
    query: dict[str, Any] = dict(reversed(parse_qsl(environ.get("QUERY_STRING", ""))))
    token = query.pop("token", None)
    return Wish(channel, token, query)


class PlainPeer(SocketOwner):
    """One client."""

    __slots__ = ("_namespace", "_socket", "_wish")

    def __init__(
        self,
        session: Session,
        request: dict[str, Any],
        scope: Scope | None,
        namespaces: Namespaces,
        services: Services,
        wish: Wish,
    ) -> None:
        super().__init__(session, request, scope, namespaces, services)
        self._wish = wish
        namespace = namespaces.enter(MAIN)
        assert namespace is not None, "the main namespace always exists"
        self._namespace = namespace
        self._socket = Socket(session.dialect.socket_id(session.sid, MAIN), MAIN, wish.auth, services, self)
        self._socket.web_session_id = request.get(WEB_SESSION)

    def begin(self) -> None:
        """The session can send now: ask the handlers whether the client may come in, and follow its channel."""
        self.inbox.put(0, self._join)

    def receive(self, message: str | bytes) -> None:
        """Take the next message of the client, text or binary."""
        self.inbox.put(len(message), self._namespace.event, self._socket, ["message", message], None)

    def end(self, reason: Reason) -> None:
        """The connection is over, or begins to close: so is the socket, after the messages that came before."""
        if self._socket.reason is None:
            self._socket.detach(reason)
            self._services.ending.add(self)
            self.inbox.put(0, self._finish, self._socket, self._namespace)

    def _join(self) -> None:
        socket, channel = self._socket, self._wish.channel
        if socket.reason is not None:
            return
        refusal = self._namespace.connect(socket)
        if refusal is not None:
            self._turn_away(f"refused: {refusal.message}")
        elif channel and socket.reason is None:
            answer = self._subscribe(channel, self._wish.token)
            if channel not in socket.channels:
                self._turn_away(_sentence(answer))
        self.joined = True

    def _subscribe(self, channel: str, token: str | None) -> Any:
        """Do what another client's event of that name does; return what would acknowledge it."""
        options = [] if token is None else [{"token": token}]
        return self._namespace.event(self._socket, [SUBSCRIBE, channel, *options], None)

    def _turn_away(self, sentence: str) -> None:
        self._services.expel(self.session, refused(sentence))

    # For its socket.

    @property
    def followed(self) -> int:
        """How many subscriptions the client has."""
        return self._socket.followed

    def leave(self, socket: Socket, reason: Reason) -> None:
        """The server puts the client out: there is nothing else that the connection could be for."""
        self._services.expel(self.session, reason)

    def log_out(self) -> None:
        """The client's web session is over."""
        self._socket.put_out(LOGGED_OUT)

    def note_outgoing(self, socket: Socket, data: list[Any]) -> None:
        """Tell the handlers of outgoing events."""
        self.inbox.beside(self._namespace.outgoing, socket, data)


def _sentence(answer: Any) -> str:
    """Why a subscription was refused, in a sentence that begins with the code of the error."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict) and "code" in error and "message" in error:
        return f"{error['code']}: {error['message']}"
    return "refused: the server does not let you follow this channel"
