"""Plain messages: what a client gets that speaks no Socket.IO, and is in the main namespace only.

The event ``message`` with one argument is that argument: a text, bytes, or the JSON of anything else. Any other event
is JSON that names it, ``{"event": "move", "data": [1, 2]}``. Bytes beside other values are base64 in it. What is left
of Socket.IO and Engine.IO (joining, acknowledgements, upgrades) has no form.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .frames import frame_binary, frame_text
from .packets import EnginePacket, EngineType
from .values import decode_value

MESSAGE = EngineType.MESSAGE
#: A ping without anything in it (RFC 6455, section 5.5.2).
PING_FRAME = b"\x89\x00"
#: An event of the main namespace, as :mod:`socketio` writes it; what comes after the head is a list in JSON.
EVENT = re.compile(rb"[25](?:[0-9]+-)?[0-9]*\[", re.DOTALL)
#: The name; servers on Node may have numbers for names.
NAME = re.compile(rb'"(?:[^"\\]|\\.)*"|[0-9.eE+-]+', re.DOTALL)
MESSAGE_NAME = b'"message"'
#: Stands for bytes. Within a text, its quotes would be escaped.
PLACEHOLDER = re.compile(rb'\{"_placeholder":true,"num":([0-9]+)\}')
#: Halves of surrogate pairs: JavaScript's strings may hold them, UTF-8 may not.
SURROGATES = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


class PlainMessage(NamedTuple):
    """One message: whether it is text, and what it says."""

    is_text: bool
    data: bytes


class PlainEvent(NamedTuple):
    """One event, in JSON: its name, and its arguments with commas between them."""

    name: bytes
    arguments: bytes


def read_packet(text: bytes | None, attachments: Sequence[bytes]) -> Iterator[PlainMessage]:
    """Return what a Socket.IO packet, as it was encoded here, is for a plain client: one message, or none.

    :param text: None if the attachments are messages that stand for themselves.
    """
    if text is None:
        yield from (PlainMessage(False, data) for data in attachments)
        return
    event = read_event(text)
    if event is None:
        return
    lone = lone_argument(event, attachments)
    if lone is not None:
        yield lone
        return
    yield PlainMessage(True, b'{"event":%b,"data":[%b]}' % (event.name, with_base64(event.arguments, attachments)))


def read_event(text: bytes) -> PlainEvent | None:
    """Return what a Socket.IO packet, as it was encoded here, says if it is an event; else None."""
    head = EVENT.match(text)
    name = None if head is None else NAME.match(text, head.end())
    if name is None:
        return None
    return PlainEvent(name[0], text[name.end() + 1 : -1])


def lone_argument(event: PlainEvent, attachments: Sequence[bytes]) -> PlainMessage | None:
    """The one argument of a message; None if there are more of them, or none, or if it is another event."""
    name, arguments = event
    if name != MESSAGE_NAME:
        return None
    if attachments and PLACEHOLDER.fullmatch(arguments):
        return PlainMessage(False, attachments[0])
    values = decode_value(f"[{arguments.decode()}]", len(arguments) + 2)  # what was encoded is not too deep
    if len(values) != 1:
        return None
    value = values[0]
    if isinstance(value, str):
        return PlainMessage(True, SURROGATES.sub(REPLACEMENT, value).encode())
    return PlainMessage(True, with_base64(arguments, attachments))


def with_base64(json: bytes, attachments: Sequence[bytes]) -> bytes:
    """Return JSON with bytes where they belong, as base64."""
    if not attachments:
        return json
    return PLACEHOLDER.sub(lambda match: b'"%b"' % base64.b64encode(attachments[int(match[1])]), json)


# The codec: that part of EngineCodec which a WebSocket needs.


def decode_text(text: str) -> EnginePacket:
    """Every text is a message."""
    return EnginePacket(MESSAGE, text)


def decode_binary(data: bytes) -> EnginePacket:
    """So is everything binary."""
    return EnginePacket(MESSAGE, data)


def encode_frames(kind: EngineType, text: bytes | None, attachments: Iterable[bytes], base64_only: bool) -> bytes:
    """Encode a packet as WebSocket frames; nothing, if it has no form."""
    if kind is not MESSAGE:
        return encode_control(kind)
    messages = read_packet(text, tuple(attachments))
    return b"".join(frame_text(data) if is_text else frame_binary(data) for is_text, data in messages)


def encode_control(kind: EngineType) -> bytes:
    """Encode what is no message: only pings have a form."""
    return PING_FRAME if kind is EngineType.PING else b""
