"""WebSockets over a real pair of sockets: slow readers, broken peers, pauses."""

from __future__ import annotations

import _socket
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from websockets.frames import Close, Frame, Opcode

from tests.pairs import Client, World
from webpy_socketio.goodbyes import Goodbyes
from webpy_socketio.reasons import SERVER_SHUTDOWN
from webpy_socketio.transports.streams import Stream
from webpy_socketio.transports.websocket import WebSocket
from webpy_socketio.wire.dialects import V4


@pytest.fixture
def world() -> Iterator[World]:
    yield World()


def test_echo(world: World) -> None:
    client = Client(world)
    client.send('42["message","hello"]')
    assert client.text() == '42["message","hello"]'


def test_a_slow_reader_gets_everything_in_order(world: World) -> None:
    client = Client(world)
    for number in range(2000):
        world.sockets[0].send([number, "x" * 100])
    assert len(client.session.outbox) > 0
    for number in range(2000):
        assert client.text() == f'42["message",[{number},"{"x" * 100}"]]'
    world.sockets[0].send("after")
    assert client.text() == '42["message","after"]'
    assert len(client.session.outbox) == 0


def test_a_client_that_never_reads_costs_its_bound_and_is_sent_away() -> None:
    world = World(max_outbox_bytes=50_000)
    client, other = Client(world), Client(world)
    sent = 0
    while client.session.is_open:
        world.sockets[0].send("x" * 1000)
        sent += 1
        assert client.session.outbox.size <= 50_000
        assert sent < 1000
    assert world.ended.wait(5)
    assert world.ends == ["slow"]
    assert len(world.hub) == 1
    other.send('42["message","unharmed"]')
    assert other.text() == '42["message","unharmed"]'


def test_a_broken_connection_ends_the_session_later_not_in_the_sender(world: World) -> None:
    client, other = Client(world), Client(world)
    client.raw.close()
    world.sockets[1].send_and_broadcast("hello")
    assert world.ends == []
    assert other.text() == '42["message","hello"]'
    assert world.ended.wait(5)
    assert world.ends == ["transport close"]


def test_nothing_is_taken_after_a_message_that_is_no_text(world: World) -> None:
    client = Client(world)
    seen: list[int] = []
    world.events.on_event("after")(lambda request, socket, context, number: seen.append(number))
    client.protocol.send_text(b"\xff\xfe")
    client.protocol.send_text(b'42["after",1]')
    client.raw.send(b"".join(client.protocol.data_to_send()))
    assert client.frame().data[:2] == b"\x03\xef"  # 1007
    assert world.ended.wait(5)
    assert (world.ends, seen) == (["transport error"], [])


def test_reading_pauses_while_a_handler_has_too_much_to_do() -> None:
    world = World(max_inbox=10)
    proceed, seen = Event(), []

    @world.events.on_event("work")
    def work(request: Any, socket: Any, context: Any, number: int) -> None:
        proceed.wait()
        seen.append(number)

    client = Client(world)
    for number in range(11):
        client.send(f'42["work",{number}]')
    with gevent.Timeout(5):
        while not client.session.paused:
            gevent.sleep(0.001)
    for number in range(11, 100):
        client.send(f'42["work",{number}]')
    gevent.sleep(0.01)
    assert seen == []
    proceed.set()
    with gevent.Timeout(5):
        while len(seen) < 100:
            gevent.sleep(0.001)
    assert seen == list(range(100))
    assert not client.session.paused


def test_events_before_a_close_in_the_same_bytes_are_handled(world: World) -> None:
    seen: list[Any] = []
    world.events.on_event("note")(lambda request, socket, context, value: seen.append(value))
    client = Client(world)
    client.protocol.send_text(b'42["note",1]')
    client.protocol.send_close()
    client.raw.send(b"".join(client.protocol.data_to_send()))
    assert world.ended.wait(5)
    assert seen == [1]
    assert client.frame().opcode is Opcode.CLOSE


def test_a_connection_that_is_over_is_forgotten(world: World) -> None:
    client = Client(world)
    reference = weakref.ref(client.session)
    client.raw.close()
    assert world.ended.wait(5)
    world.sockets.clear()
    del client
    gc.collect()
    assert reference() is None
    assert len(world.hub) == 0


def test_what_came_with_the_request_is_read(world: World) -> None:
    raw, other = _socket.socketpair()
    raw.setblocking(False)
    session = world.hub.open(world.node.converse, V4, "websocket", {}, None)
    early = Frame(Opcode.TEXT, b"40").serialize(mask=True)
    WebSocket(Stream(raw), session, world.hub).open(early)
    gevent.sleep(0)
    assert len(world.sockets) == 1
    other.close()
    assert world.ended.wait(5)


def test_a_client_that_pings_and_does_not_read_gets_no_pongs_in_store(world: World) -> None:
    client, other = Client(world), Client(world)
    while not client.session.outbox:
        world.sockets[0].send("x" * 1000)
    pings = Frame(Opcode.PING, b"x" * 100).serialize(mask=True) * 2000
    with gevent.Timeout(5):
        while pings:
            try:
                pings = pings[client.raw.send(pings) :]
            except BlockingIOError:
                gevent.sleep(0)
    other.send('42["message","unharmed"]')
    assert other.text() == '42["message","unharmed"]'
    client.raw.setblocking(False)
    opcodes = {client.frame().opcode for _ in range(5)}
    assert opcodes == {Opcode.TEXT}


def test_a_session_that_ended_before_its_websocket_opened(world: World) -> None:
    raw, other = _socket.socketpair()
    raw.setblocking(False)
    session = world.hub.open(world.node.converse, V4, "websocket", {}, None)
    Goodbyes(world.hub).begin()
    WebSocket(Stream(raw), session, world.hub).open(b"")
    other.settimeout(5)
    goodbye = Close(SERVER_SHUTDOWN.code, SERVER_SHUTDOWN.sentence)
    assert other.recv(100) == Frame(Opcode.CLOSE, goodbye.serialize()).serialize(mask=False)
    other.close()
    gevent.sleep(0.01)


def test_reading_pauses_at_a_number_of_bytes_too() -> None:
    world = World(max_payload=1000)
    proceed, seen = Event(), []

    @world.events.on_event("work")
    def work(request: Any, socket: Any, context: Any, text: str) -> None:
        proceed.wait()
        seen.append(text)

    client = Client(world)
    for _ in range(6):
        client.send(f'42["work","{"x" * 900}"]')
    with gevent.Timeout(5):
        while not client.session.paused:
            gevent.sleep(0.001)
        proceed.set()
        while len(seen) < 6:
            gevent.sleep(0.001)
    assert not client.session.paused
