"""What other processes are told of a client's handshake."""

from __future__ import annotations

import json
import time

from webpy_socketio.backplane.handshakes import handshake

REQUEST = {
    "HTTP_HOST": "example.com", "HTTP_USER_AGENT": "x/1", "HTTP_ORIGIN": "https://example.com",
    "HTTP_COOKIE": "secret", "HTTP_AUTHORIZATION": "secret", "HTTP_PROXY_AUTHORIZATION": "secret",
    "REMOTE_ADDR": "10.1.2.3", "PATH_INFO": "/socket.io/", "QUERY_STRING": "EIO=4&transport=websocket&empty=",
    "wsgi.url_scheme": "https",
}  # fmt: skip


def test_it_has_the_shape_of_nodes() -> None:
    told = handshake(REQUEST, 5.0)
    assert list(told) == ["headers", "time", "address", "xdomain", "secure", "issued", "url", "query", "auth"]
    assert told["headers"] == {"host": "example.com", "user-agent": "x/1", "origin": "https://example.com"}
    assert (told["address"], told["xdomain"], told["secure"]) == ("10.1.2.3", True, True)
    assert told["url"] == "/socket.io/?EIO=4&transport=websocket&empty="
    assert told["query"] == {"EIO": "4", "transport": "websocket", "empty": ""}
    assert abs(told["issued"] / 1000 - (time.time() - 5)) < 1
    assert told["time"].endswith(" GMT+0000 (Coordinated Universal Time)")
    assert time.strptime(told["time"][:24], "%a %b %d %Y %H:%M:%S")


def test_nothing_secret_is_told() -> None:
    assert "secret" not in json.dumps(handshake(REQUEST, 0))


def test_a_request_that_says_little() -> None:
    told = handshake({}, 0)
    assert (told["headers"], told["url"], told["query"], told["secure"], told["xdomain"]) == ({}, "", {}, False, False)
