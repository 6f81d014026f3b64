"""Server-sent events, as a browser's EventSource reads them (HTML standard, section 9.2): for clients that only read.

The event ``message`` with one argument is that argument: a text as it is, else JSON. Any other event has its name, and
as its data the JSON of its arguments, a list. Bytes are base64 in the JSON. All line ends in a text arrive as LF: the
format knows no others.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable

from .packets import EngineType
from .plain import MESSAGE_NAME, REPLACEMENT, SURROGATES, lone_argument, read_event, with_base64

#: A comment: keeps those on the way from giving up a stream in which nothing happens.
HEARTBEAT = b":\n\n"
LINE_END = re.compile(rb"\r\n|\r|\n")


def encode_frames(kind: EngineType, text: bytes | None, attachments: Iterable[bytes], base64_only: bool) -> bytes:
    """Encode a packet as one event of a stream; nothing, if it has no form."""
    if kind is EngineType.PING:
        return HEARTBEAT
    event = read_event(text) if kind is EngineType.MESSAGE and text is not None else None
    if event is None:
        return b""
    binaries = tuple(attachments)
    lone = lone_argument(event, binaries)
    if lone is not None:
        data = lone.data if lone.is_text else b'"%b"' % base64.b64encode(lone.data)
    else:
        data = b"[%b]" % with_base64(event.arguments, binaries)
    lines = b"".join(b"data: %b\n" % line for line in LINE_END.split(data))
    return b"%b%b\n" % (b"" if event.name == MESSAGE_NAME else b"event: %b\n" % _field(event.name), lines)


def _field(name: bytes) -> bytes:
    """An event's name, which is JSON, as a field; one that a field cannot hold stays as it is within its quotes.

    That of an event of Node's may be a number.
    """
    text = json.loads(name)
    if not isinstance(text, str):
        return name
    field = SURROGATES.sub(REPLACEMENT, text).encode()
    return name[1:-1] if LINE_END.search(field) else field
