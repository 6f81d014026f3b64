"""The published Engine.IO 4 suite, row by row, on an application that echoes and speaks no Socket.IO.

Revision 3 is disabled, and the path is Engine.IO's own, as the suite wants it.
"""

from __future__ import annotations

import http.client
import json
import time

import pytest

from tests.conformance.phrases import RACES, assert_handshake, assert_no_websocket
from tests.conformance.targets import StartServer, differs, ours_only
from tests.conformance.wire import (
    RS,
    PollingClient,
    WebSocketClient,
    keep_asking,
    open_candidate,
    open_websocket,
    polling_query,
    probe,
    rejection_of,
    request,
    upgrade,
)
from tests.serving import Server


@pytest.fixture
def strict_engine(servers: StartServer) -> Server:
    """The engine alone, with the suite's heartbeat."""
    return servers("engine", ping_interval=0.3, ping_timeout=0.2, clients="3-4")


@pytest.fixture
def quick_engine(servers: StartServer) -> Server:
    """The same with more patience, for clients that do answer: a busy machine is late now and then."""
    return servers("engine", ping_interval=0.3, ping_timeout=1, clients="3-4")


@pytest.fixture
def engine(servers: StartServer) -> Server:
    """The same with a slow heartbeat, for rows that have none: a busy machine must not put a ping into them."""
    return servers("engine", clients="3-4")


@pytest.fixture
def polling(engine: Server) -> PollingClient:
    return PollingClient(engine)


@pytest.fixture
def socket(engine: Server) -> WebSocketClient:
    return open_websocket(engine)


# Handshake, HTTP long-polling


def test_handshake_polling_opens_a_session(strict_engine: Server) -> None:
    answer = request(strict_engine, "GET", polling_query())
    assert answer.status == 200
    assert answer.text[0] == "0"
    assert_handshake(json.loads(answer.text[1:]), ["websocket"])


@pytest.mark.parametrize("revision", [None, "abc"])
def test_handshake_polling_invalid_eio(engine: Server, revision: str | None) -> None:
    assert request(engine, "GET", polling_query(EIO=revision)).status == 400


@pytest.mark.parametrize("transport", [None, "abc"])
def test_handshake_polling_invalid_transport(engine: Server, transport: str | None) -> None:
    assert request(engine, "GET", polling_query(transport=transport)).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_handshake_polling_invalid_method(engine: Server, method: str) -> None:
    assert request(engine, method, polling_query()).status == 400


# Handshake, WebSocket


def test_handshake_websocket_opens_a_session(strict_engine: Server) -> None:
    socket = open_websocket(strict_engine)
    assert str(socket.opening)[0] == "0"
    assert_handshake(socket.handshake, [])


@pytest.mark.parametrize("revision", [None, "abc"])
def test_handshake_websocket_invalid_eio(engine: Server, revision: str | None) -> None:
    assert_no_websocket(engine, EIO=revision)


@pytest.mark.parametrize("transport", [None, "abc"])
def test_handshake_websocket_invalid_transport(engine: Server, transport: str | None) -> None:
    assert_no_websocket(engine, transport=transport)


# Message, HTTP long-polling


def test_message_polling_one_packet(polling: PollingClient) -> None:
    pushed = polling.post("4hello")
    assert (pushed.status, pushed.body) == (200, b"ok")
    pulled = polling.get()
    assert (pulled.status, pulled.body) == (200, b"4hello")


def test_message_polling_several_packets(polling: PollingClient) -> None:
    packets = RS.join(("4test1", "4test2", "4test3"))
    assert polling.post(packets)[::2] == (200, b"ok")
    assert polling.get()[::2] == (200, packets.encode())


def test_message_polling_text_and_binary(polling: PollingClient) -> None:
    packets = RS.join(("4hello", "bAQIDBA=="))
    assert polling.post(packets)[::2] == (200, b"ok")
    assert polling.get()[::2] == (200, packets.encode())


def test_message_polling_invalid_packet(polling: PollingClient) -> None:
    polling.provoke("abc")
    assert polling.get().status == 400


def test_message_polling_duplicate_poll(polling: PollingClient) -> None:
    first = polling.hold_get()
    time.sleep(0.005)  # the suite's own pause
    assert polling.get().status in (400, 500)
    assert first.answer()[::2] == (200, b"1")
    assert polling.get().status == 400


def test_message_polling_cancelled_poll(polling: PollingClient) -> None:
    held = polling.hold_get()
    time.sleep(0.005)  # the suite's own pause
    held.abort()
    assert polling.get().status == 400


# Message, WebSocket


@pytest.mark.parametrize("packet", ["4hello", b"\x01\x02\x03\x04"], ids=["text", "binary"])
def test_message_websocket(socket: WebSocketClient, packet: str | bytes) -> None:
    socket.send(packet)
    socket.receives(packet)


def test_message_websocket_invalid_packet(socket: WebSocketClient) -> None:
    socket.send("abc")
    socket.drain()


# Heartbeat


def test_heartbeat_polling_ping_pong(quick_engine: Server) -> None:
    polling = PollingClient(quick_engine)
    for _ in range(3):
        assert polling.get()[::2] == (200, b"2")
        assert polling.post("3").status == 200


def test_heartbeat_polling_ping_timeout(strict_engine: Server) -> None:
    polling = PollingClient(strict_engine)
    time.sleep(differs(0.5, node=0.52))  # exactly what the handshake allows; Node is late now and then
    assert polling.get().status == 400


def test_heartbeat_websocket_ping_pong(quick_engine: Server) -> None:
    socket = open_websocket(quick_engine)
    for _ in range(3):
        socket.receives("2")
        socket.send("3")


def test_heartbeat_websocket_ping_timeout(strict_engine: Server) -> None:
    socket = open_websocket(strict_engine)
    socket.drain()


# Close


def test_close_polling(engine: Server) -> None:
    """The two requests travel on connections of their own, without a pause between them (note F)."""
    for _ in range(RACES):
        polling = PollingClient(engine)
        pulled = polling.hold_get()
        assert polling.post("1").status == 200
        assert pulled.answer()[::2] == (200, b"6")
        assert polling.get().status == 400


def test_close_polling_with_the_get_on_a_connection_that_is_open(engine: Server) -> None:
    """Note F, as fetch does it: the handshake's connection carries the GET, and a new one the POST."""
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=5)
    query = polling_query()
    for _ in range(RACES):
        polling = PollingClient(engine, **query)
        keep_asking(connection, "GET", "/")
        connection.request("GET", polling.target())
        assert polling.post("1").status == 200
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"6")
    connection.close()


def test_close_polling_if_the_post_wins(polling: PollingClient) -> None:
    """Note F, the other way round: there is no session left that the GET could belong to, and it is told so."""
    assert polling.post("1").status == 200
    assert polling.is_unknown()


def test_close_websocket(quick_engine: Server) -> None:
    """Node closes only when its next ping is not answered; see the next test."""
    socket = open_websocket(quick_engine)
    socket.send("1")
    socket.drain()


@ours_only
def test_close_websocket_at_once(socket: WebSocketClient) -> None:
    socket.send("1")
    socket.wait_closed()


# Upgrade


def test_upgrade_successful(polling: PollingClient) -> None:
    candidate = open_candidate(polling)
    probe(candidate)
    assert polling.get()[::2] == (200, b"6")
    candidate.send("5", "4hello")
    candidate.receives("4hello")


def test_upgrade_http_after_the_upgrade(engine: Server) -> None:
    for _ in range(RACES):
        polling = PollingClient(engine)
        socket = upgrade(polling)
        assert polling.get().status == 400
        socket.send("4hello")
        socket.receives("4hello")


def test_upgrade_http_after_the_upgrade_on_a_connection_that_is_open(engine: Server) -> None:
    """A GET that need not connect first overtakes the ``5`` on the WebSocket now and then."""
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=5)
    for _ in range(RACES):
        polling = PollingClient(engine)
        keep_asking(connection, "GET", "/")
        socket = upgrade(polling)
        assert keep_asking(connection, "GET", polling.target()).status == 400
        socket.send("4hello")
        socket.receives("4hello")
    connection.close()


def test_upgrade_second_websocket_after_the_upgrade(polling: PollingClient) -> None:
    socket = upgrade(polling)
    socket.send("4hello")
    socket.receives("4hello")
    assert rejection_of(polling.server, sid=polling.sid) in (400, "closed")
    socket.send("4hello")
    socket.receives("4hello")
