"""Handlers that do anything, in the middle of anything: whatever happens, nothing is left behind.

Each run draws what its handlers do from a seed, so that a failure can be repeated.
"""

from __future__ import annotations

import logging
import random
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from webpy_socketio import AckTimeout, Disconnected, Refused, UnsendableValue, to
from webpy_socketio.class_namespaces import make_on_namespace
from webpy_socketio.events import Events
from webpy_socketio.sockets import Socket
from webpy_socketio.testing import TestClient, TestServer

SEEDS = 150
STEPS = 40
NAMESPACES = ["/", "/named", "/game-1", "/game-2"]
BY_PATTERN = re.compile("/game-[0-9]")
EXPECTED = (ValueError, AckTimeout, Disconnected, UnsendableValue, Refused)


class Mischief:
    """A server and clients, and handlers that draw what they do."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.events = Events()
        self.errors: list[BaseException] = []
        self.finished: list[Socket] = []
        self.depth = 0
        choose = self.random.choice
        self.server = TestServer(
            self.events,
            recovery=choose([False, True]),
            max_outbox_packets=choose([2, 50_000]),
            overflow=choose(["disconnect", "drop_oldest", "drop_newest", "wait"]),
            max_namespaces=choose([2, 100]),
            ack_timeout=5,
        )
        self.clients = [self.new_client() for _ in range(3)]
        for namespace in ("/", "/named", BY_PATTERN):
            self.bind(namespace)

    def new_client(self) -> TestClient:
        """A client that may answer questions, or not."""
        client = self.server.client()
        if self.random.random() < 0.7:
            client.acknowledge["ask"] = lambda *args: 1
        return client

    def bind(self, namespace: Any) -> None:
        """Bind a handler to everything."""
        events, act = self.events, self.act

        def surround(request: Any, socket: Socket, context: Any, proceed: Callable[[], Any]) -> Any:
            result = act(socket)
            if self.random.random() < 0.9:
                proceed()
            return result

        def surround_packet(request: Any, socket: Socket, context: Any, event: Any, args: Any, proceed: Any) -> Any:
            act(socket)
            result = proceed(*args)
            act(socket)
            return result

        def fail(request: Any, socket: Socket, context: Any, error: BaseException) -> None:
            self.errors.append(error)
            act(socket)

        def finish(request: Any, socket: Socket, context: Any) -> None:
            self.finished.append(socket)
            act(socket)

        events.connection_middleware(namespace=namespace)(surround)
        events.packet_middleware(namespace=namespace)(surround_packet)
        events.on_error(namespace=namespace)(fail)
        events.on_finish(namespace=namespace)(finish)
        for event in (
            events.on_connect, events.on_message, events.on_subscribe, events.on_unsubscribe, events.on_disconnect,
        ):  # fmt: skip
            event(namespace=namespace)(lambda request, socket, context, *args: act(socket))
        for event in (events.on_any, events.on_any_outgoing):
            event(namespace=namespace)(lambda request, socket, context, *args: act(socket, sends=False))

        @make_on_namespace(events)(namespace)
        class Other:
            def on_connect(self) -> None: ...

            def on_message(self, message: Any) -> Any:
                return act(self.socket)  # type: ignore[attr-defined]

    def act(self, socket: Socket, sends: bool = True) -> Any:
        """Do something, or nothing. What is sent while something goes out would go on for ever."""
        if self.depth > 2 or self.random.random() < 0.5:
            return None
        self.depth += 1
        try:
            return self.random.choice(self.outcomes(socket) + (self.sends(socket) if sends else []))()
        finally:
            self.depth -= 1

    def outcomes(self, socket: Socket) -> list[Callable[[], Any]]:
        """What a handler may do to itself and to others."""
        others = to(namespace=socket.namespace)
        client = self.random.choice(self.clients)
        return [
            lambda: self.fail(ValueError("a mistake")),
            lambda: self.fail(Refused("no", {"a": 1})),
            lambda: False,
            lambda: (1, None),
            object,
            socket.disconnect,
            others.disconnect,
            others.sockets,
            socket.to("room").disconnect,
            client.close,
            lambda: client.disconnect(socket.namespace) if self.is_in(client, socket.namespace) else None,
            lambda: self.join(client, socket.namespace),
            lambda: setattr(client.session, "write", None),  # it reads no more
            lambda: socket.subscribe("room"),
            lambda: socket.unsubscribe("room"),
            lambda: others.subscribe("room", "hall"),
            lambda: socket.call("ask", timeout=1),
            lambda: others.call("ask", timeout=1),
            lambda: socket.spawn(self.act, socket),
        ]

    def sends(self, socket: Socket) -> list[Callable[[], Any]]:
        """What a handler may send."""
        return [
            lambda: socket.emit("x", volatile=True, callback=lambda *args: self.act(socket)),
            lambda: socket.send_and_broadcast_channel("x"),
            lambda: to("room", excluding=[socket.sid, "hall"], namespace=socket.namespace).emit("x", volatile=True),
        ]

    def fail(self, error: Exception) -> None:
        raise error

    def is_in(self, client: TestClient, namespace: str) -> bool:
        """Whether a client is in a namespace, or on its way: else what it sends there would end its connection."""
        return client.connected and namespace in client.session.peer._sockets

    def join(self, client: TestClient, namespace: str) -> None:
        """Join, once."""
        if client.connected and not self.is_in(client, namespace):
            client.connect(namespace)

    def step(self) -> None:
        """One of the clients does something."""
        number, namespace = self.random.randrange(3), self.random.choice(NAMESPACES)
        client = self.clients[number]
        if not client.connected or self.random.random() < 0.1:
            client = self.clients[number] = self.new_client()
        self.join(client, namespace)
        if self.is_in(client, namespace):
            self.random.choice(
                [
                    lambda: client.send("x", namespace),
                    lambda: client.call("x", 1, namespace=namespace),
                    lambda: client.subscribe("room", namespace),
                    lambda: client.unsubscribe("room", namespace),
                    lambda: self.server.advance(50),
                ]
            )()

    def run(self) -> None:
        """Let everything happen, and come to an end."""
        with self.server:
            for _ in range(STEPS):
                self.step()
            for client in self.clients:
                client.close()
        self.server.advance(1000)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_left_behind(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    mischief = Mischief(seed)
    mischief.run()
    node = mischief.server.node
    assert [record for record in caplog.records if record.getMessage().startswith("a handler raised")] == []
    unexpected = [error for error in mischief.errors if not isinstance(error, EXPECTED)]
    assert not unexpected, "".join(traceback.format_exception(unexpected[0]))
    assert len(set(map(id, mischief.finished))) == len(mischief.finished), "an end came twice"
    assert len(mischief.server.hub) == 0
    assert node.services.delivery._namespaces == {}
    assert node.services.desk._ballots == {}
    assert {name: namespace.population for name, namespace in node._namespaces._table.items()}.items() <= {
        ("/", 0), ("/named", 0)
    }  # fmt: skip


def test_it_is_not_all_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    runs = [Mischief(seed) for seed in range(10)]
    for mischief in runs:
        mischief.run()
    assert sum(len(mischief.finished) for mischief in runs) > 50
