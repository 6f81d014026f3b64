"""Engine.IO revision 3: the rows of the protocol document, both ways."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.errors import PacketError
from webpy_socketio.wire import engine_v3
from webpy_socketio.wire.packets import EnginePacket, EngineType

MESSAGE = EngineType.MESSAGE
B = bytes((1, 2, 3, 4))


def payload(text: bytes) -> list[EnginePacket]:
    return list(engine_v3.decode_payload(text, is_binary=False))


def binary_payload(data: str) -> list[EnginePacket]:
    return list(engine_v3.decode_payload(bytes.fromhex(data), is_binary=True))


@pytest.mark.parametrize(
    ("text", "packets"),
    [
        ("6:4hello", [EnginePacket(MESSAGE, "hello")]),
        ("6:4hello2:4€", [EnginePacket(MESSAGE, "hello"), EnginePacket(MESSAGE, "€")]),
        ("4:4€😀", [EnginePacket(MESSAGE, "€😀")]),
        ("6:4hello10:b4AQIDBA==", [EnginePacket(MESSAGE, "hello"), EnginePacket(MESSAGE, B)]),
        ("1:2", [EnginePacket(EngineType.PING)]),
        ("1:11:6", [EnginePacket(EngineType.CLOSE), EnginePacket(EngineType.NOOP)]),
        ("0:1:3", [EnginePacket(EngineType.PONG)]),
        ("1:4", [EnginePacket(MESSAGE)]),
    ],
)
def test_text_payload(text: str, packets: list[EnginePacket]) -> None:
    assert payload(text.encode()) == packets


@pytest.mark.parametrize(
    "text",
    ["", "abc", "6", ":4hello", "-1:4", "x:4hello", "02x:4a", "+2:4a", "2 :4a", "3:4€😀", "9:4hello", "2:4", "1:7",
     "1:b", "²:4a", "4:b7AA", "6:b4AQ=!", "9999999999999:4", "6:4helloX"],
)  # fmt: skip
def test_bad_text_payload(text: str) -> None:
    with pytest.raises(PacketError):
        payload(text.encode())


def test_what_stands_before_the_fault_is_delivered() -> None:
    packets = engine_v3.decode_payload(b"2:4a2:4b?", is_binary=False)
    assert [next(packets).data, next(packets).data] == ["a", "b"]
    with pytest.raises(PacketError):
        next(packets)


@pytest.mark.parametrize(
    ("data", "packets"),
    [
        ("00 04 ff 34 e2 82 ac 01 05 ff 04 01 02 03 04", [EnginePacket(MESSAGE, "€"), EnginePacket(MESSAGE, B)]),
        ("00 05 ff 34 f0 9f 98 80 01 03 ff 04 09 09", [EnginePacket(MESSAGE, "😀"), EnginePacket(MESSAGE, b"\t\t")]),
        ("00 01 02 ff" + "34" + "61" * 11, [EnginePacket(MESSAGE, "a" * 11)]),
        ("00 01 ff 32", [EnginePacket(EngineType.PING)]),
    ],
)
def test_binary_payload(data: str, packets: list[EnginePacket]) -> None:
    assert binary_payload(data) == packets


@pytest.mark.parametrize(
    "data",
    ["", "00", "02 01 ff 34", "00 ff 34", "00 0a ff 34", "00 05 34", "00 05 ff 34", "01 01 ff 09", "00 01 ff ff",
     "00" + "01" * 40 + "ff 34"],
)  # fmt: skip
def test_bad_binary_payload(data: str) -> None:
    with pytest.raises(PacketError):
        binary_payload(data)


def test_encoded_pieces() -> None:
    assert engine_v3.encode_piece(MESSAGE, b"hello", [B]) == b"6:4hello10:b4AQIDBA=="
    assert engine_v3.encode_piece(EngineType.PONG, b"", ()) == b"1:3"
    binary = engine_v3.encode_binary_piece(MESSAGE, b"hello", [B])
    assert binary == bytes.fromhex("00 06 ff 34 68 65 6c 6c 6f 01 05 ff 04 01 02 03 04")
    assert engine_v3.join_payload([b"1:3", b"1:6"]) == b"1:31:6"


def test_frames() -> None:
    assert engine_v3.encode_frames(MESSAGE, b"hi", [B], base64_only=False) == b"\x81\x034hi\x82\x05\x04" + B
    assert engine_v3.encode_frames(MESSAGE, b"", [B], base64_only=True) == b"\x81\x014\x81\x0ab4AQIDBA=="
    assert engine_v3.decode_binary(b"\x04" + B) == EnginePacket(MESSAGE, B)
    assert engine_v3.decode_binary(b"\x02").type is EngineType.PING


@pytest.mark.parametrize("data", [b"", b"\x07", b"4"])
def test_bad_binary_packet(data: bytes) -> None:
    with pytest.raises(PacketError):
        engine_v3.decode_binary(data)


@given(st.lists(st.tuples(st.text(), st.lists(st.binary(), max_size=3)), min_size=1, max_size=5))
def test_round_trip(messages: list[tuple[str, list[bytes]]]) -> None:
    texts = [json.dumps(text, ensure_ascii=False).encode("utf-8", "replace") for text, _ in messages]
    wanted = [
        data
        for text, (_, attachments) in zip(texts, messages, strict=True)
        for data in (json.loads(text), *attachments)
    ]
    for encode, is_binary in ((engine_v3.encode_piece, False), (engine_v3.encode_binary_piece, True)):
        body = b"".join(encode(MESSAGE, text, buffers) for text, (_, buffers) in zip(texts, messages, strict=True))
        got = [packet.data for packet in engine_v3.decode_payload(body, is_binary)]
        assert [json.loads(data) if isinstance(data, str) else data for data in got] == wanted


@given(st.binary(), st.booleans())
def test_random_bytes_give_packets_or_the_documented_error(body: bytes, is_binary: bool) -> None:
    with contextlib.suppress(PacketError):
        assert all(isinstance(packet, EnginePacket) for packet in engine_v3.decode_payload(body, is_binary))
