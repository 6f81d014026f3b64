"""RFC 6455, behind an application that echoes: what is text, and what is not (section 8.1).

The cases are modelled on section 6 of the public list of the Autobahn testsuite; RFC 3629 tells which bytes are UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.plain import PlainClient
from tests.conformance.targets import StartServer, ours_only
from tests.conformance.wire import CONTINUATION, TEXT, frame

pytestmark = ours_only

INVALID_DATA = 1007
GREETING = "Grüße, κόσμε, 世界 \U0001f30d".encode()
#: First and last of each length, the edges of the surrogates, and what is no character, but text all the same.
VALID = [
    chr(number).encode()
    for number in (
        *(0x0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF),
        *(0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFDD0, 0x1FFFE, 0x10FFFE),
    )
]  # fmt: skip
INVALID = {
    "continuation first": b"\x80", "last continuation first": b"\xbf", "many continuations": b"\x80\xbf" * 3,
    "lonely start of two": b"\xc3 ", "lonely start of three": b"\xe4 ", "lonely start of four": b"\xf0 ",
    "cut after one of two": b"\xdf", "cut after two of three": b"\xef\xbf", "cut after three of four": b"\xf7\xbf\xbf",
    "starts in a row": b"\xc0\xe0\x80\xf0\x80\x80", "byte fe": b"\xfe", "byte ff": b"\xff",
    "overlong slash of two": b"\xc0\xaf", "of three": b"\xe0\x80\xaf", "of four": b"\xf0\x80\x80\xaf",
    "of five": b"\xf8\x80\x80\x80\xaf", "of six": b"\xfc\x80\x80\x80\x80\xaf", "overlong end of one": b"\xc1\xbf",
    "overlong end of two": b"\xe0\x9f\xbf", "overlong end of three": b"\xf0\x8f\xbf\xbf", "overlong zero": b"\xc0\x80",
    "high surrogate": b"\xed\xa0\x80", "last high surrogate": b"\xed\xaf\xbf", "low surrogate": b"\xed\xb0\x80",
    "pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80", "above the last": b"\xf4\x90\x80\x80",
    "far above": b"\xf7\xbf\xbf\xbf", "all wrong": b"\xfe\xfe\xff\xff",
    "five bytes": b"\xf8\x88\x80\x80\x80", "six bytes": b"\xfc\x84\x80\x80\x80\x80",
}  # fmt: skip


@pytest.fixture
def client(servers: StartServer) -> Iterator[PlainClient]:
    """A WebSocket to an application that echoes."""
    opened = PlainClient(servers("plain_websockets", max_payload=8_388_608, message_log_format=""))
    yield opened
    opened.close()


def in_fragments(data: bytes, size: int) -> list[bytes]:
    """A text as frames of so many bytes each."""
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    last = len(parts) - 1
    return [frame(CONTINUATION if n else TEXT, part, fin=n == last) for n, part in enumerate(parts)]


@pytest.mark.parametrize("parts", [[b""], [b"", b"", b""], [b"", b"middle", b""]])
def test_texts_and_fragments_may_be_empty(client: PlainClient, parts: list[bytes]) -> None:
    last = len(parts) - 1
    client.send(*(frame(CONTINUATION if n else TEXT, part, fin=n == last) for n, part in enumerate(parts)))
    client.expect(TEXT, b"".join(parts))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_fragments_may_cut_characters(client: PlainClient, size: int) -> None:
    client.send(*in_fragments(GREETING, size))
    client.expect(TEXT, GREETING)


def test_so_may_the_network(client: PlainClient) -> None:
    client.send(frame(TEXT, GREETING), chop=1)
    client.expect(TEXT, GREETING)


@pytest.mark.parametrize("data", VALID, ids=lambda data: data.hex())
def test_what_is_text(client: PlainClient, data: bytes) -> None:
    client.echoes(TEXT, data)
    client.send(*in_fragments(b"before " + data + b" after", 1))
    client.expect(TEXT, b"before " + data + b" after")


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID)
def test_what_is_not(client: PlainClient, data: bytes, size: int) -> None:
    client.send(frame(TEXT, b"good"), *in_fragments(GREETING + data, size), frame(TEXT, b"late"))
    client.ends(INVALID_DATA, ((TEXT, b"good"),))


def test_a_text_that_is_none_is_refused_before_its_last_fragment(client: PlainClient) -> None:
    client.send(frame(TEXT, GREETING, fin=False), frame(CONTINUATION, b"\xf4\x90", fin=False))
    client.ends(INVALID_DATA)


def test_the_beginning_of_a_character_may_be_followed_by_its_end(client: PlainClient) -> None:
    client.send(frame(TEXT, GREETING + b"\xf4", fin=False), frame(CONTINUATION, b"\x80\x80\x80"))
    client.expect(TEXT, GREETING + b"\xf4\x80\x80\x80")
