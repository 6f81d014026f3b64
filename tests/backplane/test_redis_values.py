"""MessagePack, byte for byte as Node's servers write and read it."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webpy_socketio.backplane.redis_values import pack, unpack
from webpy_socketio.errors import PacketError, UnsendableValue
from webpy_socketio.wire.values import encode_value


@dataclass
class Point:
    """Something that is sent by its fields."""

    x: int


class Color(Enum):
    """Something that is sent by its value."""

    RED = "red"


@pytest.mark.parametrize(
    ("value", "hexadecimal"),
    [
        (["hi", "room"], "92a26869a4726f6f6d"),
        ({"type": 2}, "81a47479706502"),
        (b"\x01\x02", "c4020102"),
        (bytearray(b"\x01"), "c40101"),
        (-1, "ff"),
        (2**64 - 1, "cfffffffffffffffff"),
        (1.5, "cb3ff8000000000000"),
        ((1, None, True), "9301c0c3"),
        (Point(3), "81a17803"),
        (Color.RED, "a3726564"),
        (Decimal("1.50"), "a4312e3530"),
        (datetime(2026, 1, 2), "b3323032362d30312d30325430303a30303a3030"),
        # What MessagePack has no form for becomes what JavaScript makes of it.
        (2**70, "cb4450000000000000"),
        ("a\ud800", "a461efbfbd"),
        ("\ud83d\ude00", "a4f09f9880"),
        ({"k": [2**64]}, "81a16b91cb43f0000000000000"),
    ],
)
def test_written(value: Any, hexadecimal: str) -> None:
    assert pack(value).hex() == hexadecimal


@pytest.mark.parametrize(
    ("hexadecimal", "value"),
    [
        ("92a26869a4726f6f6d", ["hi", "room"]),
        ("c403010203", b"\x01\x02\x03"),
        # Dates of version 3, in all their sizes, and of version 2.
        ("d7ff1d5353006553f100", "2023-11-14T22:13:20.123Z"),
        ("d6ff6553f100", "2023-11-14T22:13:20.000Z"),
        ("c70cff075bca00fffffffffffffff6", "1969-12-31T23:59:50.123Z"),
        ("d7000000018bcfe5687b", "2023-11-14T22:13:20.123Z"),
        ("92d7ff1d5353006553f10081a16bd6ff00000000", ["2023-11-14T22:13:20.123Z", {"k": "1970-01-01T00:00:00.000Z"}]),
        ("c70cff000000007fffffffffffffff", None),
        # Undefined and typed arrays of version 2.
        ("d40000", None),
        ("c70300010203", b"\x01\x02\x03"),
        # Text that is none.
        ("a2ff41", "\ufffdA"),
        ("81a16101", {"a": 1}),
        ("810102", {1: 2}),
    ],
)
def test_read(hexadecimal: str, value: Any) -> None:
    assert unpack(bytes.fromhex(hexadecimal)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x92\x01",
        b"\x01\x01",
        b"\xc1",
        b"\x81\x91\x01\x01",
        b"\xc7\x01\x05\x00",
        b"\x91" * 3000,
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_what_cannot_be_read(data: bytes) -> None:
    with pytest.raises(PacketError):
        unpack(data)


@given(st.binary())
def test_nothing_else_is_raised(data: bytes) -> None:
    with contextlib.suppress(PacketError):
        unpack(data)


@pytest.mark.parametrize(
    ("value", "path"),
    [({1}, "data"), ({"a": [1, object()]}, "data.a[1]"), ([10**400], "data[0]"), ({b"k": 2**70}, "data")],
)
def test_what_cannot_be_sent(value: Any, path: str) -> None:
    with pytest.raises(UnsendableValue) as caught:
        pack(value)
    assert caught.value.path == path


def test_a_value_that_contains_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(UnsendableValue):
        pack(value)


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@settings(max_examples=50)
@given(values)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert unpack(pack(value)) == value


@settings(max_examples=50)
@given(values | st.binary() | st.uuids() | st.datetimes() | st.decimals(allow_nan=False, allow_infinity=False))
def test_clients_of_other_processes_get_what_those_here_get(value: Any) -> None:
    if isinstance(value, (bytes, uuid.UUID)):
        assert encode_value(unpack(pack([value]))) == encode_value([value])
    else:
        assert orjson.loads(encode_value(unpack(pack(value)))[0]) == orjson.loads(encode_value(value)[0])


def test_another_library_reads_the_same() -> None:
    assert msgpack.unpackb(pack({"a": [1, b"\x00"]})) == {"a": [1, b"\x00"]}
