"""What the revisions of Engine.IO have in common: WebSocket frames, and binary data as text."""

from __future__ import annotations

import base64
import binascii

from websockets.frames import Frame, Opcode

from ..errors import PacketError


def frame_text(data: bytes) -> bytes:
    """Return a WebSocket text frame."""
    return bytes(Frame(Opcode.TEXT, data).serialize(mask=False))


def frame_binary(data: bytes) -> bytes:
    """Return a WebSocket binary frame."""
    return bytes(Frame(Opcode.BINARY, data).serialize(mask=False))


def decode_base64(text: str) -> bytes:
    """Return the bytes that clean, padded base64 stands for. Raises PacketError for any other text."""
    if len(text) % 4:  # Python 3.10 takes some texts without their padding
        raise PacketError("not base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PacketError("not base64") from None
