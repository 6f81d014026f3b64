"""What hostile input costs: no codec takes more memory than a small multiple of what a client sent.

The limit on what a client may send (``max_payload``) is then a limit on memory, too. How small the multiple can be
differs: JSON's shortest containers are Python's largest objects for their text.
"""

from __future__ import annotations

import contextlib
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from webpy_socketio.errors import PacketError, UnsendableValue
from webpy_socketio.wire import engine_v3, engine_v4, jsonp
from webpy_socketio.wire.packets import SocketPacket, SocketType
from webpy_socketio.wire.socketio import Assembler, decode_packet, encode_packet
from webpy_socketio.wire.values import as_ascii, decode_value, encode_value

SIZE = 50_000
MEGABYTE = 1_000_000
HOLDER = '{"_placeholder":true,"num":0}'
#: What any call may take besides: imports, caches of compiled patterns, tracemalloc's own.
SMALL = 50_000


def peak(function: Callable[[], object]) -> int:
    """The most memory that a call takes at one time; a documented error is as good as a result."""
    with contextlib.suppress(PacketError):
        function()  # whatever it makes once and keeps
    return min(one_peak(function) for _ in range(2))  # other threads take some at the same time


def one_peak(function: Callable[[], object]) -> int:
    """What the process takes during one call."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        with contextlib.suppress(PacketError):
            result = function()  # noqa: F841  # what it returns counts
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def fill(unit: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """So many repetitions of bytes that they take about SIZE."""
    return before + unit * (SIZE // len(unit)) + after


def read(packets: Iterable[Any]) -> None:
    """Take packets one by one and forget each."""
    deque(packets, maxlen=0)


PAYLOADS = [
    (engine_v3, False, b"999999999999:4" + b"x" * SIZE),
    (engine_v3, False, fill(b"9")),
    (engine_v3, False, fill(b"1:4")),
    (engine_v3, False, fill(b"0:")),
    (engine_v3, False, fill("3:4😀".encode())),
    (engine_v3, False, fill("😀".encode(), b"999999999999:4")),
    (engine_v3, False, fill(b"x", b"%d:4" % (SIZE + 1))),
    (engine_v3, False, fill(b"AAAA", b"%d:b4" % (SIZE + 2))),
    (engine_v3, True, b"\x00" + b"\x09" * 12 + b"\xff4" + b"x" * SIZE),
    (engine_v3, True, fill(b"\x09", b"\x00")),
    (engine_v3, True, fill(b"\x00\x01\xff4")),
    (engine_v3, True, fill(b"\x00\x00\xff")),
    (engine_v3, True, fill(b"\x01\x03\xff\x04ab")),
    (engine_v4, False, fill(b"\x1e")),
    (engine_v4, False, fill(b"4\x1e", after=b"4")),
    (engine_v4, False, fill(b"4a\x1e", after=b"4")),
    (engine_v4, False, fill(b"bAQ==\x1e", after=b"4")),
    (engine_v4, False, fill(b"AAAA", b"b")),
    (engine_v4, False, fill("😀".encode(), b"4")),
]


@pytest.mark.parametrize(("codec", "is_binary", "body"), PAYLOADS, ids=lambda value: repr(value)[:24])
def test_payloads(codec: Any, is_binary: bool, body: bytes) -> None:
    assert peak(lambda: read(codec.decode_payload(body, is_binary))) < 5 * len(body) + SMALL


PACKETS = ["AAAA", "😀", "\x1e", "4", "b4AQ=="]


@pytest.mark.parametrize("codec", [engine_v3, engine_v4], ids=["v3", "v4"])
@pytest.mark.parametrize("unit", PACKETS)
@pytest.mark.parametrize("head", ["4", "b", "b4"])
def test_single_packets(codec: Any, unit: str, head: str) -> None:
    text = head + unit * (SIZE // len(unit))
    size = len(text.encode())
    assert peak(lambda: codec.decode_text(text)) < 5 * size + SMALL
    assert peak(lambda: codec.decode_binary(b"\x04" + text.encode())) < 5 * size + SMALL


FORMS = [b"&", b"aa&", b"a=1&", b"%", b"%41", b"%5Cn", b"\\n", b"+", b"\xff", b"%ff", "€".encode()]


@pytest.mark.parametrize("unit", FORMS)
@pytest.mark.parametrize("before", [b"", b"d="])
def test_forms(unit: bytes, before: bytes) -> None:
    form = fill(unit, before)
    assert peak(lambda: jsonp.unwrap(form)) < 20 * len(form) + SMALL


@pytest.mark.parametrize("unit", [b"x", b"\x00", b'"', "€".encode(), "😀".encode()])
def test_scripts(unit: bytes) -> None:
    body = fill(unit)
    assert peak(lambda: jsonp.wrap(body, "0")) < 25 * len(body) + SMALL


JSON = [
    "[" * SIZE,
    "[" * 20_000 + "]" * 20_000,
    '{"a":' * 10_000,
    "[" + "[]," * 15_000 + "[]]",
    "[" + "{}," * 15_000 + "{}]",
    "[" + '{"":0},' * 8_000 + "{}]",
    "[" + "1," * 25_000 + "1]",
    "[" + "1.5," * 12_000 + "1]",
    "[" + '"a",' * 12_000 + "1]",
    "[" + '"€😀",' * 5_000 + "1]",
    "9" * SIZE,
    "[" + "9" * SIZE + "]",
    "[1e" + "9" * SIZE + "]",
    '"' + "\\u0041" * 8_000 + '"',
    '["\\ud800",' + "[]," * 15_000 + "[]]",
    '["\\ud800",' + "[" * 25_000,
    '["\\ud800",' + "9" * SIZE + "]",
    '"' + "\\ud800" * 8_000 + '"',
    "[" + f"{HOLDER}," * 6_000 + "0]",
]


@pytest.mark.parametrize("text", JSON, ids=lambda text: text[:12])
def test_json(text: str) -> None:
    # An empty dict is 64 bytes, and takes three in JSON; in a list that still grows, its place takes up to 16.
    assert peak(lambda: decode_value(text)) < 50 * len(text) + SMALL


HEADS = ["2", "5", "51", "51-", "2/", "2/a,", "21", "0", "3", "4", "61-"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("unit", ["1", "-", "/", ",", "[", '["x"', "\u00b2", "{"])
def test_packets_of_socketio(head: str, unit: str) -> None:
    text = head + unit * (SIZE // len(unit))
    # orjson sets aside 13 times what it is given, even if that turns out to be no JSON.
    assert peak(lambda: decode_packet(text, 10)) < 20 * len(text.encode()) + SMALL


def test_many_placeholders_of_one_attachment_do_not_copy_it() -> None:
    """Amplification: each place would be filled with a megabyte of its own."""
    text = '51-["x",' + ",".join([HOLDER] * 33_000) + "]"
    assert len(text) < MEGABYTE
    attachment = bytes(MEGABYTE)

    def assemble() -> SocketPacket | None:
        return Assembler(decode_packet(text, 10)).add(attachment)

    packet = assemble()
    assert packet is not None
    assert all(part is attachment for part in packet.data[1:])
    assert len(packet.data) == 33_001
    assert peak(assemble) < 30 * len(text) + SMALL

    def echo() -> None:
        with pytest.raises(UnsendableValue, match="33000 binary values"):
            encode_packet(packet._replace(type=SocketType.EVENT), 10)

    assert peak(echo) < 30 * len(text) + SMALL


def test_an_attachment_that_is_sent_several_times_is_kept_once() -> None:
    attachment = bytes(MEGABYTE)
    value = ["x", *[attachment] * 10]
    assert peak(lambda: encode_value(value)) < SMALL


@pytest.mark.parametrize("unit", ["x", "€", "😀", "a€"])
def test_ascii_forms(unit: str) -> None:
    text = fill(unit.encode())
    assert peak(lambda: as_ascii(text)) < 20 * len(text) + SMALL


def test_a_packet_that_waits_for_attachments_that_never_come_holds_what_came() -> None:
    packet = SocketPacket(SocketType.BINARY_EVENT, "/", ["x"], None, 10)

    def collect() -> Assembler:
        assembler = Assembler(packet)
        for _ in range(9):
            assembler.add(bytes(SIZE))
        return assembler

    assert peak(collect) < 10 * SIZE + SMALL
