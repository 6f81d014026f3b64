"""Connections of proxies, until their PROXY headers have been read: without a greenlet, and not a byte too much.

What comes behind a header is left to whoever serves the connection, be it HTTP or the beginning of TLS.
"""

from __future__ import annotations

import _socket
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import PacketError
from ..hub import Hub
from ..logs import logger
from ..options import UNIX
from ..wire.proxy_protocol import LONGEST_HEADER, Header, decode_header
from .streams import Stream

#: Seconds between two complaints in the log.
SILENCE = 60.0


class ProxiedAddress(NamedTuple):
    """Where a connection comes from, as its proxy says; it begins like an address of :mod:`socket`."""

    host: str
    port: int
    #: The proxy's own address.
    proxy: str
    #: Whether the proxy knew; if it did not, the host is its own.
    is_known: bool


class ProxyHeaders:
    """Reads the headers of a server's connections.

    :param hub: whose settings and deadlines count.
    :param take: called with a connection whose header has been read, and the address that it tells.
    """

    def __init__(self, hub: Hub, take: Callable[[Any, Any], None]) -> None:
        self.hub = hub
        self.take = take
        self._waiting: weakref.WeakSet[_Newcomer] = weakref.WeakSet()
        self._silent_until = float("-inf")

    def expect(self, sock: Any, address: Any) -> None:
        """Read the header of a connection that was accepted.

        :param sock: a raw socket, or one of gevent's.
        """
        self._waiting.add(_Newcomer(sock, address, self))

    def close(self) -> None:
        """Close the connections that still wait for their headers."""
        for newcomer in list(self._waiting):
            newcomer.close()

    def complain(self, address: Any, problem: str) -> None:
        """Tell the operator of a proxy that does not keep to the protocol, if it is not too soon to say that again."""
        now = self.hub.runner.now()
        if now >= self._silent_until:
            self._silent_until = now + SILENCE
            logger.warning(
                "closed a connection of the proxy %s: %s; let it send PROXY headers, or switch proxy_protocol off",
                _host(address), problem,
            )  # fmt: skip


class _Newcomer:
    """One connection of which no more than the beginning of its header has been read."""

    __slots__ = ("__weakref__", "_address", "_buffer", "_owner", "_raw", "_sock", "_stream")

    def __init__(self, sock: Any, address: Any, owner: ProxyHeaders) -> None:
        self._sock = sock
        self._address = address
        self._owner = owner
        self._raw: _socket.socket = getattr(sock, "_sock", sock)  # gevent's have the raw one inside
        self._raw.setblocking(False)
        self._buffer = b""
        self._stream = Stream(self._raw)
        self._stream.listen(self._readable)
        hub = owner.hub
        hub.deadlines.add_weakly(hub.runner.now() + hub.settings.header_timeout, _Newcomer.be_late, self)

    def close(self) -> None:
        """Close it, if it still waits."""
        sock = self._release()
        if sock is not None:
            sock.close()

    def be_late(self) -> None:
        """The time for the header is over."""
        if self._sock is not None:
            self._refuse("no PROXY header in time")

    def _readable(self) -> None:
        """Look at what has arrived, and take what belongs to the header."""
        try:
            data = self._raw.recv(LONGEST_HEADER, _socket.MSG_PEEK)
            if not data:
                self._hang_up()
                return
            header = decode_header(self._buffer + data)
            self._buffer += self._raw.recv(len(data) if header is None else header.size - len(self._buffer))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._hang_up()
        except PacketError as error:
            self._refuse(str(error))
        else:
            if header is not None and len(self._buffer) == header.size:
                self._finish(header)

    def _finish(self, header: Header) -> None:
        self._owner.take(self._release(), self._address if header.is_local else _tell(header, self._address))

    def _hang_up(self) -> None:
        """The proxy has; if it said nothing, it only wanted to know whether somebody listens."""
        if self._buffer:
            self._refuse("it hung up in the middle of its PROXY header")
        else:
            self.close()

    def _refuse(self, problem: str) -> None:
        self._owner.complain(self._address, problem)
        self.close()

    def _release(self) -> Any:
        """Wait no more, and return the socket, the first time."""
        sock, self._sock = self._sock, None
        if sock is not None:
            self._stream.release()
        return sock


def _tell(header: Header, address: Any) -> ProxiedAddress:
    own = address[:2] if isinstance(address, tuple) else ("", 0)
    host, port = header.source or own
    return ProxiedAddress(host, port, _host(address), header.source is not None)


def _host(address: Any) -> str:
    return str(address[0]) if isinstance(address, tuple) else UNIX
