"""The probe: an answer in two lines with a pause between, which shows whether a proxy passes on what comes in pieces.

The engine's own answers always come in one piece, and would not tell. The length is announced, because nginx passes on
at once what comes in HTTP's chunks, even when it buffers. See ``doctor``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent

#: What follows Socket.IO's path in the URL.
NAME = "probe"
#: Seconds between the two lines.
PAUSE = 0.5
FIRST, SECOND = b"first\n", b"second\n"
HEADERS = [
    ("Content-Type", "text/plain"),
    ("Content-Length", str(len(FIRST + SECOND))),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]


def probe(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """Answer, as a WSGI application."""
    start_response("200 OK", HEADERS)
    yield FIRST
    gevent.sleep(PAUSE)
    yield SECOND
