"""The wire of Node's ``@socket.io/redis-streams-adapter`` (version 0.3): what is for all goes into one stream of
Redis', what is asked and answered over Pub/Sub.

A message is the id of its process, a namespace, a type and data; in the stream these are fields of an entry.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..envelope import Envelope
from ..errors import PacketError, UnsendableValue
from ..wire.values import decode_value, encode_text
from .redis_values import pack, unpack
from .redis_wire import (
    ACK,
    BROADCAST,
    CLIENT_COUNT,
    DISCONNECT,
    FETCH,
    JOIN,
    LEAVE,
    SERVER_SIDE_EMIT,
    Message,
    Names,
    Request,
    broadcast_of,
    question_of,
    read_envelope,
)

EMIT = 3
#: Our kinds of requests, which are those of the other adapter, by their types here; and the types of responses.
KINDS = {EMIT: BROADCAST, 4: JOIN, 5: LEAVE, 6: DISCONNECT, 7: FETCH, 9: SERVER_SIDE_EMIT}
TYPES = {kind: number for number, kind in KINDS.items()}
RESPONSES = {8: FETCH, 10: SERVER_SIDE_EMIT, 11: CLIENT_COUNT, 12: ACK}
RESPONSE_TYPES = {kind: number for number, kind in RESPONSES.items()}
#: The field of an entry in which a process counts its own; Node's do not look at it.
NUMBER = b"n"


class Entry(NamedTuple):
    """An entry of the stream."""

    uid: str
    namespace: str
    type: int
    data: Message
    #: How many its process had added before; -1 if it does not tell.
    number: int


class StreamsWire:
    """How one process writes to the others."""

    def __init__(self, key: str, uid: str | None = None) -> None:
        self.uid = secrets.token_hex(8) if uid is None else uid
        self._names = Names(key, self.uid)

    # The stream.

    def write_event(self, envelope: Envelope, number: int) -> list[bytes]:
        """Return an event as the fields of an entry. Raises UnsendableValue."""
        return self._entry(envelope.selection.namespace, EMIT, broadcast_of(envelope), number)

    def write_command(self, kind: int, namespace: str, fields: Message, number: int) -> list[bytes]:
        """Return what all others are to do as the fields of an entry."""
        return self._entry(namespace, TYPES[kind], fields, number)

    def _entry(self, namespace: str, number: int, data: Message, count: int) -> list[bytes]:
        head = [b"uid", self.uid.encode(), b"nsp", namespace.encode("utf-8", "replace"), b"type", b"%d" % number]
        return [*head, b"data", _text_of(data), NUMBER, b"%d" % count]

    # Over Pub/Sub.

    def requests(self, namespace: str) -> bytes:
        """All processes have one channel for each namespace."""
        return self._names.broadcasts + f"{namespace}#".encode("utf-8", "replace")

    def ears(self, namespace: str) -> tuple[bytes, ...]:
        """Each process has one of its own for each namespace."""
        return (self._private(namespace, self.uid),)

    def mouth(self, namespace: str, request: Request) -> bytes:
        """Whoever asked listens on one of its own."""
        return self._private(namespace, str(request.uid))

    def write_request(self, kind: int, namespace: str, request_id: str | None, fields: Message) -> bytes:
        """What handlers are called with is named like an event here."""
        if kind == SERVER_SIDE_EMIT:
            encode_text(fields["data"])  # as far as that goes, one adapter is as good as the other
            fields = {"packet": fields["data"]}
        head = {} if request_id is None else {"requestId": request_id}
        return self._message(namespace, TYPES[kind], {**head, **fields})

    def write_question(self, request_id: str, envelope: Envelope, seconds: float) -> bytes:
        """An event with the id of a request."""
        data = {**question_of(envelope, seconds), "requestId": request_id}
        return self._message(envelope.selection.namespace, EMIT, data)

    def write_response(self, namespace: str, request: Request, fields: Message) -> bytes:
        """The type says what it is the response to. Raises UnsendableValue."""
        kind = fields.pop("type", request.kind)
        if kind == SERVER_SIDE_EMIT:
            encode_text(fields["data"])
            fields = {"packet": fields["data"]}
        return self._message(namespace, RESPONSE_TYPES[kind], {"requestId": request.request_id, **fields})

    def write_ack(self, namespace: str, request: Request, args: Sequence[Any]) -> bytes:
        """Node takes the first value only."""
        data = {"requestId": request.request_id, **({"packet": args[0]} if args else {})}
        return self._message(namespace, RESPONSE_TYPES[ACK], data)

    def _private(self, namespace: str, uid: str) -> bytes:
        return self._names.broadcasts + f"{namespace}#{uid}#".encode("utf-8", "replace")

    def _message(self, namespace: str, number: int, data: Message) -> bytes:
        return pack({"type": number, "data": data, "uid": self.uid, "nsp": namespace})


def _text_of(data: Message) -> bytes:
    """Data as text: JSON, or if there is something binary in it MessagePack in base64."""
    try:
        return encode_text(data)
    except UnsendableValue:
        return base64.b64encode(pack(data))


def read_entry(fields: Mapping[bytes, bytes]) -> Entry | None:
    """Read an entry; None if it has no namespace, and so is nothing of ours. Raises PacketError."""
    if b"nsp" not in fields:
        return None
    uid, namespace = (fields.get(name, b"").decode("utf-8", "replace") for name in (b"uid", b"nsp"))
    return Entry(uid, namespace, _number(fields.get(b"type")), _read_data(fields), _number(fields.get(NUMBER)))


def _read_data(fields: Mapping[bytes, bytes]) -> Message:
    data = fields.get(b"data", b"{}")
    try:
        value = decode_value(data.decode()) if data.startswith(b"{") else unpack(base64.b64decode(data, validate=True))
    except (UnicodeDecodeError, binascii.Error):
        raise PacketError("neither JSON nor base64") from None
    return _fields(value)


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) < 16 else -1


def read_message(payload: bytes) -> Entry:
    """Read what came over Pub/Sub. Raises PacketError."""
    message = _fields(unpack(payload))
    uid, namespace, number = message.get("uid"), message.get("nsp"), message.get("type")
    if not isinstance(uid, str) or not isinstance(namespace, str) or type(number) is not int:
        raise PacketError("a message has the id of its process, a namespace and a type")
    return Entry(uid, namespace, number, _fields(message.get("data", {})), -1)


def _fields(value: Any) -> Message:
    if not isinstance(value, dict):
        raise PacketError("messages and their data have fields")
    return value


def as_request(entry: Entry) -> Request:
    """What an entry or a message asks for, as one of the other adapter's requests."""
    kind, fields = KINDS.get(entry.type, -1), entry.data
    if kind == SERVER_SIDE_EMIT:
        fields = {"data": fields.get("packet")}
    elif kind == BROADCAST:
        fields = fields | {"packet": _named_packet(entry)}
    return Request(kind, entry.uid, entry.data.get("requestId"), fields)


def as_response(entry: Entry) -> Message:
    """What a message answers, as one of the other adapter's responses."""
    kind, fields = RESPONSES.get(entry.type, -1), {**entry.data, "type": RESPONSES.get(entry.type, -1)}
    if kind == SERVER_SIDE_EMIT:
        fields["data"] = fields.get("packet")
    return fields


def event_of(entry: Entry) -> Envelope:
    """The event that an entry has. Raises PacketError."""
    return read_envelope(_named_packet(entry), entry.data.get("opts"))


def _named_packet(entry: Entry) -> Any:
    """The packet that an entry has, with its namespace, as the other adapter has it."""
    packet = entry.data.get("packet")
    return {**packet, "nsp": entry.namespace} if isinstance(packet, dict) else packet
