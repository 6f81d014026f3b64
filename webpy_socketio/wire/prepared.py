"""Prepared packets: encoded at most once per dialect and form, however many receivers there are."""

from __future__ import annotations

from collections.abc import Sequence

from ..overflow import Overflow
from .dialects import Dialect
from .packets import EngineType
from .values import as_ascii


class Prepared:
    """One packet with its attachments, ready to be asked for its bytes.

    :param text: JSON, or None if there are only attachments: binary messages that stand for themselves.
    """

    __slots__ = ("_forms", "_kind", "_stamped", "attachments", "last_dialect", "last_frames", "overflow", "text")

    def __init__(
        self, text: bytes | None, attachments: Sequence[bytes] = (), kind: EngineType = EngineType.MESSAGE
    ) -> None:
        self.text = text
        self.attachments = attachments
        self._kind = kind
        self._stamped: bytes | None = None
        #: What becomes of it if a client has too much waiting; None if it is not to be lost.
        self.overflow: Overflow | None = None
        #: The frames that were asked for last, which nearly always are those that will be asked for next.
        self.last_dialect: Dialect | None = None
        self.last_frames = b""
        # Other frames by their dialect, pieces of payloads by a tuple of it.
        self._forms: dict[Dialect | tuple[Dialect], bytes] | None = None

    @property
    def size(self) -> int:
        """About how many bytes it takes to send."""
        return len(self.text or b"") + sum(map(len, self.attachments)) + 1

    @property
    def memory(self) -> int:
        """About how many bytes it takes here: the frames that others may have been sent are kept beside the text."""
        return self.size + len(self.last_frames)

    def stamp(self, offset: str) -> None:
        """Give an event its place in the history, which clients that can be resumed get as a last argument.

        To be called before any form of it is asked for.
        """
        assert self.text is not None
        self._stamped = b'%b,"%b"]' % (self.text[:-1], offset.encode())

    @property
    def has_offset(self) -> bool:
        """Whether it was given a place in the history."""
        return self._stamped is not None

    @property
    def offset(self) -> bytes:
        """That place, as clients are told it; nothing if it has none."""
        if self._stamped is None or self.text is None:
            return b""
        return self._stamped[len(self.text) + 1 : -2]  # see stamp

    def frames(self, dialect: Dialect) -> bytes:
        """The packet as WebSocket frames, or what else is sent as it is."""
        if self.last_dialect is dialect:
            return self.last_frames
        if self.last_dialect is not None:
            self._remember(self.last_dialect, self.last_frames)
        frames = self._forms.get(dialect) if self._forms is not None else None
        if frames is None:
            frames = dialect.codec.encode_frames(self._kind, self._text(dialect), self.attachments, dialect.base64_only)
        self.last_dialect, self.last_frames = dialect, frames
        return frames

    def piece(self, dialect: Dialect) -> bytes:
        """The packet as a piece of a long-polling payload."""
        piece = self._forms.get((dialect,)) if self._forms is not None else None
        if piece is None:
            piece = dialect.codec.encode_piece(self._kind, self._text(dialect), self.attachments)
            self._remember((dialect,), piece)
        return piece

    def binary_piece(self, dialect: Dialect) -> bytes:
        """The packet as a piece of a binary long-polling payload."""
        return dialect.codec.encode_binary_piece(self._kind, self._text(dialect), self.attachments)

    def _remember(self, key: Dialect | tuple[Dialect], form: bytes) -> None:
        if self._forms is None:
            self._forms = {}
        self._forms[key] = form

    def _text(self, dialect: Dialect) -> bytes | None:
        if dialect.resumes:
            return self._stamped or self.text
        text = self.text
        return as_ascii(text) if text is not None and dialect.ascii_only else text


class PreparedText(Prepared):
    """One message that is no JSON, so that its characters have no other form."""

    __slots__ = ()

    def _text(self, dialect: Dialect) -> bytes | None:
        return self.text


class Together(Prepared):
    """Packets that leave as one, for a client that comes back: of what it missed, it shall get all or nothing.

    Official clients hand on what comes before the answer to their CONNECT after that; if the connection breaks in
    between they keep it, do not count it as received, and get it once more.
    """

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Prepared]) -> None:
        super().__init__(None)
        self._parts = parts

    @property
    def size(self) -> int:
        """About how many bytes they take to send."""
        return sum(part.size for part in self._parts)

    def frames(self, dialect: Dialect) -> bytes:
        """The packets as WebSocket frames."""
        return b"".join(part.frames(dialect) for part in self._parts)

    def piece(self, dialect: Dialect) -> bytes:
        """The packets as a piece of a long-polling payload."""
        return dialect.codec.join_payload(part.piece(dialect) for part in self._parts)


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
