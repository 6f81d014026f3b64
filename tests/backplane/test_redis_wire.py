"""What goes over Redis, byte for byte as Node's adapter has it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.backplane.redis_wire import (
    ACK,
    FETCH,
    JOIN,
    SERVER_SIDE_EMIT,
    Names,
    decode_broadcast,
    decode_message,
    decode_request,
    describe_socket,
    encode_ack,
    encode_broadcast,
    encode_question,
    encode_request,
    encode_response,
    own_marks,
    read_names,
    read_rooms,
    read_sockets,
    splits,
)
from webpy_socketio.envelope import Envelope, Selection, SocketDetails
from webpy_socketio.errors import PacketError, UnsendableValue

UID = "7-gnS3"
ROOM = Selection("/", ("r1",))
#: What Node sent for io.to("r1").emit("hi", "room").
CAPTURED = bytes.fromhex(
    "93a6372d676e533383a47479706502a46461746192a26869a4726f6f6da36e7370a12f83a5726f6f6d7391a27231a665786365707490a5666c61677380"
)
NAMES = Names("socket.io", UID)


def test_a_broadcast_is_byte_for_byte_what_node_sends() -> None:
    assert encode_broadcast(UID, Envelope(ROOM, ["hi", "room"])) == CAPTURED
    assert decode_broadcast(CAPTURED) == Envelope(ROOM, ["hi", "room"])


def test_options_of_a_broadcast() -> None:
    selection = Selection("/chat", ("a", "b"), ("c", "sid"))
    message = msgpack.unpackb(encode_broadcast(UID, Envelope(selection, ["e", b"\x01"], volatile=True)))
    assert message == [
        UID,
        {"type": 2, "data": ["e", b"\x01"], "nsp": "/chat"},
        {"rooms": ["a", "b"], "except": ["c", "sid"], "flags": {"volatile": True}},
    ]


PACKET = {"type": 2, "data": ["e"], "nsp": "/"}


@pytest.mark.parametrize(
    ("message", "envelope"),
    [
        (["emitter", PACKET, {"rooms": [], "flags": {}, "except": []}], Envelope(Selection(), ["e"])),
        ([UID, PACKET, {}], Envelope(Selection(), ["e"])),
        ([UID, PACKET], Envelope(Selection(), ["e"])),
        ([UID, PACKET, None], Envelope(Selection(), ["e"])),
        ([UID, PACKET, {"rooms": "", "except": None, "flags": ""}], Envelope(Selection(), ["e"])),
        ([UID, {"type": 5, "data": ["e", b"1"]}, {}], Envelope(Selection(), ["e", b"1"])),
        ([UID, {"data": ["e"]}, {"rooms": [42, 7.0, "42", 1.5]}], Envelope(Selection("/", ("42", "7", "1.5")), ["e"])),
        ([UID, PACKET, {"flags": {"volatile": True, "compress": False}}], Envelope(Selection(), ["e"], True)),
        ([UID, {"data": [7, 1], "nsp": "/x"}, {"except": [1]}], Envelope(Selection("/x", (), ("1",)), [7, 1])),
    ],
)
def test_broadcasts_may_be_written_freely(message: Any, envelope: Envelope) -> None:
    assert decode_broadcast(msgpack.packb(message)) == envelope


@pytest.mark.parametrize(
    "message",
    [
        {},
        [],
        [UID],
        "text",
        [UID, "packet", {}],
        [UID, {"type": 3, "data": ["e"]}, {}],
        [UID, {"data": []}, {}],
        [UID, {"data": {}}, {}],
        [UID, {"data": ["e"], "nsp": 1}, {}],
        [UID, {"data": [None]}, {}],
        [UID, {"data": [True]}, {}],
        [UID, {"data": ["connect"]}, {}],
        [UID, PACKET, {"rooms": [None]}],
        [UID, PACKET, {"rooms": [True]}],
        [UID, PACKET, {"rooms": "r1"}],
        [UID, PACKET, {"except": {"a": 1}}],
    ],
)
def test_what_is_no_broadcast(message: Any) -> None:
    with pytest.raises(PacketError):
        decode_broadcast(msgpack.packb(message))


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_a_broadcast_of_anything_raises_nothing_else(value: Any) -> None:
    for message in (value, [UID, value, value], [UID, {"data": ["e"]}, {"rooms": value, "flags": value}]):
        try:
            payload = msgpack.packb(message)
        except OverflowError:
            return
        with contextlib.suppress(PacketError):
            decode_broadcast(payload)


def test_where_a_broadcast_goes() -> None:
    assert NAMES.broadcast(Selection()) == b"socket.io#/#"
    assert NAMES.broadcast(ROOM) == b"socket.io#/#r1#"
    assert NAMES.broadcast(Selection("/chat", ("a", "b"))) == b"socket.io#/chat#"
    assert NAMES.broadcast(Selection("/chat", ("a#b",), ("x",))) == b"socket.io#/chat#a#b#"


def test_names_of_channels() -> None:
    assert NAMES.request("/chat") == b"socket.io-request#/chat#"
    assert NAMES.my_responses("/") == (b"socket.io-response#/#", b"socket.io-response#/#7-gnS3#")
    assert [NAMES.response("/", uid) for uid in (None, "", 7)] == [b"socket.io-response#/#"] * 3
    assert NAMES.all_broadcasts == b"socket.io#/*"
    assert Names("a*[b]?\\", UID).all_broadcasts == b"a\\*\\[b\\]\\?\\\\#/*"


@pytest.mark.parametrize(
    ("rest", "meanings"),
    [
        (b"/#", [("/", "")]),
        (b"/#r1#", [("/", "r1"), ("/#r1", "")]),
        (b"/a#b#c#", [("/a", "b#c"), ("/a#b", "c"), ("/a#b#c", "")]),
        (b"/#", [("/", "")]),
        (b"/", []),
        (b"", []),
        (b"/#\xff#", [("/", "\ufffd"), ("/#\ufffd", "")]),
    ],
)
def test_what_the_name_of_a_channel_may_mean(rest: bytes, meanings: list[tuple[str, str]]) -> None:
    assert splits(rest) == meanings


def test_own_messages_are_known_by_their_beginning() -> None:
    marks = own_marks(UID)
    envelope = Envelope(ROOM, ["e"])
    own = [
        encode_broadcast(UID, envelope),
        encode_question(UID, "abcdef", envelope, 1.0),
        encode_request(JOIN, UID, rooms=[]),
        encode_request(FETCH, UID, "abcdef", opts={}),
    ]
    others = [encode_broadcast("other!", envelope), encode_response("abcdef", sockets=[]), encode_ack(UID, [UID])]
    assert all(message.startswith(marks) for message in own)
    assert not any(message.startswith(marks) for message in others)


def test_requests() -> None:
    options = {"rooms": ["r1"], "except": []}
    request = encode_request(FETCH, UID, "eCgIDt", opts=options)
    assert request == b'{"uid":"7-gnS3","requestId":"eCgIDt","type":5,"opts":{"rooms":["r1"],"except":[]}}'
    kind, uid, request_id, fields = decode_request(request)
    assert (kind, uid, request_id, fields["opts"]) == (FETCH, UID, "eCgIDt", options)
    assert decode_request(b'{"type":2,"opts":{}}')[:3] == (JOIN, None, None)
    assert decode_request(msgpack.packb({"type": 7, "uid": "x"}))[:2] == (7, "x")


def test_a_question() -> None:
    payload = encode_question(UID, "4_iVfS", Envelope(ROOM, ["askme"]), 1.0)
    assert list(msgpack.unpackb(payload).items()) == [
        ("uid", UID),
        ("requestId", "4_iVfS"),
        ("type", 7),
        ("packet", {"type": 2, "data": ["askme"], "nsp": "/"}),
        ("opts", {"rooms": ["r1"], "except": [], "flags": {"timeout": 1000}}),
    ]


def test_acknowledgements() -> None:
    assert msgpack.unpackb(encode_ack("id", ["a", "b"])) == {"type": ACK, "requestId": "id", "packet": "a"}
    assert msgpack.unpackb(encode_ack("id", [])) == {"type": ACK, "requestId": "id"}
    assert decode_message(encode_ack("id", [b"\x01"]))["packet"] == b"\x01"


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"a":NaN}', b'{"\xff":1}', b"\x91\x01", b"\xc1", b"null"])
def test_messages_that_cannot_be_read(payload: bytes) -> None:
    with pytest.raises(PacketError):
        decode_message(payload)


@pytest.mark.parametrize("kind", [None, "5", True, 1.5])
def test_requests_have_a_type(kind: Any) -> None:
    with pytest.raises(PacketError):
        decode_request(json.dumps({"type": kind}).encode())


def test_json_carries_no_bytes() -> None:
    with pytest.raises(UnsendableValue):
        encode_request(SERVER_SIDE_EMIT, UID, data=["e", b"1"])


def test_sockets() -> None:
    context = {"name": "Ada", "object": object(), 3: 4, "file": b"1", "ok": [1]}
    described = describe_socket("sid", ["r1"], context, {"auth": {}})
    assert described == {
        "id": "sid",
        "handshake": {"auth": {}},
        "rooms": ["sid", "r1"],
        "data": {"name": "Ada", "ok": [1]},
    }
    message = decode_message(encode_response("id", sockets=[described, {"id": "x", "rooms": ["x", 42]}]))
    assert read_sockets(message) == [
        SocketDetails("sid", ["r1"], {"name": "Ada", "ok": [1]}),
        SocketDetails("x", ["42"], {}),
    ]


@pytest.mark.parametrize("sockets", [None, {}, [1], [{"id": 1}], [{"id": "x", "rooms": [None]}]])
def test_sockets_that_cannot_be_read(sockets: Any) -> None:
    with pytest.raises(PacketError):
        read_sockets({"sockets": sockets})


def test_names_that_are_listed() -> None:
    assert read_names({"rooms": ["a", 1, "a"]}, "rooms") == ("a", "1")
    assert read_rooms(None) == ()
    with pytest.raises(PacketError):
        read_names({}, "rooms")
