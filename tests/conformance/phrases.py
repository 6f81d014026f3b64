"""What several tests say and expect: the words of refusals, and events that come back."""

from __future__ import annotations

import json
import re
from typing import Any

from websockets.exceptions import WebSocketException

from tests.conformance.wire import Address, Answer, WebSocketClient

UNKNOWN = "0123456789abcdefghij"
FORBIDDEN = "https://elsewhere.example"
ONE_BINARY = '451-["message",{"_placeholder":true,"num":0}]'
ONE_BINARY_BACK = '451-["message-back",{"_placeholder":true,"num":0}]'
#: The largest message that the server ``narrow`` takes, in bytes.
LIMIT = 1000
#: How often a test that looks for a race runs it.
RACES = 20
#: What the codes of Engine.IO's errors say.
MESSAGES = {
    0: b"Transport unknown",
    1: b"Session ID unknown",
    2: b"Bad handshake method",
    3: b"Bad request",
    5: b"Unsupported protocol version",
}


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


def sized(length: int) -> bytes:
    """An event of so many bytes, type and all."""
    return event("x" * (length - len(event("")))).encode()


def assert_handshake(fields: dict[str, Any], upgrades: list[str]) -> None:
    """Check the fields of an open packet, with the heartbeat of the published suites."""
    others = dict(fields)
    assert re.fullmatch(r"[A-Za-z0-9_-]{20,}", others.pop("sid"))
    assert others == {"upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


def assert_no_websocket(server: Address, **query: str | None) -> None:
    """Check for the end that the published suites wait for: a refusal, or a connection that is dropped."""
    try:
        client = WebSocketClient(server, **query)
    except (WebSocketException, ConnectionError, json.JSONDecodeError):
        return
    client.drain()
