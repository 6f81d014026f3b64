"""The raw connection below a request: where it is found, how it is watched, and how it is taken over."""

from __future__ import annotations

import _socket
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent.socket import socket as GeventSocket

#: The environ's key under which a server that can give its connection away puts it.
KEY = "webpy_socketio.connection"
READ, WRITE = 1, 2


class Connection:
    """One client's TCP connection, as long as the HTTP server has it, and its taker once it lets go."""

    __slots__ = ("_socket", "on_failure", "taker")

    def __init__(self, sock: GeventSocket) -> None:
        self._socket = sock
        #: Called with the raw socket and what was read too much, after the response has gone out.
        self.taker: Callable[[_socket.socket, bytes], None] | None = None
        #: Called if the response cannot be written.
        self.on_failure: Callable[[], None] | None = None

    def watch_end(self, gone: Callable[[], None]) -> Callable[[], None]:
        """Have ``gone`` called if the client hangs up while its request is held; return what ends the watch."""
        raw = self._socket._sock
        watcher = gevent.get_hub().loop.io(raw.fileno(), READ)

        def look() -> None:
            try:
                end = raw.recv(1, _socket.MSG_PEEK) == b""
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                end = True
            watcher.stop()  # either it is over, or the next request came early: no more can be learnt
            if end:
                gone()

        def stop() -> None:
            watcher.stop()
            watcher.close()

        watcher.start(look)
        return stop

    def detach(self, rest: Callable[[], bytes]) -> None:
        """Hand the connection to its taker; the HTTP server must not touch it again."""
        assert self.taker is not None
        sock, taker = self._socket, self.taker
        family, kind, protocol = sock.family, sock.type, sock.proto
        early = rest()
        raw = _socket.socket(family, kind, protocol, fileno=sock.detach())
        raw.setblocking(False)
        taker(raw, early)


def find_connection(environ: Mapping[str, Any]) -> Connection | None:
    """Return the raw connection of a request, or None if the server does not give it away."""
    connection = environ.get(KEY)
    return connection if isinstance(connection, Connection) else None
