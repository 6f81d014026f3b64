"""The catalogue of endings: why a connection, or one namespace of it, is over.

The same name reaches ``socket.reason`` in ``on_disconnect``, the logs and the counters. Names are those of
Socket.IO's own server where it has one, so that what is known about them stays true.
"""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """One way to end: a name for programs, a sentence for people, and whether a client comes back by itself."""

    name: str
    sentence: str
    may_reconnect: bool
    #: Whether a client that comes back soon may go on where it was.
    is_recoverable: bool = False

    def __str__(self) -> str:
        return self.name


TRANSPORT_CLOSE = Reason("transport close", "The client closed the connection, or its network did.", True, True)
#: Named like the one before, as in Node's server, but such a client has forgotten what it had.
PAGE_CLOSED = Reason("transport close", "The client's page was closed, or left for another.", True)
TRANSPORT_ERROR = Reason(
    "transport error", "The connection broke, or broke the rules of HTTP or WebSocket.", True, True
)
PING_TIMEOUT = Reason("ping timeout", "The client did not answer the heartbeat in time.", True, True)
PARSE_ERROR = Reason("parse error", "The client sent a packet that cannot be read.", True)
FORCED_CLOSE = Reason("forced close", "The server closed the connection.", True, True)
PROTOCOL_VIOLATION = Reason("forced server close", "The client broke Socket.IO's rules, or joined no namespace.", True)
SERVER_SHUTDOWN = Reason("server shutting down", "The server is stopping.", True)
CLIENT_DISCONNECT = Reason("client namespace disconnect", "The client left the namespace.", False)
SERVER_DISCONNECT = Reason("server namespace disconnect", "The server put the client out of the namespace.", False)
SLOW = Reason("slow", "The client did not read what it was sent, and its buffer was full.", True, True)

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
    SLOW,
)
