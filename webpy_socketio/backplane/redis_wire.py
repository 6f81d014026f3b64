"""The wire between processes: what goes over Redis, as Node's ``@socket.io/redis-adapter`` (versions 6 to 8) has it.

What goes out keeps to the letter of it: an array of three, always with options, always of type 2. A process of Node's
dies of less. What comes in may be written more freely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..envelope import Envelope, Selection, SocketDetails
from ..errors import PacketError, UnsendableValue
from ..wire.socketio import RESERVED_EVENTS
from ..wire.values import decode_value, encode_text
from .redis_values import pack, unpack

EVENT, BINARY_EVENT = 2, 5
#: Kinds of requests.
SOCKETS, ALL_ROOMS, JOIN, LEAVE, DISCONNECT, FETCH, SERVER_SIDE_EMIT, BROADCAST = range(8)
#: Kinds of responses to BROADCAST: how many clients a process has sent it to, and what one of them acknowledged.
CLIENT_COUNT, ACK = 8, 9
#: Characters in the id of a process and of a request. The codecs count on that, see :func:`own_marks`.
ID_LENGTH = 6
Message = dict[str, Any]


class Names:
    """The names of Redis' channels for one cluster.

    :param key: what they begin with; only processes with the same hear each other.
    """

    def __init__(self, key: str, uid: str) -> None:
        self._uid = uid
        self.broadcasts = f"{key}#".encode()
        self.requests = f"{key}-request#".encode()
        self.responses = f"{key}-response#".encode()
        #: The broadcasts of all namespaces, as a pattern of Redis'.
        self.all_broadcasts = re.sub(r"([*?\[\]\\])", r"\\\1", key).encode() + b"#/*"
        #: What a process sends to itself, to know that it would hear others.
        self.echo = f"{key}-echo#{uid}#".encode()
        #: Where all hear who joins and leaves channels with presence, and one hears who is there when it has asked.
        self.presences = f"{key}-presence#".encode()
        self.my_presences = f"{key}-presence#{uid}#".encode()

    def broadcast(self, selection: Selection) -> bytes:
        """Where a broadcast goes: one for a single channel has a name that tells who need not read it."""
        room = selection.channels[0] + "#" if len(selection.channels) == 1 else ""
        return self.broadcasts + _encode(f"{selection.namespace}#{room}")

    def request(self, namespace: str) -> bytes:
        """Where requests go. How many subscribed to it is how many processes there are."""
        return self.requests + _encode(f"{namespace}#")

    def response(self, namespace: str, uid: Any = None) -> bytes:
        """Where responses go: to one process, if it is known (adapters before 7.1 listen only where all do)."""
        is_known = isinstance(uid, str) and uid != ""
        return self.responses + _encode(f"{namespace}#{uid}#" if is_known else f"{namespace}#")

    def my_responses(self, namespace: str) -> tuple[bytes, bytes]:
        """Where responses to this process may come."""
        return self.response(namespace), self.response(namespace, self._uid)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def splits(rest: bytes) -> list[tuple[str, str]]:
    """What the name of a broadcast's channel, without its beginning, may mean: a namespace and a room, or none.

    Both may have the separator in them, so there is more than one way to read some.
    """
    text = rest.decode("utf-8", "replace")
    if not text.endswith("#"):
        return []
    ends = [place for place, character in enumerate(text) if character == "#"]
    return [(text[:place], text[place + 1 : -1]) for place in ends]


def own_marks(uid: str) -> tuple[bytes, bytes, bytes]:
    """How everything begins that a process with this id publishes: broadcasts, and requests in JSON and MessagePack."""
    packed = pack(uid)
    return b"\x93" + packed, b'{"uid":"' + uid.encode() + b'"', b"\x85" + pack("uid") + packed


# Broadcasts.


def encode_broadcast(uid: str, envelope: Envelope) -> bytes:
    """Encode an event for the other processes. Raises UnsendableValue."""
    return pack([uid, {**_packet(envelope), "nsp": envelope.selection.namespace}, _options(envelope)])


def decode_broadcast(payload: bytes) -> Envelope:
    """Decode an event of another process. Raises PacketError."""
    message = unpack(payload)
    if not isinstance(message, list) or len(message) < 2:
        raise PacketError("a broadcast is an array of an id, a packet and options")
    return read_envelope(message[1], message[2] if len(message) > 2 else None)


def read_envelope(packet: Any, options: Any) -> Envelope:
    """Return the event that a packet and its options stand for. Raises PacketError."""
    if not isinstance(packet, dict) or packet.get("type", EVENT) not in (EVENT, BINARY_EVENT):
        raise PacketError("only events are broadcast")
    data, namespace = packet.get("data"), packet.get("nsp", "/")
    if not isinstance(data, list) or not data or not isinstance(namespace, str):
        raise PacketError("an event has a list that begins with its name, and a namespace")
    if type(data[0]) not in (str, int, float) or data[0] in RESERVED_EVENTS:
        raise PacketError("no event has such a name")
    flags = options.get("flags") if isinstance(options, dict) else None
    volatile = isinstance(flags, dict) and flags.get("volatile") is True
    return Envelope(read_selection(namespace, options), data, volatile)


def read_selection(namespace: str, options: Any) -> Selection:
    """Return whom options mean. Raises PacketError."""
    if not isinstance(options, dict):
        options = {}
    return Selection(namespace, read_rooms(options.get("rooms")), read_rooms(options.get("except")))


def read_rooms(rooms: Any) -> tuple[str, ...]:
    """Return the names of rooms, each once. Raises PacketError if one is none: without it, others would be meant."""
    if not rooms:
        return ()
    if not isinstance(rooms, list):
        raise PacketError("rooms are a list")
    return tuple(dict.fromkeys(map(_room, rooms)))


def _room(name: Any) -> str:
    """Node's rooms may be numbers; ours are texts."""
    if isinstance(name, float) and name.is_integer():
        name = int(name)
    if isinstance(name, bool) or not isinstance(name, (str, int, float)):
        raise PacketError("a room has a name")
    return str(name)


def broadcast_of(envelope: Envelope) -> Message:
    """An event and whom it is for."""
    return {"packet": _packet(envelope), "opts": _options(envelope)}


def question_of(envelope: Envelope, seconds: float) -> Message:
    """An event that everybody is to acknowledge within so many seconds."""
    question = broadcast_of(envelope)
    question["opts"]["flags"]["timeout"] = round(min(seconds, 1e6) * 1000)
    return question


def _packet(envelope: Envelope) -> Message:
    return {"type": EVENT, "data": envelope.data}


def _options(envelope: Envelope) -> Message:
    return {**options_of(envelope.selection), "flags": {"volatile": True} if envelope.volatile else {}}


def options_of(selection: Selection) -> Message:
    """Whom a request means."""
    return {"rooms": list(selection.channels), "except": list(selection.excluded)}


# Requests and responses.


class Request(NamedTuple):
    """What another process wants to know, or to have done."""

    kind: int
    #: Who asks, if it says so.
    uid: Any
    #: What its answer has to name; None if it wants none.
    request_id: Any
    fields: Message


def encode_request(kind: int, uid: str | None, request_id: str | None = None, **fields: Any) -> bytes:
    """Encode a request; what wants no answer may come from nobody. Raises UnsendableValue, for binary values too."""
    head: Message = {} if uid is None else {"uid": uid}
    if request_id is not None:
        head["requestId"] = request_id
    return encode_text({**head, "type": kind, **fields})


def encode_question(uid: str, request_id: str, envelope: Envelope, seconds: float) -> bytes:
    """Encode an event that everybody is to acknowledge within so many seconds. Raises UnsendableValue."""
    question = question_of(envelope, seconds)
    question["packet"]["nsp"] = envelope.selection.namespace
    return pack({"uid": uid, "requestId": request_id, "type": BROADCAST, **question})


def decode_request(payload: bytes) -> Request:
    """Decode a request, in JSON or MessagePack. Raises PacketError."""
    message = decode_message(payload)
    kind = message.get("type")
    if isinstance(kind, bool) or not isinstance(kind, int):
        raise PacketError("a request has a type")
    return Request(kind, message.get("uid"), message.get("requestId"), message)


def encode_response(request_id: Any, **fields: Any) -> bytes:
    """Encode a response. Raises UnsendableValue for values that JSON has no form for."""
    return encode_text({"requestId": request_id, **fields})


def encode_ack(request_id: Any, args: Sequence[Any]) -> bytes:
    """Encode what one client acknowledged; Node takes the first value only. Raises UnsendableValue."""
    head = {"type": ACK, "requestId": request_id}
    return pack({**head, "packet": args[0]} if args else head)


def decode_message(payload: bytes) -> Message:
    """Decode what has fields, in JSON or MessagePack. Raises PacketError."""
    try:
        message = decode_value(payload.decode()) if payload.startswith(b"{") else unpack(payload)
    except UnicodeDecodeError:
        raise PacketError("not UTF-8") from None
    if not isinstance(message, dict):
        raise PacketError("requests and responses have fields")
    return message


# What is told of sockets.


def describe_socket(sid: str, channels: Sequence[str], context: Mapping[Any, Any], handshake: Message) -> Message:
    """Return what is told of a socket. What JSON has no form for stays out of ``data``: others can do without it."""
    data = {key: value for key, value in context.items() if isinstance(key, str) and _is_sendable(value)}
    return {"id": sid, "handshake": handshake, "rooms": [sid, *channels], "data": data}


def _is_sendable(value: Any) -> bool:
    try:
        encode_text(value)
    except UnsendableValue:
        return False
    return True


def read_sockets(message: Message) -> list[SocketDetails]:
    """Return the sockets that a response tells of. Raises PacketError."""
    return [_read_socket(details) for details in _list(message, "sockets")]


def _read_socket(details: Any) -> SocketDetails:
    if not isinstance(details, dict) or not isinstance(details.get("id"), str):
        raise PacketError("a socket has an id")
    sid, data = details["id"], details.get("data")
    channels = [name for name in read_rooms(details.get("rooms")) if name != sid]
    return SocketDetails(sid, channels, data if isinstance(data, dict) else {})


def read_names(message: Message, field: str) -> tuple[str, ...]:
    """Return the names that a response lists. Raises PacketError."""
    return read_rooms(_list(message, field))


def _list(message: Message, field: str) -> list[Any]:
    value = message.get(field)
    if not isinstance(value, list):
        raise PacketError(f"{field} is a list")
    return value
