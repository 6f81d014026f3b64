"""Engine.IO revision 4: rows of packets and their bytes, both ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.errors import PacketError
from webpy_socketio.wire.engine_v4 import (
    decode_binary,
    decode_payload,
    decode_text,
    encode_frames,
    encode_piece,
    join_payload,
)
from webpy_socketio.wire.packets import EnginePacket, EngineType

OPEN, CLOSE, PING, PONG = EngineType.OPEN, EngineType.CLOSE, EngineType.PING, EngineType.PONG
MESSAGE, UPGRADE, NOOP = EngineType.MESSAGE, EngineType.UPGRADE, EngineType.NOOP
RS = "\x1e"

PACKETS = [
    (EnginePacket(OPEN, '{"sid":"x"}'), '0{"sid":"x"}'),
    (EnginePacket(CLOSE), "1"),
    (EnginePacket(PING), "2"),
    (EnginePacket(PING, "probe"), "2probe"),
    (EnginePacket(PONG), "3"),
    (EnginePacket(PONG, "probe"), "3probe"),
    (EnginePacket(MESSAGE), "4"),
    (EnginePacket(MESSAGE, "hello"), "4hello"),
    (EnginePacket(MESSAGE, "€😀"), "4€😀"),
    (EnginePacket(MESSAGE, "bAQ=="), "4bAQ=="),
    (EnginePacket(MESSAGE, "431"), "4431"),
    (EnginePacket(UPGRADE), "5"),
    (EnginePacket(NOOP), "6"),
]


@pytest.mark.parametrize(("packet", "text"), PACKETS)
def test_text(packet: EnginePacket, text: str) -> None:
    assert decode_text(text) == packet
    assert isinstance(packet.data, str)
    assert encode_piece(packet.type, packet.data.encode(), ()) == text.encode()


BINARIES = [
    (b"\x01\x02\x03\x04", "bAQIDBA=="),
    (b"\x01", "bAQ=="),
    (b"\xfb\xff", "b+/8="),
    (b"\x00" * 3, "bAAAA"),
    (b"", "b"),
]


@pytest.mark.parametrize(("data", "text"), BINARIES)
def test_binary_as_text(data: bytes, text: str) -> None:
    assert decode_text(text) == EnginePacket(MESSAGE, data)
    assert encode_piece(MESSAGE, b"", [data]) == f"4{RS}{text}".encode()


@pytest.mark.parametrize("data", [b"", b"\x00", b"4hello", b"\xff" * 1000])
def test_binary_as_is(data: bytes) -> None:
    assert decode_binary(data) == EnginePacket(MESSAGE, data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "9x",
        "abc",
        "B",
        "-1",
        " 4",
        "\n4",
        "\ufeff4hello",
        "\uff14hello",
        "²",
        "٤",
        "\x00",
        RS,
        "bA",
        "bAQ",
        "bAQ=",
        "bAQ==\n",
        "b AQ==",
        "bAQ==AQ==",
        "b====",
        "b=",
        "b-_-_",
        "bAQI*",
        "b\u00e9\u00e9\u00e9\u00e9",
        "b\uff14\uff14\uff14\uff14",
        "bb",
    ],
)
def test_bad_packet(text: str) -> None:
    with pytest.raises(PacketError):
        decode_text(text)


PAYLOADS = [
    ([EnginePacket(MESSAGE, "hello")], b"4hello"),
    (
        [EnginePacket(MESSAGE, "hello"), EnginePacket(PING), EnginePacket(MESSAGE, "world")],
        b"\x34hello\x1e\x32\x1e\x34world",
    ),
    ([EnginePacket(NOOP), EnginePacket(CLOSE)], b"6\x1e1"),
    ([EnginePacket(MESSAGE), EnginePacket(MESSAGE)], b"4\x1e4"),
    ([EnginePacket(MESSAGE, "€")], b"4\xe2\x82\xac"),
]


@pytest.mark.parametrize(("packets", "body"), PAYLOADS)
def test_payload(packets: list[EnginePacket], body: bytes) -> None:
    assert list(decode_payload(body)) == packets
    assert join_payload([encode_piece(kind, str(data).encode(), ()) for kind, data in packets]) == body


def test_payload_with_attachments() -> None:
    body = encode_piece(MESSAGE, b"hello", [b"\x01\x02\x03\x04", b""])
    assert body == b"4hello\x1ebAQIDBA==\x1eb"
    assert [packet.data for packet in decode_payload(body)] == ["hello", b"\x01\x02\x03\x04", b""]


def until_error(packets: Iterator[EnginePacket]) -> list[EnginePacket]:
    """What is decoded before the error that has to come."""
    got: list[EnginePacket] = []
    with pytest.raises(PacketError):
        for packet in packets:
            got.append(packet)
    return got


@pytest.mark.parametrize(
    ("body", "before"),
    [
        (b"", []),
        (b"\x1e", []),
        (b"\x1e4a", []),
        (b"4a\x1e", ["a"]),
        (b"4a\x1e\x1e4b", ["a"]),
        (b"4a\x1eabc\x1e4b", ["a"]),
        (b"4a\x1ebAQ\x1e4b", ["a"]),
        (b"4a\x1e4\xff\x1e4b", ["a"]),
        (b"4a\x1e4\xed\xa0\x80", ["a"]),
        (b"4a\x1e4\xc0\xaf", ["a"]),
        (b"\xff4a", []),
        (b"abc", []),
    ],
)
def test_bad_payload(body: bytes, before: list[str]) -> None:
    got = until_error(decode_payload(body))
    assert [packet.data for packet in got if packet.type is MESSAGE] == before


FRAMES = [
    (MESSAGE, b"hello", [], False, b"\x81\x064hello"),
    (PING, b"", [], False, b"\x81\x012"),
    (PONG, b"probe", [], True, b"\x81\x063probe"),
    (MESSAGE, b"x", [b"\x01\x02"], False, b"\x81\x024x\x82\x02\x01\x02"),
    (MESSAGE, b"x", [b"", b"\x01"], False, b"\x81\x024x\x82\x00\x82\x01\x01"),
    (MESSAGE, b"x", [b"\x01\x02\x03\x04"], True, b"\x81\x024x\x81\x09bAQIDBA=="),
    (MESSAGE, b"a" * 124, [], False, b"\x81\x7d4" + b"a" * 124),
    (MESSAGE, b"a" * 125, [], False, b"\x81\x7e\x00\x7e4" + b"a" * 125),
    (MESSAGE, b"a" * 65535, [], False, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x004" + b"a" * 65535),
]


@pytest.mark.parametrize(("kind", "text", "attachments", "base64_only", "frames"), FRAMES)
def test_frames(kind: EngineType, text: bytes, attachments: list[bytes], base64_only: bool, frames: bytes) -> None:
    assert encode_frames(kind, text, attachments, base64_only) == frames


safe_text = st.text(st.characters(codec="utf-8", exclude_characters=RS))


@given(st.lists(st.tuples(st.sampled_from(EngineType), safe_text, st.lists(st.binary())), min_size=1))
def test_payload_round_trip(packets: list[tuple[EngineType, str, list[bytes]]]) -> None:
    body = join_payload([encode_piece(kind, text.encode(), attachments) for kind, text, attachments in packets])
    wanted: list[EnginePacket] = []
    for kind, text, attachments in packets:
        wanted += [EnginePacket(kind, text), *(EnginePacket(MESSAGE, data) for data in attachments)]
    assert list(decode_payload(body)) == wanted


@given(st.binary())
def test_any_payload_is_read_or_refused(body: bytes) -> None:
    count = 0
    try:
        for packet in decode_payload(body):
            assert isinstance(packet.type, EngineType)
            count += 1
    except PacketError:
        assert count <= body.count(b"\x1e")
    else:
        assert count == body.count(b"\x1e") + 1


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        packet = decode_text(text)
    except PacketError:
        return
    assert isinstance(packet.data, bytes) == text.startswith("b")
