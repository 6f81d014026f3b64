"""Clients that want more than a limit allows, over real ports: they are told which, it is counted, others go on."""

from __future__ import annotations

import contextlib
import json
import re
import select
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conformance.targets import ON_NODE
from tests.conformance.wire import (
    RS,
    TEXT,
    Client,
    PollingClient,
    WebSocketClient,
    frame,
    open_client,
    polling_query,
    refused_websocket,
    request,
    websocket_query,
)
from tests.raw import RawClient, get, make
from tests.serving import Server, serve, wait_for

pytestmark = pytest.mark.skipif(ON_NODE, reason="these limits are ours")

PROXY = "127.0.0.1"
Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the conformance application with some limits."""
    with contextlib.ExitStack() as stack:
        yield lambda **limits: stack.enter_context(serve("conformance", metrics=1, **limits))


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each of them."""
    return str(request.param)


def limited(server: Server, limit: str) -> int:
    """How often the server says that clients went beyond a limit."""
    answer = RawClient(("127.0.0.1", server.port)).ask(get("/socket.io/metrics", "Connection: close"))
    assert answer.status == 200, answer
    found = re.search(rf'^webpy_socketio_limited_total{{limit="{limit}"}} ([0-9.]+)', answer.text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def farewell(client: WebSocketClient) -> tuple[int, str]:
    """The code and the reason with which the server closes."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            client.receive()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def joined(transport: str, server: Server) -> Client:
    client = open_client(transport, server)
    client.join()
    return client


# What ends the connection.


@pytest.mark.parametrize(
    ("limit", "packet"),
    [("max_json_depth", '42["message",[[[]]]]'), ("max_attachments", '453-["message",{"_placeholder":true,"num":0}]')],
)
def test_a_packet_beyond_a_limit_ends_the_connection_after_what_came_before(
    start: Start, transport: str, limit: str, packet: str
) -> None:
    server = start(max_json_depth=3, max_attachments=2)
    client = joined(transport, server)
    client.send('42["message",[[]]]', packet)
    client.receives('42["message-back",[[]]]')
    if isinstance(client, WebSocketClient):
        assert farewell(client) == (4005, f"The client went beyond the server's limit {limit}.")
    else:
        client.wait_closed()
    assert limited(server, limit) == 1


def test_a_message_above_max_payload(start: Start) -> None:
    server = start(max_payload=1000)
    client = WebSocketClient(server)
    client.join()
    client.send_bytes(struct.pack("!BBH", 0x80 | TEXT, 0x80 | 126, 1001) + b"mask")
    assert farewell(client) == (1009, "max_payload: frame with 1001 bytes exceeds limit of 1000 bytes")
    assert limited(server, "max_payload") == 1


def test_a_post_above_max_payload_does_not(start: Start) -> None:
    server = start(max_payload=1000)
    client = PollingClient(server)
    client.join()
    answer = client.post("4" * 1001)
    assert (answer.status, answer.body) == (413, b"max_payload: a POST has at most 1,000 bytes")
    assert limited(server, "max_payload") == 1
    client.echoes()


def test_too_many_packets_in_a_post(start: Start) -> None:
    server = start(max_poll_packets=3)
    client = PollingClient(server)
    client.join()
    client.send(*['42["message",1]'] * 3)
    client.receives(*['42["message-back",1]'] * 3)
    answer = client.post(RS.join(['42["message",2]'] * 4))
    assert (answer.status, answer.body) == (400, b"max_poll_packets: a POST has at most 3 packets")
    client.receives(*['42["message-back",2]'] * 3)
    client.wait_closed()
    assert limited(server, "max_poll_packets") == 1


# What waits.


def test_messages_that_come_too_fast_are_read_later(start: Start, transport: str) -> None:
    server = start(message_rate=50, message_burst=20, ping_interval=0.2, ping_timeout=0.3)
    began = time.monotonic()  # credit counts from the opening on
    client, other = joined(transport, server), open_client("websocket", server)
    client.send(*[f'42["message",{number}]' for number in range(50)])
    received: list[Any] = []
    while len(received) < 50:
        packet = client.receive()
        if packet == "2":
            client.send("3")
        else:
            received.append(packet)
    assert received == [f'42["message-back",{number}]' for number in range(50)]
    assert time.monotonic() - began > (50 - 20) / 50 - 0.1
    assert limited(server, "message_rate") > 0
    other.close()


def test_frames_that_are_no_messages_count_too(start: Start) -> None:
    server = start(message_rate=50, message_burst=20)
    client = WebSocketClient(server)
    client.join()
    began = time.monotonic()
    client.send_bytes(frame(0x9, b"") * 60)
    client.echoes()  # it may have come in one piece with these
    client.echoes()
    assert time.monotonic() - began > 0.3
    assert limited(server, "message_rate") > 0


def test_others_are_served_while_a_large_post_is_taken(start: Start) -> None:
    server = start(message_rate=0, max_poll_packets=0)
    client, other = PollingClient(server), joined("websocket", server)
    client.join()
    body = RS.join(["6"] * 500_000)
    post = client.begin_post(len(body))
    post.send(body.encode())
    echoes = 0
    while post.is_silent(0):
        other.echoes()
        echoes += 1
    assert post.answer().body == b"ok"
    assert echoes > 3


# What is answered.


def answer_of(client: Client, event: str, *args: str, namespace: str = "") -> Any:
    """How an event is acknowledged."""
    client.send(f"42{namespace}7{json.dumps([event, *args])}")
    text = str(client.receive())
    assert text.startswith(f"43{namespace}7["), text
    return json.loads(text[len(f"43{namespace}7") :])[0]


def test_channels_of_one_client(start: Start, transport: str) -> None:
    server = start(max_channels=2, max_channel_length=5)
    client, other = joined(transport, server), joined("websocket", server)
    client.join("/custom")
    assert answer_of(client, "__subscribe__", "one") is True
    assert answer_of(client, "__subscribe__", "two", namespace="/custom,") is True
    refusal = {"code": "over_limit", "message": "max_channels: a client follows at most 2 channels"}
    assert answer_of(client, "__subscribe__", "three") == {"error": refusal}
    assert answer_of(client, "__subscribe__", "one") is True
    assert answer_of(client, "__unsubscribe__", "one") is True
    assert answer_of(client, "__subscribe__", "three") is True
    assert answer_of(other, "__subscribe__", "one") is True
    assert limited(server, "max_channels") == 1

    text = "max_channel_length: a channel's name is a string of 1 to 5 characters"
    refusal = {"code": "invalid_channel", "message": text}
    assert answer_of(other, "__subscribe__", "sixsix") == {"error": refusal}
    assert limited(server, "max_channel_length") == 1


# Who is not let in.


def refusal(answer: Any) -> tuple[int, str]:
    """What a polling client is told, and that it may come again."""
    assert answer.headers["Retry-After"] == "1"
    return answer.status, str(json.loads(answer.body)["message"])


def test_all_the_connections_there_may_be(start: Start) -> None:
    server = start(max_connections=2)
    clients = [open_client(transport, server) for transport in ("polling", "websocket")]
    text = "max_connections: the server has its 2 clients"
    assert refusal(request(server, "GET", polling_query())) == (503, text)
    answer = refused_websocket(server, websocket_query())
    assert (answer.status, answer.text) == (503, text)
    clients[0].send("1")
    client = joined("websocket", server)
    client.echoes()
    assert limited(server, "max_connections") == 2
    assert server.log.count("refused a client, as 2 are connected, the setting max_connections") == 1


def come(server: Server, address: str) -> tuple[int, str]:
    """Open a session as a client whose proxy names this address, if it names one."""
    headers = {"X-Forwarded-For": address} if address else {}
    answer = request(server, "GET", polling_query(), headers)
    return (200, answer.text) if answer.status == 200 else refusal(answer)


def test_connections_of_one_address(start: Start) -> None:
    server = start(trusted_proxies=PROXY, max_connections_per_address=2)
    refused = (429, "max_connections_per_address: your address has its 2 connections")
    first = [come(server, "198.51.100.7") for _ in range(2)]
    assert [status for status, _ in first] == [200, 200]
    assert come(server, "198.51.100.7") == refused
    assert come(server, "::ffff:198.51.100.7") == refused
    assert come(server, "10.0.0.1")[0] == come(server, "198.51.100.8")[0] == 200
    assert [come(server, f"2001:db8::{end}")[0] for end in range(3)] == [200, 200, 429]
    assert come(server, "2001:db8:0:1::")[0] == 200
    answer = refused_websocket(server, websocket_query(), {"X-Forwarded-For": "198.51.100.7"})
    assert (answer.status, answer.text) == refused

    sid = json.loads(first[0][1][1:])["sid"]
    leave = polling_query(sid=sid)
    assert (
        request(server, "POST", leave, {"Content-Length": "1", "X-Forwarded-For": "198.51.100.7"}, b"1").status == 200
    )
    assert wait_for(lambda: come(server, "198.51.100.7")[0] == 200)
    assert limited(server, "max_connections_per_address") >= 4
    assert server.log.count("if that is a proxy, name it in trusted_proxies") == 1


@pytest.mark.parametrize("address", ["", "127.0.0.1", "::1"])
def test_whoever_may_be_a_proxy_is_not_counted(start: Start, address: str) -> None:
    server = start(trusted_proxies=PROXY, max_connections_per_address=1)
    assert [come(server, address)[0] for _ in range(3)] == [200] * 3


def test_nobody_is_without_a_declared_proxy(start: Start) -> None:
    server = start(max_connections_per_address=1)
    assert [come(server, "198.51.100.7")[0] for _ in range(3)] == [200] * 3


def test_connections_that_join_nothing_are_counted(start: Start) -> None:
    server = start(connect_timeout=0.1)
    client = WebSocketClient(server)
    assert client.wait_closed() == 4003
    assert limited(server, "connect_timeout") == 1


# Who is too slow.


@pytest.fixture
def hasty(start: Start) -> Server:
    """A server that waits for nobody."""
    return start(header_timeout=0.3)


@pytest.mark.parametrize("where", ["/", "/socket.io/?EIO=4&transport=polling"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_head_that_takes_too_long(hasty: Server, where: str, before: int) -> None:
    client = RawClient(("127.0.0.1", hasty.port))
    for _ in range(before):
        client.ask(get(where))
    for byte in get(where, "X-Long: " + "x" * 1000):
        client.send(bytes((byte,)))
        if select.select([client.sock], [], [], 0.02)[0]:
            break
    assert client.read().endswith(b"header_timeout")
    assert limited(hasty, "header_timeout") == 1


@pytest.mark.parametrize("way", ["plain", "chunked"])
def test_a_post_that_stalls(hasty: Server, way: str) -> None:
    session = PollingClient(hasty)
    session.join()
    client = RawClient(("127.0.0.1", hasty.port))
    header = "Content-Length: 100" if way == "plain" else "Transfer-Encoding: chunked"
    client.send(make("POST", session.target(), [header]) + b"40")
    answer = client.answer()
    assert (answer.status, answer.body) == (408, b"header_timeout: the request did not arrive in time")
    assert client.read() == b""
    assert session.is_unknown()
    assert limited(hasty, "header_timeout") == 1


def test_a_post_that_drips(hasty: Server) -> None:
    session = PollingClient(hasty)
    session.join()
    client = RawClient(("127.0.0.1", hasty.port))
    client.send(make("POST", session.target(), ["Content-Length: 100"]))
    with contextlib.suppress(OSError):
        for _ in range(20):
            client.send(b"4")
            time.sleep(0.05)
    assert session.is_unknown()


@pytest.mark.parametrize("way", ["plain", "chunked"])
def test_a_post_that_is_only_slow(hasty: Server, way: str) -> None:
    session = PollingClient(hasty)
    session.join()
    client = RawClient(("127.0.0.1", hasty.port))
    header = "Content-Length: 800" if way == "plain" else "Transfer-Encoding: chunked"
    client.send(make("POST", session.target(), [header]))
    text = '42["message","' + "x" * 784 + '"]'
    for start in range(0, 800, 100):
        piece = text[start : start + 100].encode()
        client.send(piece if way == "plain" else b"64\r\n" + piece + b"\r\n")
        time.sleep(0.1)
    client.send(b"" if way == "plain" else b"0\r\n\r\n")
    assert client.answer().body == b"ok"
    assert str(session.receive()).startswith('42["message-back","xxx')


def test_the_body_of_a_page_that_stalls(hasty: Server) -> None:
    client = RawClient(("127.0.0.1", hasty.port))
    client.send(make("POST", "/", ["Content-Length: 100"]) + b"x")
    assert b" 405 " in client.read().partition(b"\r\n")[0]  # nobody has asked for it, but it is no next request
