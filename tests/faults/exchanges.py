"""Valid exchanges of all generations of clients, which are recorded here as bytes, to be changed.

A message is text or bytes, as Socket.IO gives it to Engine.IO; an exchange is messages that belong together.
"""

from __future__ import annotations

import base64
import random
import struct

from tests.faults.mutations import mutate

Message = str | bytes
Exchange = tuple[Message, ...]

PLACE = '{"_placeholder":true,"num":%d}'
#: What a client of any generation that has joined the main namespace may say.
COMMON: tuple[Exchange, ...] = (
    ('2["message","hello"]',),
    ('2["message",{"a":[1,2.5,null,true,"ü€😀"],"b":{"c":{}}}]',),
    ('212["message","ü",2,3]',),
    ('2["say",1,[2],{"three":3}]',),
    ('20["ask",{"a":1}]', '30["an answer"]'),
    ('21["wait","why?"]',),
    ('2["nothing","handles","this"]',),
    ('23["__subscribe__","room-1"]',),
    ('24["__subscribe__","closed-1"]', '25["__unsubscribe__","room-1"]'),
    (f'51-["message",{PLACE % 0}]', b"\x00\x01\x02"),
    (f'52-7["say",{{"a":{PLACE % 1},"b":[{PLACE % 0}]}}]', b"one", b"two two"),
    (f"61-0[{PLACE % 0}]", b"an answer"),
    ('30["x",{"y":[]}]',),
)
V4: tuple[Exchange, ...] = (
    *COMMON,
    ("0/chat,",),
    ('0/chat,{"token":"abc","n":1}', '2/chat,["message","x"]'),
    ("0/game-7,", '2/game-7,13["message","x"]', "1/game-7,"),
    ("0/nobody,",),
    ('0{"pid":"abcdefghijklmnopqrst","offset":"1-2"}',),
    ('0/chat,{"pid":"AAAAAAAAAAAAAAAAAAAAAAAAAAA","offset":"zz"}',),
    ("1",),
)
V3: tuple[Exchange, ...] = (
    *COMMON,
    ("0",),
    ("0/chat?token=abc&token=%C3%BC", '2/chat,["message","x"]'),
    ("0/game-7?a=1,", '2/game-7,13["message","x"]', "1/game-7,"),
    ("0/nobody",),
    ("1",),
)
#: What Engine.IO says for itself.
ENGINE = (b"2", b"2probe", b"3", b"3probe", b"5", b"6", b"1", b"4")
OPCODES = range(16)
CLOSE_CODES = (0, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1009, 1015, 2999, 3000, 4999, 5000, 65535)


def exchanges(revision: str) -> tuple[Exchange, ...]:
    """Those of clients that speak a revision of Engine.IO."""
    return V4 if revision == "4" else V3


def mutated(rng: random.Random, revision: str) -> list[tuple[bool, bytes]]:
    """The packets of an exchange in which something is wrong: whether each is text, and what it says."""
    known = exchanges(revision)
    packets = [_packet(message, revision) for message in rng.choice(known)]
    if rng.random() < 0.1:
        packets.insert(0, (True, rng.choice(ENGINE)))
    if rng.random() < 0.15:  # out of order, once too often, one too few
        packets = rng.choices(packets, k=rng.randint(0, len(packets) + 1))
    else:
        place = rng.randrange(len(packets))
        is_text, data = packets[place]
        other = _packet(rng.choice(known)[0], revision)[1]
        packets[place] = is_text != (rng.random() < 0.03), mutate(rng, data, other)
    return packets


def _packet(message: Message, revision: str) -> tuple[bool, bytes]:
    if isinstance(message, str):
        return True, b"4" + message.encode()
    return False, message if revision == "4" else b"\x04" + message


# WebSocket.


def frame(opcode: int, data: bytes, *, first: int = 0x80, mask: bytes = b"\x11\x22\x33\x44") -> bytes:
    """One frame of a client (RFC 6455, section 5.2)."""
    head = bytes((first | opcode,)) + _length(len(data), 0x80)
    whole = (mask * (len(data) // 4 + 1))[: len(data)]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")
    return head + mask + masked.to_bytes(len(data), "big")


def frames(rng: random.Random, packets: list[tuple[bool, bytes]]) -> bytes:
    """Packets as frames; some of them in fragments, with control frames between."""
    data = b""
    for is_text, packet in packets:
        opcode = 1 if is_text else 2
        if rng.random() < 0.9:
            data += frame(opcode, packet)
        else:
            cut = rng.randint(0, len(packet))
            between = rng.choice((b"", frame(9, b"?"), frame(10, b"")))
            data += frame(opcode, packet[:cut], first=0) + between + frame(0, packet[cut:])
    return data


def odd_frame(rng: random.Random, packets: list[tuple[bool, bytes]]) -> bytes:
    """Something that may be a frame, and breaks a rule of RFC 6455 most of the time."""
    packet = packets[0][1] if packets else b""
    whole = frame(1, packet)
    choice = rng.randrange(8)
    if choice == 0:  # reserved bits, reserved opcodes, control frames in fragments
        return frame(rng.choice(OPCODES), packet, first=rng.randrange(16) << 4)
    if choice == 1:
        return b"\x81" + _length(len(packet), 0) + packet  # not masked
    if choice == 2:  # a length that is not the shortest, or none
        size = rng.choice((0, 1, 125, 126, 65535, 65536, 2**31, 2**63 - 1, 2**63, 2**64 - 1))
        kind = rng.choice((126, 127))
        length = struct.pack("!BH", 0x80 | kind, size % 65536) if kind == 126 else struct.pack("!BQ", 0x80 | kind, size)
        return b"\x81" + length + b"\0\0\0\0" + packet
    if choice == 3:
        return frame(8, struct.pack("!H", rng.choice(CLOSE_CODES)) + rng.choice((b"", b"why", b"\xff", b"x" * 123)))
    if choice == 4:
        return frame(rng.choice((8, 9, 10)), rng.randbytes(rng.choice((0, 1, 125, 126, 1000))))
    if choice == 5:
        return frame(1, packet, first=0) + frame(rng.choice((1, 2, 8)), packet)  # the next before the end of one
    if choice == 6:
        return frame(0, packet)  # goes on with nothing
    return mutate(rng, whole, frame(2, packet))


def _length(size: int, masked: int) -> bytes:
    if size < 126:
        return bytes((masked | size,))
    if size < 65536:
        return struct.pack("!BH", masked | 126, size)
    return struct.pack("!BQ", masked | 127, size)


# Long-polling.


def payload(packets: list[tuple[bool, bytes]], revision: str, is_binary: bool) -> bytes:
    """Packets as the body of a POST."""
    if revision == "4":
        return b"\x1e".join(data if is_text else b"b" + base64.b64encode(data) for is_text, data in packets)
    if is_binary:
        return b"".join(
            bytes((0 if is_text else 1, *map(int, str(len(data))), 255)) + data for is_text, data in packets
        )
    texts = [data if is_text else b"b4" + base64.b64encode(data[1:]) for is_text, data in packets]
    return b"".join(b"%d:%b" % (len(text.decode(errors="replace")), text) for text in texts)


def jsonp_form(body: bytes) -> bytes:
    """The body of a POST as a form has it."""
    escaped = "".join(chr(byte) if chr(byte).isalnum() else f"%{byte:02X}" for byte in body)
    return b"d=" + escaped.encode()


# HTTP.

UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
BROWSER = (
    b"Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nOrigin: http://localhost\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; Trident/7.0)\r\nCookie: a=b; io=c\r\nX-Forwarded-For: 10.0.0.1\r\n"
)


def head(method: bytes, query: bytes, fields: bytes = b"", path: bytes = b"/socket.io/") -> bytes:
    """The head of a request."""
    return b"%b %b?%b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (method, path, query, fields)


def post(query: bytes, body: bytes, kind: bytes = b"text/plain;charset=UTF-8") -> bytes:
    """A POST with its body."""
    return head(b"POST", query, b"Content-Type: %b\r\nContent-Length: %d\r\n" % (kind, len(body))) + body


def requests(sid: bytes) -> tuple[bytes, ...]:
    """Requests of all kinds; those of a session are of this one."""
    chunked = head(b"POST", b"EIO=4&transport=polling&sid=" + sid, b"Transfer-Encoding: chunked\r\n")
    return (
        head(b"GET", b"EIO=4&transport=polling&t=abc.1", BROWSER),
        head(b"GET", b"EIO=3&transport=polling&t=1418140000000-0&b64=1", BROWSER),
        head(b"GET", b"EIO=3&transport=polling&j=0"),
        head(b"GET", b"EIO=4&transport=websocket", UPGRADE + BROWSER) + frame(1, b"40"),
        head(b"GET", b"EIO=3&transport=websocket", UPGRADE) + frame(1, b'42["message"]'),
        head(b"GET", b"EIO=4&transport=websocket&sid=" + sid, UPGRADE) + frame(1, b"2probe") + frame(1, b"5"),
        head(b"GET", b"EIO=4&transport=polling&sid=" + sid, BROWSER),
        post(b"EIO=4&transport=polling&sid=" + sid, b'40\x1e42["message","x"]'),
        chunked + b"2\r\n40\r\n0\r\n\r\n",
        head(b"OPTIONS", b"EIO=4&transport=polling", BROWSER + b"Access-Control-Request-Method: POST\r\n"),
        head(b"HEAD", b"EIO=4&transport=polling"),
        head(b"GET", b"", BROWSER, b"/socket.io/socket.io.js"),
        head(b"GET", b"", BROWSER, b"/socket.io/health"),
        head(b"GET", b"a=b", BROWSER, b"/numbers-of-nothing"),
        post(b"EIO=4&transport=polling&sid=" + sid, b"1").replace(b"Host", b"Expect: 100-continue\r\nHost"),
    )


def proxied(rng: random.Random) -> bytes:
    """A PROXY header of either version, in which something may be wrong."""
    binary = b"\r\n\r\n\x00\r\nQUIT\n"
    block = b"\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"
    valid = (
        b"PROXY TCP4 10.1.2.3 10.0.0.1 5000 80\r\n",
        b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 80\r\n",
        b"PROXY UNKNOWN\r\n",
        binary + b"\x20\x00\x00\x00",
        binary + b"\x21\x11" + struct.pack("!H", len(block)) + block,
        binary + b"\x21\x21" + struct.pack("!H", 36 + 7) + b"\x20\x01" + b"\x00" * 34 + b"\x04\x00\x04abcd",
        binary + b"\x21\x31" + struct.pack("!H", 216) + b"/run/x.sock".ljust(216, b"\x00"),
    )
    header = rng.choice(valid)
    return mutate(rng, header, rng.choice(valid)) if rng.random() < 0.9 else header
