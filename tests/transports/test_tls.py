"""Encrypted connections: everything that works without encryption works with it, and failures cost little."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import logging
import os
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from gevent.pywsgi import WSGIHandler

from tests.conformance.targets import require_node
from tests.conformance.wire import CLOSE, TEXT, UPGRADE_HEADERS, frame
from tests.raw import RawClient, get, post, sid_of
from tests.serving import CLIENTS, Server, ServerHere, serve, wait_for
from webpy_socketio import SocketIOServer, server
from webpy_socketio.engineio import Client, EngineIO
from webpy_socketio.reasons import FORCED_CLOSE, TRANSPORT_CLOSE, TRANSPORT_ERROR
from webpy_socketio.transports.tls import Handshake

POLLING = "/engine.io/?EIO=4&transport=polling"
WEBSOCKET = "/engine.io/?EIO=4&transport=websocket"
UPGRADE = [f"{name}: {value}" for name, value in UPGRADE_HEADERS.items()]
LARGE = 3_000_000
#: Bytes that the kernel keeps.
SMALL = 65_536
#: SO_LINGER with no time to linger: close() sends RST.
ABORT = struct.pack("ii", 1, 0)


class Files:
    """A certificate, its key, and the authority that a client has to trust, as files."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        self.authority, self.certificate, self.key = (str(directory / name) for name in ("ca", "certificate", "key"))
        authority.cert_pem.write_to_path(self.authority)
        issued.private_key_pem.write_to_path(self.key)
        for number, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(self.certificate, append=number > 0)

    def client(self) -> ssl.SSLContext:
        """The context of a client that trusts the authority."""
        return ssl.create_default_context(cafile=self.authority)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def context(request: pytest.FixtureRequest, files: Files) -> ssl.SSLContext:
    """The context of a client, with each version in turn."""
    context = files.client()
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, request.param)
    return context


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The application for everything else."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"page {environ['wsgi.url_scheme']}".encode()]


class Engine(EngineIO):
    """An engine that echoes, and knows its clients and why they left."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            lambda client, message: client.send(message), on_open=self.enter, on_close=self.leave, application=page,
            max_payload=LARGE, **options,
        )  # fmt: skip
        self.clients: list[Client] = []
        self.reasons: list[Any] = []

    def enter(self, client: Client) -> None:
        self.clients.append(client)

    def leave(self, client: Client) -> None:
        self.reasons.append(client.reason)


@pytest.fixture
def engine() -> Engine:
    return Engine(cookie="io")


Serve = Callable[..., ServerHere]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, files: Files) -> Iterator[Serve]:
    """Runs an application with SocketIOServer, encrypted."""
    monkeypatch.setattr(server, "check_patched", lambda: None)
    with contextlib.ExitStack() as stack:

        def start(app: Any, sends: int = 0, **options: Any) -> ServerHere:
            options = {"certfile": files.certificate, "keyfile": files.key, "log": None, **options}
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            if sends:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sends)
            return stack.enter_context(ServerHere(lambda: SocketIOServer(listener, app, **options), "/"))

        yield start


class TlsClient(RawClient):
    """One encrypted connection, that may become a WebSocket."""

    def __init__(self, here: ServerHere, context: ssl.SSLContext, receives: int = 0) -> None:
        self.here = here
        super().__init__(here.served.address)
        if receives:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        self.use(context.wrap_socket(self.sock, server_hostname="localhost", suppress_ragged_eofs=False))

    def upgrade(self, where: str, early: bytes = b"") -> None:
        """Become a WebSocket; ``early`` goes out right behind the request."""
        self.send(get(where, *UPGRADE) + early)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read_some(1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def say(self, text: bytes) -> None:
        """Send a text message."""
        self.send(frame(TEXT, text))

    def hear(self) -> bytes:
        """The next text message."""
        opcode, data = self.next_frame()
        assert opcode == TEXT
        return data

    def next_frame(self) -> tuple[int, bytes]:
        """The next frame: its opcode and its data."""
        first, length = self.read_some(2)
        if length == 126:
            length = int.from_bytes(self.read_some(2), "big")
        elif length == 127:
            length = int.from_bytes(self.read_some(8), "big")
        return first & 0x0F, self.read_some(length)


Connect = Callable[..., TlsClient]


@pytest.fixture
def connect(context: ssl.SSLContext) -> Iterator[Connect]:
    """Connects to a server."""
    with contextlib.ExitStack() as stack:

        def start(here: ServerHere, receives: int = 0) -> TlsClient:
            client = TlsClient(here, context, receives)
            stack.callback(client.close)
            return client

        yield start


@pytest.fixture
def client(start: Serve, connect: Connect, engine: Engine) -> TlsClient:
    """A client of that engine."""
    return connect(start(engine))


@pytest.fixture
def websocket(client: TlsClient, engine: Engine) -> TlsClient:
    """A client that is on a WebSocket."""
    client.upgrade(WEBSOCKET)
    assert json.loads(client.hear()[1:])["upgrades"] == []
    wait_for(lambda: engine.clients)
    return client


# What works without encryption.


def test_polls_then_pages_on_one_connection(client: TlsClient, engine: Engine) -> None:
    opened = client.ask(get(POLLING))
    assert json.loads(opened.body[1:])["upgrades"] == ["websocket"]
    assert opened.headers["Set-Cookie"].endswith("; Secure")
    where = f"{POLLING}&sid={sid_of(opened)}"
    assert client.ask(post(where, "4hello")).body == b"ok"
    assert client.ask(get(where)).body == b"4hello"
    assert len(client.here.do(lambda: list(client.here.served._front._connections))) == 1
    assert client.ask(get("/page")).body == b"page https"
    assert client.ask(post(where, "4again")).body == b"ok"
    assert client.ask(get(where)).body == b"4again"
    assert engine.clients[0].request["wsgi.url_scheme"] == "https"


def test_a_websocket_echoes(websocket: TlsClient) -> None:
    for number in range(50):
        websocket.say(b"4%d" % number)
        assert websocket.hear() == b"4%d" % number


def test_polling_is_upgraded(client: TlsClient, connect: Connect) -> None:
    sid = sid_of(client.ask(get(POLLING)))
    candidate = connect(client.here)
    candidate.upgrade(f"{WEBSOCKET}&sid={sid}")
    client.send(get(f"{POLLING}&sid={sid}"))
    candidate.say(b"2probe")
    assert candidate.hear() == b"3probe"
    assert client.answer().body == b"6"
    candidate.say(b"5")
    candidate.say(b"4hello")
    assert candidate.hear() == b"4hello"


def test_a_page_first_and_a_websocket_on_the_same_connection(client: TlsClient) -> None:
    assert client.ask(get("/page")).body == b"page https"
    many = frame(TEXT, b"4" + bytes(100)) * 90  # more than the HTTP server reads at once, but in the same record
    client.upgrade(WEBSOCKET, many)
    client.hear()
    assert [client.hear() for _ in range(90)] == [b"4" + bytes(100)] * 90
    client.say(b"4after")
    assert client.hear() == b"4after"
    client.send(frame(CLOSE))
    assert client.next_frame() == (CLOSE, b"")
    assert client.read() == b""


def test_frames_right_behind_the_handshake(client: TlsClient) -> None:
    client.upgrade(WEBSOCKET, frame(TEXT, b"4early"))
    client.hear()
    assert client.hear() == b"4early"


def test_many_small_frames_in_one_record(websocket: TlsClient) -> None:
    texts = [b"4%d" % number for number in range(1000)]
    whole = b"".join(frame(TEXT, text) for text in texts)
    assert len(whole) < 16_384
    websocket.send(whole)
    assert [websocket.hear() for _ in texts] == texts


def test_a_frame_in_many_records(websocket: TlsClient) -> None:
    for byte in frame(TEXT, b"4one at a time"):
        websocket.send(bytes([byte]))
    assert websocket.hear() == b"4one at a time"


def test_large_messages_to_a_slow_reader_and_from_it(start: Serve, connect: Connect, engine: Engine) -> None:
    client = connect(start(engine, sends=SMALL), SMALL)
    client.upgrade(WEBSOCKET)
    client.hear()
    large = b"4" + os.urandom(LARGE // 2 - 1).hex().encode()
    client.say(large)
    session = wait_for(lambda: engine.clients)[0]._session
    wait_for(lambda: client.here.do(lambda: session.write is None))  # more than the kernel takes
    client.say(b"4behind")
    assert client.hear() == large
    assert client.hear() == b"4behind"
    client.say(b"4again")
    assert client.hear() == b"4again"


def test_a_large_answer_to_a_poll(start: Serve, connect: Connect, engine: Engine) -> None:
    client = connect(start(engine, sends=SMALL, compression_threshold=0), SMALL)
    where = f"{POLLING}&sid={sid_of(client.ask(get(POLLING)))}"
    large = b"4" + bytes(LARGE - 1)
    assert client.ask(post(where, large)).body == b"ok"
    assert client.ask(get(where)).body == large
    assert client.ask(post(where, b"4behind")).body == b"ok"
    assert client.ask(get(where)).body == b"4behind"


def test_a_request_that_comes_while_a_poll_is_held(client: TlsClient, engine: Engine) -> None:
    where = f"{POLLING}&sid={sid_of(client.ask(get(POLLING)))}"
    client.send(get(where))
    session = wait_for(lambda: engine.clients)[0]._session
    wait_for(lambda: client.here.do(lambda: session.is_awaited))
    client.send(post(where, "4hello"))
    connection = client.here.do(lambda: next(iter(client.here.served._front._connections)))
    wait_for(lambda: client.here.do(lambda: connection._stream.raw.early))
    client.send(get("/page"))
    client.here.do(lambda: engine.clients[0].send("held"))
    assert client.answer().body == b"4held"
    assert client.answer().body == b"ok"
    assert client.answer().body == b"page https"


# The end.


def test_the_client_closes_its_websocket(websocket: TlsClient, engine: Engine) -> None:
    websocket.send(frame(CLOSE))
    assert websocket.next_frame() == (CLOSE, b"")
    assert websocket.read() == b""  # and no complaint about an end that was not announced
    wait_for(lambda: engine.reasons == [TRANSPORT_CLOSE])


def test_the_server_closes_a_websocket(websocket: TlsClient, engine: Engine) -> None:
    websocket.here.do(engine.clients[0].close)
    farewell = FORCED_CLOSE.code.to_bytes(2, "big") + FORCED_CLOSE.sentence.encode()
    assert websocket.next_frame() == (CLOSE, farewell)
    websocket.send(frame(CLOSE))
    assert websocket.read() == b""


def test_a_message_above_the_limit_is_answered_though_more_is_coming(websocket: TlsClient) -> None:
    websocket.send(b"\x81\xff" + (LARGE + 1).to_bytes(8, "big") + bytes(10_000))
    opcode, data = websocket.next_frame()
    assert (opcode, data[:2]) == (CLOSE, (1009).to_bytes(2, "big"))


@pytest.mark.parametrize("how", ["TLS", "FIN", "RST"])
@pytest.mark.parametrize("way", ["websocket", "held poll"])
def test_a_client_that_hangs_up_is_noticed(client: TlsClient, engine: Engine, how: str, way: str) -> None:
    if way == "websocket":
        client.upgrade(WEBSOCKET)
        client.hear()
    else:
        client.send(get(f"{POLLING}&sid={sid_of(client.ask(get(POLLING)))}"))
        session = wait_for(lambda: engine.clients)[0]._session
        wait_for(lambda: client.here.do(lambda: session.is_awaited))
    sock = client.sock
    if how == "TLS":
        sock.settimeout(0)
        with contextlib.suppress(OSError):
            sock.unwrap()  # type: ignore[attr-defined]  # sends the alert, and the connection stays
    elif how == "FIN":
        sock.shutdown(socket.SHUT_WR)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        client.close()
    wait_for(lambda: engine.reasons)
    assert engine.reasons == [TRANSPORT_CLOSE if way == "websocket" else TRANSPORT_ERROR]


def test_the_last_answer_on_a_connection_is_announced_to_be_the_last(client: TlsClient) -> None:
    assert client.ask(get(POLLING, "Connection: close")).status == 200
    assert client.read() == b""


def test_what_is_closed_or_given_away_is_an_oserror(start: Serve, connect: Connect, engine: Engine) -> None:
    here = start(engine)
    connect(here).ask(get(POLLING))
    connection = here.do(lambda: next(iter(here.served._front._connections)))

    def errors() -> list[type[BaseException]]:
        tls = connection._stream.raw
        found = []
        for call in (lambda: tls.shutdown(socket.SHUT_RDWR), lambda: tls.send(b"x"), lambda: tls.recv(1)):
            try:
                call()
            except Exception as error:
                found.append(type(error))
        return found

    here.do(connection.close)
    assert here.do(errors) == [OSError, BrokenPipeError, OSError]
    connect(here).ask(get(POLLING))
    other = here.do(lambda: next(c for c in here.served._front._connections if c is not connection))
    sock = here.do(lambda: other._stream.release().detach())
    with pytest.raises(OSError):
        other._stream.raw.shutdown(socket.SHUT_RDWR)
    here.do(other.close)  # which is nothing to it any more
    assert sock.fileno() >= 0
    here.do(sock.close)


# Handshakes that fail.

MISTAKES: dict[str, Callable[[socket.socket, Files], object]] = {
    "plain HTTP": lambda sock, files: sock.sendall(get(POLLING)),
    "garbage": lambda sock, files: sock.sendall(os.urandom(2000)),
    "hangs up": lambda sock, files: None,
    "hangs up in the middle": lambda sock, files: sock.sendall(b"\x16\x03\x01\x02\x00\x01"),
    "an abort": lambda sock, files: sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT),
    "an authority not trusted": lambda sock, files: ssl.create_default_context().wrap_socket(
        sock, server_hostname="localhost"
    ),
    "another name": lambda sock, files: files.client().wrap_socket(sock, server_hostname="example.com"),
}


@pytest.mark.parametrize("handler", ["ours", "another"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_handshake_that_fails_is_at_most_a_line(
    start: Serve, engine: Engine, files: Files, mistake: str, handler: str, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG, "webpy_socketio")
    here = start(engine, **({} if handler == "ours" else {"handler_class": WSGIHandler}))
    caplog.clear()
    with socket.create_connection(here.served.address, 5) as sock, contextlib.suppress(OSError):
        MISTAKES[mistake](sock, files)
    wait_for(lambda: caplog.records)
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]
    assert caplog.records[0].getMessage().startswith("no TLS with ")
    good = TlsClient(here, files.client())
    assert good.ask(get("/page")).body == b"page https"
    good.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("handler", ["ours", "another"])
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_client_that_never_finishes_is_dropped(start: Serve, sent: bytes, handler: str) -> None:
    options: dict[str, Any] = {} if handler == "ours" else {"handler_class": WSGIHandler}
    here = start(Engine(header_timeout=0.1), header_timeout=0.1, **options)
    client = RawClient(here.served.address)
    client.send(sent)
    assert client.read() == b""
    client.close()


def test_old_versions_are_refused(start: Serve, engine: Engine, files: Files) -> None:
    here = start(engine)
    with pytest.warns(DeprecationWarning):
        context = files.client()
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(here.served.address, 5) as sock, pytest.raises(OSError):
        context.wrap_socket(sock, server_hostname="localhost")


def test_a_stop_closes_what_is_still_a_handshake(start: Serve, engine: Engine) -> None:
    here = start(engine)
    client = RawClient(here.served.address)
    connections = here.served._front._connections
    wait_for(lambda: here.do(lambda: [type(connection) for connection in connections]) == [Handshake])
    here.do(here.served._front.close)
    assert client.read() == b""
    client.close()


def test_a_handler_class_of_somebody_elses_sees_every_request(start: Serve, engine: Engine, files: Files) -> None:
    here = start(engine, handler_class=functools.partial(WSGIHandler))
    client = TlsClient(here, files.client())
    assert client.ask(get("/page")).body == b"page https"
    assert json.loads(client.ask(get(POLLING)).body[1:])["upgrades"] == []
    client.close()


def test_nothing_is_left_of_a_hundred_connections(start: Serve, engine: Engine, files: Files) -> None:
    here = start(engine)
    context = files.client()
    before = None
    for number in range(100):
        client = TlsClient(here, context)
        if number % 4 == 0:
            client.upgrade(WEBSOCKET)
            client.hear()
        elif number % 4 == 1:
            client.ask(get(POLLING, "Connection: close"))
        elif number % 4 == 2:
            client.ask(get("/page"))
            client.upgrade(WEBSOCKET)
        client.close()
        if number == 20:
            wait_for(lambda: here.do(lambda: len(engine.reasons)) >= 10)
            before = open_files()
    assert before is not None
    wait_for(lambda: gc.collect() >= 0 and open_files() <= before + 2)
    wait_for(lambda: here.do(lambda: (gc.collect() and 0) or len(here.served._front._connections)) == 0)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


# Other people's clients.


@pytest.fixture(scope="module")
def conformance(files: Files) -> Iterator[Server]:
    """The conformance application, encrypted."""
    with serve("conformance", certfile=files.certificate, keyfile=files.key) as running:
        running.url = running.url.replace("http:", "https:")
        yield running


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
def test_an_official_client(conformance: Server, files: Files, transports: str) -> None:
    require_node()
    command = ["node", str(CLIENTS / "official.js"), "socket.io-client-4", transports, conformance.url]
    env = {**os.environ, "NODE_EXTRA_CA_CERTS": files.authority}
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert report["transport"] == transports.rpartition(",")[2]
    assert report["long"] == 300_000
    assert report["order"] == list(range(200))
    assert report["disconnect"] == ["io client disconnect", False]


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
def test_python_socketios_client(conformance: Server, files: Files, transports: str) -> None:
    command = [sys.executable, str(CLIENTS / "encrypted.py"), conformance.url, transports, files.authority]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {"transport": transports.rpartition(",")[2], "same": True}


def test_the_log_of_such_a_server_names_no_failure(conformance: Server) -> None:
    assert "Traceback" not in conformance.log
    assert conformance.log.startswith("Socket.IO on https://127.0.0.1:")
