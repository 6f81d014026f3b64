"""Responses: what a request is answered, now or later."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import orjson

from .answers import error_answer
from .errors import HttpRefused

#: Names and values, in their order.
Headers = list[tuple[str, str]]
#: The answer is for nobody else, and for now only.
NO_STORE = ("Cache-Control", "no-store")


class Answer(NamedTuple):
    """What a request is answered."""

    status: str
    headers: Headers
    body: bytes = b""


class Streaming(NamedTuple):
    """What a request is answered, whose body comes in pieces, and may take hours."""

    status: str
    headers: Headers
    #: To be closed if it is not taken to its end.
    pieces: Generator[bytes, None, None]


#: An answer that is still to be made, perhaps after a long wait.
Later = Callable[[], Answer]


#: The same, where it may come in pieces.
LaterStreaming = Callable[[], "Answer | Streaming"]


def plain(status: str, headers: Headers, body: bytes = b"") -> Answer:
    """An answer that is of no particular kind."""
    kind = [("Content-Type", "text/html")] if body else []
    return Answer(status, [*headers, *kind, ("Content-Length", str(len(body)))], body)


def in_json(status: str, value: dict[str, Any], headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """An answer in JSON."""
    body = orjson.dumps(value) + b"\n"
    kind = [("Content-Type", "application/json"), NO_STORE, ("Content-Length", str(len(body)))]
    return Answer(status, [*kind, *headers], body)


def refusal(refused: HttpRefused, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """The answer to a request that is refused, with the error as acknowledgements have it."""
    return in_json(refused.status, error_answer(refused.code, str(refused)), [*refused.headers, *headers])
