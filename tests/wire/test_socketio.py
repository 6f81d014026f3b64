"""Socket.IO packets: rows of packets and their text, both ways; what is invalid; attachments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.errors import LimitExceeded, PacketError, UnsendableValue
from webpy_socketio.wire.packets import SocketPacket, SocketType
from webpy_socketio.wire.socketio import RESERVED_EVENTS, Assembler, decode_packet, encode_packet

CONNECT, DISCONNECT, EVENT, ACK = SocketType.CONNECT, SocketType.DISCONNECT, SocketType.EVENT, SocketType.ACK
CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = SocketType.CONNECT_ERROR, SocketType.BINARY_EVENT, SocketType.BINARY_ACK
LIMIT = 10


def holder(number: Any) -> dict[str, Any]:
    """The place of an attachment."""
    return {"_placeholder": True, "num": number}


PACKETS = [
    (SocketPacket(CONNECT), "0"),
    (SocketPacket(CONNECT, "/", {"token": "123"}), '0{"token":"123"}'),
    (SocketPacket(CONNECT, "/admin", {"sid": "oSO0"}), '0/admin,{"sid":"oSO0"}'),
    (SocketPacket(CONNECT, "/admin"), "0/admin,"),
    (SocketPacket(CONNECT, "/custom?a=1&b[]=2"), "0/custom?a=1&b[]=2,"),
    (SocketPacket(DISCONNECT), "1"),
    (SocketPacket(DISCONNECT, "/admin"), "1/admin,"),
    (SocketPacket(EVENT, "/", ["hey", "Jude"]), '2["hey","Jude"]'),
    (SocketPacket(EVENT, "/admin", ["bar"]), '2/admin,["bar"]'),
    (SocketPacket(EVENT, "/", ["foo"], 12), '212["foo"]'),
    (SocketPacket(EVENT, "/", ["foo"], 0), '20["foo"]'),
    (SocketPacket(EVENT, "/admin", ["foo"], 456), '2/admin,456["foo"]'),
    (SocketPacket(EVENT, "/1", ["foo"], 2), '2/1,2["foo"]'),
    (SocketPacket(EVENT, "/é €", ["é"]), '2/é €,["é"]'),
    (SocketPacket(EVENT, "/", [1]), "2[1]"),
    (SocketPacket(EVENT, "/", [1.5, {}]), "2[1.5,{}]"),
    (SocketPacket(EVENT, "/", ["", None]), '2["",null]'),
    (SocketPacket(EVENT, "/", ["error", "x"]), '2["error","x"]'),
    (SocketPacket(EVENT, "/", ["a,b", "2[]"]), '2["a,b","2[]"]'),
    (SocketPacket(EVENT, "/", ["x", {"_placeholder": True, "num": 9}]), '2["x",{"_placeholder":true,"num":9}]'),
    (SocketPacket(EVENT, "/", ["m", 1, "2", {"3": [True]}]), '2["m",1,"2",{"3":[true]}]'),
    (SocketPacket(EVENT, "/", ["x"], 999_999_999_999_999), '2999999999999999["x"]'),
    (SocketPacket(ACK, "/admin", ["bar"], 13), '3/admin,13["bar"]'),
    (SocketPacket(ACK, "/", [], 12), "312[]"),
    (SocketPacket(ACK, "/", [], 0), "30[]"),
    (SocketPacket(ACK, "/", [None], 1), "31[null]"),
    (SocketPacket(CONNECT_ERROR, "/admin", {"message": "no"}), '4/admin,{"message":"no"}'),
    (SocketPacket(CONNECT_ERROR, "/", {"message": "no", "data": [1]}), '4{"message":"no","data":[1]}'),
    (SocketPacket(CONNECT_ERROR, "/", "no"), '4"no"'),
]


@pytest.mark.parametrize(("packet", "text"), PACKETS)
def test_packet(packet: SocketPacket, text: str) -> None:
    assert encode_packet(packet, LIMIT) == (text.encode(), [])
    assert decode_packet(text, LIMIT) == packet


BINARY_PACKETS = [
    (
        SocketPacket(EVENT, "/", ["baz", b"\x01"]),
        BINARY_EVENT,
        '51-["baz",{"_placeholder":true,"num":0}]',
        [b"\x01"],
    ),
    (
        SocketPacket(EVENT, "/admin", ["x", b"\x01", b""], 7),
        BINARY_EVENT,
        '52-/admin,7["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        [b"\x01", b""],
    ),
    (
        SocketPacket(ACK, "/admin", ["bar", b"\x02"], 15),
        BINARY_ACK,
        '61-/admin,15["bar",{"_placeholder":true,"num":0}]',
        [b"\x02"],
    ),
    (
        SocketPacket(ACK, "/", [{"a": [b"1", {"b": b"2"}]}], 0),
        BINARY_ACK,
        '62-0[{"a":[{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]}]',
        [b"1", b"2"],
    ),
    (
        SocketPacket(EVENT, "/", ["x", *[b"."] * 10]),
        BINARY_EVENT,
        '510-["x",' + ",".join(f'{{"_placeholder":true,"num":{n}}}' for n in range(10)) + "]",
        [b"."] * 10,
    ),
]


@pytest.mark.parametrize(("packet", "kind", "text", "attachments"), BINARY_PACKETS)
def test_binary_packet(packet: SocketPacket, kind: SocketType, text: str, attachments: list[bytes]) -> None:
    assert encode_packet(packet, LIMIT) == (text.encode(), attachments)
    head = decode_packet(text, LIMIT)
    assert (head.type, head.attachments) == (kind, len(attachments))
    assembler = Assembler(head)
    for data in attachments[:-1]:
        assert assembler.add(data) is None
    assert assembler.add(attachments[-1]) == packet._replace(type=kind)


READ_ONLY = [
    ("0/admin", SocketPacket(CONNECT, "/admin")),
    ("0/", SocketPacket(CONNECT)),
    ("0/,", SocketPacket(CONNECT)),
    ("0/custom/", SocketPacket(CONNECT, "/custom/")),
    ("0{}", SocketPacket(CONNECT, "/", {})),
    ("1/admin", SocketPacket(DISCONNECT, "/admin")),
    ('2/,["x"]', SocketPacket(EVENT, "/", ["x"])),
    ('2/,1["x"]', SocketPacket(EVENT, "/", ["x"], 1)),
    ('2007["x"]', SocketPacket(EVENT, "/", ["x"], 7)),
    ('2 ["x"]', SocketPacket(EVENT, "/", ["x"])),
    ('2[ "x" , 1 ]', SocketPacket(EVENT, "/", ["x", 1])),
    ('2["\\u0078"]', SocketPacket(EVENT, "/", ["x"])),
    ('2["x","\\ud800"]', SocketPacket(EVENT, "/", ["x", "\ud800"])),
    ("3", SocketPacket(ACK, "/", [])),
    ("312", SocketPacket(ACK, "/", [], 12)),
    ("3/admin,12", SocketPacket(ACK, "/admin", [], 12)),
    ("3[1]", SocketPacket(ACK, "/", [1])),
    ("4", SocketPacket(CONNECT_ERROR)),
    ('51-["x"]', SocketPacket(BINARY_EVENT, "/", ["x"], None, 1)),
    ('501-["x"]', SocketPacket(BINARY_EVENT, "/", ["x"], None, 1)),
    ("61-[]", SocketPacket(BINARY_ACK, "/", [], None, 1)),
    ("61-5", SocketPacket(BINARY_ACK, "/", [], 5, 1)),
]


@pytest.mark.parametrize(("text", "packet"), READ_ONLY)
def test_other_spellings(text: str, packet: SocketPacket) -> None:
    assert decode_packet(text, LIMIT) == packet


INVALID = [
    # No such type.
    "",
    "7",
    "9[]",
    "a",
    "b",
    "-1",
    "²",
    "٢",
    "\uff12",
    ' 2["x"]',
    '\n2["x"]',
    "{}",
    '["x"]',
    # The number of attachments.
    '5["x"]',
    '5-["x"]',
    '51["x"]',
    '50-["x"]',
    '500-["x"]',
    '5-1-["x"]',
    '5+1-["x"]',
    '5 1-["x"]',
    '51.0-["x"]',
    '51e0-["x"]',
    '5abc-["x"]',
    '5\uff11-["x"]',
    "6[]",
    "60-[]",
    '5/admin,1-["x"]',
    '21-["x"]',
    "31-[]",
    "01-",
    "11-",
    "41-{}",
    # The payload does not fit.
    "2",
    "20",
    "2/admin,",
    "2/admin",
    "212",
    "51-",
    "51-/admin,3",
    "2{}",
    '2"x"',
    "2null",
    "2[]",
    "2[null]",
    "2[true]",
    "2[[]]",
    '2[["x"]]',
    '2[{"_placeholder":true,"num":0}]',
    "51-[]",
    '51-{"x":1}',
    '51-[{"_placeholder":true,"num":0}]',
    "3{}",
    "31{}",
    '31"x"',
    "31null",
    "31true",
    "61-{}",
    "0[]",
    '0"x"',
    "0null",
    "0true",
    "0/admin,[]",
    "1{}",
    "1[]",
    "1null",
    '1"x"',
    "1/admin,{}",
    "4[]",
    "4null",
    "4true",
    # The payload is no JSON.
    "2[",
    '2["x"',
    '2["x"]]',
    '2["x"]x',
    '2["x",]',
    "2['x']",
    '2["x",NaN]',
    '2["x",Infinity]',
    '2["x",undefined]',
    '2["x"],["y"]',
    "0{",
    "0/admin,x",
    '2/admin["x","y"]',
    # The id.
    '2abc["x"]',
    '2-1["x"]',
    '21.5["x"]',
    '21_0["x"]',
    '2\uff11["x"]',
    '2٣["x"]',
    '2²["x"]',
    '21000000000000000["x"]',
    "2" + "9" * 5_000 + '["x"]',
    "3" + "1" * 16 + "[]",
    # Nested too deeply.
    '2["x",' + "[" * 100_000 + "]" * 100_000 + "]",
    '2["\\ud800",' + "[" * 100_000 + "]" * 100_000 + "]",
]


@pytest.mark.parametrize("text", INVALID, ids=lambda text: repr(text[:20]))
def test_invalid(text: str) -> None:
    with pytest.raises(PacketError):
        decode_packet(text, LIMIT)


@pytest.mark.parametrize("text", ['511-["x"]', "5" + "9" * 5_000 + '-["x"]', "611-[]"], ids=lambda text: str(len(text)))
def test_too_many_attachments(text: str) -> None:
    with pytest.raises(LimitExceeded, match=r"^max_attachments: "):
        decode_packet(text, 10)


@pytest.mark.parametrize("text", ['2["x",%s]', '2["\\ud800",%s]', "3[0,%s]", '50-["x",%s]', '21["x",{"a":%s}]'])
@pytest.mark.parametrize("depth", [3, 4, 5])
def test_limit_of_depth(text: str, depth: int) -> None:
    inner = depth - 1 - ("{" in text)  # within the event's own list
    text = (text % ("[" * inner + "]" * inner)).replace("50-", "51-")
    if depth <= 4:
        decode_packet(text, 10, 4)
    else:
        with pytest.raises(LimitExceeded, match=r"^max_json_depth: "):
            decode_packet(text, 10, 4)


def test_reserved_names() -> None:
    assert {
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    } == RESERVED_EVENTS


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
@pytest.mark.parametrize("head", ["2", "212", "2/admin,", "51-"])
def test_reserved_name_is_invalid(head: str, name: str) -> None:
    with pytest.raises(PacketError):
        decode_packet(f'{head}["{name}"]', LIMIT)
    escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
    with pytest.raises(PacketError):
        decode_packet(f'{head}["{escaped}"]', LIMIT)


@pytest.mark.parametrize(("count", "limit", "valid"), [(1, 1, True), (2, 1, False), (10, 10, True), (11, 12, True)])
def test_limit_of_attachments(count: int, limit: int, valid: bool) -> None:
    text = f'5{count}-["x"]'
    packet = SocketPacket(EVENT, "/", ["x", *[b"."] * count])
    if valid:
        assert decode_packet(text, limit).attachments == count
        assert len(encode_packet(packet, limit).attachments) == count
    else:
        with pytest.raises(LimitExceeded, match=r"^max_attachments: "):
            decode_packet(text, limit)
        with pytest.raises(UnsendableValue):
            encode_packet(packet, limit)


@pytest.mark.parametrize("value", [{1}, float("nan"), object()])
def test_unsendable_tells_where(value: Any) -> None:
    with pytest.raises(UnsendableValue) as caught:
        encode_packet(SocketPacket(EVENT, "/", ["x", {"a": [value]}]), LIMIT)
    assert caught.value.path == "args[0].a[0]"


@pytest.mark.parametrize("kind", [CONNECT, CONNECT_ERROR])
def test_bytes_where_no_attachment_can_follow(kind: SocketType) -> None:
    with pytest.raises(UnsendableValue):
        encode_packet(SocketPacket(kind, "/", {"message": "x", "data": b"x"}), LIMIT)


def assemble(data: list[Any], *buffers: bytes) -> Any:
    """The data of a binary event with these attachments."""
    assembler = Assembler(SocketPacket(BINARY_EVENT, "/", data, None, len(buffers)))
    for buffer in buffers[:-1]:
        assert assembler.add(buffer) is None
    packet = assembler.add(buffers[-1])
    assert packet is not None
    assert packet.attachments == 0
    return packet.data


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (["x", holder(0), holder(1)], ["x", b"a", b"b"]),
        (["x", holder(1), holder(0)], ["x", b"b", b"a"]),
        (["x", holder(1), holder(1)], ["x", b"b", b"b"]),
        (["x"], ["x"]),
        (["x", {"_placeholder": False, "num": 0}], ["x", {"_placeholder": False, "num": 0}]),
        (["x", {"_placeholder": 1, "num": 0}], ["x", {"_placeholder": 1, "num": 0}]),
        (["x", {"_placeholder": "true", "num": 0}], ["x", {"_placeholder": "true", "num": 0}]),
        (["x", {"num": 0}], ["x", {"num": 0}]),
        (["x", {**holder(0), "more": 1}], ["x", b"a"]),
        (["x", {"a": {"b": [holder(0)]}, "c": None}], ["x", {"a": {"b": [b"a"]}, "c": None}]),
    ],
)
def test_placeholders(data: list[Any], wanted: list[Any]) -> None:
    assert assemble(data, b"a", b"b") == wanted


@pytest.mark.parametrize("number", [-1, 2, 10**30, 0.5, 0.0, 1.0, "0", None, True, False, [0], {}])
def test_placeholder_without_attachment(number: Any) -> None:
    with pytest.raises(PacketError):
        assemble(["x", [holder(number)]], b"a", b"b")


def test_placeholder_without_number() -> None:
    with pytest.raises(PacketError):
        assemble(["x", {"_placeholder": True}], b"a")


def test_placeholders_nested_too_deeply() -> None:
    data: Any = holder(0)
    for _ in range(5_000):
        data = [data]
    with pytest.raises(PacketError):
        assemble(["x", data], b"a")


def test_attachment_that_looks_like_a_placeholder() -> None:
    assert assemble(["x", holder(0)], b'{"_placeholder":true,"num":0}') == ["x", b'{"_placeholder":true,"num":0}']


def test_long_digits_are_refused_quickly() -> None:
    for text in ("2" + "1" * 1_000_000, "5" + "1" * 1_000_000, "2/" + "a" * 1_000_000):
        with pytest.raises(PacketError):
            decode_packet(text, LIMIT)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.binary(max_size=8),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text().filter("_placeholder".__ne__), part, max_size=3)
    ),
    max_leaves=10,
)
namespaces = st.just("/") | st.text(st.characters(codec="utf-8", exclude_characters=",")).map("/".__add__)
names = st.text().filter(lambda name: name not in RESERVED_EVENTS)
ids = st.none() | st.integers(0, 10**15 - 1)


@given(namespaces, names, st.lists(values), ids)
def test_event_round_trip(namespace: str, name: str, args: list[Any], packet_id: int | None) -> None:
    packet = SocketPacket(EVENT, namespace, [name, *args], packet_id)
    text, attachments = encode_packet(packet, 1_000)
    got: SocketPacket | None = decode_packet(text.decode(), 1_000)
    assert got is not None
    assert got.attachments == len(attachments)
    assert (got.type is BINARY_EVENT) == bool(attachments)
    if attachments:
        assembler = Assembler(got)
        for data in attachments:
            got = assembler.add(data)
    assert got is not None
    assert got[1:] == packet[1:]


@given(st.text() | st.text('0123456/,-[]{}"x:1').map("5".__add__) | st.text('0123456/,-[]{}"x').map("2".__add__))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        packet = decode_packet(text, LIMIT)
    except PacketError:
        return
    assert packet.namespace.startswith("/")
    assert 0 <= packet.attachments <= LIMIT
    assert (packet.attachments > 0) == (packet.type in (BINARY_EVENT, BINARY_ACK))
    if packet.type in (EVENT, BINARY_EVENT):
        assert packet.data[0] not in RESERVED_EVENTS
