"""Engine.IO of the clients 1.0 to 1.3: what they sent, byte for byte, and what a text that is UTF-8 twice means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.errors import PacketError
from webpy_socketio.wire import engine_v2, engine_v3
from webpy_socketio.wire.packets import EnginePacket, EngineType

MESSAGE = EngineType.MESSAGE


def twice(text: str) -> str:
    """A text of which every byte became a character."""
    return text.encode().decode("latin-1")


def payload(body: bytes, is_binary: bool = False) -> list[EnginePacket]:
    return list(engine_v2.decode_payload(body, is_binary))


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        ("34 3a 34 c3 a2 c2 82 c2 ac", [EnginePacket(MESSAGE, "€")]),  # "4:4" and the bytes of "€" as characters
        ("35 3a 34 c3 b0 c2 9f c2 98 c2 80", [EnginePacket(MESSAGE, "😀")]),
        ("33 3a 34 c3 83 c2 a9 32 3a 34 61", [EnginePacket(MESSAGE, "é"), EnginePacket(MESSAGE, "a")]),
        ("36 3a 62 34 41 51 3d 3d 31 3a 32", [EnginePacket(MESSAGE, b"\x01"), EnginePacket(EngineType.PING)]),
    ],
)
def test_text_payload(body: str, packets: list[EnginePacket]) -> None:
    assert payload(bytes.fromhex(body)) == packets


def test_text_in_a_binary_payload_is_utf_8_once() -> None:
    body = bytes.fromhex("00 04 ff 34 e2 82 ac 01 03 ff 04 c2 a9 00 03 ff 34 c3 a9")
    packets = [EnginePacket(MESSAGE, "€"), EnginePacket(MESSAGE, b"\xc2\xa9"), EnginePacket(MESSAGE, "é")]
    assert payload(body, is_binary=True) == packets


def test_frames() -> None:
    assert engine_v2.decode_text("4" + twice("€ é")) == EnginePacket(MESSAGE, "€ é")
    assert engine_v2.decode_text("b4wqk=") == EnginePacket(MESSAGE, b"\xc2\xa9")
    assert engine_v2.decode_text("2probe") == EnginePacket(EngineType.PING, "probe")


@pytest.mark.parametrize("text", ["€", "é", "LIBERTÉ!", "Ã", "é Ã©"])
def test_text_that_nobody_doubled_stays_as_it_is(text: str) -> None:
    assert engine_v2.decode_text("4" + text) == EnginePacket(MESSAGE, text)


@pytest.mark.parametrize("body", [b"", b"3:4a", b"4:4\xe2\x82\xac", b"2:9a"])
def test_bad_payload(body: bytes) -> None:
    with pytest.raises(PacketError):
        payload(body)


@given(st.text())
def test_round_trip(text: str) -> None:
    body = ("4" + twice(text)).encode()
    assert payload(b"%d:%b" % (len(twice(text)) + 1, body)) == [EnginePacket(MESSAGE, text)]
    assert engine_v2.decode_text(body.decode()) == EnginePacket(MESSAGE, text)


def test_both_generations_count_alike_so_a_length_does_not_tell_them_apart() -> None:
    """Why the clients 1.4 to 1.7, which double text and ask like 2.x, are not understood: see docs/protocol.rst."""
    body = bytes.fromhex("34 3a 34 c3 a2 c2 82 c2 ac")
    assert [packet.data for packet in engine_v3.decode_payload(body, is_binary=False)] == [twice("€")]
