"""Socket.IO packets, protocol revisions 4 and 5: text and attachments to SocketPacket and back.

``packet = type [count "-"] [namespace ","] [id] [json]``
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import LimitExceeded, PacketError, UnsendableValue
from ..options import DEEPEST
from .packets import SocketPacket, SocketType
from .values import decode_value, encode_plain, encode_value

#: Names that the libraries use for events of their own; a peer must never be able to raise them.
RESERVED_EVENTS = frozenset(
    ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
)
#: How an event of the main namespace that asks for no acknowledgement begins: nearly all traffic.
PLAIN_EVENT = "2["
NO_ATTACHMENTS: tuple[bytes, ...] = ()
LONGEST_ID = 15  # digits that a JavaScript number holds exactly

TYPES = tuple(SocketType)
EVENT, ACK = SocketType.EVENT, SocketType.ACK
BINARY_TYPES = {EVENT: SocketType.BINARY_EVENT, ACK: SocketType.BINARY_ACK}
PACKET = re.compile(r"([0-6])(?:([0-9]+)-)?(?:(/[^,]*),?)?([0-9]+)?(.*)", re.DOTALL)


class EncodedPacket(NamedTuple):
    """A Socket.IO packet in the form that every transport shares."""

    text: bytes
    attachments: list[bytes]


def encode_event(
    namespace: str, data: list[Any], ack_id: int | None, max_attachments: int
) -> tuple[bytes, Sequence[bytes]]:
    """Encode an event. Raises UnsendableValue as :func:`encode_packet` does."""
    if ack_id is None and namespace == "/":
        text = encode_plain(data)
        if text is not None:
            return b"2" + text, NO_ATTACHMENTS
    return encode_packet(SocketPacket(EVENT, namespace, data, ack_id), max_attachments)


def encode_packet(packet: SocketPacket, max_attachments: int) -> EncodedPacket:
    """Encode a packet, turning an event or ack that holds bytes into its binary kind.

    Raises UnsendableValue if the data has no form on the wire or holds more binaries than receivers accept.
    """
    kind, namespace, data, packet_id, _ = packet
    try:
        json, attachments = (b"", []) if data is None else encode_value(data)
    except UnsendableValue as error:
        raise UnsendableValue(_place(kind, data, error.path), error.problem) from None
    if attachments:
        if kind not in BINARY_TYPES:
            raise UnsendableValue("data", "holds binary values, which only events and acknowledgements carry")
        if len(attachments) > max_attachments:
            raise UnsendableValue("data", f"holds {len(attachments)} binary values; receivers take {max_attachments}")
        head = f"{BINARY_TYPES[kind]:d}{len(attachments)}-"
    else:
        head = f"{kind:d}"
    if namespace != "/":
        head += namespace + ","
    if packet_id is not None:
        head += str(packet_id)
    return EncodedPacket(head.encode() + json, attachments)


def _place(kind: SocketType, data: Any, path: str) -> str:
    """Where in what the caller gave a value stands: the name of the event comes before it on the wire only."""
    match = re.match(r"data\[(\d+)\]", path)
    if match is None or kind is not EVENT:
        return path
    rest = path[match.end() :]
    return ("message" if data[0] == "message" else f"args[{int(match[1]) - 1}]") + rest


def decode_packet(text: str, max_attachments: int, max_depth: int = DEEPEST) -> SocketPacket:
    """Decode the text of a packet; binary kinds come back with the number of attachments that must follow.

    Raises PacketError for every form that the protocol document calls invalid, LimitExceeded beyond the two limits.
    """
    match = PACKET.fullmatch(text)
    if match is None:
        raise PacketError("unknown packet type")
    digit, count, namespace, packet_id, json = match.groups()
    kind = TYPES[int(digit)]
    if packet_id is not None and len(packet_id) > LONGEST_ID:
        raise PacketError("the id is too long")
    data = _checked(kind, decode_value(json, max_depth)) if json else _without_payload(kind)
    return SocketPacket(
        kind,
        namespace or "/",
        data,
        None if packet_id is None else int(packet_id),
        _attachment_count(kind, count, max_attachments),
    )


def decode_event(text: str, max_depth: int = DEEPEST) -> list[Any]:
    """Decode what an event packet carries: its name and its arguments. Raises PacketError, or LimitExceeded."""
    return _checked_event(decode_value(text, max_depth))


def _checked_event(data: Any) -> list[Any]:
    if type(data) is list and data:
        name = data[0]
        if (type(name) is str and name not in RESERVED_EVENTS) or type(name) in (int, float):
            return data
    raise PacketError("an event is a list that begins with its name")


def _attachment_count(kind: SocketType, count: str | None, limit: int) -> int:
    binary = kind in BINARY_TYPES.values()
    if binary != (count is not None):
        raise PacketError("the number of attachments is missing, or out of place")
    if count is None:
        return 0
    number = int(count[: LONGEST_ID + 1])
    if number > limit:
        raise LimitExceeded("max_attachments", f"an event has at most {limit}")
    if number < 1 or len(count) > LONGEST_ID:
        raise PacketError("the number of attachments is none")
    return number


def _without_payload(kind: SocketType) -> Any:
    if kind in (EVENT, SocketType.BINARY_EVENT):
        raise PacketError("an event needs a name")
    return [] if kind in (ACK, SocketType.BINARY_ACK) else None


def _checked(kind: SocketType, data: Any) -> Any:
    """Return the payload if it fits the type of packet."""
    if kind is EVENT or kind is SocketType.BINARY_EVENT:
        return _checked_event(data)
    if kind is ACK or kind is SocketType.BINARY_ACK:
        if type(data) is list:
            return data
    elif kind is SocketType.CONNECT:
        if type(data) is dict:
            return data
    elif kind is SocketType.CONNECT_ERROR and type(data) in (str, dict):
        return data
    raise PacketError(f"the payload does not fit a packet of type {kind.name}")


class Assembler:
    """Collects the attachments of one binary packet. Make a new one for each."""

    __slots__ = ("_buffers", "_packet")

    def __init__(self, packet: SocketPacket) -> None:
        self._packet = packet
        self._buffers: list[bytes] = []

    def add(self, data: bytes) -> SocketPacket | None:
        """Take the next attachment; return the whole packet once it is complete.

        Raises PacketError if a placeholder names an attachment that does not exist.
        """
        self._buffers.append(data)
        if len(self._buffers) < self._packet.attachments:
            return None
        try:
            return self._packet._replace(data=self._fill(self._packet.data), attachments=0)
        except RecursionError:
            raise PacketError("nested too deeply") from None

    def _fill(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._fill(part) for part in value]
        if isinstance(value, dict):
            if value.get("_placeholder") is True:
                return self._buffer(value.get("num"))
            return {key: self._fill(part) for key, part in value.items()}
        return value

    def _buffer(self, number: Any) -> bytes:
        if type(number) is not int or not 0 <= number < len(self._buffers):
            raise PacketError("a placeholder names no attachment")
        return self._buffers[number]
