"""The messages of one WebSocket, out of the bytes that arrive (RFC 6455).

Whole data frames, nearly all traffic, are unmasked here. Everything else is left to websockets' Protocol: control
frames, messages in fragments, and whatever breaks the rules. It is only made when it is needed, and gets whole frames,
or the beginning of one that cannot be accepted. (A short message costs 0.6 microseconds here, and 2.8 through it.)
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import NamedTuple

from websockets.exceptions import PayloadTooBig
from websockets.extensions import Extension
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SERVER, Protocol
from websockets.protocol import State as ProtocolState

from ..logs import quiet

try:
    from websockets.speedups import apply_mask
except ImportError:  # where it was installed without a compiler
    from websockets.utils import apply_mask

#: The first byte of a frame that is a whole message (section 5.2).
WHOLE_TEXT, WHOLE_BINARY = 0x81, 0x82
#: And of control frames.
CLOSE, PONG = 0x88, 0x8A
MASKED = 0x80
UTF8 = codecs.getincrementaldecoder("utf-8")
NOT_UTF8 = "not UTF-8"
#: Lengths that are written in 2 and in 8 bytes more.
SHORT, LONG = 126, 127
MASK_SIZE = 4
SHORT_HEAD = 2 + MASK_SIZE
DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

#: Whether it is text, and what it says.
Message = tuple[bool, bytes]


class _Head(NamedTuple):
    """The beginning of a frame: its first byte, where its mask and data begin, and where it ends."""

    first: int
    mask: int
    data: int
    end: int


class MessageReader:
    """Takes bytes, returns messages.

    :param max_size: of a message, in bytes; longer ones are refused when their length is known.
    """

    __slots__ = (
        "_decoder", "_fragments", "_is_between", "_is_over", "_is_text", "_max_size", "_needed", "_protocol", "_rest",
        "extensions", "has_answers", "heard_pong", "uncounted",
    )  # fmt: skip

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        #: What decodes frames, if the client and the server agreed on it.
        self.extensions: Sequence[Extension] = ()
        self._protocol: _Protocol | None = None
        #: Whether there may be something to send, or a pong to take note of.
        self.has_answers = False
        #: Whether a pong came, since whoever waits for one set it to False.
        self.heard_pong = False
        #: Frames that were no message, since whoever counts them set it to 0; there are none before ``has_answers``.
        self.uncounted = 0
        self._rest: bytearray | None = None  # of a frame that has not arrived as a whole
        self._needed = 0  # bytes of it that are worth another look
        self._is_text: bool | None = None  # of the message that is arriving in fragments
        self._fragments: bytearray | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_over = False
        self._is_between = True  # no message has begun, so that a short one can be taken at a glance

    @property
    def is_open(self) -> bool:
        """Whether no side has closed the WebSocket, nor broken its rules."""
        return self._protocol is None or self._protocol.state is ProtocolState.OPEN

    @property
    def error(self) -> Exception | None:
        """How the client broke the rules."""
        return None if self._protocol is None else self._protocol.parser_exc

    @property
    def too_big(self) -> bool:
        """Whether it did so with a message above the limit."""
        return isinstance(self.error, PayloadTooBig)

    @property
    def close_code(self) -> int | None:
        """The code with which the client closed the WebSocket, if it did: 1005 if it gave none."""
        closed = None if self._protocol is None else self._protocol.close_rcvd
        return None if closed is None else closed.code

    def receive(self, data: bytes) -> list[Message]:
        """Return the messages that are complete with these bytes."""
        if (
            self._is_between
            and data[0] == WHOLE_TEXT
            and SHORT_HEAD <= len(data) == data[1] - MASKED + SHORT_HEAD < SHORT + SHORT_HEAD
        ):
            return [(True, apply_mask(data[SHORT_HEAD:], data[2:SHORT_HEAD]))]
        return self._receive(data)

    def data_to_send(self) -> list[bytes]:
        """What the protocol itself has to say: pongs, and the answer to a close; an empty part is the end."""
        return [] if self._protocol is None else self._protocol.data_to_send()

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Close the WebSocket, without a code if there is none to tell, as Node's server does."""
        self._ensure_protocol().send_close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """Close it because of a message that cannot be read."""
        self._ensure_protocol().fail(code, reason)

    def _receive(self, data: bytes) -> list[Message]:
        if self._rest is not None:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data, self._rest = bytes(self._rest), None
        messages: list[Message] = []
        position = 0
        while position < len(data) and not self._is_over:
            position = self._take(data, position, messages)
        self._is_between = self._rest is None and self._is_text is None and not self._is_over
        return messages

    def _take(self, data: bytes, start: int, messages: list[Message]) -> int:
        """Take one frame, or keep its beginning; return where the next one starts."""
        head = _head(data, start)
        if head is None:
            return self._keep(data, start, len(data) + 1)
        if head.data - head.mask != MASK_SIZE or head.end - head.data > self._max_size:
            return self._leave(data[start:], messages, len(data))  # it is going to be refused
        if head.end > len(data):
            return self._keep(data, start, head.end)
        if head.first in (WHOLE_TEXT, WHOLE_BINARY) and self._is_text is None:
            message = apply_mask(data[head.data : head.end], data[head.mask : head.data])
            messages.append((head.first == WHOLE_TEXT, message))
            return head.end
        if head.first == PONG and head.end - head.data < SHORT:
            self.uncounted += 1
            self.has_answers = self.heard_pong = True
            return head.end
        return self._leave(data[start : head.end], messages, head.end)

    def _keep(self, data: bytes, start: int, end: int) -> int:
        self._rest = bytearray(data[start:])
        self._needed = end - start
        return len(data)

    def _leave(self, part: bytes, messages: list[Message], end: int) -> int:
        """Leave a frame to the protocol; return where it ends."""
        if part[0] == CLOSE and self._is_text is not None:
            # A close may come between fragments (section 5.4), which the protocol would take for a broken rule.
            self._protocol = None
        protocol = self._ensure_protocol()
        self.uncounted += 1
        protocol.receive_data(part)
        for frame in protocol.events_received():
            if isinstance(frame, Frame) and frame.opcode in DATA:
                self._add(frame, messages)
        if protocol.parser_exc is not None or protocol.close_rcvd is not None:
            self._is_over = True
        return end

    def _add(self, frame: Frame, messages: list[Message]) -> None:
        """Put the fragments of a message together."""
        if self._is_text is None or self._fragments is None:
            self._is_text, self._fragments = frame.opcode is Opcode.TEXT, bytearray()
            self._decoder = UTF8() if self._is_text else None
        if self._decoder is not None and not _goes_on(self._decoder, frame):
            self.fail(CloseCode.INVALID_DATA, NOT_UTF8)
            self._is_over = True
            return
        self._fragments += frame.data
        if frame.fin:
            messages.append((self._is_text, bytes(self._fragments)))
            self._is_text = self._fragments = None

    def _ensure_protocol(self) -> _Protocol:
        if self._protocol is None:
            self._protocol = _Protocol(SERVER, max_size=self._max_size, logger=quiet)
            self._protocol.extensions = [*self.extensions]
            self.has_answers = True
        return self._protocol


class _Protocol(Protocol):
    """Says by its name which limit a message is above."""

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        super().fail(code, f"max_payload: {reason}" if code == CloseCode.MESSAGE_TOO_BIG else reason)


def _goes_on(decoder: codecs.IncrementalDecoder, fragment: Frame) -> bool:
    """Whether a text can be what it is up to here: there is no need to wait for the rest of one that is none."""
    try:
        decoder.decode(bytes(fragment.data), fragment.fin)
    except UnicodeDecodeError:
        return False
    return True


def _head(data: bytes, start: int) -> _Head | None:
    """Read the beginning of a frame; None if it is not all there."""
    if len(data) < start + 2:
        return None
    length, mask = data[start + 1] & ~MASKED, start + 2
    if length >= SHORT:
        size = 2 if length == SHORT else 8
        mask += size
        if len(data) < mask:
            return None
        length = int.from_bytes(data[mask - size : mask], "big")
    begin = mask + MASK_SIZE if data[start + 1] & MASKED else mask
    return _Head(data[start], mask, begin, begin + length)
