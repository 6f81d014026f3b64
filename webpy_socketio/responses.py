"""Responses: what a request is answered, now or later."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

#: Names and values, in their order.
Headers = list[tuple[str, str]]
#: The answer is for nobody else, and for now only.
NO_STORE = ("Cache-Control", "no-store")


class Answer(NamedTuple):
    """What a request is answered."""

    status: str
    headers: Headers
    body: bytes = b""


#: An answer that is still to be made, perhaps after a long wait.
Later = Callable[[], Answer]


def plain(status: str, headers: Headers, body: bytes = b"") -> Answer:
    """An answer that is of no particular kind."""
    kind = [("Content-Type", "text/html")] if body else []
    return Answer(status, [*headers, *kind, ("Content-Length", str(len(body)))], body)
