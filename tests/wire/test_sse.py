"""Server-sent events: what packets are in a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.wire.dialects import SSE
from webpy_socketio.wire.packets import SocketPacket, SocketType
from webpy_socketio.wire.prepared import CLOSE, NOOP, PING, PONG, Prepared
from webpy_socketio.wire.socketio import encode_event, encode_packet

ROWS: list[tuple[list[Any], bytes]] = [
    (["message", "hello"], b"data: hello\n\n"),
    (["message", ""], b"data: \n\n"),
    (["message", " space"], b"data:  space\n\n"),
    (["message", "a\nb\rc\r\nd\n\re\n"], b"data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\ndata: \n\n"),
    (["message", "event: x\n\nid: 7"], b"data: event: x\ndata: \ndata: id: 7\n\n"),
    (["message", "Gr\u00fc\u00dfe \u2028\u0085"], "data: Gr\u00fc\u00dfe \u2028\u0085\n\n".encode()),
    (["message", "half \ud83d"], "data: half \ufffd\n\n".encode()),
    (["message", {"a": [1, "\n"]}], b'data: {"a":[1,"\\n"]}\n\n'),
    (["message", None], b"data: null\n\n"),
    (["message", b"\x00\xff"], b'data: "AP8="\n\n'),
    (["message", {"x": b"a"}], b'data: {"x":"YQ=="}\n\n'),
    (["message"], b"data: []\n\n"),
    (["message", 1, b"a"], b'data: [1,"YQ=="]\n\n'),
    (["move", 1, "x"], b'event: move\ndata: [1,"x"]\n\n'),
    (["move"], b"event: move\ndata: []\n\n"),
    (["move", b"a"], b'event: move\ndata: ["YQ=="]\n\n'),
    (["Gr\u00fc\u00dfe \"x\"", 1], 'event: Gr\u00fc\u00dfe "x"\ndata: [1]\n\n'.encode()),
    (["two\nlines: ", 1], b"event: two\\nlines: \ndata: [1]\n\n"),
]  # fmt: skip


def stream(*data: Any) -> bytes:
    """An event, as it stands in a stream."""
    return Prepared(*encode_event("/", list(data), None, 10)).frames(SSE)


@pytest.mark.parametrize(("data", "form"), ROWS, ids=lambda value: str(value)[:40])
def test_events(data: list[Any], form: bytes) -> None:
    assert stream(*data) == form


def test_an_event_of_node_may_have_a_number_for_a_name() -> None:
    assert Prepared(b"2[7,true]").frames(SSE) == b"event: 7\ndata: [true]\n\n"
    assert Prepared(b"2[null]").frames(SSE) == b""


@given(st.text())
def test_a_text_arrives_as_it_is_but_for_its_line_ends(text: str) -> None:
    lines = stream("message", text).decode().removesuffix("\n\n").split("\n")
    assert all(line.startswith("data: ") for line in lines)
    heard = "\n".join(line.removeprefix("data: ") for line in lines)
    assert heard == text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.lists(st.text() | st.integers(-(2**53), 2**53) | st.none() | st.booleans()))
def test_arguments_arrive_as_they_are(args: list[Any]) -> None:
    name, data, *end = stream("move", *args).decode().split("\n")
    assert (name, end) == ("event: move", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == args


def test_a_ping_is_a_comment_and_what_else_there_is_has_no_form() -> None:
    assert PING.frames(SSE) == b":\n\n"
    for packet in (PONG, NOOP, CLOSE):
        assert packet.frames(SSE) == b""
    for kind in (SocketType.CONNECT, SocketType.DISCONNECT):
        assert Prepared(*encode_packet(SocketPacket(kind), 0)).frames(SSE) == b""


def test_an_event_of_the_history_has_its_place_beside_its_form() -> None:
    prepared = Prepared(*encode_event("/", ["message", "x"], None, 0))
    assert (prepared.offset, prepared.has_offset) == (b"", False)
    prepared.stamp("abcd17")
    assert (prepared.offset, prepared.frames(SSE)) == (b"abcd17", b"data: x\n\n")
