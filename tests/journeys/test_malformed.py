"""Whatever a client gets wrong: it has its documented answer, the log no traceback, and the others do not notice."""

from __future__ import annotations

import json
import random
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conformance.invalid import (
    BROKEN_BASE64,
    BROKEN_BINARY,
    BROKEN_CONNECTS,
    BROKEN_ENGINE,
    BROKEN_FRAMES,
    BROKEN_PAYLOADS,
    INVALID,
    NOT_JOINED,
    ONE,
    holder,
    holders,
)
from tests.conformance.targets import ON_NODE
from tests.conformance.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    RS,
    TEXT,
    UPGRADE_HEADERS,
    Answer,
    Client,
    Exchange,
    Packet,
    PollingClient,
    WebSocketClient,
    chunks,
    frame,
    let_read,
    open_candidate,
    open_client,
    open_websocket,
    payload,
    polling_query,
    request,
    send_raw,
    target,
    upgrade_request,
    websocket_query,
)
from tests.serving import Server, serve

pytestmark = pytest.mark.skipif(ON_NODE, reason="what Node answers to nonsense is not ours to test")

LIMIT = 100_000
NEVER = 300


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The conformance application, with no heartbeat while the tests run."""
    with serve("conformance", max_payload=LIMIT, ping_interval=NEVER) as running:
        yield running


@pytest.fixture(scope="module")
def others(server: Server) -> Iterator[list[Client]]:
    """Well-behaved clients that are there the whole time, one by each transport."""
    clients = [open_client(transport, server) for transport in ("polling", "websocket")]
    for client in clients:
        client.join()
    yield clients
    for client in clients:
        client.close()


@pytest.fixture(autouse=True)
def unharmed(server: Server, others: list[Client]) -> Iterator[None]:
    """After each test, nobody else has noticed, and the log has no traceback."""
    already = len(server.log)
    yield
    for client in others:
        client.echoes()
    assert "Traceback" not in server.log[already:]


@pytest.fixture(params=["polling", "websocket"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    """A fresh session, by each transport in turn."""
    opened = open_client(request.param, server)
    yield opened
    opened.close()


@pytest.fixture
def joined(client: Client) -> Client:
    """A session that has joined "/"."""
    client.join()
    return client


@pytest.fixture
def polling(server: Server) -> Iterator[PollingClient]:
    """A session by polling that has joined "/"."""
    opened = PollingClient(server)
    opened.join()
    yield opened
    opened.close()


@pytest.fixture
def websocket(server: Server) -> Iterator[WebSocketClient]:
    """A session by WebSocket that has joined "/"."""
    opened = open_websocket(server)
    opened.join()
    yield opened
    opened.close()


def echoes_or_ends(client: Client, *packets: Packet) -> None:
    """Send an odd but perhaps sound event: it comes back, or it ends the connection."""
    client.provoke(*packets)
    try:
        answer = client.receive()
    except (ConnectionClosed, AssertionError):
        return
    assert answer in (f"6{RS}1", "6", "1") or '["message-back"' in str(answer), str(answer)[:80]


# Packets


@pytest.mark.parametrize("packet", BROKEN_ENGINE, ids=repr)
def test_engine_packet(joined: Client, packet: str) -> None:
    joined.provoke(packet)
    joined.wait_closed()


@pytest.mark.parametrize("body", BROKEN_PAYLOADS, ids=repr)
def test_payload(polling: PollingClient, body: str) -> None:
    assert polling.post(body)[::2] == (400, b"")
    assert polling.is_unknown()


@pytest.mark.parametrize("text", BROKEN_BASE64)
def test_base64(joined: Client, text: str) -> None:
    joined.provoke(f'451-["message",{holder(0)}]', f"b{text}")
    joined.wait_closed()


@pytest.mark.parametrize("packet", BROKEN_CONNECTS)
def test_connect(client: Client, packet: str) -> None:
    client.provoke(packet)
    client.wait_closed()


@pytest.mark.parametrize("packet", NOT_JOINED)
def test_packet_before_connect(client: Client, packet: str) -> None:
    client.provoke(packet)
    client.wait_closed()


@pytest.mark.parametrize("packet", INVALID)
def test_packet(joined: Client, packet: str) -> None:
    joined.provoke(packet)
    joined.wait_closed()


@pytest.mark.parametrize("packets", BROKEN_BINARY, ids=str)
def test_binary_packet(joined: Client, packets: list[Packet]) -> None:
    joined.provoke(*packets)
    joined.wait_closed()


ODD_DIGITS = ["\u0661", "\u00b2", "\uff11", "\U0001d7d9", "1_0", "0x1", "1e1", "+1"]


@pytest.mark.parametrize("digit", ODD_DIGITS)
def test_digits_that_are_not_ascii(joined: Client, digit: str) -> None:
    joined.provoke(f'42{digit}["message-with-ack"]')
    joined.wait_closed()


@pytest.mark.parametrize("digit", ODD_DIGITS)
def test_attachment_count_that_is_no_number(joined: Client, digit: str) -> None:
    joined.provoke(f'45{digit}-["message",{holder(0)}]', ONE)
    joined.wait_closed()


@pytest.mark.parametrize("number", ["9" * 16, "9" * 5000, "1" + "0" * 90_000], ids=len)
def test_enormous_numbers_in_the_head(joined: Client, number: str) -> None:
    joined.provoke(f'42{number}["message-with-ack"]')
    joined.wait_closed()


@pytest.mark.parametrize("number", ["9" * 16, "9" * 5000], ids=len)
def test_enormous_attachment_count(joined: Client, number: str) -> None:
    joined.provoke(f'45{number}-["message",{holder(0)}]', ONE)
    joined.wait_closed()


NUMBERS = ["18446744073709551615", "18446744073709551616", "9" * 400, "9" * 5000, "1e400", "-1e400", "1e-400"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:20])
def test_enormous_numbers_in_json(joined: Client, number: str) -> None:
    echoes_or_ends(joined, f'42["message",{number}]')


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "nan", "undefined", "None", "True"])
@pytest.mark.parametrize("around", ["{}", "[{}]", '{{"a":{}}}'])
def test_words_that_are_not_json(joined: Client, word: str, around: str) -> None:
    joined.provoke(f'42["message",{around.format(word)}]')
    joined.wait_closed()


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\udc00\\ud800", "x\\ud83dx"])
def test_lone_surrogates(joined: Client, escape: str) -> None:
    joined.send(f'42["message","{escape}"]')
    answer = str(joined.receive())
    assert json.loads(answer[2:]) == ["message-back", json.loads(f'"{escape}"')]
    joined.echoes()


@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff"])
def test_lone_surrogates_in_names(client: Client, escape: str) -> None:
    client.send(f'40{{"{escape}":"{escape}"}}')
    assert str(client.receive()).startswith("40{")
    client.receive()
    client.send(f'42["{escape}","x"]')
    client.echoes()


# Nesting


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    """So many arrays in each other."""
    return opening * depth + closing * depth


@pytest.mark.parametrize("depth", [50, 99])
def test_deep_but_sound(joined: Client, depth: int) -> None:
    joined.send(f'42["message",{nested(depth)}]')
    joined.receives(f'42["message-back",{nested(depth)}]')


DEPTHS = [100, 250, 260, 500, 900, 1000, 1020, 1030, 1500, 5000, 40_000]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"":', "}")], ids=["arrays", "objects"])
def test_deeper(joined: Client, depth: int, opening: str, closing: str) -> None:
    inside = "0" if opening != "[" else ""
    text = opening * depth + inside + closing * depth
    echoes_or_ends(joined, f'42["message",{text[:90_000]}]')


@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_with_a_surrogate(joined: Client, depth: int) -> None:
    echoes_or_ends(joined, f'42["message","\\ud800",{nested(depth)}]')


@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_with_an_attachment(joined: Client, depth: int) -> None:
    echoes_or_ends(joined, f'451-["message",{"[" * depth}{holder(0)}{"]" * depth}]', ONE)


@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_auth(client: Client, depth: int) -> None:
    client.provoke(f'40{{"a":{nested(depth)}}}')
    try:
        answer = client.receive()
    except (ConnectionClosed, AssertionError):
        return
    assert answer in (f"6{RS}1", "6", "1") or str(answer).startswith('40{"sid"')


@pytest.mark.parametrize(
    "text", ["[" * 90_000, '[{"a":' * 15_000, '"' + "\\" * 90_000], ids=["open", "mixed", "escape"]
)
def test_json_without_an_end(joined: Client, text: str) -> None:
    joined.provoke(f'42["message",{text}')
    joined.wait_closed()


# Attachments


def test_attachments_that_never_come(joined: Client) -> None:
    joined.send(f'4510-["message",{holders(10)}]')
    joined.close()


def test_attachments_one_too_few_before_leaving(joined: Client) -> None:
    joined.send(f'452-["message",{holders(2)}]', ONE)
    joined.provoke("41")
    joined.wait_closed()


@pytest.mark.parametrize("count", [11, 1000])
def test_too_many_attachments(joined: Client, count: int) -> None:
    joined.provoke(f'45{count}-["message",{holders(min(count, 100))}]', *[ONE] * 20)
    joined.wait_closed()


def test_one_attachment_in_a_thousand_places(joined: Client) -> None:
    joined.send(f'451-["nobody",{",".join([holder(0)] * 1000)}]', ONE)
    joined.echoes()


def test_binary_acks_nobody_waits_for(joined: Client) -> None:
    joined.send(f"461-5[{holder(0)}]", ONE)
    joined.echoes()


def test_attachment_in_place_of_the_name(joined: Client) -> None:
    joined.provoke(f"451-[{holder(0)}]", b"message")
    joined.wait_closed()


# Names


NAMES = ["", "\\u0000", "__init__", "__class__", "__proto__", "x" * 50_000, "*", "error", "message ", "%s%n", "../.."]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:10])
def test_event_names(joined: Client, name: str) -> None:
    joined.send(f'42["{name}","x"]')
    joined.echoes()


@pytest.mark.parametrize("name", ["/\u0000", "/../..", "/%2f", "/€", "/\u2028", "/ ", "//"])
def test_namespace_names(client: Client, name: str) -> None:
    client.send(f"40{name},")
    client.receives(f'44{name},{{"message":"Invalid namespace"}}')
    client.join()


CHANNELS = ["", ",null", ",1", ",[]", ",{}", ',""', f',"{"x" * 10_000}"', ',"a","b"', ",true", ',"\\ud800"']


@pytest.mark.parametrize("event", ["__subscribe__", "__unsubscribe__"])
@pytest.mark.parametrize("arguments", CHANNELS, ids=lambda text: text[:10])
def test_channel_names(joined: Client, event: str, arguments: str) -> None:
    joined.send(f'420["{event}"{arguments}]')
    assert str(joined.receive()).startswith("430[")
    joined.echoes()


# Size


def sized(length: int) -> bytes:
    """An event of so many bytes."""
    return b'42["message","%s"]' % (b"x" * (length - len('42["message",""]')))


@pytest.mark.parametrize("way", ["whole", "chunked", "one chunk"])
def test_post_one_byte_too_long(polling: PollingClient, way: str) -> None:
    body = sized(LIMIT + 1)
    pieces = {"whole": body, "chunked": chunks(body, 4096), "one chunk": chunks(body, LIMIT + 1)}
    assert polling.post(pieces[way])[::2] == (413, b"max_payload: a POST has at most 100,000 bytes")
    polling.echoes()


def test_post_that_only_says_it_is_long(polling: PollingClient) -> None:
    post = polling.begin_post(LIMIT + 1)
    assert post.answer().status == 413
    polling.echoes()


def test_post_without_an_end(polling: PollingClient) -> None:
    post = Exchange(polling.server).begin("POST", polling.target(), {"Transfer-Encoding": "chunked"})
    answered = False
    for _ in range(100):
        post.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        answered = not post.is_silent(0.01)
        if answered:
            break
    assert answered, "the server reads on and on"
    assert post.answer().status == 413
    polling.echoes()


@pytest.mark.parametrize("pieces", [1, 2, 50])
def test_websocket_message_one_byte_too_long(websocket: WebSocketClient, pieces: int) -> None:
    parts = list(chunks(sized(LIMIT + 1), -(-(LIMIT + 1) // pieces)))
    websocket.send_bytes(frame(TEXT, parts[0], fin=pieces == 1))
    for number, part in enumerate(parts[1:], 2):
        websocket.send_bytes(frame(CONTINUATION, part, fin=number == len(parts)))
    assert websocket.wait_closed() == 1009


@pytest.mark.parametrize("length", [LIMIT + 1, 2**31, 2**63 - 1])
def test_websocket_frame_that_only_says_it_is_long(websocket: WebSocketClient, length: int) -> None:
    websocket.send_bytes(struct.pack("!BBQ", 0x80 | TEXT, 0x80 | 127, length) + b"mask4")
    assert websocket.wait_closed() == 1009


@pytest.mark.parametrize("empty", [10, 5000])
def test_many_empty_fragments(websocket: WebSocketClient, empty: int) -> None:
    websocket.send_bytes(frame(TEXT, b'42["message","x"]', fin=False))
    websocket.send_bytes(frame(CONTINUATION, b"", fin=False) * empty)
    websocket.send_bytes(frame(CONTINUATION, b""))
    websocket.receives('42["message-back","x"]')


BAD_LENGTHS = ["abc", "-5", "1.5", "1 0", "0x10", "\u00b2", "9" * 30, "99999999999999"]


@pytest.mark.parametrize("length", BAD_LENGTHS)
def test_content_length_that_cannot_be(server: Server, polling: PollingClient, length: str) -> None:
    head = f"POST {polling.target()} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n3"
    with send_raw(server, head.encode("latin-1")) as stream:
        assert status_of(stream) in (400, 413)


@pytest.mark.parametrize("size", ["ZZ", "", ";x", "+1", " "])
@pytest.mark.parametrize("sid", ["", "gone"])
def test_chunk_that_is_none(server: Server, polling: PollingClient, size: str, sid: str) -> None:
    target = polling.target(sid=sid or polling.sid)
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n3\r\n0\r\n\r\n"
    with send_raw(server, head.encode()) as stream:
        assert status_of(stream) in (0, 400)


def status_of(stream: socket.socket) -> int:
    """The status of the response that comes; 0 if the connection ends instead."""
    received = b""
    while b"\r\n" not in received:
        data = stream.recv(4096)
        if not data:
            return 0
        received += data
    return int(received.split(b" ")[1])


# Requests


SIDS = [
    "x",
    "0" * 20,
    "A" * 5000,
    "../../etc/passwd",
    "\0",
    "é",
    "€",
    "{}",
    "' OR 1=1",
    "%",
    "None",
    "null",
    " ",
    "\r\n",
]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("sid", SIDS, ids=lambda sid: ascii(sid[:20]))
def test_wrong_sid(server: Server, method: str, sid: str) -> None:
    answer = request(server, method, polling_query(sid=sid), body=b"3" if method == "POST" else None)
    assert (answer.status, answer.body) == (400, b'{"code":1,"message":"Session ID unknown"}')


@pytest.mark.parametrize("sid", SIDS[:4])
def test_wrong_sid_by_websocket(server: Server, sid: str) -> None:
    with send_raw(server, upgrade_request(target(websocket_query(sid=sid)))) as stream:
        assert status_of(stream) == 400


METHODS = ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"]


@pytest.mark.parametrize("method", METHODS)
def test_wrong_method_without_a_session(server: Server, method: str) -> None:
    assert 400 <= raw_request(server, method, target(polling_query())).status < 502


@pytest.mark.parametrize("method", [name for name in METHODS if name != "POST"])
def test_wrong_method_with_a_session(server: Server, polling: PollingClient, method: str) -> None:
    assert 400 <= raw_request(server, method, polling.target()).status < 502
    polling.echoes()


def raw_request(server: Server, method: str, request_target: str) -> Answer:
    """A request without a body, by any method."""
    return Exchange(server).start(method, request_target, {}).answer()


def test_long_namespace_name(client: Client) -> None:
    name = "/" + "x" * 50_000
    client.send(f"40{name},")
    told = "max_channel_length: a namespace's name has at most 200 characters"
    client.receives(f'44{name},{{"message":"{told}"}}')
    client.join()


QUERIES = [
    "",
    "&",
    "&&==&",
    "EIO",
    "EIO=4",
    "EIO=4&transport",
    "EIO=4&transport=polling%00",
    "EIO=4&transport=%ff",
    "EIO=4&transport=POLLING",
    "EIO=4&transport=%zz",
    "EIO=%34%00&transport=polling",
    "EIO=4;transport=polling",
    "EIO[]=4&transport[]=polling",
]


@pytest.mark.parametrize("query", QUERIES)
def test_odd_queries(server: Server, query: str) -> None:
    answer = raw_request(server, "GET", f"/socket.io/?{query}")
    assert answer.status == 400
    assert answer.code in (0, 5)


def test_long_query(server: Server) -> None:
    answer = raw_request(server, "GET", f"/socket.io/?EIO=4&transport=polling&x={'y' * 20_000}")
    assert answer.status in (200, 400, 414, 431)


@pytest.mark.parametrize("body", [b"3\xff", b"\xff", b"4\xed\xa0\x80", b"4\xe2\x82", b"\xef\xbb\xbf3", b"\x00"])
def test_post_that_is_not_utf8_or_not_engine_io(polling: PollingClient, body: bytes) -> None:
    assert polling.post(body).status == 400
    assert polling.is_unknown()


def test_post_that_says_it_is_compressed(polling: PollingClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    body = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    assert Exchange(polling.server).start("POST", polling.target(), headers, body).answer().status == 400


@pytest.mark.parametrize("form", ["d=%zz", "d=%ff", "d=", "d", "=", "d=abc", "d=3&d=3", "&", "d=%00"])
def test_jsonp_forms(server: Server, form: str) -> None:
    client = PollingClient(server, j="0")
    text = client.opening.text
    client.sid = json.loads(json.loads(text[text.index("(") + 1 : text.rindex(")")])[1:])["sid"]
    assert client.post(form, content_type="application/x-www-form-urlencoded").status in (200, 400)


HANDSHAKES: list[dict[str, str]] = [
    {"Sec-WebSocket-Key": ""},
    {"Sec-WebSocket-Key": "short"},
    {"Sec-WebSocket-Key": "!" * 24},
    {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="},
    {"Sec-WebSocket-Version": "12"},
    {"Sec-WebSocket-Version": ""},
    {"Sec-WebSocket-Version": "abc"},
    {"Upgrade": "h2c"},
    {"Connection": "close"},
]


@pytest.mark.parametrize("changes", HANDSHAKES, ids=str)
def test_websocket_handshakes(server: Server, changes: dict[str, str]) -> None:
    with send_raw(server, upgrade_request(target(websocket_query()), changes)) as stream:
        assert status_of(stream) in (400, 426)


@pytest.mark.parametrize("changes", HANDSHAKES, ids=str)
def test_websocket_handshakes_of_a_session(server: Server, polling: PollingClient, changes: dict[str, str]) -> None:
    with send_raw(server, upgrade_request(polling.target(transport="websocket"), changes)) as stream:
        assert status_of(stream) in (400, 426)
    polling.echoes()
    open_candidate(polling).close()


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
def test_websocket_handshake_by_another_method(server: Server, method: str) -> None:
    answer = request(server, method, websocket_query(), UPGRADE_HEADERS)
    assert answer.status == 400


# Half of something


def resetting(stream: socket.socket) -> None:
    """Break a connection off, so that the peer gets a reset."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


ENDINGS: dict[str, Callable[[socket.socket], None]] = {"close": socket.socket.close, "reset": resetting}


@pytest.fixture(params=ENDINGS)
def hang_up(request: pytest.FixtureRequest) -> Callable[[socket.socket], None]:
    """A way to end a connection without a word."""
    return ENDINGS[request.param]


PIECES = [0.1, 0.5, 0.9]


@pytest.mark.parametrize("share", PIECES)
@pytest.mark.parametrize("query", [polling_query(), websocket_query()], ids=["polling", "websocket"])
def test_half_a_handshake(server: Server, hang_up: Any, query: dict[str, str], share: float) -> None:
    head = upgrade_request(target(query))
    stream = send_raw(server, head[: int(len(head) * share)])
    let_read(server)
    hang_up(stream)
    let_read(server)


def test_nothing_at_all(server: Server, hang_up: Any) -> None:
    stream = send_raw(server, b"")
    let_read(server)
    hang_up(stream)
    let_read(server)


def test_hanging_up_right_after_a_handshake(server: Server, hang_up: Any) -> None:
    for query in (polling_query(), websocket_query()):
        stream = send_raw(server, upgrade_request(target(query)))
        hang_up(stream)
    let_read(server)


@pytest.mark.parametrize("sent", [0, 1, 50])
def test_half_a_body(server: Server, polling: PollingClient, hang_up: Any, sent: int) -> None:
    post = polling.begin_post(100)
    post.send(b"3" * sent)
    let_read(server)
    hang_up(post.connection.sock)
    polling.drain()


@pytest.mark.parametrize("body", [b"", b"5", b"5\r\n", b"5\r\nabc", b"5\r\nabcde", b"5\r\nabcde\r\n"])
def test_half_a_chunked_body(server: Server, polling: PollingClient, hang_up: Any, body: bytes) -> None:
    post = Exchange(server).begin("POST", polling.target(), {"Transfer-Encoding": "chunked"})
    post.send(body)
    let_read(server)
    hang_up(post.connection.sock)
    polling.drain()


def test_pending_get_that_is_hung_up(server: Server, polling: PollingClient, hang_up: Any) -> None:
    held = polling.hold_get()
    let_read(server)
    hang_up(held.connection.sock)
    polling.drain()


HALF_FRAMES = [
    frame(TEXT, b'42["message","x"]')[:1],
    frame(TEXT, b'42["message","x"]')[:5],
    frame(TEXT, b'42["message","x"]')[:-1],
    frame(TEXT, b"4" * 200)[:3],
    frame(BINARY, b"4" * 70_000)[:60_000],
    frame(TEXT, b"4", fin=False),
    frame(CLOSE, b"\x03\xe8bye")[:4],
    b"",
]


@pytest.mark.parametrize("data", HALF_FRAMES, ids=len)
def test_half_a_frame(server: Server, hang_up: Any, data: bytes) -> None:
    stream = joined_stream(server)
    stream.sendall(data)
    let_read(server)
    hang_up(stream)
    let_read(server)


@pytest.mark.parametrize("data", HALF_FRAMES[:4], ids=len)
def test_half_a_frame_of_a_candidate(server: Server, polling: PollingClient, hang_up: Any, data: bytes) -> None:
    stream = send_raw(server, upgrade_request(polling.target(transport="websocket")))
    assert status_of(stream) == 101
    stream.sendall(data)
    let_read(server)
    hang_up(stream)
    polling.echoes()


def test_hanging_up_while_answers_are_under_way(server: Server, hang_up: Any) -> None:
    stream = joined_stream(server)
    stream.sendall(frame(TEXT, sized(50_000)) * 20)
    hang_up(stream)
    let_read(server)


def joined_stream(server: Server) -> socket.socket:
    """A WebSocket by bare TCP that has joined "/"."""
    stream = send_raw(server, upgrade_request(target(websocket_query())))
    stream.sendall(frame(TEXT, b"40"))
    received = b""
    while b'42["auth",{}]' not in received:
        received += stream.recv(4096)
    return stream


CLOSES = [
    b"",
    b"\x03\xe8",
    b"\x03\xe8bye",
    b"\x03",
    b"\x00\x00",
    b"\x03\xed",
    b"\x03\xe8\xff",
    b"\x0f\xa1" + b"x" * 123,
]


@pytest.mark.parametrize("reason", CLOSES, ids=repr)
def test_close_frames(websocket: WebSocketClient, reason: bytes) -> None:
    websocket.send_bytes(frame(CLOSE, reason))
    websocket.wait_closed()


def test_frames_after_a_close(server: Server) -> None:
    stream = joined_stream(server)
    stream.sendall(frame(CLOSE, b"\x03\xe8") + frame(TEXT, b'42["message","late"]') * 10)
    received = b""
    while data := stream.recv(4096):
        received += data
    assert b"late" not in received
    stream.close()


@pytest.mark.parametrize(("data", "code"), [row[1:] for row in BROKEN_FRAMES], ids=[row[0] for row in BROKEN_FRAMES])
def test_broken_frames(websocket: WebSocketClient, data: bytes, code: int) -> None:
    websocket.send_bytes(data)
    assert websocket.wait_closed() == code


# Nonsense


SEEDS = range(8)
MODELS = [
    '42["message",1,"2",{"3":[true]}]',
    '42456["message-with-ack",1.5,null]',
    f'451-["message",{holder(0)}]',
    '40/custom,{"token":"abc"}',
    "430[]",
    "41",
    "3",
]
ALPHABET = '0123456789-,/"[]{}:\\ b\x00\x1e\u0661\u20ac\U0001f600etrunl'


def nonsense(chance: random.Random) -> str:
    """A packet with some characters changed, put in, or left out."""
    text = list(chance.choice(MODELS))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(text) + 1)
        text[place : place + chance.randint(0, 2)] = chance.choices(ALPHABET, k=chance.randint(0, 2))
    return "".join(text)


@pytest.mark.parametrize("seed", SEEDS)
def test_changed_packets_by_polling(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(15):
        client = PollingClient(server)
        client.join()
        assert client.post(payload([nonsense(chance), "3", nonsense(chance)])).status in (200, 400)
        client.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_changed_packets_by_websocket(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(15):
        stream = joined_stream(server)
        stream.sendall(b"".join(frame(TEXT, nonsense(chance).encode()) for _ in range(3)))
        stream.close()
    let_read(server)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_in_a_post(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(15):
        client = PollingClient(server)
        assert client.post(chance.randbytes(chance.randint(0, 200))).status == 400


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_in_a_message(server: Server, seed: int, opcode: int) -> None:
    chance = random.Random(seed)
    for _ in range(15):
        client = open_websocket(server)
        client.send_bytes(frame(opcode, b"\xff" + chance.randbytes(chance.randint(0, 200))))
        client.wait_closed()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_in_place_of_frames(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(15):
        stream = joined_stream(server)
        stream.sendall(chance.randbytes(chance.randint(1, 200)))
        stream.close()
    let_read(server)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_in_place_of_a_request(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(15):
        stream = send_raw(server, chance.randbytes(chance.randint(1, 200)) + b"\r\n\r\n")
        stream.close()
    let_read(server)
