"""Dialects: what differs from one generation of clients to the next, and the only place that knows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from . import engine_v4
from .packets import EnginePacket, EngineType, SocketPacket, SocketType


class EngineCodec(Protocol):
    """What a module for one revision of Engine.IO offers."""

    def decode_text(self, text: str) -> EnginePacket: ...
    def decode_binary(self, data: bytes) -> EnginePacket: ...
    def decode_payload(self, body: bytes) -> Iterator[EnginePacket]: ...
    def encode_frames(
        self, kind: EngineType, text: bytes, attachments: Iterable[bytes], base64_only: bool
    ) -> bytes: ...
    def encode_piece(self, kind: EngineType, text: bytes, attachments: Iterable[bytes]) -> bytes: ...
    def join_payload(self, pieces: Iterable[bytes]) -> bytes: ...


@dataclass(frozen=True, eq=False)
class Dialect:
    """One generation of the protocols, as one kind of client speaks it.

    Compared by identity: it is the key under which prepared packets remember their forms.
    """

    name: str
    #: The query parameter EIO.
    revision: str
    codec: EngineCodec
    #: Whether attachments travel as base64 text on WebSockets too (the client asked with ``b64``).
    base64_only: bool = False

    def connect(self, namespace: str, sid: str) -> SocketPacket:
        """The answer to a client that joined a namespace."""
        return SocketPacket(SocketType.CONNECT, namespace, {"sid": sid})

    def connect_error(self, namespace: str, message: str, data: Any = None) -> SocketPacket:
        """The answer to a client that may not join a namespace."""
        error = {"message": message} if data is None else {"message": message, "data": data}
        return SocketPacket(SocketType.CONNECT_ERROR, namespace, error)


V4 = Dialect("Socket.IO 3.x and 4.x", "4", engine_v4)
V4_BASE64 = replace(V4, base64_only=True)

_DIALECTS = {("4", False): V4, ("4", True): V4_BASE64}


def find_dialect(revision: str, base64_only: bool) -> Dialect | None:
    """Return the dialect that a client asks for with ``EIO`` and ``b64``, or None if it is not spoken here."""
    return _DIALECTS.get((revision, base64_only))
