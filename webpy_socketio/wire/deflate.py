"""Compressed messages on plain WebSockets: permessage-deflate (RFC 7692).

No message refers to one before it, in either direction (no context takeover): so a message for many is compressed once,
and a connection that rests holds no window of what it was sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import build_extension, parse_extension
from websockets.typing import ExtensionName

from .frames import frame_binary, frame_text, head
from .packets import EnginePacket, EngineType
from .plain import PlainMessage, decode_binary, decode_text, encode_control, read_packet

#: Bytes. Shorter messages hardly become any shorter.
SHORTEST = 128
#: The binary logarithm of the smallest window that zlib compresses with (deflateInit2; RFC 7692 has 8, too).
SMALLEST_WINDOW = 9
#: The first bytes of compressed messages (RFC 7692, section 6).
COMPRESSED_TEXT, COMPRESSED_BINARY = 0xC1, 0xC2
#: What each compressed message would end with (section 7.2.1).
TAIL = b"\x00\x00\xff\xff"
NAME = ExtensionName("permessage-deflate")
FACTORY = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)


class Agreement(NamedTuple):
    """What was agreed on with one client."""

    #: The header that tells it so.
    header: str
    #: What decodes its frames.
    extension: Extension
    #: The binary logarithm of the window that it has for ours.
    window_bits: int


def agree(offers: str) -> Agreement | None:
    """Return what is agreed on with a client that makes some offers, the first that can be met; None if there is none.

    A header that cannot be read offers nothing.
    """
    try:
        extensions = parse_extension(offers) if offers else []
    except InvalidHeader:
        return None
    for name, parameters in extensions:
        if name != NAME:
            continue
        try:
            agreed, extension = FACTORY.process_request_params(parameters, [])
        except NegotiationError:
            continue
        if extension.local_max_window_bits < SMALLEST_WINDOW:
            continue
        return Agreement(build_extension([(NAME, agreed)]), extension, extension.local_max_window_bits)
    return None


class DeflateCodec:
    """The codec of clients with a window of some size; see :mod:`plain`."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits

    def decode_text(self, text: str) -> EnginePacket:
        """Every text is a message."""
        return decode_text(text)

    def decode_binary(self, data: bytes) -> EnginePacket:
        """So is everything binary."""
        return decode_binary(data)

    def encode_frames(
        self, kind: EngineType, text: bytes | None, attachments: Iterable[bytes], base64_only: bool
    ) -> bytes:
        """Encode a packet as WebSocket frames; nothing, if it has no form."""
        if kind is not EngineType.MESSAGE:
            return encode_control(kind)
        return b"".join(map(self._frame, read_packet(text, tuple(attachments))))

    def _frame(self, message: PlainMessage) -> bytes:
        is_text, data = message
        if len(data) >= SHORTEST:
            compressor = zlib.compressobj(wbits=-self._window_bits)
            compressed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
            compressed = compressed.removesuffix(TAIL)
            if len(compressed) < len(data):
                return head(COMPRESSED_TEXT if is_text else COMPRESSED_BINARY, len(compressed)) + compressed
        return frame_text(data) if is_text else frame_binary(data)
