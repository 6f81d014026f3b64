"""Where a request's raw connection is found, and how it is had from a server that does not know of us: gunicorn.

Gunicorn's worker ``gevent`` puts the client's socket into the environ, and goes on using it: it writes the response
that the application has started, and reads the next request. So it gets another one. Its socket object becomes one end
of a pair, where it finds the end of the connection after its response; that comes out at the other end, and goes to the
client from there. So the response has passed through everything between the application and the client, and not a byte
of gunicorn's comes after it.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable, MutableMapping
from typing import Any

from gevent.socket import socket

from .streams import KEY, Connection, Stream

#: The environ's key under which gunicorn puts the client's socket.
GUNICORN = "gunicorn.socket"
END_OF_HEAD = b"\r\n\r\n"
SWITCH = b"HTTP/1.1 101 "
#: Headers that tell of a body, which older gunicorn sends with 101 too (RFC 9112, section 6.1; RFC 9110, section 8.6).
OF_A_BODY = (b"transfer-encoding", b"content-length")


def find_connection(environ: MutableMapping[str, Any]) -> Connection | None:
    """Return the raw connection of a request, or None if the server does not give it away."""
    connection = environ.get(KEY)
    if isinstance(connection, Connection):
        return connection
    sock = environ.get(GUNICORN)
    if type(sock) is not socket:  # with TLS it is another class, which no raw socket can be had from
        return None
    borrowed = environ[KEY] = BorrowedConnection(sock, environ["wsgi.input"])
    return borrowed


class BorrowedConnection(Connection):
    """A connection of gunicorn's.

    :param sock: the client's socket, as gunicorn goes on using it.
    :param body: what it makes of the request's body; the parser behind it may have read more than the request.
    """

    __slots__ = ("_body", "_sock")
    defers = False

    def __init__(self, sock: Any, body: Any) -> None:
        super().__init__(sock._sock)
        self._sock = sock
        self._body = body

    def give_to(self, taker: Callable[[Stream, bytes], None], on_failure: Callable[[], None]) -> None:
        """Take the connection away from the server now, and let somebody have it after the response."""
        super().give_to(taker, on_failure)
        sock = self._sock
        raw = _socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
        raw.setblocking(False)
        theirs, ours = _socket.socketpair()
        sock.__init__(theirs.family, theirs.type, theirs.proto, fileno=theirs.detach())
        ours.setblocking(False)
        ours.shutdown(_socket.SHUT_WR)
        _Passage(Stream(ours), Stream(raw), self._unread(), self)

    def _unread(self) -> bytes:
        """What the client sent after its request, and was read together with it. Its socket has an end already."""
        unreader = getattr(getattr(self._body, "reader", None), "unreader", None)
        return b"" if unreader is None else bytes(unreader.read())


class _Passage:
    """Lets the server's response through to the client, and then the connection go to its taker."""

    def __init__(self, server: Stream, client: Stream, early: bytes, connection: Connection) -> None:
        self._server = server
        self._client = client
        self._early = early
        self._connection = connection
        self._response = b""
        server.listen(self._readable)

    def _readable(self) -> None:
        try:
            data = self._server.receive()
        except OSError:
            data = b""
        if data is None:
            return
        self._response += data
        head, end, _ = self._response.partition(END_OF_HEAD)
        if data and not end:
            return
        self._server.close()
        is_switch = bool(end) and head.startswith(SWITCH)
        try:
            is_out = self._client.send(_without_body(head) if is_switch else self._response)
        except OSError:
            is_out = False
        connection = self._connection
        if is_switch and is_out and connection.taker is not None:
            connection.taker(self._client, self._early)
            return
        # Something between us and the server changed the answer. What did not come with its head is not passed on:
        # nobody reads more of it who has asked for a WebSocket.
        self._client.close()
        if connection.on_failure is not None:
            connection.on_failure()


def _without_body(head: bytes) -> bytes:
    lines = [line for line in head.split(b"\r\n") if line.partition(b":")[0].lower() not in OF_A_BODY]
    return b"\r\n".join(lines) + END_OF_HEAD
