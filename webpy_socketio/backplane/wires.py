"""The wires: what inquiries and their answers look like between processes, whichever adapter of Node's they speak.

What is asked and answered is the same everywhere. Kinds of requests are those of ``redis_wire``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..envelope import Envelope
from .redis_wire import (
    SERVER_SIDE_EMIT,
    Message,
    Names,
    Request,
    encode_ack,
    encode_question,
    encode_request,
    encode_response,
)


class Wire(Protocol):
    """How one process writes to the others."""

    #: The id of the process.
    uid: str

    def requests(self, namespace: str) -> bytes:
        """The channel where requests go. How many subscribed to it is how many processes there are."""

    def ears(self, namespace: str) -> tuple[bytes, ...]:
        """The channels where responses to this process may come."""

    def mouth(self, namespace: str, request: Request) -> bytes:
        """The channel where the response to a request goes."""

    def write_request(self, kind: int, namespace: str, request_id: str | None, fields: Message) -> bytes:
        """Encode a request; without an id, it wants no response. Raises UnsendableValue."""

    def write_question(self, request_id: str, envelope: Envelope, seconds: float) -> bytes:
        """Encode an event that is to be acknowledged within so many seconds. Raises UnsendableValue."""

    def write_response(self, namespace: str, request: Request, fields: Message) -> bytes:
        """Encode a response. Raises UnsendableValue."""

    def write_ack(self, namespace: str, request: Request, args: Sequence[Any]) -> bytes:
        """Encode what one client acknowledged. Raises UnsendableValue."""


class PubSubWire:
    """That of ``@socket.io/redis-adapter``."""

    def __init__(self, names: Names, uid: str) -> None:
        self.uid = uid
        self._names = names

    def requests(self, namespace: str) -> bytes:
        """All processes have one channel for each namespace."""
        return self._names.request(namespace)

    def ears(self, namespace: str) -> tuple[bytes, ...]:
        """Old adapters respond where all listen."""
        return self._names.my_responses(namespace)

    def mouth(self, namespace: str, request: Request) -> bytes:
        """Node listens for what its server-side events are answered where all do, only."""
        return self._names.response(namespace, None if request.kind == SERVER_SIDE_EMIT else request.uid)

    def write_request(self, kind: int, namespace: str, request_id: str | None, fields: Message) -> bytes:
        """The namespace is told by the channel."""
        return encode_request(kind, self.uid, request_id, **fields)

    def write_question(self, request_id: str, envelope: Envelope, seconds: float) -> bytes:
        """In MessagePack, as it may have binary values."""
        return encode_question(self.uid, request_id, envelope, seconds)

    def write_response(self, namespace: str, request: Request, fields: Message) -> bytes:
        """In JSON."""
        return encode_response(request.request_id, **fields)

    def write_ack(self, namespace: str, request: Request, args: Sequence[Any]) -> bytes:
        """In MessagePack."""
        return encode_ack(request.request_id, args)
