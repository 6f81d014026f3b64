"""Prepared packets: their bytes in each form, encoded at most once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from webpy_socketio.wire import engine_v4
from webpy_socketio.wire.dialects import V2, V2_BASE64, V3, V3_EARLY, V4, V4_BASE64, Dialect
from webpy_socketio.wire.packets import EnginePacket, EngineType
from webpy_socketio.wire.prepared import CLOSE, NOOP, PING, PROBE_ANSWER, Prepared, encode_payload


class CountingCodec:
    """Revision 4, with a list of what was encoded."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def decode_text(self, text: str) -> EnginePacket:
        return engine_v4.decode_text(text)

    def decode_binary(self, data: bytes) -> EnginePacket:
        return engine_v4.decode_binary(data)

    def decode_payload(self, body: bytes) -> Iterator[EnginePacket]:
        return engine_v4.decode_payload(body)

    def encode_frames(self, kind: EngineType, text: bytes, attachments: Iterable[bytes], base64_only: bool) -> bytes:
        self.encoded.append("frames")
        return engine_v4.encode_frames(kind, text, attachments, base64_only)

    def encode_piece(self, kind: EngineType, text: bytes, attachments: Iterable[bytes]) -> bytes:
        self.encoded.append("piece")
        return engine_v4.encode_piece(kind, text, attachments)

    def join_payload(self, pieces: Iterable[bytes]) -> bytes:
        return engine_v4.join_payload(pieces)


@pytest.mark.parametrize(
    ("prepared", "frames", "piece"),
    [
        (CLOSE, b"\x81\x011", b"1"),
        (PING, b"\x81\x012", b"2"),
        (PROBE_ANSWER, b"\x81\x063probe", b"3probe"),
        (NOOP, b"\x81\x016", b"6"),
        (Prepared(b"hello"), b"\x81\x064hello", b"4hello"),
        (Prepared(b"", kind=EngineType.MESSAGE), b"\x81\x014", b"4"),
        (Prepared(b"x", [b"\x01"]), b"\x81\x024x\x82\x01\x01", b"4x\x1ebAQ=="),
        (Prepared(b"{}", kind=EngineType.OPEN), b"\x81\x030{}", b"0{}"),
    ],
)
def test_forms(prepared: Prepared, frames: bytes, piece: bytes) -> None:
    assert prepared.frames(V4) == frames
    assert prepared.piece(V4) == piece


def test_each_dialect_gets_its_own() -> None:
    prepared = Prepared(b"x", [b"\x01"])
    assert prepared.frames(V4) == b"\x81\x024x\x82\x01\x01"
    assert prepared.frames(V4_BASE64) == b"\x81\x024x\x81\x05bAQ=="
    assert prepared.frames(V4) == b"\x81\x024x\x82\x01\x01"


@pytest.mark.parametrize(
    ("dialect", "text", "binary"),
    [
        (V4, b"4x", b"4x\x1ebAQ=="),
        (V3, b"2:4x", b"\x00\x02\xff4x\x01\x02\xff\x04\x01"),
        (V3_EARLY, b"\x00\x02\xff4x", b"\x00\x02\xff4x\x01\x02\xff\x04\x01"),
        (V2, b"\x00\x02\xff4x", b"\x00\x02\xff4x\x01\x02\xff\x04\x01"),
        (V2_BASE64, b"2:4x", b"2:4x6:b4AQ=="),
    ],
)
def test_payload(dialect: Dialect, text: bytes, binary: bytes) -> None:
    """Whether it is binary shows in its first byte."""
    assert encode_payload([Prepared(b"x")], dialect) == (text, text[0] == 0)
    assert encode_payload([Prepared(b"x", [b"\x01"])], dialect) == (binary, binary[0] == 0)


def test_encoded_once_per_dialect_and_form() -> None:
    codec = CountingCodec()
    first, second = Dialect("first", "4", codec), Dialect("second", "4", codec)
    prepared = Prepared(b"x", [b"\x01"])
    assert codec.encoded == []
    forms = [prepared.frames(first), prepared.piece(first)]
    assert codec.encoded == ["frames", "piece"]
    for _ in range(3):
        assert prepared.frames(first) is forms[0]
        assert prepared.piece(first) is forms[1]
    assert codec.encoded == ["frames", "piece"]
    prepared.frames(second)
    prepared.frames(second)
    assert codec.encoded == ["frames", "piece", "frames"]


@pytest.mark.parametrize(
    ("prepared", "size"),
    [(PING, 1), (Prepared(b"hello"), 6), (Prepared(b"x", [b"12", b"345"]), 7), (Prepared("€".encode()), 4)],
)
def test_size(prepared: Prepared, size: int) -> None:
    assert prepared.size == size
