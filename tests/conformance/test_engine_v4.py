"""Engine.IO protocol 4 over real ports: the handshake, every refusal, the packet types, the heartbeat, the end.

The plugin has no bare Engine.IO message, so what is echoed are Socket.IO events.
"""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conformance.invalid import BROKEN_ENGINE
from tests.conformance.phrases import (
    FORBIDDEN,
    MESSAGES,
    UNKNOWN,
    assert_handshake,
    echo,
    event,
    is_refusal,
)
from tests.conformance.targets import StartServer, differs, ours_only
from tests.conformance.wire import (
    NO_STATUS,
    RS,
    UPGRADE_HEADERS,
    Exchange,
    PollingClient,
    WebSocketClient,
    let_read,
    open_candidate,
    open_websocket,
    polling_query,
    refused_websocket,
    request,
    send_raw,
    target,
    upgrade_request,
    websocket_query,
)
from tests.serving import Server
from webpy_socketio.reasons import PARSE_ERROR, PING_TIMEOUT

# Handshake


def test_polling_handshake(strict: Server) -> None:
    answer = request(strict, "GET", polling_query())
    assert answer.status == 200
    assert answer.content_type == "text/plain;charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert answer.text[0] == "0"
    assert_handshake(json.loads(answer.text[1:]), ["websocket"])


def test_websocket_handshake(strict: Server) -> None:
    assert_handshake(open_websocket(strict).handshake, [])


def test_handshake_is_compact_json_in_utf8(calm: Server) -> None:
    body = request(calm, "GET", polling_query()).text
    assert body[1:] == json.dumps(json.loads(body[1:]), separators=(",", ":"))


def test_session_ids_differ(calm: Server) -> None:
    assert len({PollingClient(calm).sid for _ in range(20)}) == 20


@pytest.mark.parametrize("extra", [{"t": "abc123"}, {"sid": ""}, {"room": "5", "x": "€"}], ids=str)
def test_handshake_ignores_other_keys(calm: Server, extra: dict[str, str]) -> None:
    assert PollingClient(calm, **extra).opening.status == 200


def test_all_requests_on_one_connection(calm: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", calm.port, timeout=5)
    sid = json.loads(exchange(connection, "GET", polling_query())[1:])["sid"]
    query = polling_query(sid=sid)
    assert exchange(connection, "POST", query, b"40") == b"ok"
    assert exchange(connection, "GET", query).startswith(b'40{"sid":')
    assert exchange(connection, "POST", query, b"1") == b"ok"
    connection.close()


def exchange(connection: http.client.HTTPConnection, method: str, query: dict[str, str], body: Any = None) -> bytes:
    connection.request(method, target(query), body=body)
    return connection.getresponse().read()


# Refused HTTP requests


REFUSED = [
    ("GET", polling_query(transport=None), 0),
    ("GET", polling_query(transport="abc"), 0),
    ("GET", polling_query(transport=""), 0),
    ("GET", polling_query(transport="webtransport"), 0),
    ("GET", polling_query(transport="constructor"), 0),
    ("GET", polling_query(transport="__proto__"), 0),
    ("GET", {}, 0),
    ("GET", polling_query(transport="abc", sid=UNKNOWN), 0),
    ("POST", polling_query(transport="abc", EIO=None), 0),
    ("GET", polling_query(sid=UNKNOWN), 1),
    ("POST", polling_query(sid=UNKNOWN), 1),
    ("PUT", polling_query(sid=UNKNOWN), 1),
    ("GET", websocket_query(sid=UNKNOWN), 1),
    ("GET", polling_query(sid=UNKNOWN, EIO=None), 1),
    ("POST", polling_query(), 2),
    ("PUT", polling_query(), 2),
    ("PATCH", polling_query(), 2),
    ("DELETE", polling_query(), 2),
    ("OPTIONS", polling_query(), 2),
    ("POST", polling_query(EIO=None), 2),
    ("POST", polling_query(EIO="abc"), 2),
    ("POST", websocket_query(), 2),
    ("GET", websocket_query(), 3),
    ("GET", websocket_query(EIO="abc"), 3),
    ("GET", polling_query(EIO=None), 5),
    ("GET", polling_query(EIO=""), 5),
    ("GET", polling_query(EIO="abc"), 5),
    ("GET", polling_query(EIO="5"), 5),
    ("GET", polling_query(EIO="04"), 5),
]


@pytest.mark.parametrize(("method", "query", "code"), REFUSED)
def test_refused_request(calm: Server, method: str, query: dict[str, str], code: int) -> None:
    answer = request(calm, method, query)
    assert is_refusal(answer, code), answer
    assert "Cache-Control" not in answer.headers


def test_head_without_session_is_refused(calm: Server) -> None:
    assert request(calm, "HEAD", polling_query()).status == 400


SESSION_REFUSED = [
    ("GET", {"transport": "websocket"}, 3),
    ("POST", {"transport": "websocket"}, 3),
    ("GET", {"EIO": None}, 3),
    ("GET", {"EIO": "3"}, 3),
    ("POST", {"EIO": None}, 3),
    ("GET", {"transport": "abc"}, 0),
    ("GET", {"sid": UNKNOWN}, 1),
]


@pytest.mark.parametrize(("method", "changes", "code"), SESSION_REFUSED)
def test_refused_request_of_a_session(
    polling: PollingClient, method: str, changes: dict[str, str | None], code: int
) -> None:
    answer = Exchange(polling.server).start(method, polling.target(**changes), {}).answer()
    assert is_refusal(answer, code), answer
    polling.join()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_fail_and_leave_the_session_alone(polling: PollingClient, method: str) -> None:
    answer = Exchange(polling.server).start(method, polling.target(), {}).answer()
    assert (answer.status, answer.body) == (500, b"")
    polling.join()


@pytest.mark.parametrize("transport", ["polling", pytest.param("websocket", marks=ours_only)])
def test_session_born_on_websocket_has_no_polling(calm: Server, transport: str) -> None:
    socket = open_websocket(calm)
    answer = request(calm, "GET", polling_query(sid=socket.sid, transport=transport))
    assert is_refusal(answer, 3), answer
    socket.join()


@pytest.mark.parametrize("origin", ["https://a.example\x7f", "https://\x01.example"], ids=["delete", "control"])
def test_origin_that_is_no_header_value(calm: Server, origin: str) -> None:
    assert request(calm, "GET", polling_query(), {"Origin": origin}).status == 400


@ours_only
def test_origin_that_is_not_allowed(calm: Server) -> None:
    answer = request(calm, "GET", polling_query(), {"Origin": FORBIDDEN})
    assert (answer.status, answer.code) == (403, 4)
    assert "Access-Control-Allow-Origin" not in answer.headers


@ours_only
def test_websocket_from_an_origin_that_is_not_allowed(calm: Server) -> None:
    answer = refused_websocket(calm, websocket_query(), {"Origin": FORBIDDEN})
    assert answer.status == 400
    assert answer.content_type.startswith("text/")


def test_origin_of_the_page_itself(calm: Server) -> None:
    own = {"Origin": f"http://127.0.0.1:{calm.port}"}
    assert PollingClient(calm, own).opening.status == 200
    WebSocketClient(calm, own).join()


# Refused WebSockets


REFUSED_WEBSOCKETS = [
    (websocket_query(sid=UNKNOWN), 1),
    (websocket_query(transport="abc"), 0),
    (websocket_query(transport=None), 0),
    (websocket_query(transport="__proto__"), 0),
    ({}, 0),
    pytest.param(websocket_query(EIO=None), 5, marks=ours_only),
    pytest.param(websocket_query(EIO="abc"), 5, marks=ours_only),
    pytest.param(polling_query(), 3, marks=ours_only),
]


@pytest.mark.parametrize(("query", "code"), REFUSED_WEBSOCKETS)
def test_refused_websocket(calm: Server, query: dict[str, str], code: int) -> None:
    answer = refused_websocket(calm, query)
    assert (answer.status, answer.body) == (400, MESSAGES[code])
    assert answer.headers["Connection"] == "close"
    assert answer.content_type.startswith("text/")
    assert answer.headers["Content-Length"] == str(len(MESSAGES[code]))


@pytest.mark.parametrize(
    "query", [websocket_query(EIO=None), websocket_query(EIO="abc"), websocket_query(transport="abc")], ids=str
)
def test_wrong_websocket_never_stays_open(calm: Server, query: dict[str, str]) -> None:
    stream = send_raw(calm, upgrade_request(target(query)))
    while stream.recv(4096):
        pass
    stream.close()


@ours_only
def test_polling_transport_with_upgrade_headers_of_a_session(polling: PollingClient) -> None:
    answer = refused_websocket(polling.server, polling_query(sid=polling.sid))
    assert answer.status == 400
    polling.join()


@pytest.mark.parametrize(
    ("offered", "asked"), [("polling", "websocket"), ("websocket", "polling")], ids=["no-websocket", "no-polling"]
)
def test_transport_that_is_switched_off(servers: StartServer, offered: str, asked: str) -> None:
    server = servers(transports=offered)
    headers = UPGRADE_HEADERS if asked == "websocket" else {}
    assert is_refusal(request(server, "GET", polling_query(transport=asked), headers), 0)


def test_handshake_without_websocket_offers_no_upgrade(servers: StartServer) -> None:
    assert PollingClient(servers(transports="polling")).handshake["upgrades"] == []


# Packet types


@pytest.mark.parametrize("packet", ["0", "5", "6", "3", "3probe", "0{}", "6x"])
def test_packets_without_effect(joined: Any, packet: str) -> None:
    joined.send(packet)
    joined.echoes()


@pytest.mark.parametrize("packet", BROKEN_ENGINE)
def test_packets_that_end_the_session(joined: Any, packet: str) -> None:
    joined.provoke(packet)
    joined.wait_closed()


def test_close_by_polling(polling: PollingClient) -> None:
    held = polling.hold_get()
    let_read(polling.server)
    polling.send("1")
    answer = held.answer()
    assert (answer.status, answer.body) == (200, b"6")
    assert polling.is_unknown()


def test_close_by_polling_sent_together_with_a_poll(quick: Server) -> None:
    client = PollingClient(quick)
    held = client.hold_get()
    closing = Exchange(quick).start("POST", client.target(), {}, b"1")
    assert held.answer()[::2] == (200, b"6")
    assert closing.answer().status == 200
    assert client.get().status == 400


def test_close_by_websocket(quick: Server) -> None:
    socket = open_websocket(quick)
    socket.send("1")
    started = time.monotonic()
    while True:
        try:
            assert differs("nothing", node="2") == socket.receive()
        except ConnectionClosed:
            break
    assert time.monotonic() - started < differs(0.9, node=2)


@ours_only
def test_peer_that_closed_is_told_so_at_once(joined: Any) -> None:
    joined.provoke("1", event("too late"))
    joined.wait_closed()


# Heartbeat


def test_heartbeat_by_polling(quick: Server) -> None:
    client = PollingClient(quick)
    for _ in range(3):
        assert client.get().body == b"2"
        client.send("3")


def test_heartbeat_by_websocket(quick: Server) -> None:
    socket = open_websocket(quick)
    for _ in range(3):
        socket.receives("2")
        socket.send("3")


def test_polling_client_that_never_answers(strict: Server) -> None:
    client = PollingClient(strict)
    time.sleep(differs(0.5, node=0.52))
    assert client.is_unknown()


def test_pending_get_of_a_client_that_never_answers(strict: Server) -> None:
    started = time.monotonic()
    client = PollingClient(strict)
    assert client.get().body == b"2"
    assert client.get().body == b"1"
    assert 0.45 < time.monotonic() - started < 5
    assert client.is_unknown()


def test_ping_waits_for_the_next_get(quick: Server) -> None:
    client = PollingClient(quick)
    time.sleep(0.32)
    assert client.get().body == b"2"
    client.send("3")


def test_websocket_that_never_answers(strict: Server) -> None:
    started = time.monotonic()
    socket = open_websocket(strict)
    socket.receives("2")
    assert socket.wait_closed() == differs(PING_TIMEOUT.code, node=NO_STATUS)
    assert 0.45 < time.monotonic() - started < 5


def test_pong_unasked_restarts_the_interval(quick: Server) -> None:
    socket = open_websocket(quick)
    time.sleep(0.2)
    socket.send("3")
    asked = time.monotonic()
    socket.receives("2")
    assert time.monotonic() - asked > 0.28


def test_no_second_ping_while_one_is_unanswered(quick: Server) -> None:
    socket = open_websocket(quick)
    socket.receives("2")
    assert socket.is_silent(0.1)
    socket.send("3")
    socket.receives("2")


def test_a_message_counts_as_life_while_a_ping_is_unanswered(quick: Server) -> None:
    socket = open_websocket(quick)
    socket.join()
    started = time.monotonic()
    socket.receives("2")
    time.sleep(0.5)
    socket.echoes()
    assert socket.wait_closed() == differs(PING_TIMEOUT.code, node=NO_STATUS)
    assert time.monotonic() - started > 0.3 + 0.5 + 0.9


# Closing


def test_server_closes_while_a_get_is_pending(polling: PollingClient) -> None:
    polling.join()
    held = polling.hold_get()
    let_read(polling.server)
    polling.provoke("42{}")
    assert held.answer()[::2] == (200, b"1")
    assert polling.is_unknown()


def test_server_closes_while_no_get_is_pending(polling: PollingClient) -> None:
    polling.join()
    polling.provoke("42{}")
    assert polling.get()[::2] == (200, f"6{RS}1".encode())
    assert polling.is_unknown()


def test_posts_to_a_closing_session(polling: PollingClient, witness: WebSocketClient) -> None:
    polling.join()
    polling.provoke("42{}")
    assert polling.post('42["announce","too late"]')[::2] == (200, b"ok")
    polling.wait_closed()
    witness.echoes()


def test_what_was_sent_before_the_close_arrives(polling: PollingClient) -> None:
    polling.join()
    polling.send(event("a"), event("b"))
    polling.provoke("42{}")
    polling.receives(echo("a"), echo("b"))
    assert polling.get()[::2] == (200, f"6{RS}1".encode())
    assert polling.is_unknown()


@ours_only
def test_what_was_sent_before_the_close_arrives_by_websocket(websocket: WebSocketClient) -> None:
    websocket.provoke(event("a"), event("b"), "42{}")
    websocket.receives(echo("a"), echo("b"))
    assert websocket.wait_closed() == differs(PARSE_ERROR.code, node=NO_STATUS)


# Shutdown


def test_shutdown_tells_everybody(fresh: Server) -> None:
    polling, socket = PollingClient(fresh), open_websocket(fresh)
    candidate = open_candidate(polling)
    held = polling.hold_get()
    let_read(fresh)
    assert fresh.process is not None
    fresh.process.terminate()
    assert held.answer()[::2] == (200, b"1")
    socket.wait_closed()
    candidate.wait_closed()
    assert fresh.process.wait(5) == 0
