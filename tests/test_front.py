"""The front with a real server around it: clients on real sockets see no difference to gevent's own server."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import re
import socket
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.pywsgi import WSGIHandler

from tests.conformance.wire import TEXT, UPGRADE_HEADERS, Answer, frame
from tests.raw import RawClient, get, make, post, sid_of
from tests.serving import ServerHere, wait_for
from webpy_socketio import SettingsError, SocketIOServer
from webpy_socketio.engineio import Client, EngineIO
from webpy_socketio.front import FAILED
from webpy_socketio.reasons import TRANSPORT_CLOSE, TRANSPORT_ERROR
from webpy_socketio.transports.requests import HttpConnection
from webpy_socketio.wsgi import SocketIOApp

OPEN = "/engine.io/?EIO=4&transport=polling"
SOCKET_IO = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = [f"{name}: {value}" for name, value in UPGRADE_HEADERS.items()]
LIMIT = 10_000

Serve = Callable[..., ServerHere]


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The application for everything else."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"page {environ['PATH_INFO']} {environ['wsgi.input'].read()!r}".encode()]


class Engine(EngineIO):
    """An engine that echoes, and knows which of its clients have left and why."""

    def __init__(self, **options: Any) -> None:
        super().__init__(self.echo, on_open=self.enter, on_close=self.leave, application=page, **options)
        self.clients: list[Client] = []
        self.reasons: list[Any] = []
        #: Whether it takes its time to let a client go.
        self.is_slow = False

    def echo(self, client: Client, message: str | bytes) -> None:
        client.send(message)

    def enter(self, client: Client) -> None:
        self.clients.append(client)

    def leave(self, client: Client) -> None:
        self.reasons.append(client.reason)
        while self.is_slow:
            gevent.sleep(0.002)


@pytest.fixture
def connect() -> Iterator[Callable[[ServerHere], RawClient]]:
    """Connects to a server."""
    with contextlib.ExitStack() as stack:

        def start(here: ServerHere) -> RawClient:
            client = RawClient(here.served.address)
            stack.callback(client.close)
            return client

        yield start


Connect = Callable[[ServerHere], RawClient]


@pytest.fixture
def engine() -> Engine:
    return Engine(max_payload=LIMIT)


@pytest.fixture
def client(serve_here: Serve, connect: Connect, engine: Engine) -> RawClient:
    """A client of that engine."""
    return connect(serve_here(engine))


def session_of(client: RawClient) -> str:
    """Open a session, and return where it polls."""
    return f"{OPEN}&sid={sid_of(client.ask(get(OPEN)))}"


# One connection.


def test_polls_pages_and_polls_again(client: RawClient) -> None:
    where = session_of(client)
    assert client.ask(post(where, "4hello")).body == b"ok"
    assert client.ask(get(where)).body == b"4hello"
    assert client.ask(post("/page", "body")).body == b"page /page b'body'"
    assert client.ask(post(where, "4again")).body == b"ok"
    assert client.ask(get(where)).body == b"4again"
    assert client.ask(get("/")).body == b"page / b''"


def test_requests_in_one_piece(client: RawClient) -> None:
    where = session_of(client)
    client.send(post(where, "4one") + get(where) + post(where, "4two") + get(where) + get("/page") + get("/last"))
    assert [client.answer().body for _ in range(6)] == [
        b"ok", b"4one", b"ok", b"4two", b"page /page b''", b"page /last b''",
    ]  # fmt: skip


def test_a_held_poll_with_the_next_request_behind_it(client: RawClient, engine: Engine) -> None:
    where = session_of(client)
    client.send(get(where) + get("/page"))
    wait_for(lambda: engine.clients)
    engine.clients[0].send("news")
    assert [client.answer().body for _ in range(2)] == [b"4news", b"page /page b''"]


def test_byte_by_byte(client: RawClient) -> None:
    where = session_of(client)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in post(where, "4slow") + get(where) + get("/page"):
        client.send(bytes([byte]))
    assert [client.answer().body for _ in range(3)] == [b"ok", b"4slow", b"page /page b''"]


def test_a_body_in_pieces(client: RawClient, serve_here: Serve) -> None:
    where = session_of(client)
    body = b"4" + b"x" * 5000
    request = post(where, body)
    for start in range(0, len(request), 700):
        client.send(request[start : start + 700])
    assert client.answer().body == b"ok"
    assert client.ask(get(where)).body == body


def test_a_body_that_is_never_completed(client: RawClient, engine: Engine) -> None:
    where = session_of(client)
    client.send(post(where, "4hello")[:-3])
    client.close()
    wait_for(lambda: engine.reasons)
    assert engine.reasons == [TRANSPORT_CLOSE]


def test_hanging_up_while_a_poll_is_held(client: RawClient, engine: Engine) -> None:
    where = session_of(client)
    client.send(get(where))
    wait_for(lambda: engine.door.hub.find(where[-20:]).is_awaited)
    client.close()
    wait_for(lambda: engine.reasons)
    assert engine.reasons == [TRANSPORT_ERROR]


def test_hanging_up_while_an_answer_is_on_its_way(serve_here: Serve, engine: Engine) -> None:
    here = serve_here(engine)
    client = RawClient(here.served.address)
    where = session_of(client)
    wait_for(lambda: engine.clients)
    engine.clients[0].send(bytes(8_000_000))
    client.send(get(where))
    assert client.read_some(4) == b"HTTP"
    wait_for(lambda: here.do(lambda: [c.is_busy for c in here.served._front._connections]) == [True])
    assert engine.reasons == []
    client.close()
    wait_for(lambda: engine.reasons)
    assert engine.reasons == [TRANSPORT_ERROR]
    wait_for(lambda: here.do(lambda: (gc.collect() and 0) or len(here.served._front._connections)) == 0)


@pytest.mark.parametrize(
    "too_large",
    [
        lambda where: make("POST", where, [f"Content-Length: {LIMIT + 1}"]) + bytes(LIMIT + 1),
        lambda where: (
            make("POST", where, ["Transfer-Encoding: chunked"]) + b"2711\r\n" + bytes(10_001) + b"\r\n0\r\n\r\n"
        ),
    ],
    ids=["by its length", "in chunks"],
)
def test_a_body_above_max_payload(client: RawClient, too_large: Callable[[str], bytes]) -> None:
    where = session_of(client)
    assert client.ask(too_large(where)).status == 413
    assert client.ask(post(where, b"4" + bytes(LIMIT - 1))).body == b"ok"


def test_frames_in_the_same_segment_as_the_upgrade(client: RawClient) -> None:
    where = OPEN.replace("polling", "websocket")
    client.send(get(where, *WEBSOCKET) + frame(TEXT, b"4early") + frame(TEXT, b"4birds"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.read_some(1)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"content-length" not in head.lower()
    assert client.read_some(2)[0] == 0x81
    rest = b""
    while not rest.endswith(b"4early\x81\x064birds"):
        rest += client.read_some(1)


# The times.


def test_connections_that_bring_no_request_are_closed(serve_here: Serve, connect: Connect) -> None:
    here = serve_here(Engine(header_timeout=0.2))
    silent, slow, polite = connect(here), connect(here), connect(here)
    slow.send(get(OPEN)[:20])
    assert polite.ask(get(OPEN + "&sid=x")).status == 400
    assert silent.read() == b""
    assert slow.read().endswith(b"\r\n\r\nheader_timeout")
    assert polite.ask(get(OPEN + "&sid=x")).status == 400


# The application.


class Wild:
    """An application that does what one should not, and what one may do but rarely does."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.environs: list[dict[str, Any]] = []
        self.inner = SocketIOApp(page)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self.environs.append(dict(environ))
        act = getattr(self, environ["PATH_INFO"].rpartition("/")[2] or "pass_on")
        return act(environ, start_response)

    def pass_on(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return self.inner(environ, start_response)

    def fail(self, environ: Any, start_response: Any) -> Any:
        raise RuntimeError("on purpose")

    def time_out(self, environ: Any, start_response: Any) -> Any:
        raise gevent.Timeout(1)

    def fail_late(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b""
        raise RuntimeError("on purpose")

    def generate(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Kind", "generator")])
        yield b"one "
        yield b""
        yield b"two"

    def write(self, environ: Any, start_response: Any) -> Any:
        write = start_response("201 Created", [("X-Kind", "writer")])
        write(b"one ")
        write(b"two ")
        return [b"three"]

    def think_again(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Kind", "first")])
        try:
            raise RuntimeError
        except RuntimeError as error:
            start_response("409 Conflict", [("X-Kind", "second")], (type(error), error, error.__traceback__))
        return [b"second"]

    def say_nothing(self, environ: Any, start_response: Any) -> Any:
        return [b"text"]

    def inject(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Kind", "a\r\nSet-Cookie: evil")])
        return [b"text"]

    def inject_status(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK\r\nSet-Cookie: evil", [])
        return [b"text"]

    def not_latin(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Kind", "\N{EURO SIGN}")])
        return [b"text"]

    def no_string(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-Kind", 1)])
        return [b"text"]

    def no_code(self, environ: Any, start_response: Any) -> Any:
        start_response("OK", [])
        return [b"text"]

    def no_content(self, environ: Any, start_response: Any) -> Any:
        start_response("204 No Content", [("X-Kind", "nothing")])
        return []

    def too_much_content(self, environ: Any, start_response: Any) -> Any:
        start_response("304 Not Modified", [])
        return [b"text"]

    def hang_up(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("CONNECTION", "close"), ("X-Kind", "the last")])
        return [b"bye"]

    def empty(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "0")])
        return []

    def read_lines(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [repr(list(environ["wsgi.input"])).encode()]

    def none(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])

    def close_it(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Closing(self.closed)

    def close_it_after_failing(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Closing(self.closed, fails=True)


class Closing:
    def __init__(self, closed: list[str], *, fails: bool = False) -> None:
        self._closed = closed
        self._fails = fails

    def __iter__(self) -> Iterator[bytes]:
        yield b"text"
        if self._fails:
            raise RuntimeError("on purpose")

    def close(self) -> None:
        self._closed.append("closed")


ACTS = [name for name in vars(Wild) if not name.startswith("_") and name != "pass_on"]
#: What was on its way before the error; gevent's server has sent it already then.
STREAMED = {"close_it_after_failing"}


def shape(answer: Answer) -> tuple[Any, ...]:
    """What has to be the same in two answers."""
    framing = ("date", "content-length", "transfer-encoding", "connection")
    headers = sorted((k.lower(), v) for k, v in answer.headers.items() if k.lower() not in framing)
    body = re.sub(rb'"sid":"[^"]*"', b"", answer.body)
    return answer.status, headers, body


@pytest.fixture
def both(serve_here: Serve, connect: Connect) -> Callable[[Any], tuple[RawClient, RawClient]]:
    """A client of a server with a front, and one of a server without."""

    def start(app: Any, **options: Any) -> tuple[RawClient, RawClient]:
        old = serve_here(app, error_log=None, **options)
        old.served._front = None
        return connect(serve_here(app, error_log=None, **options)), connect(old)

    return start


@pytest.mark.parametrize("act", ACTS)
def test_whatever_the_application_does(both: Any, act: str) -> None:
    wild = Wild()
    answers, lasts = [], []
    new_client, old_client = both(wild)
    if act in STREAMED:
        assert new_client.ask(get(f"/socket.io/{act}")).body == FAILED.body
        assert wild.closed == ["closed"]
        return
    for client in (new_client, old_client):
        answers.append(client.ask(post(f"/socket.io/{act}", b"a\nb\nc")))
        last = answers[-1].headers["Connection"] == "close"
        lasts.append(last)
        assert (client.read() if last else client.ask(get("/socket.io/generate")).body) == (b"" if last else b"one two")
    new, old = answers
    assert shape(new) == shape(old)
    assert lasts[0] == lasts[1]
    if new.status == 500:
        assert new.body == FAILED.body
    assert wild.closed == (["closed"] * 2 if act.startswith("close_it") else [])


def test_middleware_sees_handshakes_but_not_the_polls_of_a_session(serve_here: Serve, connect: Connect) -> None:
    wild = Wild()
    client = connect(serve_here(wild))
    where = f"{SOCKET_IO}&sid={sid_of(client.ask(get(SOCKET_IO)))}"
    assert client.ask(post(where, "40")).body == b"ok"
    assert client.ask(get(where)).body.startswith(b"40")
    assert [environ["QUERY_STRING"] for environ in wild.environs] == [SOCKET_IO.partition("?")[2]]


@pytest.mark.parametrize("how", ["status", "error"])
def test_a_websocket_that_middleware_prevents_leaves_no_session(serve_here: Serve, connect: Connect, how: str) -> None:
    inner = SocketIOApp(page)

    def meddle(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        result = inner(environ, lambda status, headers: start_response("200 OK", []))
        if how == "error":
            raise RuntimeError("on purpose")
        return result

    here = serve_here(meddle)
    answer = connect(here).ask(get(SOCKET_IO.replace("polling", "websocket"), *WEBSOCKET))
    assert answer.status == (200 if how == "status" else 500)
    hub = here.served._running.node.hub
    wait_for(lambda: here.do(lambda: hub.counters.opened == 1 and len(hub) == 0))


def test_an_error_of_the_door_is_answered(
    serve_here: Serve,
    connect: Connect,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = connect(serve_here(engine))
    where = session_of(client)

    def fail(*args: Any) -> Any:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("webpy_socketio.transports.polling.Polling.get", fail)
    assert client.ask(get(where)).body == FAILED.body
    monkeypatch.setattr("webpy_socketio.door.find_script", fail)
    client = connect_again(client)
    assert client.ask(get(where)).body == FAILED.body
    client.close()
    assert caplog.text.count("a request raised RuntimeError") == 2


def connect_again(client: RawClient) -> RawClient:
    address = client.sock.getpeername()
    client.close()
    return RawClient(address)


# The environ and the log.


def test_the_environ_is_that_of_the_http_server(both: Any) -> None:
    wild = Wild()
    for client in both(wild, environ={"X-Given": "to the server"}):
        client.ask(post("/socket.io/write?a=%20b", b"body", "X-Own: caf\xe9", "Cookie: a=b", "Content-Type: text/x"))
    new, old = wild.environs
    differ = {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)}
    assert differ == {"REMOTE_PORT", "SERVER_PORT", "wsgi.input", "wsgi.errors", "webpy_socketio.door",
                      "webpy_socketio.connection"}  # fmt: skip
    assert new.keys() == old.keys()
    assert [type(new[key]) for key in sorted(new) if key != "wsgi.input"] == [
        type(old[key]) for key in sorted(old) if key != "wsgi.input"
    ]
    assert (new["REMOTE_ADDR"], new["X-Given"], new["HTTP_X_OWN"]) == ("127.0.0.1", "to the server", "caf\xe9")
    assert all(hasattr(new["wsgi.input"], name) for name in ("read", "readline", "readlines", "__iter__"))


def test_the_access_log_has_what_is_not_routine_in_the_format_of_the_http_server(
    serve_here: Serve, connect: Connect
) -> None:
    lines = []
    for has_front in (True, False):
        log = io.StringIO()
        here = serve_here(Engine(), log=log)
        if not has_front:
            here.served._front = None
        client = connect(here)
        where = session_of(client)
        client.ask(post(where, "4hello"))
        client.ask(get(where))
        client.ask(get(f"{OPEN}&sid=unknown%1b"))
        client.ask(get("/engine.io/socket.io.js"))
        lines.append(wait_for(lambda log=log: log.getvalue().count("\n") == 2 and log.getvalue()))
    new, old = (re.sub(r"\[.{19}\]", "[]", text) for text in lines)
    assert re.sub(r"[0-9.]+$", "-", old, flags=re.MULTILINE) == new
    assert re.search(r'^127\.0\.0\.1 - - \[\] "GET /engine\.io/\?\S+unknown%1b HTTP/1\.1" 400 \d+ -$', new, re.M)


# Where and how it listens.


def converse(client: RawClient) -> None:
    """Use both ways."""
    where = session_of(client)
    assert client.ask(post(where, "4hello")).body == b"ok"
    assert client.ask(get(where)).body == b"4hello"
    assert client.ask(get("/page")).body == b"page /page b''"
    client.close()


def test_a_unix_socket(serve_here: Serve, engine: Engine, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        log = io.StringIO()
        serve_here(engine, gevent.socket.socket(fileno=listener.detach()), log=log)
        client = RawClient(path)
        assert client.ask(get(f"{OPEN}&sid=unknown")).status == 400
        wait_for(lambda: log.getvalue().startswith("- - - ["))
        converse(client)


def test_ipv6(serve_here: Serve, connect: Connect, engine: Engine) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        here = serve_here(engine, ("::1", 0))
    except SettingsError:
        pytest.skip("no IPv6 here")
    client = RawClient(here.served.address[:2])
    converse(client)
    assert engine.clients[0].request["REMOTE_ADDR"] == "::1"


def test_a_handler_class_of_somebody_elses_sees_every_request(
    serve_here: Serve, connect: Connect, engine: Engine
) -> None:
    seen: list[str] = []

    class Noting(WSGIHandler):  # type: ignore[misc]
        def log_request(self) -> None:
            seen.append(self.path)

    client = connect(serve_here(engine, handler_class=Noting))
    client.ask(get(OPEN))
    client.ask(get("/page"))
    assert seen == [OPEN, "/page"]


def test_a_pool_limits_what_needs_greenlets(serve_here: Serve, connect: Connect, engine: Engine) -> None:
    here = serve_here(engine, spawn=1)
    clients = [connect(here) for _ in range(4)]
    where = [session_of(client) for client in clients]
    assert clients[0].ask(get("/page")).status == 200
    for client in clients[1:3]:
        client.send(get("/page", "Connection: close"))
    assert clients[3].ask(post(where[3], "4hello")).body == b"ok"
    assert here.do(here.served.pool.free_count) == 0
    clients[0].close()
    assert [client.answer().status for client in clients[1:3]] == [200, 200]


def test_one_accept_at_a_time(serve_here: Serve, connect: Connect, engine: Engine) -> None:
    here = serve_here(engine, environ={"wsgi.multiprocess": True})
    assert here.served.max_accept == 1
    for client in [connect(here) for _ in range(5)]:
        converse(client)


# The end.


def test_stop_answers_what_is_held_and_closes_what_is_idle(engine: Engine, patched: None) -> None:
    before = open_files()
    here = serve_for_good(engine)
    holding, idle, silent, begun, paged = (RawClient(here.served.address) for _ in range(5))
    where = session_of(holding)
    holding.send(get(where))
    session_of(idle)
    begun.send(get(OPEN)[:30])
    paged.ask(get("/page"))
    wait_for(lambda: here.do(lambda: len(here.served._front._connections)) == 4)
    wait_for(lambda: engine.door.hub.find(where[-20:]).is_awaited)
    here.do(here.served._stop_event.set)
    here._thread.join(5)
    assert holding.answer().body == b"1"
    for client in (holding, idle, silent, begun):
        assert client.read() == b""
    for client in (holding, idle, silent, begun, paged):
        client.close()
    wait_for(lambda: gc.collect() >= 0 and open_files() <= before + 3)  # the loop's own


def test_a_page_that_is_asked_for_during_a_stop(engine: Engine, patched: None) -> None:
    engine.is_slow = True
    here = serve_for_good(engine)
    client, other = RawClient(here.served.address), RawClient(here.served.address)
    session_of(other)
    client.send(get("/page")[:3])
    wait_for(lambda: here.do(lambda: [c._buffer for c in here.served._front._connections].count(b"GET")))
    here.do(here.served._stop_event.set)
    wait_for(lambda: engine.reasons)
    client.send(get("/page")[3:])
    assert client.answer().status == 200
    engine.is_slow = False
    here._thread.join(5)
    assert not here._thread.is_alive()
    client.close()
    other.close()


def serve_for_good(engine: Engine) -> ServerHere:
    """A server that a test stops itself."""
    return ServerHere(lambda: SocketIOServer(("127.0.0.1", 0), engine, log=None), "/").__enter__()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_nothing_is_left_of_five_hundred_connections(serve_here: Serve, engine: Engine) -> None:
    here = serve_here(engine)
    address = here.served.address
    RawClient(address).close()
    front = here.served._front
    wait_for(lambda: here.do(lambda: gc.collect() >= 0 and len(front._connections)) == 0)
    before = open_files()
    made: list[weakref.ref[HttpConnection]] = []
    for number in range(500):
        client = RawClient(address)
        if number % 5 == 1:
            client.ask(get(f"{OPEN}&sid=unknown"))
        elif number % 5 == 2:
            client.ask(get(OPEN))
        elif number % 5 == 3:
            client.send(get(OPEN)[:20])
        elif number % 5 == 4:
            client.ask(get("/page"))
        if number % 50 < 5:
            made += here.do(lambda: [weakref.ref(connection) for connection in front._connections])
        client.close()
    wait_for(lambda: here.do(lambda: gc.collect() >= 0 and len(front._connections)) == 0)
    wait_for(lambda: open_files() <= before)
    assert made
    assert all(reference() is None for reference in made)
