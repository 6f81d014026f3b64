"""Whom a server takes its clients for, behind proxies and when somebody only claims to be one."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import trustme
from gevent.pywsgi import WSGIHandler

from tests.raw import RawClient, RawWebSocket, get, post, sid_of
from tests.serving import Server, ServerHere, serve, wait_for
from webpy_socketio import SettingsError, SocketIOServer
from webpy_socketio.engineio import Client, EngineIO
from webpy_socketio.wire.proxy_protocol import VERSION_2

#: Addresses of clients: of the trusted proxy, of anybody else, and what is only said to be one.
PROXY, STRANGER, CLIENT = "127.0.0.1", "127.0.0.2", "198.51.100.7"
OPEN = "/socket.io/?EIO=4&transport="
FORWARDED = (f"X-Forwarded-For: 192.0.2.1, {CLIENT}", "X-Forwarded-Proto: https")
LINE = f"PROXY TCP4 {CLIENT} 10.0.0.1 4711 443\r\n".encode()
BINARY = VERSION_2 + bytes.fromhex("21 11 000f c6336407 0a000001 1267 01bb 040000")
LOCAL = VERSION_2 + bytes.fromhex("20 00 0000")
UNKNOWN = b"PROXY UNKNOWN\r\n"

#: web.ctx.ip, REMOTE_ADDR, the scheme, the port if it is known beforehand, and the proxy's address.
Told = list[Any]
Connect = Callable[..., RawClient]


@pytest.fixture(scope="module")
def behind() -> Iterator[Server]:
    """A server that trusts one proxy."""
    with serve("who", trusted_proxies=PROXY) as running:
        yield running


@pytest.fixture(scope="module")
def forwarding() -> Iterator[Server]:
    """A server whose proxy sends the header of RFC 7239."""
    with serve("who", trusted_proxies=PROXY, forwarded_header="forwarded") as running:
        yield running


@pytest.fixture(scope="module")
def introduced() -> Iterator[Server]:
    """A server whose proxy sends PROXY headers."""
    with serve("who", trusted_proxies=PROXY, proxy_protocol=1) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects to a server from some address."""
    with contextlib.ExitStack() as stack:

        def start(to: Server | ServerHere, source: str = PROXY, first: bytes = b"") -> RawClient:
            client = RawClient(("127.0.0.1", to.port), (source, 0))
            stack.callback(client.close)
            return client.send(first)

        yield start


def by_page(client: RawClient, *headers: str) -> Told:
    told: Told = json.loads(client.ask(get("/who", *headers)).body)
    return told


def by_polling(client: RawClient, *headers: str) -> Told:
    where = f"{OPEN}polling&sid={sid_of(client.ask(get(OPEN + 'polling', *headers)))}"
    assert client.ask(post(where, '40\x1e42["who"]', *headers)).body == b"ok"
    received = b""
    while not (found := re.search(rb'42\["you",(.*)\]', received)):
        received = client.ask(get(where, *headers)).body
    told: Told = json.loads(found[1])
    return told


def by_websocket(client: RawClient, *headers: str) -> Told:
    websocket = RawWebSocket(client, f"{OPEN}websocket", *headers)
    websocket.send("40")
    websocket.send('42["who"]')
    packets = [websocket.receive() for _ in range(3)]
    told: Told = json.loads(packets[2][2:])[1]
    return told


WAYS = [by_page, by_polling, by_websocket]
every_way = pytest.mark.parametrize("way", WAYS)


def port_of(client: RawClient) -> str:
    return str(client.sock.getsockname()[1])


def at_first(client: RawClient, address: str) -> Told:
    """What somebody is told of whom no proxy has told anything."""
    return [address, address, "http", port_of(client), None]


# X-Forwarded-For and -Proto.


@every_way
def test_a_trusted_proxy_is_believed(behind: Server, connect: Connect, way: Callable[..., Told]) -> None:
    assert way(connect(behind), *FORWARDED) == [CLIENT, CLIENT, "https", None, PROXY]


@every_way
def test_nobody_else_is(behind: Server, connect: Connect, way: Callable[..., Told]) -> None:
    client = connect(behind, STRANGER)
    stranger = at_first(client, STRANGER)
    assert way(client, *FORWARDED) == stranger


@every_way
def test_a_proxy_that_says_nothing_is_a_client(behind: Server, connect: Connect, way: Callable[..., Told]) -> None:
    client = connect(behind)
    proxy = at_first(client, PROXY)
    assert way(client) == proxy


@every_way
def test_a_trusted_proxy_that_sends_forwarded_is_believed(
    forwarding: Server, connect: Connect, way: Callable[..., Told]
) -> None:
    header = f'Forwarded: for=192.0.2.1, for="{CLIENT}:99";proto=https;host=example.com'
    assert way(connect(forwarding), header, "X-Forwarded-For: 192.0.2.2") == [CLIENT, CLIENT, "https", "99", PROXY]


@pytest.mark.parametrize("way", [by_page, by_polling])
def test_forwarded_in_several_lines(forwarding: Server, connect: Connect, way: Callable[..., Told]) -> None:
    lines = 'Forwarded: for="', f"Forwarded: for={CLIENT};proto=https", f'Forwarded: for="{PROXY}"'
    assert way(connect(forwarding), *lines) == [CLIENT, CLIENT, "https", None, PROXY]


def test_a_connection_of_a_proxys_carries_the_requests_of_many(behind: Server, connect: Connect) -> None:
    client = connect(behind)
    assert by_polling(client, "X-Forwarded-For: 192.0.2.1")[0] == "192.0.2.1"
    assert by_polling(client)[0] == PROXY
    assert by_polling(client, "X-Forwarded-For: 2001:db8::1")[0] == "2001:db8::1"
    assert by_page(client, "X-Forwarded-For: 192.0.2.2")[0] == "192.0.2.2"
    assert by_page(client)[0] == PROXY
    assert by_page(client, "X-Forwarded-For: [2001:db8::2]:99")[0] == "2001:db8::2"


@pytest.mark.parametrize("way", [by_page, by_polling])
def test_several_lines(behind: Server, connect: Connect, way: Callable[..., Told]) -> None:
    lines = ("X-Forwarded-For: 192.0.2.1", f"X-Forwarded-For: {CLIENT}", "x-forwarded-for: 127.0.0.1")
    assert way(connect(behind), *lines)[0] == CLIENT


@pytest.mark.parametrize("way", [by_page, by_polling])
def test_a_very_long_line(behind: Server, connect: Connect, way: Callable[..., Told]) -> None:
    assert way(connect(behind), f"X-Forwarded-For: {'192.0.2.1, ' * 3000}{CLIENT}")[0] == CLIENT


def test_the_logs_have_the_client(behind: Server, connect: Connect) -> None:
    client = connect(behind)
    where = f"{OPEN}polling&sid={sid_of(client.ask(get(OPEN + 'polling', *FORWARDED)))}"
    client.ask(post(where, '40\x1e42["message","logged"]', *FORWARDED))
    client.ask(get("/socket.io/?logged=1&sid=unknown", *FORWARDED))
    client.ask(get("/who?logged=2", *FORWARDED))
    client.send(b"logged=3\r\n\r\n").read()
    connect(behind, STRANGER).ask(get("/who?logged=4", *FORWARDED))

    def lines() -> list[str]:
        return [line for line in behind.log.splitlines() if re.search(r'" |Socket', line) and "logged" in line]

    wait_for(lambda: len(lines()) == 5)
    logged = [(line.partition(" ")[0], re.search(r"logged.[0-9]|logged", line)[0]) for line in lines()]  # type: ignore[index]
    assert sorted(logged) == sorted([
        (CLIENT, "logged"), (CLIENT, "logged=1"), (CLIENT, "logged=2"), (PROXY, "logged=3"), (STRANGER, "logged=4")
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("source", "origin", "status"),
    [(PROXY, "https", 200), (PROXY, "http", 403), (STRANGER, "http", 200), (STRANGER, "https", 200)],
)
def test_the_sites_own_pages_are_those_of_the_scheme_that_its_proxy_speaks(
    behind: Server, connect: Connect, source: str, origin: str, status: int
) -> None:
    asked = get(f"{OPEN}polling", f"Origin: {origin}://localhost", *FORWARDED)
    assert connect(behind, source).ask(asked).status == status


def test_under_another_server_the_request_of_handlers_has_the_client(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER", "pywsgi")
    with serve("who", trusted_proxies=PROXY) as running:
        assert by_polling(connect(running), *FORWARDED)[1:] == [CLIENT, "https", None, PROXY]
        client = connect(running, STRANGER)
        assert by_polling(client, *FORWARDED) == at_first(client, STRANGER)


# PROXY headers.


@every_way
@pytest.mark.parametrize("header", [LINE, BINARY])
def test_a_header_tells_the_client(
    introduced: Server, connect: Connect, header: bytes, way: Callable[..., Told]
) -> None:
    assert way(connect(introduced, first=header)) == [CLIENT, CLIENT, "http", "4711", PROXY]


@pytest.mark.parametrize("header", [LINE, BINARY])
@pytest.mark.parametrize("where", ["/who", f"{OPEN}polling"])
def test_a_header_byte_by_byte_or_with_the_request(
    introduced: Server, connect: Connect, header: bytes, where: str
) -> None:
    client = connect(introduced)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for place in range(len(header)):
        client.send(header[place : place + 1])
        time.sleep(0.001)  # else they would arrive together
    assert client.ask(get(where)).status == 200
    assert connect(introduced).ask(header + get(where)).status == 200
    client = connect(introduced, first=header + get(where) + get("/who"))
    assert client.answer().status == 200
    assert json.loads(client.answer().body)[0] == CLIENT


@every_way
def test_from_a_stranger_no_header_is_wanted(introduced: Server, connect: Connect, way: Callable[..., Told]) -> None:
    client = connect(introduced, STRANGER)
    stranger = at_first(client, STRANGER)
    assert way(client, *FORWARDED) == stranger


@pytest.mark.parametrize("header", [LINE, BINARY, LOCAL])
def test_a_strangers_is_bad_http(introduced: Server, connect: Connect, header: bytes) -> None:
    answer = connect(introduced, STRANGER, header + get("/who", "Connection: close")).read()
    assert CLIENT.encode() not in answer
    assert answer.startswith(b"HTTP/1.1 400 ")


@every_way
def test_a_health_check_is_the_proxys_own(introduced: Server, connect: Connect, way: Callable[..., Told]) -> None:
    client = connect(introduced, first=LOCAL)
    proxy = at_first(client, PROXY)
    assert way(client) == proxy


@every_way
def test_a_client_that_the_proxy_does_not_know_is_not_believed(
    introduced: Server, connect: Connect, way: Callable[..., Told]
) -> None:
    client = connect(introduced, first=UNKNOWN)
    told = [PROXY, PROXY, "http", port_of(client), PROXY]
    assert way(client, *FORWARDED) == told


@every_way
def test_a_client_is_not_believed_but_another_proxy_is(
    introduced: Server, connect: Connect, way: Callable[..., Told]
) -> None:
    assert way(connect(introduced, first=LINE), *FORWARDED) == [CLIENT, CLIENT, "http", "4711", PROXY]
    other = LINE.replace(CLIENT.encode(), PROXY.encode())
    assert way(connect(introduced, first=other), *FORWARDED) == [CLIENT, CLIENT, "https", None, PROXY]


def test_a_proxy_without_a_header_is_closed_and_the_operator_told_once(introduced: Server, connect: Connect) -> None:
    for wrong in (get("/who"), b"PROXY nonsense\r\n" + get("/who"), b"PROXY " + b"x" * 200, b"\x16\x03\x01"):
        assert connect(introduced, first=wrong).read() == b""
    wait_for(lambda: "closed a connection of the proxy 127.0.0.1" in introduced.log)
    assert introduced.log.count("closed a connection of the proxy") == 1
    assert "Traceback" not in introduced.log


def test_a_header_that_does_not_come_in_time(connect: Connect) -> None:
    with serve("who", trusted_proxies=PROXY, proxy_protocol=1, header_timeout=0.2) as running:
        slow, silent = connect(running, first=LINE[:-1]), connect(running)
        assert slow.read() == silent.read() == b""
        assert "no PROXY header in time" in running.log


def test_tls_comes_behind_the_header(connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    path = tmp_path / "certificate.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(path))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    monkeypatch.setenv("CERTIFICATE", str(path))

    def encrypt(client: RawClient) -> RawClient:
        client.use(context.wrap_socket(client.sock, server_hostname="localhost"))
        return client

    with serve("who", trusted_proxies=PROXY, proxy_protocol=1) as running:
        for way in WAYS:
            for header in (LINE, BINARY):
                assert way(encrypt(connect(running, first=header))) == [CLIENT, CLIENT, "https", "4711", PROXY]
            client = connect(running, STRANGER)
            assert way(encrypt(client)) == [STRANGER, STRANGER, "https", port_of(client), None]
        assert connect(running, first=get("/who")).read() == b""
        assert "Traceback" not in running.log


# Servers here, for what is rare.


def who(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The page, without web.py."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [json.dumps([environ.get("REMOTE_ADDR"), environ.get("PROXY_ADDR")]).encode()]


class Engine(EngineIO):
    """An engine that keeps its clients' requests, and may take its time to let a client go."""

    def __init__(self, is_slow: bool = False, **options: Any) -> None:
        super().__init__(
            self.ignore, on_open=self.enter, on_close=self.leave, application=who, resource="socket.io", **options
        )
        self.requests: list[dict[str, Any]] = []
        self.is_slow = is_slow
        self.is_ending = False

    def ignore(self, client: Client, message: str | bytes) -> None:
        """Nobody says anything here."""

    def enter(self, client: Client) -> None:
        self.requests.append(client.request)

    def leave(self, client: Client) -> None:
        self.is_ending = True
        while self.is_slow:
            gevent.sleep(0.002)


Here = Callable[..., ServerHere]


@pytest.mark.parametrize("names", [["unix"], ["10.0.0.1"], []])
@pytest.mark.parametrize("proxy_protocol", [False, True])
def test_by_a_unix_socket(serve_here: Here, tmp_path: Path, names: list[str], proxy_protocol: bool) -> None:
    if proxy_protocol and not names:
        return  # an error, see below
    path = str(tmp_path / "socket")
    engine = Engine()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        serve_here(
            engine, gevent.socket.socket(fileno=listener.detach()), trusted_proxies=names, proxy_protocol=proxy_protocol
        )
    client = RawClient(path)
    if proxy_protocol and names == ["unix"]:
        client.send(LINE.replace(CLIENT.encode(), b"192.0.2.1"))
        told = ["192.0.2.1", "unix"]
    else:
        told = [CLIENT, "unix"] if names == ["unix"] else [None, None]
    sid_of(client.ask(get(f"{OPEN}polling", *FORWARDED)))
    assert json.loads(client.ask(get("/who", *FORWARDED)).body) == told
    assert [wait_for(lambda: engine.requests)[0].get(key) for key in ("REMOTE_ADDR", "PROXY_ADDR")] == told
    client.close()


def test_a_handler_class_of_somebody_elses_gets_what_headers_tell_but_not_what_requests_do(
    serve_here: Here, connect: Connect
) -> None:
    engine = Engine(trusted_proxies=PROXY)
    options = {"handler_class": WSGIHandler, "trusted_proxies": PROXY}
    introduced = serve_here(engine, proxy_protocol=True, **options)
    assert json.loads(connect(introduced, first=LINE).ask(get("/who", *FORWARDED)).body) == [CLIENT, None]
    client = connect(introduced, first=UNKNOWN)
    sid_of(client.ask(get(f"{OPEN}polling", *FORWARDED)))
    assert wait_for(lambda: engine.requests)[0]["REMOTE_ADDR"] == PROXY


def test_proxies_that_only_the_engine_trusts(serve_here: Here, connect: Connect) -> None:
    engine = Engine(trusted_proxies=PROXY)
    client = connect(serve_here(engine))
    sid_of(client.ask(get(f"{OPEN}polling", *FORWARDED)))
    assert wait_for(lambda: engine.requests)[0]["REMOTE_ADDR"] == CLIENT


def test_a_pool_limits_what_comes_with_headers_too(serve_here: Here, connect: Connect) -> None:
    options = {"trusted_proxies": PROXY, "proxy_protocol": True, "spawn": 1}
    limited = serve_here(who, handler_class=WSGIHandler, **options)
    waiting = [connect(limited) for _ in range(3)]
    wait_for(lambda: limited.do(lambda: len(limited.served._proxy_headers._waiting)) == 3)
    for client in waiting:
        client.send(LINE + get("/who", "Connection: close"))
    assert [client.answer().status for client in waiting] == [200] * 3


def test_a_stop_ends_what_waits_for_its_header(connect: Connect, patched: None) -> None:
    engine = Engine(is_slow=True)
    stopping = ServerHere(
        lambda: SocketIOServer(("127.0.0.1", 0), engine, trusted_proxies=PROXY, proxy_protocol=True, log=None), "/"
    ).__enter__()
    sid_of(connect(stopping, first=LINE).ask(get(f"{OPEN}polling")))
    silent, late = connect(stopping, first=LINE[:5]), connect(stopping)
    wait_for(lambda: stopping.do(lambda: len(stopping.served._proxy_headers._waiting)) == 2)
    stopping.do(stopping.served._stop_event.set)
    wait_for(lambda: engine.is_ending)
    assert late.send(LINE + get("/who")).read() == b""
    engine.is_slow = False
    assert silent.read() == b""
    stopping._thread.join(5)
    assert not stopping._thread.is_alive()


def test_proxy_headers_from_nobody_are_an_error(serve_here: Here) -> None:
    with pytest.raises(SettingsError, match=r"proxy_protocol is on, .* name the proxies in trusted_proxies"):
        serve_here(who, proxy_protocol=True)


def test_without_trust_nothing_of_it_is_there(serve_here: Here) -> None:
    served = serve_here(who).served
    assert (served._proxy_headers, served._forwarded) == (None, None)
    assert "webpy_socketio.forwarded" not in served.environ
