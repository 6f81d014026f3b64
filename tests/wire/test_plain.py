"""Plain messages: what events are for clients that speak no Socket.IO."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.wire.deflate import agree
from webpy_socketio.wire.dialects import PLAIN, V3, V4
from webpy_socketio.wire.packets import EngineType, SocketPacket, SocketType
from webpy_socketio.wire.plain import decode_binary, decode_text, read_packet
from webpy_socketio.wire.prepared import CLOSE, NOOP, PING, PONG, Prepared
from webpy_socketio.wire.socketio import encode_event, encode_packet

MOST = 10


def plain(*data: Any, ack_id: int | None = None) -> tuple[bool, bytes]:
    """What an event is."""
    (message,) = read_packet(*encode_event("/", list(data), ack_id, MOST))
    return tuple(message)  # type: ignore[return-value]


ROWS: list[tuple[list[Any], bool, bytes]] = [
    (["message", "hello"], True, b"hello"),
    (["message", ""], True, b""),
    (["message", 'quotes " and \\ and \n'], True, b'quotes " and \\ and \n'),
    (["message", "Grüße \U0001f30d"], True, "Grüße \U0001f30d".encode()),
    (["message", "half \ud83d"], True, "half \ufffd".encode()),
    (["message", "whole \ud83d\ude00"], True, "whole \U0001f600".encode()),
    (["message", b"\x00\xff"], False, b"\x00\xff"),
    (["message", bytearray(b"")], False, b""),
    (["message", None], True, b"null"),
    (["message", 1.5], True, b"1.5"),
    (["message", 10**30], True, b"1" + b"0" * 30),
    (["message", {"a": [1, "x"]}], True, b'{"a":[1,"x"]}'),
    (["message", UUID(int=0)], True, b"00000000-0000-0000-0000-000000000000"),
    (["message", [b"a", {"b": b"b"}]], True, b'["YQ==",{"b":"Yg=="}]'),
    (["message", ['{"_placeholder":true,"num":0}', b"a"]], True, b'["{\\"_placeholder\\":true,\\"num\\":0}","YQ=="]'),
    (["message", {"_placeholder": True, "num": 0}], True, b'{"_placeholder":true,"num":0}'),
    (["message"], True, b'{"event":"message","data":[]}'),
    (["message", 1, 2], True, b'{"event":"message","data":[1,2]}'),
    (["message", b"a", b"b"], True, b'{"event":"message","data":["YQ==","Yg=="]}'),
    (["move", 1, {"x": "y"}], True, b'{"event":"move","data":[1,{"x":"y"}]}'),
    (["move"], True, b'{"event":"move","data":[]}'),
    (['"],["', "x"], True, b'{"event":"\\"],[\\"","data":["x"]}'),
    ([12, "x"], True, b'{"event":12,"data":["x"]}'),
    (["message2", "x"], True, b'{"event":"message2","data":["x"]}'),
]  # fmt: skip


@pytest.mark.parametrize(("data", "is_text", "form"), ROWS, ids=lambda value: str(value)[:40])
def test_events(data: list[Any], is_text: bool, form: bytes) -> None:
    assert plain(*data) == (is_text, form)
    assert plain(*data, ack_id=12) == (is_text, form)


@given(st.text())
def test_every_text_is_itself(text: str) -> None:
    assert plain("message", text) == (True, text.encode())


def test_what_is_as_deep_as_can_be_sent() -> None:
    value: Any = "x"
    for _ in range(245):
        value = [value]
    assert plain("message", value) == (True, b"[" * 245 + b'"x"' + b"]" * 245)


@pytest.mark.parametrize(
    "packet",
    [
        SocketPacket(SocketType.CONNECT, "/", {"sid": "x"}),
        SocketPacket(SocketType.DISCONNECT),
        SocketPacket(SocketType.ACK, "/", ["x"], 1),
        SocketPacket(SocketType.ACK, "/", [b"x"], 1),
        SocketPacket(SocketType.EVENT, "/", []),
        SocketPacket(SocketType.EVENT, "/", [None]),
        SocketPacket(SocketType.CONNECT_ERROR, "/", {"message": "no"}),
    ],
    ids=lambda packet: packet.type.name,
)
def test_what_is_left_of_socketio_has_no_form(packet: SocketPacket) -> None:
    assert Prepared(*encode_packet(packet, MOST)).frames(PLAIN) == b""


def test_what_is_left_of_engineio() -> None:
    assert PING.frames(PLAIN) == b"\x89\x00"
    others = [CLOSE, PONG, NOOP, Prepared(b"{}", kind=EngineType.OPEN)]
    assert [prepared.frames(PLAIN) for prepared in others] == [b""] * 4


def test_one_broadcast_has_a_form_for_each_dialect() -> None:
    prepared = Prepared(*encode_event("/", ["message", "hello"], None, MOST))
    for _ in range(2):
        assert prepared.frames(V4) == b'\x81\x1542["message","hello"]'
        assert prepared.frames(PLAIN) == b"\x81\x05hello"
        assert prepared.frames(V3) == b'\x81\x1542["message","hello"]'


def test_messages_that_stand_for_themselves() -> None:
    assert Prepared(None, [b"a", b"b"]).frames(PLAIN) == b"\x82\x01a\x82\x01b"


def test_everything_that_comes_is_a_message() -> None:
    assert decode_text("2") == (EngineType.MESSAGE, "2")
    assert decode_binary(b"") == (EngineType.MESSAGE, b"")


def test_a_header_without_end_is_no_offer() -> None:
    assert agree("permessage-deflate; a=" + "x" * 10_000) is None
