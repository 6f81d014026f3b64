"""What the revisions of Engine.IO have in common: WebSocket frames, and binary data as text."""

from __future__ import annotations

import base64
import binascii
import struct

from ..errors import PacketError
from .messages import LONG, SHORT, WHOLE_BINARY, WHOLE_TEXT

SHORT_LENGTHS, LONGER_LENGTHS = 126, 65_536
#: The heads of short frames, made once: they are most of what making a frame costs.
TEXT_HEADS = tuple(bytes((WHOLE_TEXT, length)) for length in range(SHORT_LENGTHS))


def frame_text(data: bytes) -> bytes:
    """Return a WebSocket text frame as a server sends it (RFC 6455, section 5.2)."""
    length = len(data)
    return (TEXT_HEADS[length] if length < SHORT_LENGTHS else head(WHOLE_TEXT, length)) + data


def frame_binary(data: bytes) -> bytes:
    """Return a WebSocket binary frame as a server sends it."""
    return head(WHOLE_BINARY, len(data)) + data


def decode_base64(text: str) -> bytes:
    """Return the bytes that clean, padded base64 stands for. Raises PacketError for any other text."""
    if len(text) % 4:  # Python 3.10 takes some texts without their padding
        raise PacketError("not base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PacketError("not base64") from None


def head(first: int, length: int) -> bytes:
    """Return the beginning of a frame as a server sends it, before so many bytes.

    :param first: its first byte, which tells what it is.
    """
    if length < SHORT_LENGTHS:
        return bytes((first, length))
    if length < LONGER_LENGTHS:
        return struct.pack("!BBH", first, SHORT, length)
    return struct.pack("!BBQ", first, LONG, length)
