"""Engine.IO revision 3, of Socket.IO clients 1.x and 2.x.

A payload is packets that each begin with their length: in text, counted in UTF-16 code units (what JavaScript takes for
a string's length), or in bytes if the payload has binary packets and the client can take such.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from ..errors import PacketError
from .frames import decode_base64, frame_binary, frame_text
from .packets import TYPES, EnginePacket, EngineType

#: Digits in the longest length that is read; more are no length of anything that would be accepted.
LONGEST_LENGTH = 12
TEXT_MARK, BINARY_MARK, END_OF_LENGTH = 0, 1, 0xFF
TYPES_BY_BYTE = {int(kind.value): kind for kind in EngineType}


def decode_text(text: str) -> EnginePacket:
    """Decode one packet in text form. Raises PacketError for an empty packet or an unknown type."""
    kind = TYPES.get(text[:1])
    if kind is not None:
        return EnginePacket(kind, text[1:])
    if text[:1] == "b" and text[1:2] in TYPES:
        return EnginePacket(TYPES[text[1:2]], decode_base64(text[2:]))
    raise PacketError("unknown type of packet" if text else "empty packet")


def decode_binary(data: bytes) -> EnginePacket:
    """Decode one packet in binary form: its first byte is the type. Raises PacketError for an unknown one."""
    kind = TYPES_BY_BYTE.get(data[0]) if data else None
    if kind is None:
        raise PacketError("unknown type of packet")
    return EnginePacket(kind, data[1:])


def decode_payload(body: bytes, is_binary: bool) -> Iterator[EnginePacket]:
    """Decode a long-polling payload packet by packet; PacketError is raised when the first bad one is reached.

    :param is_binary: whether the request said that its body is ``application/octet-stream``.
    """
    if not body:
        raise PacketError("empty payload")
    yield from _decode_binary_payload(body) if is_binary else _decode_text_payload(body)


def encode_frames(kind: EngineType, text: bytes | None, attachments: Iterable[bytes], base64_only: bool) -> bytes:
    """Encode a packet and its attachments as WebSocket frames, in one piece so that nothing comes between them."""
    frames = b"" if text is None else frame_text(kind.prefix + text)
    for data in attachments:
        frames += frame_text(b"b4" + base64.b64encode(data)) if base64_only else frame_binary(b"\x04" + data)
    return frames


def encode_piece(kind: EngineType, text: bytes | None, attachments: Iterable[bytes]) -> bytes:
    """Encode a packet and its attachments as a piece of a text payload."""
    packets = [] if text is None else [kind.prefix + text]
    packets += (b"b4" + base64.b64encode(data) for data in attachments)
    return b"".join(b"%d:%b" % (_units(packet), packet) for packet in packets)


def encode_binary_piece(kind: EngineType, text: bytes | None, attachments: Iterable[bytes]) -> bytes:
    """Encode a packet and its attachments as a piece of a binary payload."""
    pieces = [] if text is None else [_binary_packet(TEXT_MARK, kind.prefix + text)]
    pieces += (_binary_packet(BINARY_MARK, b"\x04" + data) for data in attachments)
    return b"".join(pieces)


def join_payload(pieces: Iterable[bytes]) -> bytes:
    """Make one payload of encoded pieces, all in the same form."""
    return b"".join(pieces)


def _binary_packet(mark: int, packet: bytes) -> bytes:
    length = bytes(int(digit) for digit in str(len(packet)))
    return bytes((mark,)) + length + bytes((END_OF_LENGTH,)) + packet


def _units(packet: bytes) -> int:
    """The length of UTF-8 text in UTF-16 code units."""
    return len(packet) if packet.isascii() else len(packet.decode().encode("utf-16-le")) // 2


def _decode_text_payload(body: bytes) -> Iterator[EnginePacket]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise PacketError("not UTF-8") from None
    position = 0
    while position < len(text):
        colon = text.find(":", position, position + LONGEST_LENGTH + 1)
        digits = text[position:colon] if colon >= 0 else ""
        if not digits or not digits.isascii() or not digits.isdigit():
            raise PacketError("a packet does not begin with its length")
        end = _after_units(text, colon + 1, int(digits))
        if end > colon + 1:  # an empty packet is skipped
            yield decode_text(text[colon + 1 : end])
        position = end


def _after_units(text: str, start: int, units: int) -> int:
    """Return where so many UTF-16 code units after ``start`` end. Raises PacketError if the text is shorter."""
    end = start + units
    if end <= len(text) and text.isascii():
        return end
    position = start
    while units > 0 and position < len(text):
        units -= 2 if text[position] > "\uffff" else 1
        position += 1
    if units:
        raise PacketError("a packet is shorter than its length")
    return position


def _decode_binary_payload(body: bytes) -> Iterator[EnginePacket]:
    position = 0
    while position < len(body):
        end = body.find(END_OF_LENGTH, position + 1, position + 2 + LONGEST_LENGTH)
        digits = body[position + 1 : end] if end >= 0 else b""
        if body[position] not in (TEXT_MARK, BINARY_MARK) or not digits or max(digits) > 9:
            raise PacketError("a packet does not begin with its length")
        length = int("".join(map(str, digits)))
        packet = body[end + 1 : end + 1 + length]
        if len(packet) < length:
            raise PacketError("a packet is shorter than its length")
        if packet:
            yield decode_binary(packet) if body[position] == BINARY_MARK else _decode_text_bytes(packet)
        position = end + 1 + length


def _decode_text_bytes(packet: bytes) -> EnginePacket:
    try:
        return decode_text(packet.decode())
    except UnicodeDecodeError:
        raise PacketError("not UTF-8") from None
