"""Values and their JSON, both ways; what cannot be sent, and what cannot be read."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.errors import PacketError, UnsendableValue
from webpy_socketio.wire.values import decode_value, encode_plain, encode_value

NAN, INFINITY = math.nan, math.inf
HUGE = 2**70  # an integer that sends a value on the long way round
PLACE = {"_placeholder": True}


class Colour(Enum):
    """Values of several kinds."""

    RED = "red"
    PAIR = (1, 2)
    NOTHING = None
    UNDEFINED = NAN
    BYTES = b"\x01"


class Level(IntEnum):
    """Numbers with names."""

    LOW = 1


class Size(str, Enum):
    """Text with names."""

    SMALL = "s"


class Odd(float, Enum):
    """A number with a name that cannot be sent."""

    NAN = NAN


@dataclass
class Point:
    """A dataclass that nests others and holds anything."""

    x: Any
    y: Any = 0


@dataclass
class Secretive:
    """A dataclass with a field that starts with an underscore."""

    _id: int
    name: str = "n"


@dataclass
class Slotted:
    """A dataclass without a dict."""

    __slots__ = ("x",)
    x: Any


@dataclass
class Derived:
    """A dataclass that computes a field."""

    x: int
    double: int = field(init=False)

    def __post_init__(self) -> None:
        self.double = self.x * 2


Pair = namedtuple("Pair", "a b")


VALUES: list[tuple[Any, bytes]] = [
    (None, b"null"),
    (True, b"true"),
    (False, b"false"),
    (0, b"0"),
    (-1, b"-1"),
    (2**53, b"9007199254740992"),
    (2**64 - 1, b"18446744073709551615"),
    (1.5, b"1.5"),
    ("", b'""'),
    ("null", b'"null"'),
    ("€😀", '"€😀"'.encode()),
    ("\u2028\u2029", b'"\xe2\x80\xa8\xe2\x80\xa9"'),
    ('a"\\\n\x00\x1e', b'"a\\"\\\\\\n\\u0000\\u001e"'),
    ([], b"[]"),
    ({}, b"{}"),
    ([1, "2", {"3": [True]}], b'[1,"2",{"3":[true]}]'),
    ({"b": 1, "a": None}, b'{"b":1,"a":null}'),
    ({"": {"": []}}, b'{"":{"":[]}}'),
]


@pytest.mark.parametrize(("value", "text"), VALUES)
def test_json(value: Any, text: bytes) -> None:
    assert encode_value(value) == (text, [])
    assert decode_value(text.decode()) == value


def test_what_looks_like_a_binary_is_none_without_any() -> None:
    assert encode_value({**PLACE, "num": 0}) == (b'{"_placeholder":true,"num":0}', [])


ONE_WAY = [
    ((1, (2,)), b"[1,[2]]"),
    (OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
    (Pair(1, 2), b"[1,2]"),
    (datetime(2026, 1, 2, 3, 4, 5), b'"2026-01-02T03:04:05"'),
    (datetime(2026, 1, 2, 3, 4, 5, 678), b'"2026-01-02T03:04:05.000678"'),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc), b'"2026-01-02T03:04:05+00:00"'),
    (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-5, minutes=-30))), b'"2026-01-02T00:00:00-05:30"'),
    (date(2026, 1, 2), b'"2026-01-02"'),
    (time(3, 4, 5), b'"03:04:05"'),
    (time(3, 4, 5, tzinfo=timezone.utc), b'"03:04:05+00:00"'),
    (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
    (Decimal("0.10"), b'"0.10"'),
    (Decimal("1E+3"), b'"1E+3"'),
    (Colour.RED, b'"red"'),
    (Colour.PAIR, b"[1,2]"),
    (Colour.NOTHING, b"null"),
    (Level.LOW, b"1"),
    (Size.SMALL, b'"s"'),
    (Point(1, Point(2, None)), b'{"x":1,"y":{"x":2,"y":null}}'),
    (Point(Decimal("1.0"), (1,)), b'{"x":"1.0","y":[1]}'),
    (Slotted(1), b'{"x":1}'),
    (Derived(2), b'{"x":2,"double":4}'),
]


@pytest.mark.parametrize(("value", "text"), ONE_WAY)
def test_more_than_json(value: Any, text: bytes) -> None:
    assert encode_value(value) == (text, [])


@pytest.mark.parametrize(("value", "text"), [*VALUES, *ONE_WAY])
def test_same_beside_bytes(value: Any, text: bytes) -> None:
    encoded, attachments = encode_value([value, b"\x01"])
    assert json.loads(encoded) == [json.loads(text), {**PLACE, "num": 0}]
    assert attachments == [b"\x01"]


@pytest.mark.parametrize(("value", "text"), [*VALUES, *ONE_WAY])
def test_same_beside_what_needs_patience(value: Any, text: bytes) -> None:
    encoded, _ = encode_value([value, HUGE])
    assert json.loads(encoded) == [json.loads(text), HUGE]


@pytest.mark.parametrize("companion", [b"\x01", HUGE, "\ud800"])
def test_dataclass_has_one_form(companion: Any) -> None:
    alone, _ = encode_value([Secretive(1)])
    accompanied, _ = encode_value([Secretive(1), companion])
    assert json.loads(accompanied)[0] == json.loads(alone)[0]


def test_attribute_that_is_no_field_has_one_form() -> None:
    point = Point(1)
    point.cached = 5  # type: ignore[attr-defined]
    alone, _ = encode_value([point])
    patient, _ = encode_value([point, HUGE])
    assert json.loads(patient)[0] == json.loads(alone)[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (HUGE, b"1180591620717411303424"),
        ([HUGE, "€"], b'[1180591620717411303424,"\\u20ac"]'),
        ("\ud800", b'"\\ud800"'),
        ({1: "a", None: "b", 1.5: "c"}, b'{"1":"a","null":"b","1.5":"c"}'),
        ({Size.SMALL: 1}, b'{"s":1}'),
    ],
)
def test_uncommon(value: Any, text: bytes) -> None:
    assert encode_value(value) == (text, [])


def test_uncommon_beside_bytes() -> None:
    text, attachments = encode_value([b"a", HUGE, {1: b"b"}, Decimal("1")])
    holders = [{**PLACE, "num": 0}, {**PLACE, "num": 1}]
    assert json.loads(text) == [holders[0], HUGE, {"1": holders[1]}, "1"]
    assert attachments == [b"a", b"b"]


BINARY = [
    (b"\x01", b'{"_placeholder":true,"num":0}', [b"\x01"]),
    (b"", b'{"_placeholder":true,"num":0}', [b""]),
    (bytearray(b"ab"), b'{"_placeholder":true,"num":0}', [b"ab"]),
    (memoryview(b"abcd")[::2], b'{"_placeholder":true,"num":0}', [b"ac"]),
    (Colour.BYTES, b'{"_placeholder":true,"num":0}', [b"\x01"]),
    (["x", b"a", [b"b"]], b'["x",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]', [b"a", b"b"]),
    (
        {"z": b"1", "a": {"b": [b"2", b"1"]}},
        b'{"z":{"_placeholder":true,"num":0},"a":{"b":[{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]}}',
        [b"1", b"2", b"1"],
    ),
    (Point(b"a", b"b"), b'{"x":{"_placeholder":true,"num":0},"y":{"_placeholder":true,"num":1}}', [b"a", b"b"]),
    ([None, b"a"], b'[null,{"_placeholder":true,"num":0}]', [b"a"]),
]


@pytest.mark.parametrize(("value", "text", "attachments"), BINARY)
def test_binary(value: Any, text: bytes, attachments: list[bytes]) -> None:
    assert encode_value(value) == (text, attachments)
    assert all(type(data) is bytes for data in encode_value(value)[1])


def test_later_changes_do_not_reach_what_was_sent() -> None:
    data = bytearray(b"before")
    _, attachments = encode_value([data])
    data[:] = b"after!"
    assert attachments == [b"before"]


UNSENDABLE = [
    (object(), "data"),
    ({1, 2}, "data"),
    (["m", {"points": [{"y": 1}, {"y": {1}}]}], "data[1].points[1].y"),
    ([1, object], "data[1]"),
    ({"a": lambda: 0}, "data.a"),
    (1j, "data"),
    ({(1, 2): 3}, "data"),
    ({"a": {b"k": 1}}, "data.a"),
    ([b"x", {"a": {1}}], "data[1].a"),
    ([HUGE, {1}], "data[1]"),
    (NAN, "data"),
    ([1, INFINITY], "data[1]"),
    ({"a": [None, -INFINITY]}, "data.a[1]"),
    ([b"x", NAN], "data[1]"),
    ([HUGE, NAN], "data[1]"),
    ((1, NAN), "data[1]"),
    (Decimal("NaN"), "data"),
    ([Decimal("-Infinity")], "data[0]"),
    ([b"x", {"a": {**PLACE, "num": 0}}], "data[1].a"),
    ([{**PLACE, "num": 9}, b"x"], "data[0]"),
    ([HUGE, PLACE, b"x"], "data[1]"),
]


@pytest.mark.parametrize(("value", "path"), UNSENDABLE)
def test_unsendable(value: Any, path: str) -> None:
    with pytest.raises(UnsendableValue) as caught:
        encode_value(value)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "value", [Point(NAN), [Point(1, [INFINITY])], Slotted(NAN), Colour.UNDEFINED, {"a": Point(NAN)}]
)
@pytest.mark.parametrize("companion", [None, b"x", HUGE])
def test_not_a_number_never_becomes_null(value: Any, companion: Any) -> None:
    with pytest.raises(UnsendableValue):
        encode_value([value, companion])


@pytest.mark.parametrize("value", [Pair(NAN, 1), Odd.NAN, (Point(Pair(1, INFINITY)),)])
@pytest.mark.parametrize("companion", [None, b"x", HUGE])
def test_not_a_number_in_other_disguises(value: Any, companion: Any) -> None:
    with pytest.raises(UnsendableValue):
        encode_value([value, companion])


@pytest.mark.parametrize("companion", [None, b"x"])
def test_unsendable_inside_a_dataclass(companion: Any) -> None:
    with pytest.raises(UnsendableValue):
        encode_value([Point(1, {1}), companion])


def nested(depth: int, leaf: Any) -> Any:
    """A leaf in so many lists."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf


@pytest.mark.parametrize("companion", [None, b"x", HUGE])
def test_value_that_contains_itself(companion: Any) -> None:
    knot: list[Any] = [companion]
    knot.append(knot)
    with pytest.raises(UnsendableValue):
        encode_value(knot)


@pytest.mark.parametrize("leaf", [None, b"x", "\ud800", 1])
@pytest.mark.parametrize("depth", [100, 253, 254, 255, 400])
def test_deep(depth: int, leaf: Any) -> None:
    text, attachments = encode_value(nested(depth, leaf))
    assert text.startswith(b"[" * depth)
    assert attachments == ([b"x"] if leaf == b"x" else [])


@pytest.mark.parametrize("leaf", [None, b"x", NAN, object()])
@pytest.mark.parametrize("depth", [600, 900, 100_000])
def test_too_deep_is_unsendable(depth: int, leaf: Any) -> None:
    try:
        encode_value(nested(depth, leaf))
    except UnsendableValue:
        return
    assert leaf is None or leaf == b"x"
    assert depth < 100_000


BAD_JSON = [
    "",
    " ",
    "x",
    "[",
    "[1,]",
    "[1]]",
    "[1] x",
    "{'a':1}",
    '{"a":1,}',
    "{a:1}",
    "[NaN]",
    "[Infinity]",
    "[-Infinity]",
    "[01]",
    "[+1]",
    "[.5]",
    "[1.]",
    "[0x1]",
    '["\n"]',
    '["\\x41"]',
    '["a]',
    "undefined",
    "\ufeff[1]",
    "[" * 100_000,
    "[" * 100_000 + "]" * 100_000,
    "[1e999]",
    "[" + "9" * 5_000 + "]",
]


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: repr(text[:12]))
def test_bad_json(text: str) -> None:
    with pytest.raises(PacketError):
        decode_value(text)


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: repr(text[:12]))
def test_bad_json_beside_half_a_surrogate_pair(text: str) -> None:
    with pytest.raises(PacketError):
        decode_value(f'["\\ud800",{text}]')


@pytest.mark.parametrize("text", ['["\ud800"]', '"\udfff"'])
def test_text_that_is_no_unicode(text: str) -> None:
    with pytest.raises(PacketError):
        decode_value(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"\\ud800"', "\ud800"),
        ('"\\uD83D"', "\ud83d"),
        ('["\\udc00\\ud800",1.5,null,true]', ["\udc00\ud800", 1.5, None, True]),
        ('"\\ud83d\\ude00"', "😀"),
        ('{"\\ud800":1}', {"\ud800": 1}),
        ('"\\\\ud800"', "\\ud800"),
    ],
)
def test_half_a_surrogate_pair(text: str, value: Any) -> None:
    assert decode_value(text) == value
    echo, _ = encode_value(value)
    assert decode_value(echo.decode()) == value


def test_any_whitespace_around() -> None:
    assert decode_value(' \t\r\n[ 1 , "a" ] ') == [1, "a"]


numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
high_surrogates = st.characters(min_codepoint=0xD800, max_codepoint=0xDBFF)
texts = st.text() | st.text(high_surrogates | st.characters(max_codepoint=0x7F))
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda part: st.lists(part) | st.dictionaries(texts, part),
)
with_binary = st.recursive(
    st.none() | numbers | texts | st.binary(),
    lambda part: st.lists(part) | st.dictionaries(texts, part),
)


@given(plain)
def test_round_trip(value: Any) -> None:
    text, attachments = encode_value(value)
    assert attachments == []
    assert decode_value(text.decode()) == value


def binaries_in(value: Any) -> list[bytes]:
    """The bytes in a value, depth first."""
    if isinstance(value, bytes):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [data for part in parts for data in binaries_in(part)]


@given(with_binary)
def test_attachments_come_in_order(value: Any) -> None:
    text, attachments = encode_value(value)
    assert attachments == binaries_in(value)
    assert text.count(b'"_placeholder"') >= len(attachments)


@given(st.text('[]{}",:\\ud8019e.-+nulltrfasIN '))
def test_what_can_be_read_can_be_echoed(text: str) -> None:
    try:
        value = decode_value(text)
    except PacketError:
        return
    echo, _ = encode_value(value)
    assert decode_value(echo.decode()) == value


def test_more_than_any_client_could_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webpy_socketio.wire.values.LONGEST_TEXT", 100)
    assert encode_value(["x" * 96]) == (b'["' + b"x" * 96 + b'"]', [])
    assert encode_value([b"x" * 1000])[1] == [b"x" * 1000]
    for value in (["x" * 97], ["x" * 70, b"12"]):
        assert encode_plain(value) is None
        with pytest.raises(UnsendableValue, match="no JavaScript string is longer than 100: send it in parts"):
            encode_value(value)
