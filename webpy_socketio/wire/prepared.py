"""Prepared packets: encoded at most once per dialect and form, however many receivers there are."""

from __future__ import annotations

from collections.abc import Sequence

from .dialects import Dialect
from .packets import EngineType


class Prepared:
    """One packet with its attachments, ready to be asked for its bytes."""

    __slots__ = ("_forms", "_kind", "attachments", "text")

    def __init__(self, text: bytes, attachments: Sequence[bytes] = (), kind: EngineType = EngineType.MESSAGE) -> None:
        self.text = text
        self.attachments = attachments
        self._kind = kind
        # Frames by their dialect, pieces of payloads by a tuple of it: one dict less for each message.
        self._forms: dict[Dialect | tuple[Dialect], bytes] = {}

    @property
    def size(self) -> int:
        """About how many bytes it takes to send."""
        return len(self.text) + sum(map(len, self.attachments)) + 1

    def frames(self, dialect: Dialect) -> bytes:
        """The packet as WebSocket frames."""
        frames = self._forms.get(dialect)
        if frames is None:
            frames = dialect.codec.encode_frames(self._kind, self.text, self.attachments, dialect.base64_only)
            self._forms[dialect] = frames
        return frames

    def piece(self, dialect: Dialect) -> bytes:
        """The packet as a piece of a long-polling payload."""
        piece = self._forms.get((dialect,))
        if piece is None:
            piece = dialect.codec.encode_piece(self._kind, self.text, self.attachments)
            self._forms[(dialect,)] = piece
        return piece

    def binary_piece(self, dialect: Dialect) -> bytes:
        """The packet as a piece of a binary long-polling payload."""
        return dialect.codec.encode_binary_piece(self._kind, self.text, self.attachments)


def encode_payload(packets: Sequence[Prepared], dialect: Dialect) -> tuple[bytes, bool]:
    """Return packets as one long-polling payload, and whether it is binary.

    A client that takes binary payloads gets one only if there is something binary in it, or if it takes no other.
    """
    if (
        dialect.binary_payloads
        and not dialect.base64_only
        and (dialect.only_binary_payloads or any(packet.attachments for packet in packets))
    ):
        return dialect.codec.join_payload(packet.binary_piece(dialect) for packet in packets), True
    return dialect.codec.join_payload(packet.piece(dialect) for packet in packets), False


CLOSE = Prepared(b"", kind=EngineType.CLOSE)
PING = Prepared(b"", kind=EngineType.PING)
PONG = Prepared(b"", kind=EngineType.PONG)
PROBE_ANSWER = Prepared(b"probe", kind=EngineType.PONG)
NOOP = Prepared(b"", kind=EngineType.NOOP)
