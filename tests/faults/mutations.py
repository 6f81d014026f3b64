"""Changes that make something malformed out of something valid."""

from __future__ import annotations

import random
import re

DIGITS = re.compile(rb"[0-9]+")
NUMBERS = (
    b"", b"0", b"00", b"-1", b"1", b"3", b"7", b"9", b"10", b"11", b"125", b"126", b"65536", b"1e9", b"1.5", b"0x10",
    b"4294967296", b"9007199254740993", b"18446744073709551616", b"9" * 16, b"9" * 400, "٣".encode(), "²".encode(),
)  # fmt: skip
TOKENS = (
    b"", b"\x00", b"\x1e", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", "€".encode(), b"\r\n", b"\n",
    b"\r\n\r\n", b" ", b":", b",", b"-", b"/", b"?", b"&", b"=", b"%", b"%00", b"%2", b"+", b'"', b"'", b"\\",
    b"\\ud800", b"[", b"]", b"{", b"}", b"[" * 300, b"{}", b"[]", b"null", b"true", b"NaN", b"1e999",
    b'"_placeholder":true', b'{"_placeholder":true,"num":0}', b'{"_placeholder":true,"num":-1}', b'"__proto__"',
    b'"connect"', b'"disconnect"', b'"__subscribe__"', b'"connect_error"',
    b"b", b"b4", b"bAQID", b"4", b"40", b"41", b"42", b"451-", b"459999-",
    b"/chat,", b"/game-1,", b"/,", b"/" * 50, b"probe", b"EIO=3", b"EIO=4", b"sid=", b"transport=polling", b"j=0",
    b"transport=websocket", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"A" * 70_000,
)  # fmt: skip


def mutate(rng: random.Random, data: bytes, other: bytes = b"") -> bytes:
    """Change something at one, two or three places.

    :param other: valid as well; a piece of it may be put in.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(CHANGES)(rng, data, other)
    return data


def _flip(rng: random.Random, data: bytes, other: bytes) -> bytes:
    if not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes((data[place] ^ 1 << rng.randrange(8),)) + data[place + 1 :]


def _insert(rng: random.Random, data: bytes, other: bytes) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + rng.choice(TOKENS) + data[place:]


def _replace(rng: random.Random, data: bytes, other: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + rng.choice(TOKENS) + data[end:]


def _delete(rng: random.Random, data: bytes, other: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: random.Random, data: bytes, other: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 20)) + data[end:]


def _cut(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _renumber(rng: random.Random, data: bytes, other: bytes) -> bytes:
    found = list(DIGITS.finditer(data))
    if not found:
        return _insert(rng, data, other)
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(NUMBERS) + data[match.end() :]


def _noise(rng: random.Random, data: bytes, other: bytes) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + rng.randbytes(rng.choice((1, 2, 4, 40))) + data[place:]


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 16, 1000)))


CHANGES = (_flip, _insert, _replace, _delete, _repeat, _cut, _splice, _renumber, _renumber, _noise)
