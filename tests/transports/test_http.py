"""Plain HTTP heads are read as gevent's own server reads them; all others are left to it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from gevent.pywsgi import WSGIHandler
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webpy_socketio.front import Front
from webpy_socketio.transports.http import END_OF_HEAD, HeadReader, render

ADDRESS = ("192.0.2.7", 4711)
GET = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n"
HOST = b"Host: example.com\r\n"


def head(*headers: bytes, line: bytes = GET) -> bytes:
    """The head of a request, with a line end after each header."""
    return line + HOST + b"".join(header + b"\r\n" for header in headers) + b"\r\n"


def environ_here(raw: bytes) -> dict[str, Any] | None:
    """What the front makes of a head; None if it leaves that to the HTTP server."""
    request = HeadReader().read(raw)
    if request is None:
        return None
    server: Any = SimpleNamespace(get_environ=dict)
    reports = SimpleNamespace(paths=frozenset())
    door: Any = SimpleNamespace(settings=SimpleNamespace(resource="socket.io"), reports=reports)
    environ = Front(server, door).make_environ(request, ADDRESS)
    assert request.length == int(environ.get("CONTENT_LENGTH", 0))
    return environ


def environ_there(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """What gevent's server makes of a head, and what it leaves of it. Raises ValueError where it answers 400."""
    rest = io.BytesIO(raw)
    handler = WSGIHandler(None, ADDRESS, SimpleNamespace(get_environ=dict), rest)
    line = handler.read_requestline()
    if len(line) >= 8192:
        raise ValueError("414")
    assert handler.read_request(line)
    environ = handler.get_environ()
    return environ, rest.read()


def check_same(raw: bytes) -> bool:
    """Compare both, if the front reads this head at all; tell whether it does."""
    environ = environ_here(raw)
    if environ is not None:
        expected, rest = environ_there(raw)
        assert rest == b""  # else what is a request for one of the two would be a part of another for the other
        for key in ("wsgi.input", "wsgi.input_terminated"):
            expected.pop(key)
            environ.pop(key, None)
        assert environ == expected
    return environ is not None


@pytest.mark.parametrize(
    "raw",
    [
        head(),
        head(b"Accept: */*", b"Connection: keep-alive", b"Cookie: a=1; b=2", b"Origin: http://example.com"),
        head(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
        head(b"X-Empty:", b"X-Blank: \t ", b"X-Padded: \t both sides \t", b"X-Colon: a:b: c", b"x-tab: a\tb"),
        head(b"X-Latin: caf\xe9", b"X-Space: \xa0no break\xa0", b"X-Line: \x85next", b"!#$%&'*+.^`|~09: odd but legal"),
        head(b"Content-Type: text/plain \t", b"Content-Length: 007"),
        head(line=b"GET /socket.io/%2e%E2%82%AC%zz%?a=%20&b=?#f HTTP/1.1\r\n"),
        head(line=b"GET //socket.io//? HTTP/1.1\r\n"),
        head(b"Content-Length: 12", line=b"POST /socket.io/ HTTP/1.1\r\n"),
        head(line=b"GET /" + b"a" * (8191 - len(b"GET / HTTP/1.1\r\n")) + b" HTTP/1.1\r\n"),
        head(*(b"X-%d: y" % number for number in range(98))),
        head(b"X: " + b"y" * 60_000),
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_is_plain_is_read_as_by_the_http_server(raw: bytes) -> None:
    assert check_same(raw)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(raw, id=name)
        for name, raw in {
            "transfer-encoding": head(b"Transfer-Encoding: chunked"),
            "expect": head(b"Content-Length: 1", b"Expect: 100-continue"),
            "HTTP/1.0": head(line=b"GET /socket.io/ HTTP/1.0\r\n"),
            "HTTP/0.9": b"GET /socket.io/\r\n\r\n",
            "HTTP/2": head(line=b"GET /socket.io/ HTTP/2.0\r\n"),
            "another method": head(line=b"OPTIONS /socket.io/ HTTP/1.1\r\n"),
            "a method in lower case": head(line=b"get /socket.io/ HTTP/1.1\r\n"),
            "two spaces": head(line=b"GET  /socket.io/ HTTP/1.1\r\n"),
            "a space at the end of the line": head(line=b"GET /socket.io/ HTTP/1.1 \r\n"),
            "an empty line before it": b"\r\n" + head(),
            "a folded header": head(b"X-Folded: a", b" b"),
            "a folded first header": GET + b" Host: a\r\n\r\n",
            "an underscore": head(b"X_Forwarded_For: 1.2.3.4"),
            "a duplicate": head(b"X-Twice: a", b"x-twice: b"),
            "two hosts": head(b"Host: evil.example"),
            "two lengths": head(b"Content-Length: 5", b"Content-Length: 6"),
            "twice the same length": head(b"Content-Length: 5", b"content-length: 5"),
            "two types": head(b"Content-Type: a", b"Content-Type: b"),
            "a list of lengths": head(b"Content-Length: 5, 5"),
            "a negative length": head(b"Content-Length: -1"),
            "a signed length": head(b"Content-Length: +5"),
            "a length with an underscore": head(b"Content-Length: 1_0"),
            "a length in hex": head(b"Content-Length: 0x5"),
            "a length that is no ASCII": head("Content-Length: \N{SUPERSCRIPT TWO}".encode("latin-1")),
            "a length of spaces": head(b"Content-Length: "),
            "a length with a space": head(b"Content-Length: 5 "),
            "an endless length": head(b"Content-Length: " + b"9" * 16),
            "no host": GET + b"Accept: */*\r\n\r\n",
            "no header": GET + b"\r\n",
            "an absolute target": head(line=b"GET http://example.com/socket.io/ HTTP/1.1\r\n"),
            "an asterisk": head(line=b"GET * HTTP/1.1\r\n"),
            "8-bit bytes in the target": head(line=b"GET /socket.io/\xe9 HTTP/1.1\r\n"),
            "a control character in the target": head(line=b"GET /socket.io/\x01 HTTP/1.1\r\n"),
            "DEL in the target": head(line=b"GET /socket.io/\x7f HTTP/1.1\r\n"),
            "NUL in a value": head(b"X: a\x00b"),
            "a control character in a value": head(b"X: a\x0bb"),
            "DEL in a value": head(b"X: a\x7fb"),
            "a bare CR": head(b"X: a\rb"),
            "a bare LF": head(b"X: a\nb: c"),
            "bare LFs": head().replace(b"\r\n", b"\n"),
            "a bare LF after the line": head().replace(b"\r\n", b"\n", 1),
            "a space before the colon": head(b"X : a"),
            "a space in a name": head(b"X Y: a"),
            "no name": head(b": a"),
            "no colon": head(b"nothing"),
            "8-bit bytes in a name": head(b"X\xe9: a"),
            "a parenthesis in a name": head(b"X(): a"),
            "a line that is too long": head(line=b"GET /" + b"a" * 8176 + b" HTTP/1.1\r\n"),
            "too many headers": head(*(b"X-%d: y" % number for number in range(99))),
        }.items()
    ],
)
def test_what_is_not_is_given_back(raw: bytes) -> None:
    assert HeadReader().read(raw) is None


NAMES = [b"X-A", b"Cookie", b"Content-Type", b"Content-Length", b"connection", b"upgrade", b"Origin", b"From"]
BAD_NAMES = [b"X_Y", b"Expect", b"Transfer-Encoding", b"HOST", b"content-length", b"X-A", b""]
VALUES = [b"", b"5", b"05", b"5 ", b"close", b"keep-alive", b"Upgrade", b"chunked", b"identity", b"100-continue",
          b"a, b", b"\xa0", b"\xff", b"x\ty", b"multipart/form-data; boundary=x"]  # fmt: skip
SPACES = st.sampled_from([b" ", b" ", b"", b"\t", b" \t "])
NOISE = st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b":", b"\x00", b"\x0b", b"\x0c",
                         b"\x1c", b"\x1f", b"\x7f", b"\x80", b"\x85", b"\xa0", b"_", b"%", b"?", b"HTTP/1.0", b"GET ",
                         b"Content-Length: 3\r\n", b"\r\n x", b"Host: b\r\n"])  # fmt: skip


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Heads that are good, nearly good, and not so good."""
    path = draw(st.sampled_from([b"/socket.io/", b"/", b"/socket.io/%2F%e9", b"//x", b"/a?b?c#d", b"/?%"]))
    method = draw(st.sampled_from([b"GET", b"POST"]))
    raw = method + b" " + path + b" HTTP/1.1\r\n" + HOST
    names = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    for name in names + draw(st.lists(st.sampled_from(BAD_NAMES), max_size=1)):
        value = b"5" if name == b"Content-Length" else draw(st.one_of(st.sampled_from(VALUES), st.binary(max_size=3)))
        raw += name + b":" + draw(SPACES) + value + draw(SPACES) + b"\r\n"
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(raw)))
        raw = raw[:place] + draw(NOISE) + raw[place + draw(st.integers(0, 1)) :]
    raw += b"\r\n"
    return raw[: raw.index(END_OF_HEAD) + 4] if END_OF_HEAD in raw else raw


@settings(max_examples=500)
@given(heads())
@example(head(b"X: a\x0b"))
@example(head(b"X: \x1c"))
def test_any_head_is_read_as_by_the_http_server_or_not_at_all(raw: bytes) -> None:
    check_same(raw)


def test_headers_that_are_the_same_again_are_read_again_only_if_they_differ() -> None:
    reader = HeadReader()
    first, second = reader.read(head(b"X: 1")), reader.read(head(b"X: 1", line=b"POST /socket.io/ HTTP/1.1\r\n"))
    assert first is not None and second is not None
    assert first.headers is second.headers
    assert (second.method, second.path, second.query) == ("POST", b"/socket.io/", "")
    assert reader.read(head(b"X_Y: 1")) is None
    assert reader.read(head(b"X_Y: 1")) is None
    third = reader.read(head(b"X: 2"))
    assert third is not None
    assert third.headers["HTTP_X"] == "2"


@pytest.mark.parametrize(
    ("value", "closes"), [(b"close", True), (b"Close", True), (b"keep-alive", False), (b"Upgrade, close", True)]
)
def test_a_request_may_be_the_last(value: bytes, closes: bool) -> None:
    request = HeadReader().read(head(b"Connection: " + value))
    assert request is not None
    assert request.closes is closes


def test_an_answer_as_bytes() -> None:
    answer = render("200 OK", [("Content-Length", "2"), ("X", "caf\xe9")], b"ok", close=False)
    start, date, rest = answer.split(b"\r\n", 2)
    assert start == b"HTTP/1.1 200 OK"
    assert date.startswith(b"Date: ") and date.endswith(b" GMT")
    assert rest == b"Content-Length: 2\r\nX: caf\xe9\r\n\r\nok"
    assert render("204 No Content", [], b"", close=True).endswith(b"\r\nConnection: close\r\n\r\n")
