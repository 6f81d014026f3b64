"""Whatever a client sends, it gets the answers that it would get if gevent's server read everything."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conformance.wire import UPGRADE_HEADERS
from tests.raw import RawClient, get, make, post, sid_of
from tests.serving import ServerHere
from webpy_socketio import SocketIOServer, server
from webpy_socketio.engineio import Client, EngineIO
from webpy_socketio.transports.polling import Polling

OPEN = "/engine.io/?EIO=4&transport=polling"
LIMIT = 1000
#: What ends a conversation, so that both servers close the connection in the end.
LAST = get(f"{OPEN}&sid=last", "Connection: close")
#: Headers that may differ: ours says when it closes, and always how long an answer is.
MAY_DIFFER = re.compile(rb"(?mi)^(date|connection|content-length|transfer-encoding): [^\r]*\r\n")
#: The front understands it in these forms as well.
ODD_CLOSE = re.compile(rb"(?i)connection:(?! ?close\r\n)[^\n]*close")
#: Stands for the session that a client has opened before.
MINE = "20-characters-of-sid"
SID = re.compile(rb'sid(\\*":\\*")[-\w]*')


def echo(client: Client, message: str | bytes) -> None:
    client.send(message)


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Tells what it was asked."""
    seen = {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT_", "PATH", "QUERY"))}
    seen["body"] = environ["wsgi.input"].read()
    body = repr(sorted(seen.items())).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def make_server() -> SocketIOServer:
    app = EngineIO(echo, application=page, max_payload=LIMIT, cors_origins=["https://example.com"])
    return SocketIOServer(("127.0.0.1", 0), app, log=None, error_log=None)


@pytest.fixture(scope="module")
def addresses() -> Iterator[list[Any]]:
    """Where there is a front, and where there is none."""
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "check_patched", lambda: None)
        # Whether a client's end is seen while its poll is held depends on how much has been read behind that. So none
        # is held here, but for as long as the echo takes.
        patch.setattr(Polling, "_park", lambda polling, connection: gevent.sleep(0.003))
        patch.setattr(logging.getLogger("webpy_socketio"), "disabled", True)
        new, old = (stack.enter_context(ServerHere(make_server, "/")) for _ in range(2))
        old.served._front = None
        yield [new.served.address, old.served.address]


def talk(address: Any, pieces: Iterable[bytes]) -> tuple[bytes, bool]:
    """Send pieces on a connection; return all that comes back, without what may differ, and whether it was reset."""
    client = RawClient(address)
    mine = sid_of(client.ask(get(OPEN))).encode()
    received, was_reset = b"", False
    try:
        for piece in pieces:
            client.send(piece.replace(MINE.encode(), mine))
        client.sock.shutdown(socket.SHUT_WR)
    except OSError:
        was_reset = True
    try:
        while piece := client.sock.recv(65536):
            received += piece
    except ConnectionError:
        was_reset = True
    client.close()
    return SID.sub(b"sid", MAY_DIFFER.sub(b"", received.replace(mine, MINE.encode()))), was_reset


def check(addresses: list[Any], pieces: list[bytes]) -> None:
    (new, new_was_reset), (old, old_was_reset) = (talk(address, pieces) for address in addresses)
    if new_was_reset or old_was_reset:  # the client was still sending, which costs it what it had not received yet
        new, old = new[: len(old)], old[: len(new)]
    assert new == old


WEBSOCKET = [f"{name}: {value}" for name, value in UPGRADE_HEADERS.items()]
ODD = [
    make("HEAD", OPEN),
    make("PUT", OPEN, ["Content-Length: 0"]),
    make("PUT", f"{OPEN}&sid=x", ["Content-Length: 0"]),
    make("OPTIONS", OPEN, ["Origin: https://example.com", "Access-Control-Request-Method: POST"]),
    make("OPTIONS", OPEN),
    make("BREW", "/page"),
    get("/engine.io/"),
    get("/engine.io"),
    get("/engine.io/unknown"),
    get("/engine.io/unknown?sid=x"),
    get("/engine.io/../page"),
    get("/engine%2Eio/"),
    get("/engine.io/socket.io.js"),
    get("/engine.io/socket.io.js?sid=x"),
    get("/engine.io/socket.io.js", "Accept-Encoding: gzip"),
    get(OPEN, "Origin: https://example.com"),
    get(OPEN, "Origin: https://evil.example"),
    get(f"{OPEN}&sid=x", "Origin: https://example.com"),
    get(f"{OPEN}&sid=%0d%0aX:%20y"),
    get(f"{OPEN}&s%69d=x"),
    get(f"{OPEN}&sid="),
    get("/engine.io/?EIO=3&transport=polling"),
    get("/engine.io/?EIO=4&transport=websocket"),
    get("/engine.io/?EIO=4&transport=websocket", "Connection: Upgrade", "Upgrade: websocket"),
    get(f"{OPEN}&sid=x", *WEBSOCKET),
    get("/engine.io/?EIO=4&transport=polling&j=0"),
    post(OPEN, "4hello"),
    post(f"{OPEN}&sid=x", "4hello"),
    post(f"{OPEN}&sid=x", "4hello", "Content-Type: application/octet-stream"),
    post(f"{OPEN}&sid=x", bytes(LIMIT)),
    post(f"{OPEN}&sid=x", bytes(LIMIT + 1)),
    make("POST", f"{OPEN}&sid=x", ["Transfer-Encoding: chunked"]) + b"5\r\nhello\r\n0\r\n\r\n",
    make("POST", f"{OPEN}&sid=x", ["Content-Length: 5", "Transfer-Encoding: chunked"]) + b"5\r\nhello\r\n0\r\n\r\n",
    make("POST", f"{OPEN}&sid=x", ["Content-Length: 5", "Expect: 100-continue"]) + b"hello",
    make("POST", f"{OPEN}&sid=x", ["Content-Length: 5", "Content-Length: 6"]) + b"hello!",
    make("POST", f"{OPEN}&sid=x", ["Content-Length: +5"]) + b"hello",
    make("POST", f"{OPEN}&sid=x", ["Content-Length: five"]) + b"hello",
    make("POST", f"{OPEN}&sid=x", ["Content-Length: -1"]),
    make("POST", f"{OPEN}&sid=x"),
    make("GET", f"{OPEN}&sid=x", ["Content-Length: 5"]) + b"hello",
    get(OPEN, "X-Folded: a", " b"),
    get(OPEN, "X_Under: a"),
    get(OPEN, "X : a"),
    get(OPEN, "no colon"),
    get(OPEN, "X: a\x00b"),
    get(OPEN, "X: \xe9"),
    get(OPEN, *(f"X-{number}: y" for number in range(98))),
    get(OPEN, *(f"X-{number}: y" for number in range(99))),
    get(OPEN + "&x=" + "y" * 8130),
    get(OPEN + "&x=" + "y" * 9000),
    get(OPEN, "X: " + "y" * 60_000),
    get(OPEN, "X: " + "y" * 65_530),
    get(OPEN, "X: " + "y" * 70_000),
    get(OPEN, *(f"X-{number}: {'y' * 2000}" for number in range(50))),
    b"GET /engine.io/?EIO=4&transport=polling\r\n\r\n",
    b"GET /engine.io/?EIO=4&transport=polling HTTP/1.0\r\n\r\n",
    b"GET /engine.io/?EIO=4&transport=polling HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n",
    b"GET http://localhost/engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n",
    get(OPEN).replace(b"\r\n", b"\n"),
    get(OPEN)[:-2] + b"\n",
    get(OPEN).replace(b"\r\n", b"\n", 1),
    get("/engine.io/\x7f"),
    get("/engine.io/\xe9"),
    b"\r\n" + get(OPEN),
    get(OPEN, "Connection: close"),
    get("/page", "Connection: close"),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda raw: repr(raw[:60]))
def test_odd_requests(addresses: list[Any], odd: bytes) -> None:
    check(addresses, [odd, LAST])
    check(addresses, [get("/page") + odd + get("/page") + LAST])
    check(addresses, [get(f"{OPEN}&sid=x") + odd + get(f"{OPEN}&sid=x") + LAST])


GOOD = [
    get(OPEN),
    get(f"{OPEN}&sid={MINE}"),
    get(f"{OPEN}&j=1&sid={MINE}"),
    post(f"{OPEN}&sid={MINE}", "4hello"),
    post(f"{OPEN}&sid={MINE}", "4hello") + get(f"{OPEN}&sid={MINE}"),
    post(f"{OPEN}&sid={MINE}", "4one\x1e4two", "Content-Type: text/plain;charset=UTF-8"),
    post(f"{OPEN}&sid={MINE}", "1"),
    get(f"{OPEN}&sid={MINE}", "Content-Length: 5") + b"hello",
    post(f"{OPEN}&sid={MINE}", bytes(LIMIT + 1)),
    get(f"{OPEN}&sid=x"),
    post(f"{OPEN}&sid=x", "4hello"),
    get("/page"),
    post("/page?a=b", "body"),
    make("POST", "/page", ["Transfer-Encoding: chunked"]) + b"3\r\nabc\r\n0\r\n\r\n",
]
# Not among it is a request to upgrade: of one with a body, gevent's server takes as much again for its body.
NOISE = [
    b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\x00", b"\x0b", b"\x1f", b"\x7f", b"\x80", b"\xa0", b"_", b"%", b"?",
    b"/", b"HTTP/1.0", b"GET ", b"Content-Length: 3\r\n", b"Connection: close\r\n", b"X: y\r\n", b"\r\n x", b"0",
    b"&sid=y", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Host: b\r\n",
    b"Content-Type: a/b \r\n", b"Origin: https://a.example\r\n",
]  # fmt: skip


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Some requests, mostly good, with a little noise, cut into pieces."""
    data = b"".join(draw(st.lists(st.sampled_from(GOOD + ODD), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 2))):
        ends = [match.end() for match in re.finditer(rb"\r\n", data)]
        place = draw(st.one_of(st.integers(0, len(data)), st.sampled_from(ends or [0])))
        data = data[:place] + draw(st.sampled_from(NOISE)) + data[place + draw(st.integers(0, 1)) :]
    assume(ODD_CLOSE.search(data) is None)
    data += LAST
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=2)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@settings(max_examples=150)
@given(conversations())
def test_any_conversation(addresses: list[Any], pieces: list[bytes]) -> None:
    check(addresses, pieces)
