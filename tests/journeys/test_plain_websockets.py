"""Plain WebSockets beside Socket.IO: the same handlers, channels, limits and goodbyes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import socketio
import trustme
import websocket

from tests.clusters import OrderedClient
from tests.conformance.plain import PlainClient
from tests.conformance.targets import require_node
from tests.conformance.wire import BINARY, CLOSE, PING, PONG, TEXT, Answer, Exchange, frame
from tests.hosting import OURS, gunicorn
from tests.redis_servers import RedisServer
from tests.serving import CLIENTS, Server, serve, wait_for
from webpy_socketio.reasons import PING_TIMEOUT, REFUSED, SERVER_DISCONNECT, SERVER_SHUTDOWN, SLOW

SECRET = "a secret of the tests"

Connect = Callable[..., PlainClient]


class Talker(PlainClient):
    """A client that speaks in texts."""

    def say(self, text: str) -> Talker:
        """Send a text."""
        self.send(frame(TEXT, text.encode()))
        return self

    def order(self, *order: Any) -> Talker:
        """Have the application do something."""
        return self.say(f"!{json.dumps(order)}")

    def hear(self) -> Any:
        """The next message: bytes, or text; JSON is read."""
        received = self.frame()
        assert received is not None
        assert received.opcode in (TEXT, BINARY), received
        if received.opcode == BINARY:
            return received.data
        text = received.data.decode()
        return json.loads(text) if text[:1] in "{[" else text

    def ending(self) -> tuple[int, str]:
        """The code and the sentence with which it is closed; nothing comes before."""
        last = self.frame()
        assert last is not None
        assert last.opcode == CLOSE, last
        return int.from_bytes(last.data[:2], "big"), last.data[2:].decode()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("plain_websockets", websocket_protocols="chat.v2,chat.v1") as running:
        yield running
        assert running.log.count("Traceback") == running.log.count("raised ZeroDivisionError")


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[..., Talker]]:
    """Opens WebSockets; each has been let in, and follows its channel."""
    with contextlib.ExitStack() as stack:

        def new(channel: str = "", query: str = "", headers: dict[str, str] | None = None) -> Talker:
            client = Talker(server, f"/ws/{channel}?{query}", headers)
            stack.callback(client.close)
            return client

        yield new


@pytest.fixture
def official(server: Server) -> Iterator[Any]:
    """A client that speaks Socket.IO, and what it was sent."""
    client = socketio.SimpleClient()
    client.client_class = OrderedClient
    client.connect(server.url, transports=["websocket"])
    yield client
    client.disconnect()


# What is said.


def test_text_and_bytes_and_what_is_json(connect: Connect) -> None:
    client = connect("room")
    client.echoes(TEXT, "Grüße".encode())
    client.echoes(BINARY, b"\x00\xff")
    client.order("emit", "move", 1, {"x": [None]})
    assert client.hear() == {"event": "move", "data": [1, {"x": [None]}]}
    client.order("emit_bytes")
    assert [client.hear() for _ in range(3)] == [
        {"event": "message", "data": []},
        {"event": "message", "data": ["YQ==", "Yg=="]},
        {"x": "YQ=="},
    ]


def test_handlers_see_the_handshake_and_what_the_hooks_of_web_py_did(connect: Connect) -> None:
    client = connect("room/1", "greet=yes&token=")
    assert client.hear() == {"hooked": "/ws/room/1", "auth": {"greet": "yes"}, "protocol": None}
    client.order("who")
    assert client.hear() == [["room/1"], None, "/ws/room/1"]


@pytest.mark.parametrize("channel", ["room-1", "a/b/c", "with space", "Grüße/世界", "50%", "a?b#c", "a//b/"])
def test_the_rest_of_the_path_is_the_channel(connect: Connect, channel: str) -> None:
    client = connect(quote(channel))
    client.order("who")
    assert client.hear()[0] == [channel]


def test_no_channel_is_just_a_connection(connect: Connect) -> None:
    client, other = connect(), connect("room")
    client.order("who")
    assert client.hear()[0] == []
    other.order("all", "everybody")
    assert (client.hear(), other.hear()) == ("everybody", "everybody")


def test_events_of_both_kinds_of_clients_reach_each_other_in_order(connect: Connect, official: Any) -> None:
    assert official.call("__subscribe__", "room-7") is True
    one, two = connect("room-7"), connect("room-7")
    for client in (one, two):
        client.echoes()
    for number in range(100):
        official.emit("say", ("room-7", number))
    for number in range(100):
        assert (one.hear(), two.hear()) == (str(number), str(number))
    for number in range(100):
        one.order("channel", {"number": number})
    for number in range(100):
        assert two.hear() == {"number": number}
        assert official.receive(10) == ["message", {"number": number}]
    official.emit("say", ("room-7", b"\x00\x01"))
    assert (one.hear(), two.hear()) == (b"\x00\x01", b"\x00\x01")


def test_pages_send_to_them(connect: Connect, server: Server) -> None:
    client = connect("news")
    client.echoes()
    with urlopen(f"{server.url}/tell/news/extra", timeout=10) as answer:
        assert answer.read() == b"1"
    assert client.hear() == "extra"


def test_what_is_said_before_the_channel_is_granted_waits(connect: Connect) -> None:
    client = connect("slow-1")
    client.order("who").say("after")
    assert client.hear()[0] == ["slow-1"]
    assert client.hear() == "after"


def test_nobody_asks_them_for_acknowledgements(connect: Connect, official: Any) -> None:
    client = connect()
    client.order("call")
    assert "cannot acknowledge" in client.hear()
    client.order("call_all")
    event, *_ = official.receive(10)
    assert event == "question"  # which it does not answer


def test_a_handler_that_fails_or_refuses_changes_nothing(connect: Connect) -> None:
    client = connect()
    client.order("fail").order("refuse").say("still here")
    assert client.hear() == "still here"


# Subprotocols.


@pytest.mark.parametrize(
    ("offered", "chosen"), [("chat.v1", "chat.v1"), ("other, chat.v1, chat.v2", "chat.v1"), ("other", None), ("", None)]
)
def test_the_first_subprotocol_that_is_spoken_is_chosen(connect: Connect, offered: str, chosen: str | None) -> None:
    client = connect("", "greet=1", {"Sec-WebSocket-Protocol": offered} if offered else {})
    assert client.opening.headers["Sec-WebSocket-Protocol"] == chosen
    assert client.hear()["protocol"] == chosen


# Who is not let in.


@pytest.mark.parametrize(
    ("channel", "query", "sentence"),
    [
        ("room", "refuse=no+way", "refused: no way"),
        ("private-1", "", "refused: nobody may"),
        ("x" * 201, "", "invalid_channel: max_channel_length: a channel's name is a string of 1 to 200 characters"),
        ("-_" + "x" * 18, "", "invalid_channel: a session id is the name of a private channel"),
        ("room", "token=forged", "token_invalid: the token is not valid"),
        ("room", f"refuse={'é' * 100}", f"refused: {'é' * 57}"),
    ],
)
def test_who_is_refused_is_told_why(connect: Connect, channel: str, query: str, sentence: str) -> None:
    assert connect(channel, quote(query, "=+")).ending() == (REFUSED.code, sentence)


def test_who_is_put_out_is_told_so(connect: Connect) -> None:
    assert connect("room").order("leave").ending() == (SERVER_DISCONNECT.code, SERVER_DISCONNECT.sentence)


def ask(server: Server, method: str, path: str, headers: dict[str, str] | None = None) -> Answer:
    """Make a request that is no handshake."""
    return Exchange(server).start(method, path, headers or {}).answer()


def test_a_page_is_told_what_is_there(server: Server) -> None:
    answer = ask(server, "GET", "/ws/room")
    assert (answer.status, answer.headers["Upgrade"], answer.headers["Connection"]) == (426, "websocket", "Upgrade")
    assert "new WebSocket" in answer.text


def test_other_methods_are_none(server: Server) -> None:
    answer = ask(server, "POST", "/ws/room")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/ws/room", {"Origin": "https://elsewhere.example"}, 403),
        ("/ws/room", {"Sec-WebSocket-Version": "8"}, 426),
        ("/ws/room", {"Sec-WebSocket-Key": "short"}, 400),
        ("/ws/%ff", {}, 400),
    ],
)
def test_bad_handshakes_get_an_answer_of_http(
    connect: Connect, path: str, headers: dict[str, str], status: int
) -> None:
    client = connect(path.removeprefix("/ws/"), "", headers)
    assert client.opening.status == status
    assert status != 426 or client.opening.headers["Sec-WebSocket-Version"] == "13"


def test_pages_of_the_same_site_may_come_in(connect: Connect) -> None:
    connect("room", "", {"Origin": "http://127.0.0.1"}).echoes()


def test_a_token_opens_a_closed_channel() -> None:
    with serve("plain_websockets", subscriptions="closed", secrets=SECRET) as server:
        first = Talker(server)
        token = first.order("token", "orders-1").hear()
        client = Talker(server, f"/ws/orders-1?token={token}")
        client.order("who")
        assert client.hear()[:2] == [["orders-1"], "ann"]
        others = {f"orders-2?token={token}": "token_other_channel", "orders-1": "token_required"}
        for path, code in others.items():
            ending = Talker(server, f"/ws/{path}").ending()
            assert ending[0] == REFUSED.code
            assert ending[1].startswith(f"{code}: ")


# Limits.


def test_there_are_as_many_as_there_may_be() -> None:
    with serve("plain_websockets", max_connections=2) as server:
        clients = [Talker(server), Talker(server)]
        for client in clients:
            client.echoes()
        third = Talker(server)
        assert (third.opening.status, third.opening.headers["Retry-After"]) == (503, "1")
        assert third.opening.text == "max_connections: the server has its 2 clients"


def test_who_sends_too_fast_is_read_no_faster() -> None:
    with serve("plain_websockets", message_rate=100, message_burst=20, message_log_format="") as server:
        client = Talker(server)
        began = time.monotonic()
        client.send(*(frame(TEXT, b"%d" % number) for number in range(60)))
        for number in range(60):
            client.expect(TEXT, b"%d" % number)
        assert time.monotonic() - began > 0.3


def test_pings_are_counted_too() -> None:
    with serve("plain_websockets", message_rate=100, message_burst=20, message_log_format="") as server:
        client = Talker(server)
        began = time.monotonic()
        for number in range(60):
            client.answers(b"%d" % number)
        assert time.monotonic() - began > 0.3


def test_who_does_not_read_is_sent_away() -> None:
    with serve("plain_websockets", max_outbox_bytes=100_000, message_log_format="") as server:
        silent, other = Talker(server, "/ws/flood"), Talker(server, "/ws/flood")
        silent.echoes()
        wait_for(lambda: flood(other, server), 20)
        other.echoes(TEXT, b"unharmed")


def flood(reader: Talker, server: Server) -> bool:
    """Send to all a little more; tells whether somebody was too slow."""
    reader.order("flood", 20, 50_000)
    for _ in range(20):
        assert len(reader.hear()) == 50_000
    return f"END {SLOW.name} ['flood']" in server.log


# Heartbeats and goodbyes.


def test_who_does_not_answer_pings_is_given_up_and_who_does_or_talks_is_not() -> None:
    with serve("plain_websockets", ping_interval=0.5, ping_timeout=1, message_log_format="") as server:
        silent, polite, talking = Talker(server, "/ws/silent"), Talker(server), Talker(server)
        for _ in range(3):
            for client in (polite, talking):
                client.expect(PING, b"")
            polite.send(frame(PONG))
            talking.echoes()
        silent.expect(PING, b"")
        assert silent.ending() == (PING_TIMEOUT.code, PING_TIMEOUT.sentence)
        assert "END ping timeout ['silent']" in server.log
        assert server.log.count("END") == 1


def test_a_server_that_stops_says_goodbye() -> None:
    with serve("plain_websockets") as server:
        client = Talker(server, "/ws/room")
        client.echoes()
        client.order("nap", 0.2)
        wait_for(lambda: "nap" in server.log)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert client.hear() == "awake"
        assert client.ending() == (SERVER_SHUTDOWN.code, SERVER_SHUTDOWN.sentence)
        assert server.process.wait(10) == 0
        assert "END server shutting down ['room']" in server.log


def test_workers_share_their_channels() -> None:
    with RedisServer() as redis, serve("plain_websockets", workers=2, redis_url=redis.redis_url) as server:
        clients = [Talker(server, "/ws/room") for _ in range(8)]
        for client in clients:
            client.echoes()
        first, *others = clients

        def all_hear() -> bool:
            first.order("channel", "hello")
            for client in others:
                client.sock.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                return [client.hear() for client in others] == ["hello"] * len(others)
            return False

        wait_for(all_hear)


@pytest.mark.parametrize("kind", ["gevent", OURS])
def test_under_gunicorn(kind: str, tmp_path: Path) -> None:
    with gunicorn(kind, home=tmp_path, app="plain_websockets:application") as server:
        client = Talker(server, "/ws/room")
        client.echoes(BINARY, b"x" * 100_000)
        client.order("who")
        assert client.hear()[0] == ["room"]


def test_encrypted(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    with serve("plain_websockets", certfile=tmp_path / "server.pem", message_log_format="") as server:
        options = {"ca_certs": str(tmp_path / "authority.pem")}
        client = websocket.create_connection(f"wss://localhost:{server.port}/ws/room", timeout=10, sslopt=options)
        for message in ("hello", "x" * 500_000):
            client.send(message)
            assert client.recv() == message
        client.close()


def test_a_server_that_keeps_its_connections_has_no_websockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER", "pywsgi")
    with serve("plain_websockets") as server:
        assert [Talker(server).opening.status for _ in range(2)] == [501, 501]
        assert server.log.count("WebSocket is not offered") == 1


def test_they_work_beside_an_engine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER", "engine")
    with serve("plain_websockets") as server:
        client = Talker(server)
        client.echoes()
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert client.ending()[0] == SERVER_SHUTDOWN.code


def test_they_are_counted_apart() -> None:
    with serve("plain_websockets", metrics="yes") as server:
        client = Talker(server)
        client.echoes()
        Talker(server, headers={"Sec-WebSocket-Version": "7"})
        with urlopen(f"{server.url}/socket.io/metrics", timeout=10) as answer:
            numbers = answer.read().decode()
        assert 'webpy_socketio_sessions{clients="plain",transport="websocket"} 1.0' in numbers
        assert 'webpy_socketio_requests_refused_total{code="3"} 1.0' in numbers


# Clients of others.


def test_websocket_client(server: Server) -> None:
    client = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws/room", timeout=10)
    client.send("hello")
    assert client.recv() == "hello"
    client.send_binary(b"\x00\xff")
    assert client.recv() == b"\x00\xff"
    client.close()


def test_ws_of_node(server: Server) -> None:
    require_node()
    command = ["node", str(CLIENTS / "plain.js"), f"ws://127.0.0.1:{server.port}/ws/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["hello", "0001ff", '{"a":[1]}', 4101]


def test_the_example_talks(tmp_path: Path) -> None:
    example = Path(__file__).resolve().parent.parent.parent / "example" / "websocket"
    with serve(example / "app.py") as server:
        command = [sys.executable, str(example / "client.py"), f"ws://127.0.0.1:{server.port}/ws/room-1", "hello"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
