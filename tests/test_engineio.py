"""The engine alone: what its three functions see, and what reaches clients, by each transport and revision."""

from __future__ import annotations

import base64
import contextlib
import gc
import http.client
import json
import logging
import re
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus

import gevent
import pytest
from gevent.pywsgi import WSGIServer

from tests.conformance.old import BINARY, OldClient, payload
from tests.conformance.wire import (
    NO_STATUS,
    RS,
    TEXT,
    Exchange,
    PollingClient,
    WebSocketClient,
    frame,
    open_client,
    open_websocket,
    polling_query,
    request,
    send_raw,
    target,
    upgrade,
    upgrade_request,
    websocket_query,
)
from tests.serving import ServerHere, serve, wait_for
from webpy_socketio import SettingsError, SocketIOServer, UnsendableValue, server
from webpy_socketio.engineio import Client, EngineIO
from webpy_socketio.reasons import FORCED_CLOSE, PARSE_ERROR, PING_TIMEOUT, TRANSPORT_CLOSE, TRANSPORT_ERROR, Reason

TRANSPORTS = ["polling", "websocket"]
TEXTS = ["", "hello", "€ ä", "4€😀", "😀" * 50, 'a\n"\\n\x00\u2028', "b AQ==", "x" * 70_000]
BYTES = [b"", b"\x00", b"\x01\x02\x03\x04", b"\x1e\x1e", bytes(range(256)), b"\xff" * 70_000]


def echo(client: Client, message: str | bytes) -> None:
    client.send(message)


def count(client: Client, message: str | bytes) -> None:
    for number in range(int(message)):
        client.send(str(number))


class Diary:
    """An application's three functions, which note what they are called with."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.clients: list[Client] = []

    def open(self, client: Client) -> None:
        self.clients.append(client)
        self.entries.append("open")

    def note(self, client: Client, message: str | bytes) -> None:
        self.entries.append(message)
        client.send(message)

    def close(self, client: Client) -> None:
        self.entries.append(client.reason)


class World:
    """Servers of one test, and what they serve."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.diary = Diary()
        self.app: EngineIO | None = None
        self.here: ServerHere | None = None

    def serve(self, on_message: Callable[..., object] | None = None, **options: Any) -> ServerHere:
        """The engine with SocketIOServer, and with functions that note what happens."""
        return self.run(self._make(on_message, options), SocketIOServer)

    def serve_plainly(self, **options: Any) -> ServerHere:
        """The engine with gevent's own server."""
        return self.run(self._make(None, options), WSGIServer)

    def run(self, app: EngineIO, kind: Callable[..., Any]) -> ServerHere:
        self.app = app
        self.here = ServerHere(lambda: kind(("127.0.0.1", 0), app, log=None), "/engine.io/")
        return self._stack.enter_context(self.here)

    def _make(self, on_message: Callable[..., object] | None, options: dict[str, Any]) -> EngineIO:
        diary = self.diary
        return EngineIO(on_message or diary.note, on_open=diary.open, on_close=diary.close, **options)

    def is_over(self) -> bool:
        """Whether no session is left, nor any function running."""
        assert self.app is not None and self.here is not None
        app = self.app
        return bool(self.here.do(lambda: app.is_quiet))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(server, "check_patched", lambda: None)  # the threads of this process are real
    with contextlib.ExitStack() as stack:
        yield World(stack)


@pytest.fixture(scope="module")
def echoing() -> Iterator[ServerHere]:
    """A server that echoes, for all tests that want no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "check_patched", lambda: None)
        with ServerHere(lambda: SocketIOServer(("127.0.0.1", 0), EngineIO(echo), log=None), "/engine.io/") as here:
            yield here


# What is sent comes back unchanged.


def as_packet(message: str | bytes) -> str | bytes:
    """A message as the raw clients of revision 4 send and receive it."""
    return f"4{message}" if isinstance(message, str) else message


def as_old_packet(message: str | bytes) -> str:
    """A message as text of revision 3."""
    return f"4{message}" if isinstance(message, str) else "b4" + base64.b64encode(message).decode()


@pytest.mark.parametrize("transport", [*TRANSPORTS, "both"])
def test_echo_in_revision_4(echoing: ServerHere, transport: str) -> None:
    if transport == "both":
        client: Any = upgrade(PollingClient(echoing))
    else:
        client = open_client(transport, echoing)
    for message in [*TEXTS, *BYTES]:
        client.send(as_packet(message))
        client.receives(as_packet(message))
    client.send(*map(as_packet, [*TEXTS, *BYTES]))
    client.receives(*map(as_packet, [*TEXTS, *BYTES]))
    client.close()


def test_echo_in_revision_3_by_polling(echoing: ServerHere) -> None:
    client = OldClient(echoing)
    body = payload(*map(as_old_packet, TEXTS))
    assert client.post(body).body == b"ok"
    assert client.get().body == body
    for data in BYTES:
        length = bytes(int(digit) for digit in str(len(data) + 1))
        body = b"\x01" + length + b"\xff\x04" + data
        assert client.post(body, BINARY).body == b"ok"
        answer = client.get()
        assert (answer.content_type, answer.body) == (BINARY, body)


def test_echo_in_revision_3_by_polling_as_base64(echoing: ServerHere) -> None:
    client = OldClient(echoing, b64="1")
    for message in [*TEXTS, *BYTES]:
        assert client.post(payload(as_old_packet(message))).body == b"ok"
        answer = client.get()
        assert (answer.content_type, answer.body) == ("text/plain;charset=utf-8", payload(as_old_packet(message)))


def test_echo_in_revision_3_by_websocket(echoing: ServerHere) -> None:
    client = WebSocketClient(echoing, EIO="3")
    packets = [f"4{message}" if isinstance(message, str) else b"\x04" + message for message in [*TEXTS, *BYTES]]
    client.send(*packets)
    client.receives(*packets)
    client.close()


@pytest.mark.parametrize(("revision", "prefix"), [("4", "b"), ("3", "b4")])
def test_bytes_on_a_websocket_that_takes_text_only(echoing: ServerHere, revision: str, prefix: str) -> None:
    client = WebSocketClient(echoing, EIO=revision, b64="1")
    client.send(f"{prefix}AQIDBA==", "4text")
    client.receives(f"{prefix}AQIDBA==", "4text")
    client.close()


@pytest.mark.parametrize("revision", ["4", "3"])
@pytest.mark.parametrize("text", ['a\n"\\n€😀', "b\u2028c & d=e + f"])
def test_echo_by_jsonp(echoing: ServerHere, revision: str, text: str) -> None:
    packets = [f"4{text}", "bAQIDBA=="] if revision == "4" else [f"4{text}", "b4AQIDBA=="]
    body = RS.join(packets) if revision == "4" else payload(*packets).decode()
    opening = request(echoing, "GET", polling_query(EIO=revision, j="0", b64="1"))
    sid = json.loads(re.sub("^[0-9]*:", "", unwrap(opening.text, 0))[1:])["sid"]
    query = polling_query(EIO=revision, j="1", sid=sid)
    form = "d=" + quote_plus(body.replace("\\n", "\\\n").replace("\n", "\\n"))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert request(echoing, "POST", query, kind, form).body == b"ok"
    assert unwrap(request(echoing, "GET", query).text, 1) == body


def unwrap(script: str, index: int) -> str:
    """The payload in a JSONP answer."""
    text: str = json.loads(script.removeprefix(f"___eio[{index}](").removesuffix(");"))
    return text


# The functions.


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_client_from_its_opening_to_its_end(world: World, transport: str) -> None:
    here = world.serve()
    client = open_client(transport, here)
    client.send("4one", b"\x02")
    client.receives("4one", b"\x02")
    (seen,) = world.diary.clients
    assert seen.connected
    assert seen.request["QUERY_STRING"].startswith("EIO=4")
    client.provoke("1")
    wait_for(world.is_over)
    assert world.diary.entries == ["open", "one", b"\x02", TRANSPORT_CLOSE]
    assert not seen.connected
    seen.send("nobody is there")
    seen.close()


def test_a_message_that_comes_with_the_request_finds_the_client_open(world: World) -> None:
    here = world.serve()
    early = upgrade_request(target(websocket_query(), here.path)) + frame(TEXT, b"4early")
    stream = send_raw(here, early)
    wait_for(lambda: world.diary.entries == ["open", "early"])
    stream.close()


@pytest.mark.parametrize("revision", ["3", "4"])
def test_what_is_sent_on_opening_comes_after_the_handshake(world: World, revision: str) -> None:
    app = EngineIO(echo, on_open=lambda client: client.send("welcome"))
    here = world.run(app, SocketIOServer)
    socket = WebSocketClient(here, EIO=revision)
    socket.receives("4welcome")
    if revision == "4":
        PollingClient(here).receives("4welcome")
    else:
        assert OldClient(here).get().body == payload("4welcome")
    socket.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_clients_messages_keep_their_order_while_a_function_blocks(world: World, transport: str) -> None:
    free: list[bool] = []

    def answer(client: Client, message: str | bytes) -> None:
        while message == "first" and not free:
            gevent.sleep(0.002)
        world.diary.note(client, message)

    here = world.serve(answer)
    client, other = open_client(transport, here), open_client(transport, here)
    client.send("4first", "4second", b"3")
    client.send("4fourth")
    other.send("4from another")
    other.receives("4from another")
    free.append(True)
    client.receives("4first", "4second", b"3", "4fourth")
    assert [entry for entry in world.diary.entries if entry != "open"] == [
        "from another", "first", "second", b"3", "fourth",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [ValueError("a mistake"), gevent.Timeout(1, "in vain")], ids=["Exception", "Timeout"])
def test_a_function_that_raises_is_logged_and_the_connection_goes_on(
    world: World, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def fail(client: Client, message: str | bytes) -> None:
        if message == "fail":
            raise error
        client.send(message)

    client = open_websocket(world.serve(fail))
    client.send("4fail", "4go on")
    client.receives("4go on")
    (record,) = (record for record in caplog.records if record.exc_info)
    assert record.levelno == logging.ERROR
    assert "fail raised" in record.getMessage()
    client.close()


UNSENDABLE = [None, 1, ["a"], {"a": 1}, bytearray(b"x"), memoryview(b"x"), "half \ud800 of a pair", "\udfff"]


def test_what_cannot_be_sent_is_told_and_nothing_is_sent(world: World) -> None:
    caught: list[BaseException] = []

    def send_all(client: Client, message: str | bytes) -> None:
        for value in UNSENDABLE:
            try:
                client.send(value)
            except UnsendableValue as error:
                caught.append(error)
        client.send("done")

    client = open_websocket(world.serve(send_all))
    client.send("4go")
    client.receives("4done")
    assert len(caught) == len(UNSENDABLE)
    assert str(caught[1]) == "message: is a int; Engine.IO carries str and bytes"
    assert "surrogate" in str(caught[-1])
    client.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_another_thread_may_send_and_close(world: World, transport: str) -> None:
    here = world.serve()
    client = open_client(transport, here)
    (seen,) = wait_for(lambda: list(world.diary.clients))
    assert threading.get_ident() != here.thread_id
    seen.send("from afar")
    client.receives("4from afar")
    seen.close()
    client.wait_closed()


def test_what_another_thread_sends_is_sent_where_the_connections_live(world: World) -> None:
    here = world.serve()
    client = open_websocket(here)
    (seen,) = wait_for(lambda: list(world.diary.clients))
    threads: list[int] = []
    seen._session.write = lambda prepared: threads.append(threading.get_ident())
    seen.send("from afar")
    assert threads == [here.thread_id]
    client.close()


def test_a_client_need_not_join_anything(world: World) -> None:
    socket = open_websocket(world.serve(connect_timeout=0.05))
    assert socket.is_silent(0.1)
    socket.send("4still here")
    socket.receives("4still here")
    socket.close()


def test_a_client_is_forgotten_when_its_connection_is_over(world: World) -> None:
    here = world.serve()
    for transport in TRANSPORTS:
        client = open_client(transport, here)
        client.send("4x")
        client.receives("4x")
        client.provoke("1")
    wait_for(world.is_over)
    references = [weakref.ref(client) for client in world.diary.clients]
    world.diary.clients.clear()

    def are_gone() -> bool:
        gc.collect()
        return not any(reference() for reference in references)

    wait_for(are_gone)


# Endings.


def leave(client: Any) -> None:
    client.provoke("1")


def send_garbage(client: Any) -> None:
    client.provoke("abc")


def ping_the_server(client: Any) -> None:
    client.provoke("2")


def ask_to_be_closed(client: Any) -> None:
    client.send("4close")
    client.drain()


def go_silent(client: Any) -> None:
    client.drain()


ENDINGS = [
    (leave, TRANSPORT_CLOSE, {}),
    (send_garbage, PARSE_ERROR, {}),
    (ping_the_server, TRANSPORT_ERROR, {}),
    (ask_to_be_closed, FORCED_CLOSE, {}),
    (go_silent, PING_TIMEOUT, {"ping_interval": 0.1, "ping_timeout": 0.1}),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("end", "reason", "options"), ENDINGS, ids=[row[0].__name__ for row in ENDINGS])
def test_each_end_is_told_once_with_its_reason(
    world: World, transport: str, end: Callable[[Any], None], reason: Reason, options: dict[str, Any]
) -> None:
    def obey(client: Client, message: str | bytes) -> None:
        client.close()
        client.close()

    end(open_client(transport, world.serve(obey, **options)))
    wait_for(world.is_over)
    assert world.diary.entries == ["open", reason]


def test_a_client_that_does_not_fetch_its_farewell_ends_once_too(world: World) -> None:
    here = world.serve(close_timeout=0.1)
    PollingClient(here)
    (seen,) = wait_for(lambda: list(world.diary.clients))
    seen.close()
    wait_for(lambda: world.diary.entries == ["open", FORCED_CLOSE])
    wait_for(world.is_over)
    assert world.diary.entries == ["open", FORCED_CLOSE]


def say_goodbye(client: Client, message: str | bytes) -> None:
    client.send("a")
    client.send(b"b")
    client.close()
    client.send("too late")


def test_what_was_sent_before_a_close_arrives_by_polling(world: World) -> None:
    client = PollingClient(world.serve(say_goodbye))
    client.send("4bye")
    assert client.poll() == ["4a", "bYg=="]
    assert client.poll() == ["6", "1"]
    assert client.is_unknown()


def test_what_was_sent_before_a_close_arrives_by_websocket(world: World) -> None:
    client = open_websocket(world.serve(say_goodbye))
    client.send("4bye")
    client.receives("4a", b"b")
    assert client.wait_closed() == NO_STATUS


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_client_can_be_closed_as_soon_as_it_opens(world: World, transport: str) -> None:
    here = world.run(EngineIO(echo, on_open=lambda client: client.close()), SocketIOServer)
    open_client(transport, here).wait_closed()
    wait_for(world.is_over)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_functions_that_are_not_given_are_not_missed(world: World, transport: str) -> None:
    here = world.run(EngineIO(echo), SocketIOServer)
    client = open_client(transport, here)
    client.send("4x", "1")
    wait_for(world.is_over)


# A client that is faster than its function.


@pytest.mark.parametrize(
    ("options", "size"), [({"max_inbox": 3}, 1), ({"max_payload": 1_000}, 900)], ids=["messages", "bytes"]
)
def test_reading_from_a_websocket_pauses_while_a_client_is_swamped(
    world: World, options: dict[str, Any], size: int
) -> None:
    free: list[bool] = []
    clients: list[Client] = []

    def dawdle(client: Client, message: str | bytes) -> None:
        clients.append(client)
        while not free:
            gevent.sleep(0.002)
        client.send(message)

    socket = open_websocket(world.serve(dawdle, **options))
    packets = [f"4{number:0{size}}" for number in range(50)]
    socket.send(*packets)
    wait_for(lambda: clients and clients[0]._session.paused)
    free.append(True)
    socket.receives(*packets)
    wait_for(lambda: not clients[0]._session.paused)
    socket.close()


def test_a_post_is_answered_when_a_swamped_client_has_caught_up(world: World) -> None:
    free: list[bool] = []
    clients: list[Client] = []

    def dawdle(client: Client, message: str | bytes) -> None:
        clients.append(client)
        while not free:
            gevent.sleep(0.002)

    client = PollingClient(world.serve(dawdle, max_inbox=3))
    body = RS.join(f"4{number}" for number in range(50)).encode()
    post = Exchange(client.server).start("POST", client.target(), {"Content-Type": "text/plain"}, body)
    wait_for(lambda: clients and clients[0]._session.paused)
    assert len(clients[0]._session.peer.inbox.jobs) == 3
    assert post.is_silent(0.02)
    free.append(True)
    assert post.answer()[::2] == (200, b"ok")
    wait_for(lambda: len(clients) == 50)


# Where it is mounted.


def test_under_another_server_there_is_long_polling(world: World) -> None:
    here = world.serve_plainly()
    client = PollingClient(here)
    assert client.handshake["upgrades"] == []
    client.send("4€😀", b"\x01")
    client.receives("4€😀", b"\x01")
    refusal = request(here, "GET", websocket_query(), {"Connection": "Upgrade", "Upgrade": "websocket"})
    assert (refusal.status, refusal.body) == (400, b"Transport unknown")
    client.provoke("1")
    wait_for(world.is_over)
    assert world.diary.entries == ["open", "€😀", b"\x01", TRANSPORT_CLOSE]


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page " + environ["PATH_INFO"].encode()]


@pytest.mark.parametrize("path", ["/", "/engine.io", "/engine.iox/", "/other/engine.io/"])
def test_other_paths_belong_to_the_application(world: World, path: str) -> None:
    here = world.serve(application=page)
    answer = Exchange(here).start("GET", path, {}).answer()
    assert (answer.status, answer.text) == (200, f"page {path}")
    PollingClient(here).send("4x")


def test_other_paths_are_not_found_without_an_application(echoing: ServerHere) -> None:
    assert Exchange(echoing).start("GET", "/", {}).answer().status == 404
    assert Exchange(echoing).start("POST", "/engine.io", {}).answer().status == 404


def test_another_resource(world: World) -> None:
    here = world.serve(resource="/realtime/v1/")
    here.path = "/realtime/v1/"
    client = open_websocket(here)
    client.send("4x")
    client.receives("4x")
    assert Exchange(here).start("GET", "/engine.io/", {}).answer().status == 404
    client.close()


def test_settings_are_its_own_and_checked(world: World) -> None:
    here = world.serve(ping_interval=7, transports="polling")
    handshake = PollingClient(here).handshake
    assert (handshake["pingInterval"], handshake["upgrades"]) == (7000, [])
    with pytest.raises(SettingsError, match="Did you mean 'ping_interval'"):
        EngineIO(echo, ping_intervall=7)
    with pytest.raises(SettingsError, match=r"app\.wsgifunc\(\)"):
        EngineIO(echo, application=None)  # type: ignore[arg-type]


# The end of the server.


def test_a_server_that_is_told_to_stop_tells_all_and_waits_for_the_last_function() -> None:
    with serve("engine_ends") as process:
        process.path = "/engine.io/"
        polling, socket = PollingClient(process), open_websocket(process)
        polling.send("4x")
        polling.receives("4x")
        held = polling.hold_get()
        socket.send("4x")
        socket.receives("4x")
        assert process.signal(signal.SIGTERM) == 0
        assert held.answer()[::2] == (200, b"1")
        assert socket.wait_closed() == NO_STATUS
        assert process.log.count("END server shutting down") == 2
        assert "Traceback" not in process.log


def test_after_a_drain_nobody_is_let_in(world: World) -> None:
    here = world.serve()
    connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=5)
    assert world.app is not None
    here.do(world.app.drain)
    connection.request("GET", target(polling_query(), here.path))
    assert connection.getresponse().status == 503
    connection.close()


@pytest.mark.parametrize(
    ("overflow", "left"), [("drop_oldest", ["47", "48", "49"]), ("drop_newest", ["40", "41", "42"])]
)
def test_what_a_client_does_not_read_may_be_dropped(world: World, overflow: str, left: Any) -> None:
    client = PollingClient(world.serve(count, overflow=overflow, max_outbox_packets=3))
    client.send("410")
    assert client.poll() == left


def test_a_sender_may_wait_for_a_client_to_read(world: World) -> None:
    client = PollingClient(world.serve(count, overflow="wait", max_outbox_packets=3))
    client.send("410")
    numbers: list[str] = []
    while len(numbers) < 10:
        polled = client.poll()
        assert len(polled) <= 4
        numbers += polled
    assert numbers == [f"4{number}" for number in range(10)]
