"""PROXY headers: what proxies send, byte for byte, and what is none."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.errors import PacketError
from webpy_socketio.wire.proxy_protocol import (
    LONGEST_HEADER,
    LONGEST_LINE,
    VERSION_2,
    Header,
    decode_header,
    plain_address,
)

REST = b"GET / HTTP/1.1\r\n\r\nPROXY TCP4 "


def binary(kinds: str, block: bytes = b"", more: bytes = b"") -> bytes:
    """A header of version 2: the two bytes that tell its kind in hexadecimal, addresses, and what may follow."""
    return VERSION_2 + bytes.fromhex(kinds) + len(block + more).to_bytes(2, "big") + block + more


IP4 = bytes.fromhex("c0000207 0a000001 1267 01bb")
IP6 = bytes.fromhex("20010db8000000000000000000000001 20010db8000000000000000000000002 1267 01bb")
UNIX = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")
SOURCE_4, SOURCE_6 = ("192.0.2.7", 4711), ("2001:db8::1", 4711)
GOOD = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n", SOURCE_4),
    (b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", ("255.255.255.255", 65535)),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", SOURCE_6),
    (b"PROXY TCP6 2001:0DB8:0:0:0:0:0:1 ::ffff:10.0.0.1 4711 443\r\n", SOURCE_6),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 4711 443\r\n", SOURCE_4),
    (b"PROXY TCP6 %s %s 65535 65535\r\n" % ((b"ffff:" * 7 + b"ffff",) * 2), (":".join(["ffff"] * 8), 65535)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN 192.0.2.7 10.0.0.1 4711 443\r\n", None),
    (b"PROXY UNKNOWN %s\r\n" % (b"x" * (LONGEST_LINE - 16)), None),
    (binary("21 11", IP4), SOURCE_4),
    (binary("21 11", IP4, b"\x04\x00\x03abc"), SOURCE_4),
    (binary("21 11", IP4, b"\x04"), SOURCE_4),
    (binary("21 11", IP4, bytes(LONGEST_HEADER - 28)), SOURCE_4),
    (binary("21 12", IP4), SOURCE_4),
    (binary("21 21", IP6), SOURCE_6),
    (binary("21 21", bytes.fromhex("00000000000000000000ffffc0000207" * 2 + "1267 01bb")), SOURCE_4),
    (binary("21 22", IP6, b"\x03\x00\x04abcd"), SOURCE_6),
    (binary("21 31", UNIX), None),
    (binary("21 00"), None),
    (binary("21 01"), None),
    (binary("21 10", IP4), None),
    (binary("21 00", b"anything"), None),
]
LOCAL = [binary("20 00"), binary("20 11", IP4), binary("20 11", b"short"), binary("20 ff", b"anything")]


@pytest.mark.parametrize(("data", "source"), GOOD)
def test_a_header_tells_its_size_and_the_client(data: bytes, source: tuple[str, int] | None) -> None:
    assert decode_header(data) == decode_header(data + REST) == Header(len(data), source)


@pytest.mark.parametrize("data", LOCAL)
def test_a_proxy_that_speaks_for_itself(data: bytes) -> None:
    assert decode_header(data + REST) == Header(len(data), is_local=True)


@pytest.mark.parametrize("data", [data for data, _ in GOOD] + LOCAL)
def test_no_part_of_a_header_is_one(data: bytes) -> None:
    assert [size for size in range(len(data)) if decode_header(data[:size]) is not None] == []


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",  # TLS
        b"\r\n\r\n\r\n",
        b" PROXY TCP4",
        b"proxy ",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXY \n",
        b"PROXY\tTCP4 192.0.2.7 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443 \r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443 1\r\n",
        b"PROXY TCP4  192.0.2.7 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 65536\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 +4711 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 04711 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4_7 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 -1 443\r\n",
        b"PROXY TCP4 192.0.2.7.1 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.7 localhost 4711 443\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 4711 443\r\n",
        b"PROXY TCP4 192.0.2.7 2001:db8::2 4711 443\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 4711 443\r\n",
        b"PROXY TCP6 fe80::1%\x1b[31m ::1 4711 443\r\n",
        b"PROXY TCP6 \xe9 ::1 4711 443\r\n",
        b"PROXY TCP5 192.0.2.7 10.0.0.1 4711 443\r\n",
        b"PROXY UDP4 192.0.2.7 10.0.0.1 4711 443\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY " + b"x" * (LONGEST_LINE - 6),
        b"PROXY UNKNOWN %s\r\n" % (b"x" * (LONGEST_LINE - 15)),
        VERSION_2[:11] + b"\r",
        binary("11 11", IP4),
        binary("31 11", IP4),
        binary("22 11", IP4),
        binary("2f 11", IP4),
        binary("21 41", IP4),
        binary("21 f1", IP4),
        binary("21 13", IP4),
        binary("21 11", IP4[:-1]),
        binary("21 11"),
        binary("21 21", IP4),
        binary("21 31", UNIX[:-1]),
        binary("21 11", IP4, bytes(LONGEST_HEADER - 27)),
        VERSION_2 + bytes.fromhex("21 11 ff ff"),
        VERSION_2 + bytes.fromhex("20 00 ff ff"),
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(PacketError, match="PROXY"):
        decode_header(data)


def test_what_is_too_long_is_refused_before_it_has_arrived() -> None:
    start = VERSION_2 + bytes.fromhex("21 11") + (LONGEST_HEADER - 16).to_bytes(2, "big")
    assert decode_header(start) is None
    with pytest.raises(PacketError, match="a PROXY header of 4097 bytes"):
        decode_header(start[:-1] + bytes([start[-1] + 1]))


PORTS = st.integers(0, 65535)


@given(st.one_of(st.tuples(st.just(4), st.ip_addresses(v=4)), st.tuples(st.just(6), st.ip_addresses(v=6))), PORTS)
def test_every_client_comes_through_both_versions(
    client: tuple[int, ipaddress.IPv4Address | ipaddress.IPv6Address], port: int
) -> None:
    version, address = client
    line = f"PROXY TCP{version} {address} {address} {port} {port}\r\n".encode()
    block = address.packed * 2 + port.to_bytes(2, "big") * 2
    source = (str(plain_address(str(address))), port)
    assert decode_header(line + REST) == Header(len(line), source)
    assert decode_header(binary("21 11" if version == 4 else "21 21", block) + REST) == Header(16 + len(block), source)


@given(
    st.one_of(
        st.binary(),
        st.binary().map(lambda data: VERSION_2 + data),
        st.binary().map(lambda data: b"PROXY " + data),
        st.binary().map(lambda data: b"PROXY TCP6 " + data + b"\r\n"),
        st.builds(lambda kinds, data: binary(kinds.hex(), data), st.binary(min_size=2, max_size=2), st.binary()),
    )
)
def test_whatever_comes_is_a_header_or_the_beginning_of_one_or_refused(data: bytes) -> None:
    try:
        header = decode_header(data)
    except PacketError:
        return
    assert header is None or 0 < header.size <= len(data)
    if header is None:
        assert len(data) < LONGEST_HEADER
