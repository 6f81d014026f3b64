"""HTTP/1.1 as browsers and Socket.IO's clients write it: the heads of requests, and answers as bytes (RFC 9112).

Only what is plain is read here. Whatever is not, be it rare or wrong, is left to the HTTP server, which judges it.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

END_OF_HEAD = b"\r\n\r\n"
LINE = re.compile(rb"(GET|POST) (/[!-~]*) HTTP/1\.1\r\n")
# Underscores are tokens too, but could pass for the hyphens of other names: the HTTP server drops such headers.
HEADER = re.compile(rb"([!#$%&'*+.^`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)\r\n")
HEADERS = re.compile(rb"(?:[!#$%&'*+.^`|~0-9A-Za-z-]+:[^\x00-\x08\n-\x1f\x7f]*\r\n)+")
#: What the HTTP server refuses: a request line of so many bytes, its end included; more headers.
TOO_LONG_LINE, MOST_HEADERS = 8192, 99
#: Headers that change how the rest of a request is to be read.
UNUSUAL = ("HTTP_TRANSFER_ENCODING", "HTTP_EXPECT")
#: Those whose names stand alone in an environ (PEP 3333).
UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")
LONGEST_LENGTH = 15  # digits


class Request(NamedTuple):
    """The head of a request."""

    method: str
    #: As it was written, without the query.
    path: bytes
    query: str
    #: As a WSGI environ names them (PEP 3333). Shared by equal requests: copy it.
    headers: dict[str, str]
    #: Bytes of the body.
    length: int

    @property
    def path_info(self) -> str:
        """The path, as a WSGI environ has it."""
        return (unquote_to_bytes(self.path) if b"%" in self.path else self.path).decode("latin-1")

    @property
    def closes(self) -> bool:
        """Whether the client wants the connection closed after the answer."""
        return "close" in self.headers.get("HTTP_CONNECTION", "").lower()


class HeadReader:
    """Reads the heads of one connection's requests, which mostly have the same headers again and again."""

    __slots__ = ("_block", "_headers")

    def __init__(self) -> None:
        self._block = b""
        self._headers: dict[str, str] | None = None

    def read(self, head: bytes) -> Request | None:
        """Return the request with this head, up to its empty line; None if there is anything unusual about it."""
        line = LINE.match(head)
        if line is None or line.end() >= TOO_LONG_LINE:
            return None
        block = head[line.end() : -2]
        if block != self._block:
            self._block, self._headers = block, _read_headers(block)
        headers = self._headers
        if headers is None:
            return None
        path, _, query = line[2].partition(b"?")
        length = headers.get("CONTENT_LENGTH", "0")
        return Request(line[1].decode(), path, query.decode(), headers, int(length))


def _read_headers(block: bytes) -> dict[str, str] | None:
    if HEADERS.fullmatch(block) is None or block.count(b"\n") > MOST_HEADERS:
        return None
    headers: dict[str, str] = {}
    for name, value in HEADER.findall(block):
        key = _key(name)
        if key in headers:
            return None
        text = value.decode("latin-1")
        headers[key] = text if key in UNPREFIXED else text.strip()  # as the HTTP server has them
    length = headers.get("CONTENT_LENGTH", "0")
    if "HTTP_HOST" not in headers or any(key in headers for key in UNUSUAL):
        return None
    return headers if length.isascii() and length.isdigit() and len(length) <= LONGEST_LENGTH else None


@functools.lru_cache(maxsize=512)
def _key(name: bytes) -> str:
    """The key of a header in a WSGI environ."""
    key = name.decode().upper().replace("-", "_")
    return key if key in UNPREFIXED else "HTTP_" + key


def render(status: str, headers: Iterable[tuple[str, str]], body: bytes, *, close: bool) -> bytes:
    """Return a whole answer as bytes."""
    lines = [f"HTTP/1.1 {status}\r\nDate: {_date(int(time.time()))}"]
    lines += (f"{name}: {value}" for name, value in headers)
    if close:
        lines.append("Connection: close")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1") + body


@functools.lru_cache(maxsize=1)
def _date(now: int) -> str:
    return formatdate(now, usegmt=True)
