"""The probe: an answer in two lines with a pause between, which shows whether a proxy passes on what comes in pieces.

The engine's own answers always come in one piece, and would not tell. See ``doctor``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent

#: What follows Socket.IO's path in the URL.
NAME = "probe"
#: Seconds between the two lines.
PAUSE = 0.5
HEADERS = [("Content-Type", "text/plain"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]


def probe(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """Answer, as a WSGI application."""
    start_response("200 OK", HEADERS)
    yield b"first\n"
    gevent.sleep(PAUSE)
    yield b"second\n"
