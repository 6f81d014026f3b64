"""The catalogue of endings: why a connection, or one namespace of it, is over.

The same name reaches ``socket.reason`` in ``on_disconnect``, the logs and the counters. Names are those of
Socket.IO's own server where it has one, so that what is known about them stays true. Codes are those with which a
WebSocket is closed (RFC 6455, section 7.4): standard ones where they fit, else from 4000 on where the client may come
back by itself, and from 4100 on where it should not.
"""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """One way to end: a name and a code for programs, a sentence for people, and whether a client may come back."""

    name: str
    code: int
    sentence: str
    may_reconnect: bool
    #: Whether a client that comes back soon may go on where it was.
    is_recoverable: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def is_ours(self) -> bool:
        """Whether it was the server that ended the connection, so that there is something to tell the client."""
        return self not in (TRANSPORT_CLOSE, PAGE_CLOSED, TRANSPORT_ERROR)


TRANSPORT_CLOSE = Reason("transport close", 1000, "The client closed the connection, or its network did.", True, True)
#: Named like the one before, as in Node's server, but such a client has forgotten what it had.
PAGE_CLOSED = Reason("transport close", 1001, "The client's page was closed, or left for another.", True)
TRANSPORT_ERROR = Reason(
    "transport error", 1006, "The connection broke, or broke the rules of HTTP or WebSocket.", True, True
)
PING_TIMEOUT = Reason("ping timeout", 4000, "The client did not answer the heartbeat in time.", True, True)
PARSE_ERROR = Reason("parse error", 4001, "The client sent a packet that cannot be read.", True)
FORCED_CLOSE = Reason("forced close", 4002, "The server closed the connection.", True, True)
PROTOCOL_VIOLATION = Reason(
    "forced server close", 4003, "The client broke Socket.IO's rules, or joined no namespace.", True
)
SERVER_SHUTDOWN = Reason("server shutting down", 1012, "The server is stopping.", True)
CLIENT_DISCONNECT = Reason("client namespace disconnect", 4100, "The client left the namespace.", False)
SERVER_DISCONNECT = Reason(
    "server namespace disconnect", 4101, "The server put the client out of the namespace.", False
)
LOGGED_OUT = Reason("logged out", 4102, "The user logged out.", False)
#: Why is told by the sentence; see :func:`refused`.
REFUSED = Reason("refused", 4103, "The server refused the client.", False)
SLOW = Reason("slow", 4004, "The client did not read what it was sent, and its buffer was full.", True, True)
#: Which limit it was is told by the sentence; see :func:`over_limit`.
OVER_LIMIT = Reason("over limit", 4005, "The client went beyond a limit.", True)

REASONS = (
    TRANSPORT_CLOSE,
    PAGE_CLOSED,
    TRANSPORT_ERROR,
    PING_TIMEOUT,
    PARSE_ERROR,
    FORCED_CLOSE,
    PROTOCOL_VIOLATION,
    SERVER_SHUTDOWN,
    CLIENT_DISCONNECT,
    SERVER_DISCONNECT,
    LOGGED_OUT,
    REFUSED,
    SLOW,
    OVER_LIMIT,
)
#: Bytes that the sentence of a close frame has at the most (RFC 6455, section 5.5).
LONGEST_SENTENCE = 123


def refused(sentence: str) -> Reason:
    """The ending of a client that is not let in, of those to whom nothing else could tell why."""
    short = sentence.encode(errors="replace")[:LONGEST_SENTENCE].decode(errors="ignore")
    return REFUSED._replace(sentence=short)


def over_limit(limit: str) -> Reason:
    """The ending of a client that went beyond a limit; ``limit`` is the name of the setting."""
    return OVER_LIMIT._replace(sentence=f"The client went beyond the server's limit {limit}.")
