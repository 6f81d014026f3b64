"""Every codec reads what it wrote, in each dialect and form, and answers anything else with a packet or its error."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol

from webpy_socketio.errors import PacketError
from webpy_socketio.wire import engine_v3, engine_v4
from webpy_socketio.wire.dialects import V3, V3_BASE64, V4, V4_BASE64, Dialect
from webpy_socketio.wire.frames import decode_base64
from webpy_socketio.wire.packets import EnginePacket, EngineType, SocketPacket, SocketType
from webpy_socketio.wire.prepared import Prepared, PreparedText, encode_payload
from webpy_socketio.wire.socketio import Assembler, decode_packet, encode_packet
from webpy_socketio.wire.values import as_ascii, decode_value

DIALECTS = {"v3": V3, "v4": V4, "v3-base64": V3_BASE64, "v4-base64": V4_BASE64}
each_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
each_codec = pytest.mark.parametrize("codec", [engine_v3, engine_v4], ids=["v3", "v4"])

#: What a payload of revision 4 can carry: everything but the character that separates its packets.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x1e"))
messages = st.lists(texts | st.binary(), min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)


def prepared(message: str | bytes) -> Prepared:
    return PreparedText(message.encode()) if isinstance(message, str) else Prepared(None, [message])


def read_frames(data: bytes, codec: Any) -> list[EnginePacket]:
    """The packets in WebSocket frames, taken apart by a library."""
    protocol = Protocol(CLIENT)
    protocol.receive_data(data)
    frames = [frame for frame in protocol.events_received() if isinstance(frame, Frame)]
    return [
        codec.decode_text(bytes(frame.data).decode())
        if frame.opcode is Opcode.TEXT
        else codec.decode_binary(bytes(frame.data))
        for frame in frames
    ]


@each_dialect
@given(sent=messages)
def test_messages_as_frames(dialect: Dialect, sent: list[str | bytes]) -> None:
    frames = b"".join(prepared(message).frames(dialect) for message in sent)
    assert read_frames(frames, dialect.codec) == [EnginePacket(EngineType.MESSAGE, message) for message in sent]


@each_dialect
@given(sent=messages)
def test_messages_as_a_payload(dialect: Dialect, sent: list[str | bytes]) -> None:
    body, is_binary = encode_payload([prepared(message) for message in sent], dialect)
    assert is_binary == (dialect is V3 and any(isinstance(message, bytes) for message in sent))
    packets = list(dialect.codec.decode_payload(body, is_binary))
    assert packets == [EnginePacket(EngineType.MESSAGE, message) for message in sent]


@each_dialect
@given(kind=st.sampled_from(EngineType), value=values, attachments=st.lists(st.binary(), max_size=3))
def test_json_with_attachments(dialect: Dialect, kind: EngineType, value: Any, attachments: list[bytes]) -> None:
    text = json.dumps(value, ensure_ascii=False).encode()
    packet = Prepared(text, attachments, kind)
    body, is_binary = encode_payload([packet], dialect)
    for first, *rest in (
        read_frames(packet.frames(dialect), dialect.codec),
        list(dialect.codec.decode_payload(body, is_binary)),
    ):
        assert first.type is kind
        assert json.loads(first.data) == value
        assert rest == [EnginePacket(EngineType.MESSAGE, data) for data in attachments]


@given(st.text(st.characters(codec="utf-8")))
def test_ascii_form_means_the_same(text: str) -> None:
    json_text = json.dumps(text, ensure_ascii=False).encode()
    assert as_ascii(json_text).isascii()
    assert json.loads(as_ascii(json_text)) == text
    assert as_ascii(json_text) == json.dumps(text).encode().replace(b"\\u007f", b"\x7f")


# Anything else.


@each_codec
@given(text=st.text() | st.text("0123456b=AQ:\x1e€😀"))
def test_any_packet_is_read_or_refused(codec: Any, text: str) -> None:
    try:
        packet = codec.decode_text(text)
    except PacketError:
        return
    assert isinstance(packet.type, EngineType)
    assert isinstance(packet.data, bytes) == text.startswith("b")
    assert len(packet.data) < len(text)


@each_codec
@given(data=st.binary())
def test_any_binary_packet_is_read_or_refused(codec: Any, data: bytes) -> None:
    try:
        packet = codec.decode_binary(data)
    except PacketError:
        return
    assert data.endswith(packet.data)
    assert len(packet.data) == len(data) - (codec is engine_v3)


@st.composite
def nearly_payloads(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Payloads of revision 3 with something wrong here and there: most are read for a while."""
    is_binary = draw(st.booleans())
    encode = engine_v3.encode_binary_piece if is_binary else engine_v3.encode_piece
    body = bytearray()
    for text, attachments in draw(st.lists(st.tuples(texts, st.lists(st.binary(max_size=9), max_size=2)), max_size=4)):
        body += encode(EngineType.MESSAGE, text.encode(), attachments)
    for place, value in draw(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3)):
        if place < len(body):
            body[place] = value
    return bytes(body), is_binary


@given(nearly_payloads())
def test_broken_payloads_are_read_up_to_the_fault(payload: tuple[bytes, bool]) -> None:
    body, is_binary = payload
    assert sum(size_of(packet) + 1 for packet in read(body, is_binary)) <= len(body)


def read(body: bytes, is_binary: bool) -> Iterator[EnginePacket]:
    """The packets of a payload of revision 3 before its first fault."""
    try:
        yield from engine_v3.decode_payload(body, is_binary)
    except PacketError:
        return


def size_of(packet: EnginePacket) -> int:
    return len(packet.data.encode() if isinstance(packet.data, str) else packet.data)


@given(st.text() | st.text("AQb=+/-_\n é", max_size=12))
def test_base64_has_one_form_only(text: str) -> None:
    try:
        data = decode_base64(text)
    except PacketError:
        return
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    assert set(text) <= set(alphabet)
    # All that may differ from the clean form are bits that stand for nothing, at the very end.
    clean = base64.b64encode(data).decode()
    assert len(clean) == len(text)
    assert clean[:-4] == text[:-4]


@given(st.binary())
def test_base64_round_trip(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data


# Socket.IO.


namespaces = st.just("/") | st.text(st.characters(codec="utf-8", exclude_characters=",")).map("/".__add__)
objects = st.dictionaries(st.text(), values, max_size=3)
ids = st.integers(0, 10**15 - 1)
PACKETS = st.one_of(
    st.tuples(st.just(SocketType.CONNECT), namespaces, st.none() | objects),
    st.tuples(st.just(SocketType.DISCONNECT), namespaces),
    st.tuples(st.just(SocketType.ACK), namespaces, st.lists(values, max_size=3), ids),
    st.tuples(st.just(SocketType.CONNECT_ERROR), namespaces, objects | st.text()),
).map(lambda fields: SocketPacket(*fields))


@given(PACKETS)
def test_packets_of_every_kind(packet: SocketPacket) -> None:
    text, attachments = encode_packet(packet, 10)
    assert attachments == []
    assert decode_packet(text.decode(), 10) == packet


@given(namespaces, st.lists(values | st.binary(), max_size=4), ids)
def test_acknowledgements_with_attachments(namespace: str, data: list[Any], packet_id: int) -> None:
    packet = SocketPacket(SocketType.ACK, namespace, data, packet_id)
    text, attachments = encode_packet(packet, 10)
    got: SocketPacket | None = decode_packet(text.decode(), 10)
    assert got is not None
    assembler = Assembler(got)
    for attachment in attachments:
        got = assembler.add(attachment)
    assert got is not None
    assert got[1:] == packet[1:] or has_placeholder(data)


def has_placeholder(value: Any) -> bool:
    """Whether something that was sent looks like a placeholder by itself."""
    return isinstance(value, (list, dict)) and "_placeholder" in repr(value)


holders = st.fixed_dictionaries(
    {"_placeholder": st.sampled_from([True, True, False, 1, "true", None]), "num": st.integers(-1, 3) | values}
)


@given(st.recursive(holders | values, lambda part: st.lists(part, max_size=4)), st.lists(st.binary(), min_size=1))
def test_whatever_the_placeholders_are_they_are_filled_or_refused(data: Any, attachments: list[bytes]) -> None:
    packet = SocketPacket(SocketType.BINARY_EVENT, "/", ["x", data], None, len(attachments))
    assembler = Assembler(packet)
    try:
        results = [assembler.add(attachment) for attachment in attachments]
    except PacketError:
        return
    assert all(result is None for result in results[:-1])
    last = results[-1]
    assert last is not None
    assert not any(place.get("_placeholder") is True for place in dicts_in(last.data))


def dicts_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from dicts_in(part)


@given(st.text() | st.text('0123456/,-[]{}"x:. e').flatmap(lambda text: st.integers(0, 6).map(lambda n: f"{n}{text}")))
def test_any_packet_of_socketio_is_read_or_refused(text: str) -> None:
    try:
        packet = decode_packet(text, 10)
    except PacketError:
        return
    assert packet.namespace.startswith("/")
    assert packet.attachments <= 10
    assert packet.id is None or packet.id < 10**15


@given(st.text() | st.recursive(st.just("1"), lambda part: st.lists(part).map(lambda parts: f"[{','.join(parts)}]")))
def test_any_json_is_read_or_refused(text: str) -> None:
    try:
        value = decode_value(text)
    except PacketError:
        return
    assert json.loads(text) == value
