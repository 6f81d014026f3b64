"""What goes into a stream of Redis', and around it, as Node's adapter for streams has it."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.backplane.redis_wire import (
    ACK,
    BROADCAST,
    CLIENT_COUNT,
    FETCH,
    JOIN,
    SERVER_SIDE_EMIT,
    Message,
    Request,
)
from webpy_socketio.backplane.streams_wire import (
    StreamsWire,
    as_request,
    as_response,
    event_of,
    read_entry,
    read_message,
)
from webpy_socketio.envelope import Envelope, Selection
from webpy_socketio.errors import PacketError, UnsendableValue

UID = "83ed504a106ad68e"
WIRE = StreamsWire("socket.io", UID)
#: What Node added for io.to("r1").emit("hi", "room").
DATA = b'{"packet":{"type":2,"data":["hi","room"]},"opts":{"rooms":["r1"],"except":[],"flags":{}}}'
NODES = {b"uid": UID.encode(), b"nsp": b"/", b"type": b"3", b"data": DATA}
EVENT = Envelope(Selection("/", ("r1",)), ["hi", "room"])


def pairs(fields: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=True))


def request_in(payload: bytes) -> Request:
    return as_request(read_message(payload))


def response_in(payload: bytes) -> Message:
    return as_response(read_message(payload))


def test_an_event_is_what_node_adds_and_a_number() -> None:
    assert pairs(WIRE.write_event(EVENT, 7)) == {**NODES, b"n": b"7"}
    entry = read_entry(NODES)
    assert entry is not None
    assert (event_of(entry), entry.number) == (EVENT, -1)


@pytest.mark.parametrize(
    "envelope",
    [
        EVENT,
        Envelope(Selection("/chat", (), ("a", "b")), ["e", 1, {"x": [None, "€"]}], volatile=True),
        Envelope(Selection("/", ("a", "b")), ["binary", b"\x00\xff", {"nested": b""}]),
    ],
)
def test_events_both_ways(envelope: Envelope) -> None:
    entry = read_entry(pairs(WIRE.write_event(envelope, 3)))
    assert entry is not None
    assert event_of(entry) == envelope
    assert (entry.uid, entry.number) == (UID, 3)


def test_binary_values_make_it_messagepack_in_base64() -> None:
    data = pairs(WIRE.write_event(EVENT._replace(data=["b", b"\x01"]), 0))[b"data"]
    assert msgpack.unpackb(base64.b64decode(data)) == {
        "packet": {"type": 2, "data": ["b", b"\x01"]},
        "opts": {"rooms": ["r1"], "except": [], "flags": {}},
    }


def test_commands() -> None:
    fields = pairs(WIRE.write_command(JOIN, "/chat", {"opts": {"rooms": ["a"], "except": []}, "rooms": ["b"]}, 5))
    assert fields == {
        b"uid": UID.encode(),
        b"nsp": b"/chat",
        b"type": b"4",
        b"data": b'{"opts":{"rooms":["a"],"except":[]},"rooms":["b"]}',
        b"n": b"5",
    }


def test_requests_and_responses_over_pubsub() -> None:
    assert WIRE.requests("/") == b"socket.io#/#"
    assert WIRE.ears("/chat") == (b"socket.io#/chat#83ed504a106ad68e#",)
    request = request_in(WIRE.write_request(FETCH, "/", "abc", {"opts": {"rooms": [], "except": []}}))
    assert request == Request(FETCH, UID, "abc", {"opts": {"rooms": [], "except": []}, "requestId": "abc"})
    assert WIRE.mouth("/", request) == b"socket.io#/#83ed504a106ad68e#"
    response = WIRE.write_response("/", request, {"sockets": []})
    assert msgpack.unpackb(response) == {"type": 8, "data": {"requestId": "abc", "sockets": []}, "uid": UID, "nsp": "/"}
    assert response_in(response) == {"requestId": "abc", "sockets": [], "type": FETCH}


def test_questions_and_their_answers() -> None:
    payload = WIRE.write_question("abc", EVENT, 2.5)
    request = request_in(payload)
    assert (request.kind, request.request_id) == (BROADCAST, "abc")
    assert request.fields["packet"] == {"type": 2, "data": ["hi", "room"], "nsp": "/"}
    assert request.fields["opts"]["flags"] == {"timeout": 2500}
    count = WIRE.write_response("/", request, {"type": CLIENT_COUNT, "clientCount": 2})
    assert response_in(count) == {"requestId": "abc", "clientCount": 2, "type": CLIENT_COUNT}
    for args, packet in (([b"\x01", "ignored"], b"\x01"), ([], None)):
        assert response_in(WIRE.write_ack("/", request, args)).get("packet") == packet
    assert response_in(WIRE.write_ack("/", request, []))["type"] == ACK


def test_server_side_events() -> None:
    request = request_in(WIRE.write_request(SERVER_SIDE_EMIT, "/", "abc", {"data": ["ping", 1]}))
    assert (request.kind, request.fields) == (SERVER_SIDE_EMIT, {"data": ["ping", 1]})
    response = WIRE.write_response("/", request, {"type": SERVER_SIDE_EMIT, "data": ["pong"]})
    assert msgpack.unpackb(response)["type"] == 10
    assert response_in(response)["data"] == ["pong"]
    with pytest.raises(UnsendableValue):
        WIRE.write_request(SERVER_SIDE_EMIT, "/", None, {"data": ["ping", b"1"]})


@pytest.mark.parametrize(
    "fields",
    [
        {b"data": b"{"},
        {b"data": b"[]"},
        {b"data": b"!"},
        {b"data": base64.b64encode(b"\xc1")},
        {b"data": base64.b64encode(b"\x90")},
        {b"data": b'{"packet":{"type":3,"data":["e"]}}'},
        {b"data": b'{"packet":{"type":2,"data":["connect"]}}'},
        {b"data": b'{"packet":{"type":2,"data":["e"]},"opts":{"rooms":{"a":1}}}'},
    ],
)
def test_what_is_no_event(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(PacketError):
        entry = read_entry({**NODES, **fields})
        assert entry is not None
        event_of(entry)


def test_what_others_keep_in_the_stream_is_none_of_ours() -> None:
    assert read_entry({b"field": b"value"}) is None


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x90", b"\x80", b"{}"])
def test_what_is_no_message(payload: bytes) -> None:
    with pytest.raises(PacketError):
        read_message(payload)


@given(st.dictionaries(st.sampled_from([b"uid", b"nsp", b"type", b"data", b"n"]), st.binary(max_size=30)))
def test_any_entry_is_read_or_refused(fields: dict[bytes, bytes]) -> None:
    with contextlib.suppress(PacketError):
        entry = read_entry(fields)
        if entry is not None:
            as_request(entry)
            event_of(entry)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 12) | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(VALUES, VALUES, st.integers(0, 13))
def test_any_message_is_read_or_refused(data: Any, packet: Any, kind: int) -> None:
    for value in (data, {"packet": packet, "opts": data, "requestId": packet}):
        with contextlib.suppress(PacketError):
            message = read_message(msgpack.packb({"uid": "u", "nsp": "/", "type": kind, "data": value}))
            as_request(message)
            as_response(message)
