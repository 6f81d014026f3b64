"""Engine.IO revision 4: packets as WebSocket frames and as long-polling payloads.

A payload is packets joined by the byte 0x1E. Binary messages are base64 text in payloads, and frames of their own on
a WebSocket.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from ..errors import PacketError
from .frames import decode_base64, frame_binary, frame_text
from .packets import TYPES, EnginePacket, EngineType

SEPARATOR = b"\x1e"
MESSAGE = EngineType.MESSAGE


def decode_text(text: str) -> EnginePacket:
    """Decode one packet in text form. Raises PacketError for an empty packet or an unknown type."""
    kind = TYPES.get(text[:1])
    if kind is not None:
        return EnginePacket(kind, text[1:])
    if text[:1] == "b":
        return EnginePacket(MESSAGE, decode_base64(text[1:]))
    raise PacketError("unknown type of packet" if text else "empty packet")


def decode_binary(data: bytes) -> EnginePacket:
    """Decode one packet in binary form: the bytes are the message, even if there are none."""
    return EnginePacket(MESSAGE, data)


def decode_payload(body: bytes, is_binary: bool = False) -> Iterator[EnginePacket]:
    """Decode a long-polling payload packet by packet; PacketError is raised when the first bad one is reached.

    :param is_binary: whether the request said that its body is ``application/octet-stream``, which no client of this
        revision does.
    """
    if is_binary:
        raise PacketError("a payload is text")
    start = 0
    while start >= 0:  # one by one: a list of very many tiny packets would be much larger than the payload
        end = body.find(SEPARATOR, start)
        try:
            text = (body[start:end] if end >= 0 else body[start:]).decode()
        except UnicodeDecodeError:
            raise PacketError("not UTF-8") from None
        yield decode_text(text)
        start = end + 1 if end >= 0 else end


def encode_frames(kind: EngineType, text: bytes | None, attachments: Iterable[bytes], base64_only: bool) -> bytes:
    """Encode a packet and its attachments as WebSocket frames, in one piece so that nothing comes between them."""
    frames = b"" if text is None else frame_text(kind.prefix + text)
    for data in attachments:
        frames += frame_text(b"b" + base64.b64encode(data)) if base64_only else frame_binary(data)
    return frames


def encode_piece(kind: EngineType, text: bytes | None, attachments: Iterable[bytes]) -> bytes:
    """Encode a packet and its attachments as a piece of a payload, for :func:`join_payload`."""
    packets = [] if text is None else [kind.prefix + text]
    packets += (b"b" + base64.b64encode(data) for data in attachments)
    return SEPARATOR.join(packets)


def encode_binary_piece(kind: EngineType, text: bytes | None, attachments: Iterable[bytes]) -> bytes:
    """This revision has no binary payloads: the piece is the same."""
    return encode_piece(kind, text, attachments)


def join_payload(pieces: Iterable[bytes]) -> bytes:
    """Make one payload of encoded pieces."""
    return SEPARATOR.join(pieces)
