"""Dialects: what differs from one generation of clients to the next, and the only place that knows it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl

from ..identifiers import new_id
from . import engine_v2, engine_v3, engine_v4, plain, sse
from .deflate import DeflateCodec
from .packets import EnginePacket, EngineType, SocketPacket, SocketType


class EngineCodec(Protocol):
    """What a module for one revision of Engine.IO offers."""

    def decode_text(self, text: str) -> EnginePacket: ...
    def decode_binary(self, data: bytes) -> EnginePacket: ...
    def decode_payload(self, body: bytes, is_binary: bool) -> Iterator[EnginePacket]: ...
    def encode_frames(
        self, kind: EngineType, text: bytes | None, attachments: Iterable[bytes], base64_only: bool
    ) -> bytes: ...
    def encode_piece(self, kind: EngineType, text: bytes | None, attachments: Iterable[bytes]) -> bytes: ...
    def encode_binary_piece(self, kind: EngineType, text: bytes | None, attachments: Iterable[bytes]) -> bytes: ...
    def join_payload(self, pieces: Iterable[bytes]) -> bytes: ...


@dataclass(frozen=True, eq=False)
class Dialect:
    """One generation of the protocols, as one kind of client speaks it: Socket.IO 5 over Engine.IO 4.

    Compared by identity: it is the key under which prepared packets remember their forms.
    """

    #: The major versions of the clients that speak it, or what else they are called.
    clients: str
    #: The query parameter EIO.
    revision: str
    codec: EngineCodec
    #: Whether attachments travel as base64 text always (the client asked with ``b64``).
    base64_only: bool = False
    #: Whether the server sends the pings; else the client does.
    server_pings: bool = True
    #: Whether long-polling payloads may be binary.
    binary_payloads: bool = False
    #: Whether they have to be, since the client reads nothing else.
    only_binary_payloads: bool = False
    #: Whether a client is in the main namespace without asking.
    joins_by_itself: bool = False
    #: Whether JSON is sent to it in ASCII: clients 1.x count and decode other characters otherwise.
    ascii_only: bool = False
    #: Whether a text message on a WebSocket is the character of its type and then just the message.
    plain_text: bool = True
    #: Whether a client can come back to a connection that broke (connection state recovery).
    resumes: bool = False
    #: Whether a client can acknowledge an event.
    acknowledges: bool = True

    def socket_id(self, session_id: str, namespace: str) -> str:
        """The id of a new socket in a namespace, on the session with this id."""
        return new_id()

    def credentials(self, packet: SocketPacket) -> tuple[str, dict[str, Any]]:
        """The namespace that a client wants to join, and what it sends to identify itself."""
        return packet.namespace, packet.data or {}

    def connect(self, namespace: str, sid: str, pid: str | None = None) -> SocketPacket:
        """The answer to a client that joined a namespace.

        :param pid: its secret to come back with, if it may.
        """
        return SocketPacket(SocketType.CONNECT, namespace, {"sid": sid} if pid is None else {"sid": sid, "pid": pid})

    def connect_error(self, namespace: str, message: str, data: Any = None) -> SocketPacket:
        """The answer to a client that may not join a namespace."""
        error = {"message": message} if data is None else {"message": message, "data": data}
        return SocketPacket(SocketType.CONNECT_ERROR, namespace, error)


class OldDialect(Dialect):
    """Socket.IO 4 over Engine.IO 3."""

    def socket_id(self, session_id: str, namespace: str) -> str:
        """The client makes up the same id by itself."""
        return session_id if namespace == "/" else f"{namespace}#{session_id}"

    def credentials(self, packet: SocketPacket) -> tuple[str, dict[str, Any]]:
        """They follow the namespace, like the query of a URL."""
        namespace, _, query = packet.namespace.partition("?")
        return namespace, dict(parse_qsl(query, keep_blank_values=True))

    def connect(self, namespace: str, sid: str, pid: str | None = None) -> SocketPacket:
        """The answer carries nothing."""
        return SocketPacket(SocketType.CONNECT, namespace)

    def connect_error(self, namespace: str, message: str, data: Any = None) -> SocketPacket:
        """The error is the message, or the data in its place."""
        return SocketPacket(SocketType.CONNECT_ERROR, namespace, message if data is None else data)


V4 = Dialect("3-4", "4", engine_v4, resumes=True)
V3 = OldDialect("1-2", "3", engine_v3, server_pings=False, binary_payloads=True, joins_by_itself=True, ascii_only=True)
#: Of the clients 1.1 to 1.3, by long-polling; on a WebSocket they are like the later ones.
V3_EARLY = replace(V3, codec=engine_v2, only_binary_payloads=True)
#: Of the clients 1.0, in browsers.
V2 = replace(V3_EARLY, revision="2", plain_text=False)
V4_BASE64 = replace(V4, base64_only=True)
V3_BASE64 = replace(V3, base64_only=True)
V3_EARLY_BASE64 = replace(V3_EARLY, base64_only=True)
V2_BASE64 = replace(V2, base64_only=True)
#: Of clients that speak no Socket.IO, on a WebSocket of their own: they are never on long-polling.
PLAIN = Dialect("plain", "", cast(EngineCodec, plain), plain_text=False, acknowledges=False)
#: Of those of them that only read, from a stream of server-sent events.
SSE = replace(PLAIN, codec=cast(EngineCodec, sse))


@functools.cache
def plain_deflated(window_bits: int) -> Dialect:
    """Return the dialect of those of them that take compressed messages, with windows of this size."""
    return replace(PLAIN, codec=cast(EngineCodec, DeflateCodec(window_bits)))


_DIALECTS: dict[tuple[str, bool], Dialect] = {
    (dialect.revision, dialect.base64_only): dialect for dialect in (V4, V4_BASE64, V3, V3_BASE64, V2, V2_BASE64)
}
_EARLY = {dialect.base64_only: dialect for dialect in (V3_EARLY, V3_EARLY_BASE64)}
#: How the clients 1.0 to 1.3 keep their polls out of caches, with ``t``: milliseconds, and a number. Later ones write
#: the time in 64 digits, and put a dot before the number.
EARLY_STAMP = re.compile(r"[0-9]{12,15}-[0-9]{1,15}")


def find_dialect(revision: str, base64_only: bool, stamp: str = "") -> Dialect | None:
    """Return the dialect that a client asks for with ``EIO``, ``b64`` and ``t``, or None if it is not spoken here."""
    if revision == "3" and EARLY_STAMP.fullmatch(stamp):
        return _EARLY[base64_only]
    return _DIALECTS.get((revision, base64_only))
