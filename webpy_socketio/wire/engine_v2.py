"""Engine.IO as Socket.IO clients 1.0 to 1.3 speak it: revision 3, with text that is UTF-8 twice.

Those of 1.0 call it revision 2 in browsers, and double the text on a WebSocket too; those of 1.1 to 1.3 call it 3, and
double it in text payloads only. In binary payloads it is UTF-8 once. What is sent is ASCII, and the same either way.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import engine_v3
from .engine_v3 import decode_binary, encode_binary_piece, encode_frames, encode_piece, join_payload
from .packets import EnginePacket

__all__ = [
    "decode_binary",
    "decode_payload",
    "decode_text",
    "encode_binary_piece",
    "encode_frames",
    "encode_piece",
    "join_payload",
]


def decode_text(text: str) -> EnginePacket:
    """Decode one packet in text form. Raises PacketError for an empty packet or an unknown type."""
    return _decode_again(engine_v3.decode_text(text))


def decode_payload(body: bytes, is_binary: bool) -> Iterator[EnginePacket]:
    """Decode a long-polling payload packet by packet; PacketError is raised when the first bad one is reached.

    :param is_binary: whether the request said that its body is ``application/octet-stream``.
    """
    packets = engine_v3.decode_payload(body, is_binary)
    return packets if is_binary else map(_decode_again, packets)


def _decode_again(packet: EnginePacket) -> EnginePacket:
    """Undo the second encoding, which made every byte of the first one a character; text without it stays as it is."""
    if not isinstance(packet.data, str) or packet.data.isascii():
        return packet
    try:
        return packet._replace(data=packet.data.encode("latin-1").decode())
    except UnicodeError:
        return packet
