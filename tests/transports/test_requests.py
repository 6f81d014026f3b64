"""Connections without a greenlet, between a client that is only a socket and a server that is none."""

from __future__ import annotations

import _socket
import gc
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from tests.raw import get, make, post
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.metrics import Counters
from webpy_socketio.transports import requests
from webpy_socketio.transports.bodies import KEEP_ALIVE
from webpy_socketio.transports.http import Request
from webpy_socketio.transports.requests import HttpConnection
from webpy_socketio.transports.service import Response
from webpy_socketio.transports.streams import KEY, Connection, Stream
from webpy_socketio.transports.workers import Workers

HEADER_TIMEOUT = 20.0
SID = "/socket.io/?sid=1"
OURS = "/socket.io/?new=1"


class World:
    """A server in which time stands still, one connection to it, and the client at its other end."""

    prefix = b"/socket.io/"
    probe = b"/socket.io/probe"
    reports = ("/socket.io/health",)

    def __init__(self) -> None:
        self.runner = Workers()
        self.time = 0.0
        self.runner.now = lambda: self.time
        settings = SimpleNamespace(max_payload=1000, header_timeout=HEADER_TIMEOUT, connect_timeout=45)
        self.hub: Any = SimpleNamespace(
            runner=self.runner, settings=settings, deadlines=Deadlines(), counters=Counters()
        )
        #: What was asked, and with which body.
        self.asked: list[tuple[str, str, bytes | None]] = []
        self.logged: list[tuple[str, int]] = []
        self.taken_back: list[bytes] = []
        self.handed_over: list[bytes] = []
        self.failures: list[str] = []
        #: Answers the requests of sessions; at once or by a function.
        self.door: Callable[[dict[str, Any]], Any] = lambda environ: lambda: answer(environ["wsgi.input"].read())
        #: Answers the others.
        self.application: Callable[[dict[str, Any], Connection], Response] = lambda environ, _: answer(b"app")
        raw, self.client = _socket.socketpair()
        for end in (raw, self.client):
            end.setblocking(False)
        raw.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 4096)
        self.raw = raw
        self.connection = HttpConnection(Stream(raw), ("192.0.2.7", 80), self)

    def make_environ(self, request: Request, address: Any) -> dict[str, Any]:
        return {"method": request.method, "query": request.query}

    def answer(self, environ: dict[str, Any], name: str) -> Response | Callable[[], Response]:
        self.asked.append((environ["method"], name, None))
        return self.door(environ)

    def run_application(self, environ: dict[str, Any], connection: Connection) -> Response:
        assert environ[KEY] is connection
        self.asked.append((environ["method"], "app", None))
        return self.application(environ, connection)

    def owner_of(self, head: bytes) -> str | None:
        return "another" if b"sid=another" in head else None

    def hand_over(self, owner: str, raw: _socket.socket, address: Any, early: bytes) -> None:
        self.handed_over.append(early)
        raw.close()

    def take_back(self, raw: _socket.socket, address: Any, early: bytes) -> None:
        self.taken_back.append(early)
        raw.close()

    def log_answer(self, request: Request, environ: dict[str, Any], status: str, size: int) -> None:
        self.logged.append((status, size))

    # The client.

    def send(self, data: bytes) -> None:
        """Send, and let the connection take notice."""
        self.client.send(data)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(6):
            gevent.idle()

    def receive(self) -> bytes:
        """All that has come back, if anything; b"" also at the end."""
        data = b""
        try:
            while piece := self.client.recv(65536):
                data += piece
                self.settle()
        except BlockingIOError:
            pass
        return data

    def bodies(self) -> list[bytes]:
        """The bodies of the answers that have come back; they must not have empty lines."""
        return [part.partition(b"\r\n\r\n")[2] for part in self.receive().split(b"HTTP/1.1 ")[1:]]

    @property
    def is_closed(self) -> bool:
        """Whether the connection has been closed on the server's side."""
        return self.raw.fileno() < 0

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        self.hub.deadlines.expire(self.time)
        self.settle()


def answer(body: bytes, *headers: tuple[str, str], status: str = "200 OK") -> Response:
    return Response(status, [("Content-Length", str(len(body))), *headers], body)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.connection.close()
    made.client.close()


# Which requests are ours.


def test_requests_of_sessions_go_to_the_door_and_others_to_the_application(world: World) -> None:
    world.send(get(SID))
    assert world.bodies() == [b""]
    world.send(get(OURS))
    assert world.bodies() == [b"app"]
    world.send(post(SID, b"hello"))
    assert world.bodies() == [b"hello"]
    assert [what[:2] for what in world.asked] == [("GET", ""), ("GET", "app"), ("POST", "")]
    assert [line[0] for line in world.logged] == ["200 OK"] * 3
    assert not world.is_closed


@pytest.mark.parametrize(
    "data",
    [
        get("/"),
        get("/socket.io"),
        get("/socket.iox/"),
        make("HEAD", SID),
        make("PUT", SID),
        make("OPTIONS", SID),
        get(SID, "Expect: 100-continue"),
        make("POST", SID, ["Transfer-Encoding: chunked"]),
        make("POST", SID, ["Content-Length: 1001"]),
        make("POST", SID, ["Content-Length: 5", "Content-Length: 6"]),
        b"\r\n" + get(SID),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /x",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        get(SID).replace(b"\r\n", b"\n"),
        b"GET /socket.io/ HTTP/1.1\r\nHost: a\n\r\n",
        b"G\n\n",
    ],
)
def test_everything_else_goes_to_the_http_server_as_it_came(world: World, data: bytes) -> None:
    world.send(data)
    assert world.taken_back == [data]
    assert world.asked == []


def test_a_request_for_another_worker_goes_there_as_it_came(world: World) -> None:
    data = get(f"{SID[:-1]}another") + b"more"
    world.send(data)
    assert world.handed_over == [data]
    assert world.asked == []
    for _ in range(3):
        world.pass_time(KEEP_ALIVE)  # the connection is nobody's to look after here
    assert world.handed_over == [data]


def test_a_page_on_a_connection_that_has_carried_polls(world: World) -> None:
    world.send(get(SID) + get("/page") + b"more")
    assert world.bodies() == [b""]
    assert world.taken_back == [get("/page") + b"more"]


def test_the_largest_body_is_ours(world: World) -> None:
    world.send(post(SID, bytes(1000)))
    assert world.bodies() == [bytes(1000)]


def test_a_head_that_never_ends_goes_to_the_http_server(world: World) -> None:
    begun = get(SID)[:-2] + b"X: "
    world.send(begun)
    sent = len(begun)
    while not world.taken_back:
        assert sent <= requests.LONGEST_HEAD
        sent += world.client.send(b"y" * 1024)
        world.settle()
    assert requests.LONGEST_HEAD < len(world.taken_back[0]) <= requests.LONGEST_HEAD + 1024


def test_a_head_that_ends_late_goes_to_the_http_server_too(world: World) -> None:
    world.raw.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, 1 << 20)
    world.client.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 1 << 20)
    head = get(SID, "X: " + "y" * (requests.LONGEST_HEAD - len(get(SID, "X: ")) + 5))
    assert len(head) == requests.LONGEST_HEAD + 5
    world.send(head[:-10])
    world.send(head[-10:])
    assert world.taken_back == [head]


# Requests in pieces, and several in one.


def test_byte_by_byte(world: World) -> None:
    for byte in post(SID, b"hello") + get(OURS):
        world.send(bytes([byte]))
    assert world.bodies() == [b"hello", b"app"]


def test_the_next_request_has_to_wait_for_the_answer(world: World) -> None:
    asked, go_on = [], Event()

    def door(environ: dict[str, Any]) -> Any:
        asked.append(environ["query"])
        return lambda: answer(b"late" if go_on.wait(5) else b"")

    world.door = door
    world.send(get(SID) + get(SID + "&second"))
    world.send(get(SID + "&third"))
    assert asked == ["sid=1"]
    assert world.connection.is_busy
    go_on.set()
    world.settle()
    assert world.bodies() == [b"late"] * 3
    assert asked == ["sid=1", "sid=1&second", "sid=1&third"]
    assert not world.connection.is_busy


def test_thousands_of_requests_in_one_piece_are_answered_one_after_the_other(world: World) -> None:
    world.door = lambda environ: answer(b"no")
    piece = b"GET /socket.io/?sid=1 HTTP/1.1\r\nHost: a\r\n\r\n" * 1000
    world.client.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 1 << 20)
    world.send(piece)
    got = b""
    while got.count(b"200 OK") < 1000:
        got += world.receive()
        world.settle()
    assert not world.is_closed


def test_requests_before_a_half_close_are_all_answered(world: World) -> None:
    world.client.send(get(SID) * 3)
    world.client.shutdown(_socket.SHUT_WR)
    for _ in range(5):
        world.settle()
    assert world.bodies() == [b""] * 3
    assert world.is_closed


# Bodies.


def read_later(world: World, *sizes: int) -> list[bytes]:
    """Have bodies read by a job that may wait; return what it reads, piece by piece."""
    pieces: list[bytes] = []

    def read(environ: dict[str, Any]) -> Response:
        try:
            pieces.extend(environ["wsgi.input"].read(size) for size in sizes)
        except OSError as error:
            pieces.append(str(error).encode())
        return answer(b"read")

    world.door = lambda environ: lambda: read(environ)
    return pieces


def test_a_body_that_comes_later_and_in_pieces(world: World) -> None:
    pieces = read_later(world, 4, 100)
    head, body = post(SID, b"hello world").partition(b"hello")[::2]
    world.send(head + b"he")
    world.send(b"l")
    world.send(b"lo")
    assert (pieces, world.bodies()) == ([b"hell"], [])
    world.send(body + get(SID)[:10])
    assert (pieces, world.bodies()) == ([b"hell", b"o world"], [b"read"])
    pieces.clear()
    world.send(get(SID)[10:])
    assert (pieces, world.bodies()) == ([b"", b""], [b"read"])


def test_an_application_can_read_lines(world: World) -> None:
    lines: list[bytes] = []

    def application(environ: dict[str, Any], connection: Connection) -> Response:
        lines.append(environ["wsgi.input"].readline())
        lines.extend(environ["wsgi.input"])
        return answer(b"")

    world.application = application
    world.send(make("POST", OURS, ["Content-Length: 9"]) + b"on")
    world.send(b"e\ntwo\n3")
    assert lines == [b"one\n", b"two\n", b"3"]


def test_a_client_that_hangs_up_before_the_body_is_complete(world: World) -> None:
    pieces = read_later(world, 5)
    world.send(make("POST", SID, ["Content-Length: 5"]) + b"he")
    world.client.close()
    world.settle()
    assert pieces == [b"the client hung up, 3 bytes before the end of the request"]
    assert world.is_closed


@pytest.mark.parametrize("where", [SID, OURS])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_nobody_reads_is_no_request(world: World, method: str, where: str) -> None:
    world.door = lambda environ: answer(b"no", status="400 Bad Request")
    world.application = lambda environ, _: answer(b"no")
    smuggled = get(SID + "&smuggled")
    world.send(make(method, where, [f"Content-Length: {len(smuggled)}"]))
    assert world.bodies() == [b"no"]
    world.send(smuggled[:10])
    world.send(smuggled[10:] + get(OURS))
    assert world.bodies() == [b"no"]
    assert len(world.asked) == 2
    assert world.asked[1] == ("GET", "app", None)


def test_a_body_that_nobody_reads_must_come_in_time(world: World) -> None:
    world.door = lambda environ: answer(b"no")
    world.send(make("POST", SID, ["Content-Length: 5"]))
    world.pass_time(HEADER_TIMEOUT - 1)
    world.send(b"ab")
    assert not world.is_closed
    world.pass_time(1)
    assert world.is_closed


# The time.


def test_a_connection_without_a_request_is_closed(world: World) -> None:
    world.pass_time(HEADER_TIMEOUT - 1)
    assert not world.is_closed
    world.pass_time(1)
    assert world.is_closed
    assert world.client.recv(1) == b""


def test_a_slow_head_is_not_waited_for(world: World) -> None:
    for byte in get(SID)[: int(HEADER_TIMEOUT) - 1]:
        world.send(bytes([byte]))
        world.pass_time(1)
    assert not world.is_closed
    world.pass_time(1)
    assert world.is_closed
    assert world.receive().startswith(b"HTTP/1.1 408 Request Timeout")
    assert world.hub.counters.limited == {"header_timeout": 1}


def test_a_connection_may_rest_between_requests(world: World) -> None:
    for _ in range(5):
        world.send(get(SID))
        world.pass_time(KEEP_ALIVE - 1)
    assert world.bodies() == [b""] * 5
    assert not world.is_closed


def test_but_not_for_ever(world: World) -> None:
    world.send(get(SID))
    assert world.bodies() == [b""]
    for _ in range(3):  # it is looked at now and then
        world.pass_time(KEEP_ALIVE)
    assert world.is_closed
    assert world.client.recv(1) == b""


def test_a_long_answer_is_no_rest(world: World) -> None:
    go_on = Event()
    world.door = lambda environ: lambda: answer(b"late" if go_on.wait(5) else b"")
    world.send(get(SID))
    for _ in range(5):
        world.pass_time(KEEP_ALIVE)
    go_on.set()
    world.settle()
    assert world.bodies() == [b"late"]
    assert not world.is_closed


def test_the_rest_begins_after_the_answer(world: World) -> None:
    """Proxies keep their connections for almost as long, and must not find one closed before that."""
    go_on = Event()
    world.door = lambda environ: lambda: answer(b"late" if go_on.wait(5) else b"")
    world.send(get(SID))
    world.pass_time(HEADER_TIMEOUT)  # it is looked at, and then again after
    go_on.set()
    world.settle()
    assert world.bodies() == [b"late"]
    world.pass_time(KEEP_ALIVE)
    assert not world.is_closed
    world.pass_time(KEEP_ALIVE)
    assert world.is_closed


def test_who_has_the_connection_may_rest(world: World) -> None:
    taken: list[Stream] = []

    def switch(environ: dict[str, Any]) -> Response:
        environ[KEY].give_to(lambda stream, early: taken.append(stream), lambda: None)
        return Response("101 Switching Protocols", [], b"")

    world.door = switch
    world.send(get(SID))
    for _ in range(5):
        world.pass_time(KEEP_ALIVE)
    assert len(taken) == 1
    assert not world.is_closed
    taken[0].close()


def test_a_slow_head_of_the_next_request_is_not_waited_for(world: World) -> None:
    world.send(get(SID))
    world.pass_time(KEEP_ALIVE - 1)
    world.send(get(SID)[:10])
    world.pass_time(HEADER_TIMEOUT - 1)
    world.send(get(SID)[10:20])
    assert not world.is_closed
    world.pass_time(1)
    assert world.is_closed


def test_not_even_if_it_began_while_the_last_was_being_answered(world: World) -> None:
    go_on = Event()
    world.door = lambda environ: lambda: answer(b"late" if go_on.wait(5) else b"")
    world.send(get(SID) + get(SID)[:10])
    world.pass_time(10 * HEADER_TIMEOUT)
    assert not world.is_closed
    go_on.set()
    world.settle()
    assert world.bodies() == [b"late"]
    world.pass_time(HEADER_TIMEOUT - 1)
    assert not world.is_closed
    world.pass_time(1)
    assert world.is_closed


# The end of a connection.


@pytest.mark.parametrize("by", ["the client", "the answer", "both"])
def test_connection_close(world: World, by: str) -> None:
    headers = [("Connection", "close")] if by != "the client" else []
    world.door = lambda environ: answer(b"bye", *headers)
    world.send(get(SID, *(["Connection: close"] if by != "the answer" else [])) + get(SID))
    received = world.receive()
    assert received.count(b"HTTP/1.1 200 OK") == received.count(b"\r\nConnection: close\r\n") == 1
    assert received.endswith(b"\r\n\r\nbye")
    assert world.client.recv(1) == b""
    world.client.send(b"what is this?")
    world.client.close()
    world.settle()
    assert world.is_closed
    assert not world.connection.is_busy


def test_a_client_that_does_not_read_gets_no_second_answer(world: World) -> None:
    large = bytes(500_000)
    world.door = lambda environ: answer(large)
    for _ in range(3):
        world.send(get(SID))
    assert len(world.asked) == 1
    assert world.connection.is_busy
    got = b""
    while len(got) < 3 * len(large):
        got += world.receive()
        world.settle()
    assert len(world.asked) == 3
    assert not world.connection.is_busy


def test_nor_a_request_after_the_one_that_closes(world: World) -> None:
    world.door = lambda environ: answer(bytes(500_000))
    world.send(get(SID, "Connection: close"))
    world.send(get(SID))
    got = b""
    while world.connection.is_busy:
        got += world.receive()
        world.settle()
    got += world.receive()
    assert len(got.partition(b"\r\n\r\n")[2]) == 500_000
    assert world.client.recv(1) == b""
    assert len(world.asked) == 1


def failing(world: World, connection: Connection, response: Response) -> Response:
    connection.on_failure = lambda: world.failures.append("failed")
    return response


def test_a_connection_that_breaks_while_an_answer_is_kept(world: World) -> None:
    world.door = lambda environ: failing(world, environ[KEY], answer(bytes(500_000)))
    world.send(get(SID))
    assert world.failures == []
    world.client.close()
    world.settle()
    assert world.failures == ["failed"]
    assert world.is_closed
    assert not world.connection.is_busy


def test_a_connection_that_broke_before_the_answer(world: World) -> None:
    go_on = Event()
    world.door = lambda environ: lambda: failing(world, environ[KEY], answer(b"x" if go_on.wait(5) else b""))
    world.send(get(SID))
    world.client.close()
    world.settle()
    go_on.set()
    world.settle()
    assert world.failures == ["failed"]
    assert world.is_closed
    assert not world.connection.is_busy


def test_nothing_stays_of_it(world: World) -> None:
    world.send(get(SID))
    kept = weakref.ref(world.connection)
    world.client.close()
    world.settle()
    world.connection = None  # type: ignore[assignment]
    try:
        gc.collect()
        assert kept() is None
    finally:
        world.connection = SimpleNamespace(close=lambda: None)  # type: ignore[assignment]


def test_an_idle_connection_does_not_hold_what_its_last_answer_would_have_needed(world: World) -> None:
    class Polling:
        def lost(self) -> None: ...

    held: list[weakref.ref[Polling]] = []

    def door(environ: dict[str, Any]) -> Response:
        polling = Polling()
        held.append(weakref.ref(polling))
        environ[KEY].on_failure = polling.lost
        return answer(bytes(100_000))

    world.door = door
    world.send(get(SID))
    while len(world.receive()) and world.connection.is_busy:
        world.settle()
    gc.collect()
    assert held[0]() is None


# Connections that become something else.


def switch(world: World, status: str = "101 Switching Protocols") -> list[Any]:
    """Have the application accept a switch of protocols; return who was given what."""
    taken: list[Any] = []

    def application(environ: dict[str, Any], connection: Connection) -> Response:
        connection.taker = lambda stream, early: taken.append((stream, early))
        connection.on_failure = lambda: world.failures.append("failed")
        return Response(status, [("Upgrade", "websocket"), ("Connection", "Upgrade")], b"")

    world.application = application
    return taken


def test_a_switch_of_protocols_with_what_came_early(world: World) -> None:
    taken = switch(world)
    world.send(get(OURS, "Connection: Upgrade", "Upgrade: websocket") + b"frames")
    assert [early for _, early in taken] == [b"frames"]
    assert world.receive().startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    world.pass_time(HEADER_TIMEOUT)
    assert not world.is_closed
    assert world.failures == []
    taken[0][0].close()


def test_a_switch_waits_until_its_answer_is_out(world: World) -> None:
    taken = switch(world)
    world.door = lambda environ: answer(bytes(100_000))
    fill = world.connection._stream.send_now

    def refuse(data: bytes) -> int:
        if data.startswith(b"HTTP/1.1 101") and world.failures == []:
            world.failures.append("the kernel is full")
            raise BlockingIOError
        return fill(data)

    world.connection._stream.send_now = refuse
    world.client.send(get(OURS, "Connection: Upgrade", "Upgrade: websocket") + b"frames")
    for _ in range(20):
        gevent.idle()
        assert all(not stream.is_blocked for stream, _ in taken)
    assert [early for _, early in taken] == [b"frames"]
    assert world.failures == ["the kernel is full"]
    taken[0][0].close()


def test_a_switch_that_something_prevented(world: World) -> None:
    taken = switch(world, "200 OK")
    world.send(get(OURS, "Connection: Upgrade", "Upgrade: websocket"))
    assert taken == []
    assert world.failures == ["failed"]
