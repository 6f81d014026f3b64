"""Engine.IO protocol 4 over real ports: the handshake, both transports, the heartbeat, the upgrade, every refusal.

The plugin has no bare Engine.IO message, so what is echoed are Socket.IO events.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conformance.invalid import BROKEN_BASE64, BROKEN_ENGINE, BROKEN_FRAMES, BROKEN_PAYLOADS
from tests.conformance.targets import differs, ours_only
from tests.conformance.wire import (
    BINARY,
    CONTINUATION,
    NO_STATUS,
    PING,
    PONG,
    RS,
    TEXT,
    UPGRADE_HEADERS,
    Answer,
    Exchange,
    PollingClient,
    WebSocketClient,
    as_base64,
    chunks,
    frame,
    let_read,
    open_candidate,
    open_websocket,
    polling_query,
    probe,
    refused_websocket,
    rejection_of,
    request,
    send_raw,
    target,
    upgrade,
    upgrade_request,
    websocket_query,
)
from tests.serving import Server

UNKNOWN = "0123456789abcdefghij"
FORBIDDEN = "https://elsewhere.example"
MESSAGES = {
    0: b"Transport unknown",
    1: b"Session ID unknown",
    2: b"Bad handshake method",
    3: b"Bad request",
    5: b"Unsupported protocol version",
}
TEN = b"0123456789"


def is_refusal(answer: Answer, code: int) -> bool:
    """Whether the answer is an Engine.IO error as the table of errors words it."""
    body = b'{"code":%d,"message":"%s"}' % (code, MESSAGES[code])
    return (answer.status, answer.body, answer.content_type) == (400, body, "application/json")


def event(text: str) -> str:
    """An event that the application echoes."""
    return f'42["message","{text}"]'


def echo(text: str) -> str:
    """What comes back for it."""
    return f'42["message-back","{text}"]'


# Handshake


def test_polling_handshake(quick: Server) -> None:
    answer = request(quick, "GET", polling_query())
    assert answer.status == 200
    assert answer.content_type == "text/plain;charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert answer.text[0] == "0"
    assert_handshake(json.loads(answer.text[1:]), ["websocket"])


def test_websocket_handshake(quick: Server) -> None:
    assert_handshake(open_websocket(quick).handshake, [])


def assert_handshake(fields: dict[str, Any], upgrades: list[str]) -> None:
    sid = fields.pop("sid")
    assert re.fullmatch(r"[A-Za-z0-9_-]{20,}", sid)
    assert fields == {"upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


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
def test_transport_that_is_switched_off(servers: Any, offered: str, asked: str) -> None:
    server = servers(transports=offered)
    headers = UPGRADE_HEADERS if asked == "websocket" else {}
    assert is_refusal(request(server, "GET", polling_query(transport=asked), headers), 0)


def test_handshake_without_websocket_offers_no_upgrade(servers: Any) -> None:
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
    assert time.monotonic() - started < differs(0.25, node=2)


@ours_only
def test_peer_that_closed_is_told_so_at_once(joined: Any) -> None:
    joined.provoke("1", event("too late"))
    joined.wait_closed()


# Payloads of polling


def test_several_packets_come_back_in_one_payload(polling: PollingClient) -> None:
    polling.join()
    polling.send(event("1"), event("2"), event("3"))
    assert polling.get().text == RS.join([echo("1"), echo("2"), echo("3")])


def test_text_and_binary_in_one_payload(polling: PollingClient) -> None:
    polling.join()
    answer = polling.post(f'{event("x")}{RS}451-["message",{{"_placeholder":true,"num":0}}]{RS}bAQIDBA==')
    assert answer.body == b"ok"
    expected = f'{echo("x")}{RS}451-["message-back",{{"_placeholder":true,"num":0}}]{RS}bAQIDBA=='
    assert polling.get().text == expected


def test_payload_is_utf8(polling: PollingClient) -> None:
    polling.join()
    polling.send(event("€ 😀 ü"))
    assert polling.get().body == echo("€ 😀 ü").encode()


@pytest.fixture
def witness(calm: Server) -> Iterator[WebSocketClient]:
    """A client that hears what the others announce."""
    socket = open_websocket(calm)
    socket.join()
    yield socket
    socket.close()


@ours_only
@pytest.mark.parametrize("rest", ["", "x", f'x{RS}42["announce","after"]', f'{RS}42["announce","after"]'])
def test_packets_before_a_malformed_one_are_delivered(
    polling: PollingClient, witness: WebSocketClient, rest: str
) -> None:
    polling.join()
    polling.post(f'42["announce","before"]{RS}{rest}')
    witness.receives('42["message","before"]')
    polling.wait_closed()
    witness.echoes()


@ours_only
def test_packets_after_a_close_are_dropped(polling: PollingClient, witness: WebSocketClient) -> None:
    polling.join()
    polling.post(f'42["announce","before"]{RS}1{RS}42["announce","after"]')
    witness.receives('42["message","before"]')
    assert polling.get().status == 400
    witness.echoes()


@pytest.mark.parametrize("body", BROKEN_PAYLOADS)
def test_malformed_payload(polling: PollingClient, body: str) -> None:
    held = polling.hold_get()
    let_read(polling.server)
    assert polling.post(body).status == differs(400, node=200)
    answer = held.answer()
    assert (answer.status, answer.body) == (200, b"1")
    assert polling.is_unknown()


@ours_only
@pytest.mark.parametrize("text", BROKEN_BASE64)
def test_base64_that_is_not_clean(polling: PollingClient, text: str) -> None:
    polling.join()
    assert polling.post(f'451-["message",{{"_placeholder":true,"num":0}}]{RS}b{text}').status == 400
    polling.wait_closed()


# GET and POST


def test_get_waits_for_something_to_send(polling: PollingClient) -> None:
    polling.join()
    held = polling.hold_get()
    assert held.is_silent(0.05)
    polling.send(event("x"))
    assert held.answer().text == echo("x")


def test_second_get_ends_the_session(polling: PollingClient) -> None:
    first = polling.hold_get()
    let_read(polling.server)
    second = polling.get()
    assert (second.status, second.body) == (400, b"")
    assert first.answer()[::2] == (200, b"1")
    assert polling.is_unknown()


def test_aborted_get_ends_the_session(polling: PollingClient) -> None:
    held = polling.hold_get()
    let_read(polling.server)
    held.abort()
    let_read(polling.server)
    assert polling.get().status == 400
    assert polling.is_unknown()


def test_post_is_answered_ok(polling: PollingClient) -> None:
    answer = polling.post("3")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.content_type in ("text/html", "text/plain", "text/plain;charset=utf-8")
    assert answer.headers["Content-Length"] == "2"
    assert answer.headers["Cache-Control"] == "no-store"


def test_get_is_not_cached(polling: PollingClient) -> None:
    polling.send("40")
    answer = polling.get()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_type == "text/plain;charset=utf-8"
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_second_post_ends_the_session(polling: PollingClient) -> None:
    first = polling.begin_post(100)
    first.send(b"3")
    let_read(polling.server)
    second = polling.post("3")
    assert (second.status, second.body) == (400, b"")
    assert first.was_dropped()
    assert polling.is_unknown()


def test_post_that_breaks_off_ends_the_session(polling: PollingClient) -> None:
    half = polling.begin_post(100)
    half.send(b"3")
    let_read(polling.server)
    half.abort()
    let_read(polling.server)
    assert polling.is_unknown()


def test_octet_stream_ends_the_session(polling: PollingClient) -> None:
    answer = polling.post(b"3", content_type="application/octet-stream")
    assert (answer.status, answer.body) == (400, b"")
    assert polling.is_unknown()


CONTENT_TYPES = [
    "text/plain;charset=UTF-8",
    "text/plain",
    "application/json",
    "application/x-www-form-urlencoded",
    "text/html; charset=iso-8859-1",
    "nonsense",
    None,
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_other_content_types_are_read_as_utf8_text(polling: PollingClient, content_type: str | None) -> None:
    polling.join()
    assert polling.post(event("ü+%41&d=€"), content_type=content_type).body == b"ok"
    polling.receives(echo("ü+%41&d=€"))


def test_chunked_post(polling: PollingClient) -> None:
    polling.join()
    assert polling.post(chunks(event("in pieces").encode(), 5)).body == b"ok"
    polling.receives(echo("in pieces"))


def test_posts_are_delivered_in_order(polling: PollingClient) -> None:
    polling.join()
    for number in range(20):
        polling.send(*(f'42["count",{number * 10 + step}]' for step in range(10)))
    polling.send('420["counted"]')
    polling.receives(f"430[{json.dumps(list(range(200)), separators=(',', ':'))}]")


# WebSocket framing


@pytest.fixture
def websocket(calm: Server) -> Iterator[WebSocketClient]:
    """A session by WebSocket that has joined "/"."""
    socket = open_websocket(calm)
    socket.join()
    yield socket
    socket.close()


ONE_BINARY = '451-["message",{"_placeholder":true,"num":0}]'
ONE_BINARY_BACK = '451-["message-back",{"_placeholder":true,"num":0}]'


@pytest.mark.parametrize("data", [b"\x01\x02\x03\x04", b"", b"4text", bytes(range(256))], ids=len)
def test_binary_frame_is_the_data_alone(websocket: WebSocketClient, data: bytes) -> None:
    websocket.send(ONE_BINARY, data)
    websocket.receives(ONE_BINARY_BACK, data)


def test_text_frame_with_base64_is_understood(websocket: WebSocketClient) -> None:
    websocket.send(ONE_BINARY, "bAQIDBA==")
    websocket.receives(ONE_BINARY_BACK, b"\x01\x02\x03\x04")


def test_websocket_that_wants_base64(calm: Server) -> None:
    socket = open_websocket(calm, b64="1")
    socket.join()
    socket.send(ONE_BINARY, b"\x01\x02\x03\x04")
    socket.receives(ONE_BINARY_BACK, "bAQIDBA==")


def test_fragments_are_put_together(websocket: WebSocketClient) -> None:
    first, second, third = chunks(event("fragment of €").encode(), 14)
    websocket.send_bytes(frame(TEXT, first, fin=False) + frame(CONTINUATION, second, fin=False))
    websocket.send_bytes(frame(PING, b"between"))
    websocket.send_bytes(frame(CONTINUATION, third))
    websocket.receives(echo("fragment of €"))


def test_fragmented_binary(websocket: WebSocketClient) -> None:
    websocket.send(ONE_BINARY)
    websocket.send_bytes(frame(BINARY, b"\x01\x02", fin=False) + frame(CONTINUATION, b"\x03"))
    websocket.receives(ONE_BINARY_BACK, b"\x01\x02\x03")


def test_frame_in_single_bytes(websocket: WebSocketClient) -> None:
    for byte in chunks(frame(TEXT, event("slow").encode()), 1):
        websocket.send_bytes(byte)
    websocket.receives(echo("slow"))


def test_many_frames_in_one_write(websocket: WebSocketClient) -> None:
    texts = [str(number) for number in range(100)]
    websocket.send_bytes(b"".join(frame(TEXT, event(text).encode()) for text in texts))
    websocket.receives(*map(echo, texts))


def test_ping_frame_is_answered(websocket: WebSocketClient) -> None:
    assert websocket.connection.ping("are you there").wait(5)
    websocket.echoes()


@pytest.mark.parametrize("data", [b"", b"x" * 125], ids=["empty", "longest"])
def test_pong_frame_carries_the_data_of_the_ping(calm: Server, data: bytes) -> None:
    stream = send_raw(calm, upgrade_request(target(websocket_query())))
    head = stream.recv(4096)
    stream.sendall(frame(PING, data))
    while bytes([0x80 | PONG, len(data)]) + data not in head:
        head += stream.recv(4096)
    stream.close()


@pytest.mark.parametrize(("data", "code"), [row[1:] for row in BROKEN_FRAMES], ids=[row[0] for row in BROKEN_FRAMES])
def test_broken_frame(websocket: WebSocketClient, data: bytes, code: int) -> None:
    websocket.send_bytes(data)
    assert websocket.wait_closed() == code


def test_server_closes_without_a_status_code(websocket: WebSocketClient) -> None:
    websocket.provoke("abc")
    assert websocket.wait_closed() == NO_STATUS


def test_close_frame_is_answered(websocket: WebSocketClient) -> None:
    websocket.connection.close(4321, "bye")
    with pytest.raises(ConnectionClosed) as closed:
        websocket.receive()
    assert closed.value.rcvd is not None


def test_compression_is_not_negotiated(calm: Server) -> None:
    extension = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    stream = send_raw(calm, upgrade_request(target(websocket_query()), extension))
    head = stream.recv(4096)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-extensions" not in head.lower()
    stream.close()


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


def test_polling_client_that_never_answers(quick: Server) -> None:
    client = PollingClient(quick)
    time.sleep(differs(0.5, node=0.52))
    assert client.is_unknown()


def test_pending_get_of_a_client_that_never_answers(quick: Server) -> None:
    client = PollingClient(quick)
    started = time.monotonic()
    assert client.get().body == b"2"
    assert client.get().body == b"1"
    assert 0.45 < time.monotonic() - started < 0.8
    assert client.is_unknown()


def test_ping_waits_for_the_next_get(quick: Server) -> None:
    client = PollingClient(quick)
    time.sleep(0.4)
    assert client.get().body == b"2"
    client.send("3")


def test_websocket_that_never_answers(quick: Server) -> None:
    socket = open_websocket(quick)
    started = time.monotonic()
    socket.receives("2")
    assert socket.wait_closed() == NO_STATUS
    assert 0.45 < time.monotonic() - started < 0.8


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
    time.sleep(0.15)
    socket.echoes()
    assert socket.wait_closed() == NO_STATUS
    assert 0.6 < time.monotonic() - started < 1


# Upgrade


def test_upgrade(polling: PollingClient) -> None:
    polling.join()
    held = polling.hold_get()
    let_read(polling.server)
    candidate = open_candidate(polling)
    probe(candidate)
    assert held.answer()[::2] == (200, b"6")
    candidate.send("5")
    candidate.echoes()


def test_get_while_upgrading_is_released(polling: PollingClient) -> None:
    candidate = open_candidate(polling)
    probe(candidate)
    for _ in range(3):
        started = time.monotonic()
        assert polling.get()[::2] == (200, b"6")
        assert time.monotonic() - started < 0.2
    candidate.close()


def test_data_while_upgrading(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    polling.send(event("by polling"))
    polling.receives(echo("by polling"))
    polling.send(event("a"), event("b"))
    candidate.send("5")
    candidate.receives(echo("a"), echo("b"))
    candidate.echoes()


def test_get_before_the_probe_is_held(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    held = polling.hold_get()
    assert held.is_silent(0.05)
    polling.send(event("x"))
    assert held.answer().text == echo("x")
    candidate.close()


def test_probe_may_be_repeated(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    probe(candidate)
    candidate.send("5")
    candidate.echoes()


def test_upgrade_without_a_probe(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    candidate.send("5")
    candidate.echoes()


def test_get_pending_when_the_upgrade_ends(polling: PollingClient) -> None:
    polling.join()
    held = polling.hold_get()
    let_read(polling.server)
    candidate = open_candidate(polling)
    candidate.send("5")
    assert held.answer()[::2] == (200, differs(b"6", node=b"1"))
    candidate.echoes()


@ours_only
def test_post_unfinished_when_the_upgrade_ends(polling: PollingClient) -> None:
    polling.join()
    body = event("in two halves").encode()
    post = polling.begin_post(len(body))
    post.send(body[:10])
    let_read(polling.server)
    candidate = open_candidate(polling)
    probe(candidate)
    candidate.send("5")
    let_read(polling.server)
    post.send(body[10:])
    assert post.answer()[::2] == (200, b"ok")
    candidate.receives(echo("in two halves"))
    candidate.echoes()


WRONG_IN_A_PROBE = ["2", "2x", "3", "4hello", "40", "6", "0", "abc", "", b"\x01\x02", "bAQID"]


@pytest.mark.parametrize("packet", WRONG_IN_A_PROBE)
def test_wrong_packet_ends_the_candidate_only(polling: PollingClient, packet: str | bytes) -> None:
    candidate = open_candidate(polling)
    candidate.provoke(packet)
    candidate.wait_closed()
    polling.join()
    upgrade(polling).echoes()


def test_candidate_that_leaves(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    candidate.close()
    polling.echoes()
    upgrade(polling).echoes()


def test_upgrade_that_takes_too_long(servers: Any) -> None:
    client = PollingClient(servers(upgrade_timeout=0.3, connect_timeout=0.5))
    client.join()
    candidate = open_candidate(client)
    probe(candidate)
    started = time.monotonic()
    candidate.wait_closed()
    assert 0.2 < time.monotonic() - started < 0.6
    client.echoes()


def test_second_candidate_is_refused(polling: PollingClient) -> None:
    polling.join()
    first = open_candidate(polling)
    assert rejection_of(polling.server, sid=polling.sid) == differs(400, node="closed")
    probe(first)
    assert rejection_of(polling.server, sid=polling.sid) == differs(400, node="closed")
    first.send("5")
    first.echoes()


def test_second_websocket_after_the_upgrade(polling: PollingClient) -> None:
    polling.join()
    first = upgrade(polling)
    first.echoes()
    assert rejection_of(polling.server, sid=polling.sid) == differs(400, node="closed")
    first.echoes()


@ours_only
def test_second_websocket_of_a_session_born_on_websocket(websocket: WebSocketClient) -> None:
    assert rejection_of(websocket.server, sid=websocket.sid) == 400
    websocket.echoes()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_polling_after_the_upgrade(polling: PollingClient, method: str) -> None:
    polling.join()
    socket = upgrade(polling)
    socket.echoes()
    answer = Exchange(polling.server).start(method, polling.target(), {}, b"3" if method == "POST" else None).answer()
    assert is_refusal(answer, 3), answer
    socket.echoes()


def test_get_right_behind_the_upgrade(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    candidate.send("5")
    assert polling.get().status == 400
    candidate.echoes()


@ours_only
def test_upgrade_that_was_not_allowed(servers: Any) -> None:
    client = PollingClient(servers(allow_upgrades=False))
    assert client.handshake["upgrades"] == []
    assert rejection_of(client.server, sid=client.sid) == 400
    client.join()


CLOSINGS = [("1", "client leaves"), ("abc", "malformed packet"), ("42{}", "broken rule")]


@pytest.mark.parametrize("body", [row[0] for row in CLOSINGS], ids=[row[1] for row in CLOSINGS])
def test_candidate_ends_with_its_session(polling: PollingClient, body: str) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    polling.post(body)
    polling.drain()
    candidate.wait_closed()


def test_heartbeat_goes_on_after_the_upgrade(quick: Server) -> None:
    client = PollingClient(quick)
    client.join()
    socket = upgrade(client)
    for _ in range(3):
        socket.receives("2")
        socket.send("3")
    socket.receives("2")
    socket.wait_closed()


@ours_only
def test_ping_that_was_outstanding_at_the_upgrade(quick: Server) -> None:
    client = PollingClient(quick)
    assert client.get().body == b"2"
    socket = upgrade(client)
    socket.wait_closed(1)


@ours_only
def test_pong_after_the_upgrade(quick: Server) -> None:
    client = PollingClient(quick)
    assert client.get().body == b"2"
    socket = upgrade(client)
    socket.send("3")
    socket.receives("2")
    socket.send("3")
    socket.receives("2")


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
    assert websocket.wait_closed() == NO_STATUS


# Size limit

LIMIT = 1000


@pytest.fixture
def narrow(servers: Any) -> Server:
    """A server that takes 1000 bytes at most."""
    return servers(max_payload=LIMIT)


def sized(length: int) -> bytes:
    """An event of so many bytes, type and all."""
    return event("x" * (length - len(event("")))).encode()


def test_largest_post(narrow: Server) -> None:
    client = PollingClient(narrow)
    assert client.handshake["maxPayload"] == LIMIT
    client.join()
    assert client.post(sized(LIMIT)).body == b"ok"
    assert str(client.receive()).startswith('42["message-back","xxx')


@pytest.mark.parametrize("way", ["whole", "chunked"])
def test_post_over_the_limit(narrow: Server, way: str) -> None:
    client = PollingClient(narrow)
    client.join()
    body = sized(LIMIT + 1)
    answer = client.post(body if way == "whole" else chunks(body, 100))
    assert (answer.status, answer.body) == (413, b"")
    client.echoes()


def test_limit_counts_bytes(narrow: Server) -> None:
    client = PollingClient(narrow)
    client.join()
    assert client.post(event("€" * 400)).status == 413
    client.echoes()


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_largest_websocket_message(narrow: Server, pieces: int) -> None:
    socket = open_websocket(narrow)
    socket.join()
    socket.send_bytes(fragmented(sized(LIMIT), pieces))
    assert str(socket.receive()).startswith('42["message-back","xxx')


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_websocket_message_over_the_limit(narrow: Server, pieces: int) -> None:
    socket = open_websocket(narrow)
    socket.join()
    socket.send_bytes(fragmented(sized(LIMIT + 1), pieces))
    assert socket.wait_closed() == 1009


def fragmented(data: bytes, pieces: int) -> bytes:
    """A text message in so many frames."""
    parts = list(chunks(data, -(-len(data) // pieces)))
    opcodes = [TEXT] + [CONTINUATION] * (len(parts) - 1)
    last = len(parts) - 1
    return b"".join(frame(opcodes[n], part, fin=n == last) for n, part in enumerate(parts))


# Headers


@pytest.mark.parametrize("agent", ["Mozilla/4.0 (compatible;MSIE 8.0)", "Mozilla/5.0 (Trident/7.0; rv:11.0)"])
def test_old_explorers_get_a_header(calm: Server, agent: str) -> None:
    client = PollingClient(calm, {"User-Agent": agent})
    assert client.opening.headers["X-XSS-Protection"] == "0"
    assert client.post("3").headers["X-XSS-Protection"] == "0"


def test_other_browsers_do_not(calm: Server) -> None:
    assert "X-XSS-Protection" not in PollingClient(calm, {"User-Agent": "Mozilla/5.0"}).opening.headers


def access_headers(answer: Answer) -> dict[str, str]:
    """The headers of an answer that tell browsers about other origins."""
    return {name: value for name, value in answer.headers.items() if name.lower().startswith("access-control-")}


def test_no_word_about_other_origins_by_default(polling: PollingClient) -> None:
    assert access_headers(polling.opening) == {}
    assert access_headers(polling.post("3")) == {}
    assert access_headers(request(polling.server, "GET", {})) == {}


@pytest.fixture
def open_to_all(servers: Any) -> Server:
    """A server that pages of every origin may use."""
    return servers(cors_origins="*")


def test_every_origin(open_to_all: Server) -> None:
    client = PollingClient(open_to_all, {"Origin": FORBIDDEN})
    assert access_headers(client.opening) == {"Access-Control-Allow-Origin": "*"}
    assert access_headers(client.post("3")) == {"Access-Control-Allow-Origin": "*"}
    refused = request(open_to_all, "GET", {}, {"Origin": FORBIDDEN})
    assert access_headers(refused) == {"Access-Control-Allow-Origin": "*"}
    WebSocketClient(open_to_all, {"Origin": FORBIDDEN}).join()


def test_preflight(open_to_all: Server) -> None:
    headers = {"Origin": FORBIDDEN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a"}
    answer = request(open_to_all, "OPTIONS", polling_query(), headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "x-a"
    assert "Access-Control-Request-Headers" in answer.headers["Vary"]
    assert {"GET", "POST"} <= set(answer.headers["Access-Control-Allow-Methods"].split(","))


@pytest.fixture
def open_to_some(servers: Any) -> Server:
    """A server that pages of two other origins may use."""
    return servers(cors_origins="https://a.example,https://b.example")


def test_origin_on_the_list(open_to_some: Server) -> None:
    client = PollingClient(open_to_some, {"Origin": "https://b.example"})
    assert access_headers(client.opening) == {"Access-Control-Allow-Origin": "https://b.example"}
    assert "Origin" in client.opening.headers["Vary"]
    WebSocketClient(open_to_some, {"Origin": "https://a.example"}).join()


def test_origin_off_the_list(open_to_some: Server) -> None:
    answer = request(open_to_some, "GET", polling_query(), {"Origin": FORBIDDEN})
    assert answer.status == differs(403, node=200)
    assert "Access-Control-Allow-Origin" not in access_headers(answer)


def test_cookie_of_the_polling_handshake(servers: Any) -> None:
    client = PollingClient(servers(cookie=differs("io", node={"name": "io"})))
    parts = [part.strip() for part in client.opening.headers["Set-Cookie"].split(";")]
    assert parts[0] == f"io={client.sid}"
    assert {part.lower() for part in parts[1:]} == {"path=/", "httponly", "samesite=lax"}
    assert "Set-Cookie" not in client.post("3").headers


def test_no_cookie_with_a_websocket(servers: Any) -> None:
    socket = open_websocket(servers(cookie=differs("io", node={"name": "io"})))
    assert socket.connection.response is not None
    assert "Set-Cookie" not in socket.connection.response.headers


def test_no_cookie_by_default(polling: PollingClient) -> None:
    assert "Set-Cookie" not in polling.opening.headers


# Compression


THRESHOLD = 1024
ENCODINGS = [
    ("gzip", "gzip"),
    ("deflate", "deflate"),
    ("gzip, deflate", "gzip"),
    ("deflate;q=0.9, gzip;q=0.5", "deflate"),
    ("gzip;q=0, deflate", "deflate"),
    ("br", None),
    ("identity", None),
    ("*", "gzip"),
    ("", None),
]


@pytest.mark.parametrize(("accepted", "used"), ENCODINGS)
def test_long_answers_are_compressed(polling: PollingClient, accepted: str, used: str | None) -> None:
    polling.join()
    text = "x" * (THRESHOLD - len(echo("")))
    polling.send(event(text))
    answer = polling.get({"Accept-Encoding": accepted})
    assert answer.headers["Content-Encoding"] == used
    assert expanded(answer) == echo(text).encode()


def expanded(answer: Answer) -> bytes:
    """The body without its compression."""
    expand = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}
    return expand[answer.headers["Content-Encoding"]](answer.body)


def test_short_answers_are_not_compressed(polling: PollingClient) -> None:
    polling.join()
    polling.send(event("x" * (THRESHOLD - 1 - len(echo("")))))
    assert "Content-Encoding" not in polling.get({"Accept-Encoding": "gzip"}).headers


# JSONP


def unwrapped(answer: Answer, index: str) -> str:
    """The payload inside a JSONP answer."""
    start, end = f"___eio[{index}](", ");"
    text = answer.text
    assert text.startswith(start) and text.endswith(end), text
    assert answer.content_type == differs("text/javascript;charset=utf-8", node="text/plain;charset=utf-8")
    return str(json.loads(text[len(start) : -len(end)]))


def jsonp_client(server: Server, index: str = "7") -> PollingClient:
    """A session by JSONP polling."""
    client = PollingClient(server, j=index)
    client.handshake = json.loads(unwrapped(client.opening, "".join(filter(str.isdigit, index)))[1:])
    client.sid = client.handshake["sid"]
    return client


def jsonp_post(client: PollingClient, **fields: str) -> Answer:
    """Post a form, as the page's iframe does."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = target(fields).removeprefix("/socket.io/?") if fields else "other=1"
    return Exchange(client.server).start("POST", client.target(), form, body.encode()).answer()


def test_jsonp_session(calm: Server) -> None:
    client = jsonp_client(calm)
    assert jsonp_post(client, d="40")[::2] == (200, b"ok")
    assert unwrapped(client.get(), "7").startswith('40{"sid":')


def test_jsonp_index_is_digits_only(calm: Server) -> None:
    assert unwrapped(jsonp_client(calm, 'a1")b2').opening, "12").startswith("0{")


JSONP_TEXTS = ['a"b', "a\\\\b", "€ 😀", "a\\nb", "</script>", "\u2028\u2029", "a+b&c=d%"]


@pytest.mark.parametrize("text", JSONP_TEXTS)
def test_jsonp_text(calm: Server, text: str) -> None:
    client = jsonp_client(calm)
    jsonp_post(client, d="40")
    client.get()
    packet = f'42["message",{json.dumps(text)}]'
    jsonp_post(client, d=packet.replace("\\n", "\\\\n"))
    answer = client.get()
    assert json.loads(unwrapped(answer, "7")[2:]) == ["message-back", text]
    assert not {"\u2028", "\u2029"} & set(answer.text)


def test_jsonp_newline_between_packets(calm: Server) -> None:
    client = jsonp_client(calm)
    jsonp_post(client, d="40")
    client.get()
    assert jsonp_post(client, d='42["message",\\n"x"]').body == b"ok"
    assert unwrapped(client.get(), "7") == echo("x")


def test_jsonp_binary_is_base64(calm: Server) -> None:
    client = jsonp_client(calm)
    jsonp_post(client, d="40")
    client.get()
    jsonp_post(client, d=f"{ONE_BINARY}{RS}{as_base64(TEN)}")
    assert unwrapped(client.get(), "7") == f"{ONE_BINARY_BACK}{RS}{as_base64(TEN)}"


def test_jsonp_form_without_data_is_ignored(calm: Server) -> None:
    client = jsonp_client(calm)
    assert jsonp_post(client)[::2] == (200, b"ok")
    assert jsonp_post(client, d="40").body == b"ok"
    assert unwrapped(client.get(), "7").startswith("40{")


# Shutdown


def test_shutdown_tells_everybody(fresh: Server) -> None:
    polling, socket = PollingClient(fresh), open_websocket(fresh)
    candidate = open_candidate(polling)
    held = polling.hold_get()
    let_read(fresh)
    fresh.process.terminate()
    assert held.answer()[::2] == (200, b"1")
    socket.wait_closed()
    candidate.wait_closed()
    assert fresh.process.wait(5) == 0
