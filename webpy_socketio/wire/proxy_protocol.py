"""The PROXY protocol: what a proxy that knows no HTTP says first about the client whose connection it passes on.

Version 1 is a line of text, version 2 is binary (haproxy.org, proxy-protocol.txt, sections 2.1 and 2.2). Nothing is
made of what version 2 may have behind the addresses.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import NamedTuple

from ..errors import PacketError

VERSION_1 = b"PROXY "
VERSION_2 = b"\r\n\r\n\x00\r\nQUIT\n"
#: Bytes of a header of version 1, its line end included.
LONGEST_LINE = 107
#: Bytes of a header of version 2 up to its addresses, and of one that is taken; 64 KB would be legal.
FIXED_SIZE, LONGEST_HEADER = 16, 4096
#: How version 2 tells who speaks: the proxy for itself, or for a client.
LOCAL, PROXIED = 0x20, 0x21
LINE = re.compile(r"TCP([46]) (\S+) (\S+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})", re.ASCII)
#: Of an address family in version 2: source and destination with their ports. Unix sockets, the third, have paths.
BLOCKS = {1: struct.Struct("!4s4sHH"), 2: struct.Struct("!16s16sHH"), 3: struct.Struct("!108s108s")}
UNIX = 3


class Header(NamedTuple):
    """What a proxy said."""

    #: How many bytes it took to say that.
    size: int
    #: The client's address and port; None if there is none to tell.
    source: tuple[str, int] | None = None
    #: Whether the proxy speaks for itself: it looks whether the server is well.
    is_local: bool = False


def plain_address(address: str | bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address; one of IPv4 that is written as of IPv6, as a listener for both has it, is one of IPv4.

    Raises ValueError.
    """
    plain = ipaddress.ip_address(address)
    return plain if isinstance(plain, ipaddress.IPv4Address) else plain.ipv4_mapped or plain


def decode_header(data: bytes) -> Header | None:
    """Return the header at the beginning of a connection, or None if it is not complete.

    Raises PacketError as soon as it cannot become one, and for one that is too long to be taken.
    """
    if data.startswith(VERSION_1):
        return _decode_line(data)
    if data.startswith(VERSION_2):
        return _decode_binary(data)
    if VERSION_1.startswith(data) or VERSION_2.startswith(data):
        return None
    raise PacketError("no PROXY header")


def _decode_line(data: bytes) -> Header | None:
    end = data.find(b"\n", 0, LONGEST_LINE)
    if end < 0:
        if len(data) >= LONGEST_LINE:
            raise PacketError("a PROXY line that does not end")
        return None
    line = data[len(VERSION_1) : end - 1].decode("latin-1")
    if data[end - 1] != ord("\r"):
        raise PacketError("a PROXY line with a bare line feed")
    if line == "UNKNOWN" or line.startswith("UNKNOWN "):
        return Header(end + 1)
    match = LINE.fullmatch(line)
    if match is None:
        raise PacketError("a PROXY line that cannot be read")
    source, _ = _address(match[1], match[2], match[4]), _address(match[1], match[3], match[5])
    return Header(end + 1, source)


def _address(version: str, host: str, port: str) -> tuple[str, int]:
    """Return an address and a port. Raises PacketError if they are none of this version of IP."""
    try:
        fits = ipaddress.ip_address(host).version == int(version) and "%" not in host and int(port) <= 65535
    except ValueError:
        fits = False
    if not fits:
        raise PacketError("a PROXY line with an address that is none")
    return str(plain_address(host)), int(port)


def _decode_binary(data: bytes) -> Header | None:
    if len(data) < FIXED_SIZE:
        return None
    command, family, transport = data[12], data[13] >> 4, data[13] & 15
    size = FIXED_SIZE + int.from_bytes(data[14:FIXED_SIZE], "big")
    if command not in (LOCAL, PROXIED):
        raise PacketError("a PROXY header of another version")
    if size > LONGEST_HEADER:
        raise PacketError(f"a PROXY header of {size} bytes")
    if len(data) < size:
        return None
    if command == LOCAL:  # whatever addresses it has count for nothing
        return Header(size, is_local=True)
    if family > UNIX or transport > 2:
        raise PacketError("a PROXY header with an unknown kind of address")
    block = BLOCKS.get(family) if transport else None
    if block is None:
        return Header(size)
    if size < FIXED_SIZE + block.size:
        raise PacketError("a PROXY header that is shorter than its addresses")
    if family == UNIX:
        return Header(size)
    source, _, port, _ = block.unpack_from(data, FIXED_SIZE)
    return Header(size, (str(plain_address(source)), port))
