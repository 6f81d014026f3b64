"""The published Engine.IO 3 suite, row by row, on an application that echoes and speaks no Socket.IO."""

from __future__ import annotations

import time

import pytest

from tests.conformance.old import BINARY, OldClient, payload
from tests.conformance.phrases import RACES, assert_handshake, assert_no_websocket
from tests.conformance.targets import StartServer, differs
from tests.conformance.wire import WebSocketClient, polling_query, probe, rejection_of, request
from tests.serving import Server

#: The text "hello" and four bytes, in a payload that may be binary.
MIXED = bytes.fromhex("00 06 ff 34 68 65 6c 6c 6f 01 05 ff 04 01 02 03 04")


@pytest.fixture
def strict_engine(servers: StartServer) -> Server:
    """The engine alone, with the suite's heartbeat."""
    return servers("engine", ping_interval=0.3, ping_timeout=0.2, clients="1-2,3-4")


@pytest.fixture
def quick_engine(servers: StartServer) -> Server:
    """The same with more patience, for clients that do answer: a busy machine is late now and then."""
    return servers("engine", ping_interval=0.3, ping_timeout=1, clients="1-2,3-4")


@pytest.fixture
def engine(servers: StartServer) -> Server:
    """The same with a slow heartbeat, for rows that have none: a busy machine must not put a ping into them."""
    return servers("engine", clients="1-2,3-4")


@pytest.fixture
def polling(engine: Server) -> OldClient:
    return OldClient(engine)


@pytest.fixture
def socket(engine: Server) -> WebSocketClient:
    return WebSocketClient(engine, EIO="3")


def open_candidate(client: OldClient) -> WebSocketClient:
    return WebSocketClient(client.server, EIO="3", sid=client.sid)


def upgrade(client: OldClient) -> WebSocketClient:
    candidate = open_candidate(client)
    probe(candidate)
    candidate.send("5")
    return candidate


# Handshake


def test_handshake_polling_opens_a_session(strict_engine: Server) -> None:
    polling = OldClient(strict_engine)
    assert polling.opening.status == 200
    assert polling.opening.content_type == "text/plain;charset=utf-8"
    assert_handshake(polling.handshake, ["websocket"])


@pytest.mark.parametrize("transport", [None, "abc"])
def test_handshake_polling_invalid_transport(engine: Server, transport: str | None) -> None:
    assert request(engine, "GET", polling_query(EIO="3", transport=transport)).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_handshake_polling_invalid_method(engine: Server, method: str) -> None:
    assert request(engine, method, polling_query(EIO="3")).status == 400


def test_handshake_websocket_opens_a_session(strict_engine: Server) -> None:
    socket = WebSocketClient(strict_engine, EIO="3")
    assert str(socket.opening)[0] == "0"
    assert_handshake(socket.handshake, [])


@pytest.mark.parametrize("revision", ["abc", "5"])
def test_handshake_websocket_invalid_eio(quick_engine: Server, revision: str) -> None:
    """Node takes anything for revision 3, and then hears no heartbeat."""
    assert_no_websocket(quick_engine, EIO=revision)


@pytest.mark.parametrize("transport", [None, "abc"])
def test_handshake_websocket_invalid_transport(engine: Server, transport: str | None) -> None:
    assert_no_websocket(engine, EIO="3", transport=transport)


# Message, HTTP long-polling


def test_message_polling_one_packet(polling: OldClient) -> None:
    assert polling.post(b"6:4hello")[::2] == (200, b"ok")
    assert polling.get()[::2] == (200, b"6:4hello")


def test_message_polling_several_packets(polling: OldClient) -> None:
    packets = payload("4test1", "4test2", "4test3")
    assert polling.post(packets)[::2] == (200, b"ok")
    assert polling.get()[::2] == (200, packets)


def test_message_polling_base64(engine: Server) -> None:
    polling = OldClient(engine, b64="1")
    packets = b"6:4hello10:b4AQIDBA=="
    assert polling.post(packets)[::2] == (200, b"ok")
    answer = polling.get()
    assert answer[::2] == (200, packets)
    assert answer.content_type == "text/plain;charset=utf-8"


def test_message_polling_binary(polling: OldClient) -> None:
    assert polling.post(b"6:4hello10:b4AQIDBA==")[::2] == (200, b"ok")
    answer = polling.get()
    assert answer[::2] == (200, MIXED)
    assert answer.content_type == BINARY


def test_message_polling_invalid_packet(polling: OldClient) -> None:
    polling.post(b"abc")
    assert polling.get().status == 400


def test_message_polling_duplicate_poll(polling: OldClient) -> None:
    """The published suite skips this one; the rule is that of revision 4."""
    first = polling.hold_get()
    time.sleep(0.005)
    assert polling.get().status in (400, 500)
    assert first.answer()[::2] == (200, b"1:1")
    assert polling.get().status == 400


# Message, WebSocket


@pytest.mark.parametrize("packet", ["4hello", b"\x04\x01\x02\x03\x04"], ids=["text", "binary"])
def test_message_websocket(socket: WebSocketClient, packet: str | bytes) -> None:
    socket.send(packet)
    socket.receives(packet)


def test_message_websocket_invalid_packet(socket: WebSocketClient) -> None:
    socket.send("abc")
    socket.drain()


# Heartbeat


def test_heartbeat_polling_ping_pong(quick_engine: Server) -> None:
    polling = OldClient(quick_engine)
    for _ in range(3):
        assert polling.post(b"1:2").status == 200
        assert polling.get()[::2] == (200, b"1:3")


def test_heartbeat_polling_ping_timeout(strict_engine: Server) -> None:
    polling = OldClient(strict_engine)
    time.sleep(differs(0.5, node=0.52))  # exactly what the handshake allows; Node is late now and then
    assert polling.post(b"1:2").status == 400


def test_heartbeat_websocket_ping_pong(quick_engine: Server) -> None:
    socket = WebSocketClient(quick_engine, EIO="3")
    for _ in range(3):
        socket.send("2")
        socket.receives("3")


def test_heartbeat_websocket_ping_timeout(strict_engine: Server) -> None:
    socket = WebSocketClient(strict_engine, EIO="3")
    socket.drain()


# Close


def test_close_polling(engine: Server) -> None:
    """The two requests travel on connections of their own, without a pause between them (note F)."""
    for _ in range(RACES):
        polling = OldClient(engine)
        pulled = polling.hold_get()
        assert polling.post(b"1:1").status == 200
        assert pulled.answer()[::2] == (200, b"1:6")
        assert polling.get().status == 400


def test_close_websocket(quick_engine: Server) -> None:
    socket = WebSocketClient(quick_engine, EIO="3")
    socket.send("1")
    socket.drain()


# Upgrade


def test_upgrade_successful(polling: OldClient) -> None:
    candidate = open_candidate(polling)
    probe(candidate)
    assert polling.get()[::2] == (200, b"1:6")
    candidate.send("5", "4hello")
    candidate.receives("4hello")


def test_upgrade_http_after_the_upgrade(engine: Server) -> None:
    for _ in range(RACES):
        polling = OldClient(engine)
        socket = upgrade(polling)
        assert polling.get().status == 400
        socket.send("4hello")
        socket.receives("4hello")


def test_upgrade_second_websocket_after_the_upgrade(polling: OldClient) -> None:
    socket = upgrade(polling)
    socket.send("4hello")
    socket.receives("4hello")
    assert rejection_of(polling.server, EIO="3", sid=polling.sid) in (400, "closed")
    socket.send("4hello")
    socket.receives("4hello")
