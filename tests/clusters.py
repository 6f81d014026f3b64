"""Clusters for tests: processes that share a Redis, and clients of each that note what they get."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import engineio
import socketio

from tests.conformance.targets import require_node
from tests.redis_servers import RedisServer
from tests.serving import APPS, Server, serve, serve_node, wait_for

PATIENCE = 10


def do(server: Server, what: str, **order: Any) -> Any:
    """Have an operation of tests/apps/cluster.py or node_cluster.js done."""
    data = json.dumps({"do": what, **order}, default=lambda value: {"hex": value.hex()}).encode()
    with urllib.request.urlopen(f"{server.url}/do", data, timeout=30) as response:
        return json.load(response)


def is_ready(server: Server) -> bool:
    """Whether a process says that it hears the others."""
    return bool(do(server, "state")["ready"])


class _Engine(engineio.Client):
    """Hands on what comes in the order in which it came; else it takes a thread for each."""

    def _trigger_event(self, event: str, *args: Any, **options: Any) -> Any:
        if event == "message" and '["silence"' not in str(args):
            options["run_async"] = False
        return super()._trigger_event(event, *args, **options)


class OrderedClient(socketio.Client):
    """Hands on events in the order in which they came."""

    def _engineio_client_class(self) -> type[engineio.Client]:
        return _Engine


class Client:
    """A client that notes every event, and acknowledges with its name."""

    def __init__(self, server: Server, name: str, *channels: str, namespace: str = "/", answers: bool = True) -> None:
        self.name = name
        self.heard: list[list[Any]] = []
        self._changed = threading.Condition()
        self._namespace = namespace
        self._client = OrderedClient(reconnection=False)
        self._client.on("disconnect", lambda reason: self._note(["disconnect"]), namespace=namespace)
        self._client.on("*", self._event, namespace=namespace)
        auth = {"name": name, "channels": channels}
        self._client.connect(server.url, auth=auth, transports=["websocket"], namespaces=[namespace])
        self._answers = answers

    @property
    def sid(self) -> str:
        """Its session id."""
        return str(self._client.get_sid(self._namespace))

    def emit(self, *data: Any) -> None:
        """Send an event."""
        self._client.emit(data[0], data[1:], namespace=self._namespace)

    def until(self, event: str) -> list[list[Any]]:
        """Wait for an event, and return all that came before; they are forgotten."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(data[0] == event for data in self.heard), PATIENCE), self.heard
            place = next(place for place, data in enumerate(self.heard) if data[0] == event)
            before = self.heard[:place]
            del self.heard[: place + 1]
            return before

    def close(self) -> None:
        """Leave."""
        self._client.shutdown()

    def _event(self, event: str, *args: Any) -> Any:
        if event == "silence":
            threading.Event().wait(PATIENCE)
        self._note([event, *args])
        return self.name

    def _note(self, data: list[Any]) -> None:
        with self._changed:
            self.heard.append(data)
            self._changed.notify_all()


class Cluster:
    """Some processes and their Redis."""

    def __init__(self, stack: ExitStack, redis: RedisServer) -> None:
        self._stack = stack
        self.redis = redis
        self.servers: dict[str, Server] = {}

    def add_python(self, name: str, *, wait: bool = True, **settings: object) -> Server:
        """Start a process of ours, and wait until it hears itself."""
        settings = {"redis_url": self.redis.redis_url, "message_log_format": "", **settings}
        server = self.servers[name] = self._stack.enter_context(serve("cluster", **settings))
        wait_for(lambda: not wait or is_ready(server), PATIENCE)
        return server

    def add_node(self, name: str, **env: object) -> Server:
        """Start a process of Node's."""
        require_node()
        server = serve_node(APPS / "node_cluster.js", REDIS_URL=self.redis.redis_url, **env)
        self.servers[name] = self._stack.enter_context(server)
        return self.servers[name]

    def client(self, server: str, name: str, *channels: str, **options: Any) -> Client:
        """Connect a client to a process."""
        client = Client(self.servers[server], name, *channels, **options)
        self._stack.callback(client.close)
        return client

    @contextmanager
    def one_client_each(self, names: Iterable[str]) -> Iterator[dict[str, Client]]:
        """A client of each process; all are in ``room``, each is in a channel of its own."""
        clients = {name: self.client(name, name, "room", f"only-{name}") for name in names}
        yield clients
        for client in clients.values():
            client.close()


def collect(sender: Callable[[], Any], clients: list[Client], end: Callable[[], Any]) -> dict[str, list[list[Any]]]:
    """Have something sent, then an event ``end`` to all; return what each client got before that."""
    sender()
    end()
    return {client.name: client.until("end") for client in clients}
