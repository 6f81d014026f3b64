"""The messages of a WebSocket: taken apart here or by websockets' protocol, it must make no difference."""

from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.wire import frame
from webpy_socketio.wire.messages import Message, MessageReader

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
LIMIT = 100_000


def read(*parts: bytes) -> list[Message]:
    """All messages in some bytes that arrive in parts."""
    reader = MessageReader(LIMIT)
    return [message for part in parts for message in reader.receive(part)]


@pytest.mark.parametrize("size", [0, 1, 5, 6, 119, 120, 124, 125, 126, 127, 131, 132, 133, 134, 65535, 65536, LIMIT])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_sizes(opcode: int, size: int) -> None:
    data = (b"abcdefghij" * (size // 10 + 1))[:size]
    assert read(frame(opcode, data)) == [(opcode == TEXT, data)]


messages = st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=6)


@given(messages, st.lists(st.integers(0, 1500), max_size=8))
def test_however_the_bytes_are_cut(wanted: list[Message], cuts: list[int]) -> None:
    data = b"".join(frame(TEXT if is_text else BINARY, body) for is_text, body in wanted)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[start:end] for start, end in itertools.pairwise(places)]
    assert read(*parts) == wanted
    assert read(*(data[index : index + 1] for index in range(len(data)))) == wanted


@given(st.text(max_size=100), st.lists(st.integers(0, 300), min_size=1, max_size=3), st.booleans())
def test_fragments_with_control_frames_between(text: str, cuts: list[int], in_one: bool) -> None:
    data = text.encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[start:end] for start, end in itertools.pairwise(places)]
    frames = [frame(TEXT, parts[0], fin=False)]
    for part in parts[1:-1]:
        frames += [frame(PING, b"?"), frame(CONTINUATION, part, fin=False)]
    frames += [frame(CONTINUATION, parts[-1]), frame(TEXT, b"after")]
    whole = [(True, b"".join(parts)), (True, b"after")]
    assert read(*([b"".join(frames)] if in_one else frames)) == whole


def test_a_text_in_fragments_is_refused_as_soon_as_it_cannot_be_one() -> None:
    reader = MessageReader(LIMIT)
    assert reader.receive(frame(TEXT, b"\xce", fin=False) + frame(CONTINUATION, b"\xba", fin=False)) == []
    assert reader.is_open
    assert reader.receive(frame(CONTINUATION, b"\xed\xa0\x80", fin=False) + frame(TEXT, b"late")) == []
    assert not reader.is_open
    assert reader.data_to_send()[0][2:4] == b"\x03\xef"  # 1007


def test_binary_fragments_may_be_anything() -> None:
    data = frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, b"\xfe")
    assert read(data) == [(False, b"\xff\xfe")]


def test_pongs_are_noted_and_counted_and_need_no_protocol() -> None:
    reader = MessageReader(LIMIT)
    assert reader.receive(frame(PONG, b"hi") + frame(TEXT, b"a")) == [(True, b"a")]
    assert (reader.heard_pong, reader.has_answers, reader.uncounted, reader.data_to_send()) == (True, True, 1, [])
    assert reader._protocol is None


def test_a_pong_that_is_too_long_is_refused() -> None:
    reader = MessageReader(LIMIT)
    reader.receive(frame(PONG, b"x" * 126))
    assert not reader.is_open
    assert not reader.heard_pong


def test_pongs_and_the_answer_to_a_close() -> None:
    reader = MessageReader(LIMIT)
    assert reader.receive(frame(PING, b"hi") + frame(TEXT, b"a") + frame(CLOSE, b"\x03\xe8")) == [(True, b"a")]
    assert reader.data_to_send() == [b"\x8a\x02hi", b"\x88\x02\x03\xe8", b""]
    assert (reader.close_code, reader.is_open, reader.error) == (1000, False, None)
    assert reader.receive(frame(TEXT, b"late")) == []


def test_closed_from_here() -> None:
    reader = MessageReader(LIMIT)
    reader.close()
    assert reader.data_to_send() == [b"\x88\x00"]
    assert not reader.is_open
    assert reader.receive(frame(TEXT, b"on its way")) == [(True, b"on its way")]
    assert reader.receive(frame(CLOSE)) == []
    assert reader.data_to_send() == [b""]
    assert reader.close_code == 1005


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"abc", masked=False), 1002),
        (frame(TEXT, b"x" * 200, masked=False), 1002),
        (frame(TEXT, b"abc", reserved=4), 1002),
        (frame(3, b"abc"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, fin=False), 1002),
        (frame(CONTINUATION, b"abc"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (frame(TEXT, b"x" * (LIMIT + 1)), 1009),
        (frame(TEXT, b"x" * LIMIT, fin=False) + frame(CONTINUATION, b"x"), 1009),
        (b"\x81\xff" + b"\xff" * 8 + b"mask", 1009),
    ],
    ids=[
        "unmasked",
        "long-unmasked",
        "reserved-bit",
        "reserved-opcode",
        "long-control",
        "fragmented-control",
        "continues-nothing",
        "begins-within",
        "too-big",
        "too-big-in-all",
        "length-too-big",
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_broken_rules(data: bytes, code: int, at_once: bool) -> None:
    reader = MessageReader(LIMIT)
    assert reader.receive(frame(TEXT, b"before")) == [(True, b"before")]
    parts = [data] if at_once else [data[index : index + 1000] for index in range(0, len(data), 1000)]
    assert [message for part in parts for message in reader.receive(part)] == []
    farewell = b"".join(reader.data_to_send())
    assert (farewell[0], struct.unpack("!H", farewell[2:4])[0]) == (0x88, code)
    assert reader.error is not None
    assert reader.too_big == (code == 1009)
    assert reader.receive(frame(TEXT, b"after")) == []


@pytest.mark.parametrize("length", [125, 126, 127])
def test_the_beginning_of_an_unmasked_frame_is_no_short_message(length: int) -> None:
    reader = MessageReader(LIMIT)
    assert reader.receive(bytes([0x81, length, *[0] * (length - 124)])) == []
    assert reader.receive(bytes(10)) == []
    assert reader.data_to_send()[0][2:4] == struct.pack("!H", 1002)


def test_a_length_above_the_limit_is_refused_before_memory_is_taken() -> None:
    reader = MessageReader(LIMIT)
    tracemalloc.start()
    reader.receive(b"\x82\xff" + struct.pack("!Q", 2**40) + b"mask")
    for _ in range(100):
        reader.receive(b"x" * 10_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.too_big
    assert peak < 200_000


def test_a_message_in_many_pieces_is_not_copied_again_and_again() -> None:
    data = frame(BINARY, b"x" * LIMIT)
    reader = MessageReader(LIMIT)
    tracemalloc.start()
    pieces = [message for index in range(0, len(data), 100) for message in reader.receive(data[index : index + 100])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pieces == [(False, b"x" * LIMIT)]
    assert peak < 5 * LIMIT


@given(st.binary(max_size=400))
def test_anything(data: bytes) -> None:
    whole = MessageReader(LIMIT)
    cut = MessageReader(LIMIT)
    messages = whole.receive(data) if data else []
    assert [m for index in range(len(data)) for m in cut.receive(data[index : index + 1])] == messages
    assert (whole.error is None, whole.close_code) == (cut.error is None, cut.close_code)
