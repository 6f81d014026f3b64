"""Who the server takes its clients for, behind nginx."""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nginx.recipes import RECIPES, Nginx, behind_nginx, run_nginx
from tests.raw import RawClient, RawWebSocket, get, post, sid_of
from tests.serving import APPS, Server, wait_for

#: Neither nginx nor the server is there.
CLIENT = "127.0.0.2"
OPEN = "/socket.io/?EIO=4&transport="
LIE = "X-Forwarded-For: 192.0.2.1"


@pytest.fixture(scope="module", params=RECIPES)
def nginx(request: pytest.FixtureRequest) -> Iterator[Nginx]:
    """A recipe, and a server that trusts it."""
    with behind_nginx(request.param, "conformance", trusted_proxies="127.0.0.1") as nginx:
        yield nginx


def connect(nginx: Nginx) -> RawClient:
    """Connect from the client's address."""
    client = RawClient(("127.0.0.1", nginx.port), (CLIENT, 0))
    if nginx.tls:
        client.use(nginx.tls.wrap_socket(client.sock, server_hostname="localhost"))
    return client


def say_by_polling(nginx: Nginx, text: str, *headers: str) -> None:
    """Send a message by polling, from the client's address."""
    client = connect(nginx)
    sid = sid_of(client.ask(get(f"{OPEN}polling", *headers)))
    for packet in ("40", f'42["message","{text}"]'):
        answer = client.ask(post(f"{OPEN}polling&sid={sid}", packet, *headers))
        assert (answer.status, answer.body) == (200, b"ok")
    client.close()


def say_by_websocket(nginx: Nginx, text: str) -> None:
    """Send a message by WebSocket, from the client's address."""
    client = connect(nginx)
    client_socket = RawWebSocket(client, f"{OPEN}websocket")
    client_socket.send("40")
    client_socket.send(f'42["message","{text}"]')
    while client_socket.receive() != f'42["message-back","{text}"]':
        pass
    client.close()


def logged(nginx: Nginx, text: str) -> str:
    """The address that the message log shows for a message."""

    def lines() -> list[str]:
        return [line for server in nginx.servers for line in server.log.splitlines() if f': {text}"' in line]

    line: str = wait_for(lines)[0]
    return line.partition(" ")[0]


def test_the_log_shows_who_polls(nginx: Nginx) -> None:
    say_by_polling(nginx, "by polling")
    assert logged(nginx, "by polling") == CLIENT


def test_the_log_shows_who_is_on_websocket(nginx: Nginx) -> None:
    say_by_websocket(nginx, "by WebSocket")
    assert logged(nginx, "by WebSocket") == CLIENT


def test_nobody_can_pass_for_another(nginx: Nginx) -> None:
    say_by_polling(nginx, "a lie", LIE)
    assert logged(nginx, "a lie") == CLIENT


def test_a_server_that_trusts_nobody_sees_nginx() -> None:
    with behind_nginx("native.conf", "conformance") as nginx:
        say_by_polling(nginx, "hello")
        assert logged(nginx, "hello") == "127.0.0.1"


def is_listening(path: Path) -> bool:
    """Whether somebody takes connections there: the file exists a little earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_by_a_unix_socket_too() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "socket"
        env = {"SOCKETIO_UNIX": str(path), "SOCKETIO_TRUSTED_PROXIES": "unix", "PYTHONUNBUFFERED": "1"}
        with (
            run_nginx("native.conf", [f"unix:{path}"], {}) as nginx,
            Server([sys.executable, str(APPS / "conformance.py")], nginx.port, env) as server,
        ):
            nginx.servers = (server,)
            wait_for(lambda: is_listening(path), 20)
            say_by_polling(nginx, "by polling")
            say_by_websocket(nginx, "by WebSocket")
            assert {logged(nginx, text) for text in ("by polling", "by WebSocket")} == {CLIENT}
