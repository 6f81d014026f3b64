"""What several tests say and expect: the words of refusals, and events that come back."""

from __future__ import annotations

from tests.conformance.wire import Answer

UNKNOWN = "0123456789abcdefghij"
FORBIDDEN = "https://elsewhere.example"
ONE_BINARY = '451-["message",{"_placeholder":true,"num":0}]'
ONE_BINARY_BACK = '451-["message-back",{"_placeholder":true,"num":0}]'
#: The largest message that the server ``narrow`` takes, in bytes.
LIMIT = 1000
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
