"""Connections that break at each step, and that come and go: descriptors, greenlets and sessions go with them.

In plain, under TLS, and under gunicorn.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from tests.faults.exchanges import UPGRADE, frame, head, post
from tests.faults.sizes import scaled
from tests.faults.watching import SLACK, Watch
from tests.hosting import OURS, PLAIN, gunicorn
from tests.serving import Server, serve

#: SO_LINGER with no time to linger: close() sends RST.
ABORT = struct.pack("ii", 1, 0)
SETTINGS: dict[str, Any] = {
    "ping_interval": 1, "ping_timeout": 1, "connect_timeout": 1, "header_timeout": 1, "upgrade_timeout": 1,
    "close_timeout": 1, "message_log_format": "None", "max_blocking": 0, "max_connections_per_address": 0,
}  # fmt: skip
#: Clients that come and go, twice, where it is not a few.
COMING = {"plain": 300}
POLLING, WEBSOCKET = b"EIO=4&transport=polling", b"EIO=4&transport=websocket"
BIG = b'42["message","%b"]' % (b"x" * 400_000)


class Place(NamedTuple):
    """A server, how to connect to it, and who watches it."""

    name: str
    server: Server
    context: ssl.SSLContext | None
    watch: Watch


class Wire:
    """A connection that is going to be broken off."""

    def __init__(self, place: Place) -> None:
        self.raw = self.sock = socket.create_connection(("127.0.0.1", place.server.port), 10)
        if place.context is not None:
            self.sock = place.context.wrap_socket(self.raw, server_hostname="localhost")

    def ask(self, data: bytes, mark: bytes) -> bytes:
        """Send something, and read on until a mark."""
        self.sock.sendall(data)
        answer = b""
        while mark not in answer:
            piece = self.sock.recv(65536)
            assert piece, answer
            answer += piece
        return answer

    def open_polling(self) -> bytes:
        """Open a session that has joined, and return its query."""
        answer = self.ask(head(b"GET", POLLING), b"maxPayload")
        query = POLLING + b"&sid=" + answer.partition(b'"sid":"')[2].partition(b'"')[0]
        self.ask(post(query, b"40"), b"ok")
        self.ask(head(b"GET", query), b"40{")
        return query

    def open_websocket(self) -> None:
        """Open a session that has joined."""
        self.ask(head(b"GET", WEBSOCKET, UPGRADE) + frame(1, b"40"), b"40{")

    def reset(self) -> None:
        """Break it off."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self.sock.close()


Step = Callable[[Wire, Place], None]
STEPS: dict[str, Step] = {}


def step(function: Step) -> Step:
    """What happens before the connection breaks."""
    STEPS[function.__name__] = function
    return function


@step
def before_the_request(wire: Wire, place: Place) -> None:
    pass


@step
def in_the_head(wire: Wire, place: Place) -> None:
    wire.sock.sendall(head(b"GET", POLLING)[:40])


@step
def in_the_head_of_a_page(wire: Wire, place: Place) -> None:
    wire.sock.sendall(head(b"GET", b"", path=b"/state")[:30])


@step
def after_the_request(wire: Wire, place: Place) -> None:
    wire.sock.sendall(head(b"GET", POLLING))


@step
def after_the_request_of_a_page(wire: Wire, place: Place) -> None:
    wire.sock.sendall(head(b"GET", b"", path=b"/numbers"))


@step
def after_the_answer(wire: Wire, place: Place) -> None:
    wire.ask(head(b"GET", POLLING), b"maxPayload")


@step
def in_the_body(wire: Wire, place: Place) -> None:
    wire.sock.sendall(post(wire.open_polling(), BIG)[:100_000])


@step
def while_a_poll_is_held(wire: Wire, place: Place) -> None:
    wire.sock.sendall(head(b"GET", wire.open_polling()))


@step
def while_requests_wait_behind_a_poll(wire: Wire, place: Place) -> None:
    wire.sock.sendall(head(b"GET", wire.open_polling()) + post(POLLING, BIG))


@step
def while_a_large_answer_is_sent(wire: Wire, place: Place) -> None:
    query = wire.open_polling()
    for _ in range(8):
        wire.ask(post(query, BIG), b"ok")
    wire.sock.sendall(head(b"GET", query))
    wire.sock.recv(1)


@step
def after_the_request_for_a_websocket(wire: Wire, place: Place) -> None:
    wire.sock.sendall(head(b"GET", WEBSOCKET, UPGRADE))


@step
def after_101(wire: Wire, place: Place) -> None:
    wire.ask(head(b"GET", WEBSOCKET, UPGRADE), b"101")


@step
def in_a_frame(wire: Wire, place: Place) -> None:
    wire.open_websocket()
    wire.sock.sendall(frame(1, BIG)[:100_000])


@step
def while_a_handler_asks_the_client(wire: Wire, place: Place) -> None:
    wire.open_websocket()
    wire.ask(frame(1, b'420["wait",1]') + frame(1, b'42["message","behind it"]'), b"question")


@step
def while_much_is_sent_to_a_websocket(wire: Wire, place: Place) -> None:
    wire.open_websocket()
    for _ in range(8):
        wire.sock.sendall(frame(1, BIG))
    wire.sock.recv(1)


@step
def during_a_close_of_the_client(wire: Wire, place: Place) -> None:
    wire.open_websocket()
    wire.sock.sendall(frame(8, b"\x03\xe8"))


@step
def during_a_close_of_the_server(wire: Wire, place: Place) -> None:
    wire.open_websocket()
    wire.sock.sendall(frame(1, b"4 nonsense"))


def _upgrading(steps: bytes, mark: bytes) -> Step:
    def go(wire: Wire, place: Place) -> None:
        polling = Wire(place)
        query = polling.open_polling()
        polling.sock.sendall(head(b"GET", query))
        ask = head(b"GET", query.replace(b"polling", b"websocket"), UPGRADE) + steps
        if mark:
            wire.ask(ask, mark)
        else:
            wire.sock.sendall(ask)
        polling.reset()

    return go


STEPS["after_the_request_of_a_candidate"] = _upgrading(b"", b"")
STEPS["after_101_to_a_candidate"] = _upgrading(b"", b"101")
STEPS["after_the_probe"] = _upgrading(frame(1, b"2probe"), b"")
STEPS["after_the_answer_to_the_probe"] = _upgrading(frame(1, b"2probe"), b"3probe")
STEPS["after_the_upgrade"] = _upgrading(frame(1, b"2probe") + frame(1, b"5"), b"3probe")
STEPS["after_the_upgrade_and_a_message"] = _upgrading(
    frame(1, b"2probe") + frame(1, b"5") + frame(1, b'42["message","x"]'), b"message"
)


@contextlib.contextmanager
def _plain(directory: Path) -> Iterator[tuple[Server, ssl.SSLContext | None]]:
    with serve("faults", **SETTINGS) as server:
        yield server, None


@contextlib.contextmanager
def _encrypted(directory: Path) -> Iterator[tuple[Server, ssl.SSLContext | None]]:
    authority, context = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(context)
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(directory / "both.pem")
    with serve("faults", certfile=directory / "both.pem", **SETTINGS) as server:
        yield server, context


def _gunicorn(worker: str) -> Any:
    @contextlib.contextmanager
    def start(directory: Path) -> Iterator[tuple[Server, ssl.SSLContext | None]]:
        with gunicorn(worker, "--worker-tmp-dir", str(directory), home=directory, app="faults:application",
                      **SETTINGS) as server:  # fmt: skip
            yield server, None

    return start


PLACES = {"plain": _plain, "tls": _encrypted, "gunicorn": _gunicorn(PLAIN), "our gunicorn": _gunicorn(OURS)}


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with PLACES[request.param](tmp_path_factory.mktemp("place")) as (server, context):
        watching = Place(request.param, server, context, None)  # type: ignore[arg-type]
        wire = Wire(watching)  # gunicorn's workers make their door for the first client
        wire.open_websocket()
        wire.reset()
        yield watching._replace(watch=Watch(server, context))


def test_a_connection_may_break_at_each_step(place: Place) -> None:
    for _ in range(scaled(2)):
        for name, go in STEPS.items():
            wire = Wire(place)
            go(wire, place)
            wire.reset()
            place.watch.check_log(name)
    place.watch.settle()


def test_clients_come_and_go(place: Place) -> None:
    """Thousands of times, by each transport, with and without a goodbye."""

    def come_and_go(number: int) -> None:
        wire = Wire(place)
        if number % 3:
            wire.open_websocket()
            wire.ask(frame(1, b'420["__subscribe__","room-%d"]' % number), b"430")
        else:
            wire.ask(post(wire.open_polling(), b"1"), b"ok")
        if number % 2:
            wire.sock.close()
        else:
            wire.reset()

    sizes = []
    for _ in range(2):
        for number in range(scaled(COMING.get(place.name, 60))):
            come_and_go(number)
        sizes.append(place.watch.memory())
    place.watch.check_log("coming and going")
    assert sizes[1] - sizes[0] < SLACK, sizes


@pytest.mark.parametrize("place", ["tls"], indirect=True)
def test_handshakes_of_tls_may_break_at_each_step(place: Place) -> None:
    assert place.context is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        place.context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    hello = outgoing.read()
    for data in (b"", hello[:1], hello[:50], hello, hello + os.urandom(100), os.urandom(500), head(b"GET", POLLING)):
        for ends in (True, False):
            with socket.create_connection(("127.0.0.1", place.server.port), 10) as raw:
                raw.sendall(data)
                if ends:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                else:  # within connect_timeout, the server ends it
                    with contextlib.suppress(ConnectionError):
                        while raw.recv(65536):
                            pass
    place.watch.settle()
    place.watch.check_log("handshakes of TLS")
