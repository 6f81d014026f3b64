"""The messages that are sent: made and masked before anything is measured, each one different from its neighbours."""

from __future__ import annotations

import random
import string
from typing import NamedTuple

from frames import BINARY, TEXT, client_frame, server_frame

MESSAGE_BYTES = 100
RING = 32
PLACEHOLDER = '{"_placeholder":true,"num":0}'


class Message(NamedTuple):
    """The same message on its way to the server and on its way back."""

    sent: bytes
    received: bytes


def texts(sender: int, size: int = MESSAGE_BYTES) -> list[str]:
    """RING texts of letters and digits that no other sender has."""
    source = random.Random(sender)
    filler = "".join(source.choices(string.ascii_letters + string.digits, k=size))
    return [f"{sender}.{number}.{filler}"[:size] for number in range(RING)]


def event(head: str, text: str) -> bytes:
    """A Socket.IO event as an Engine.IO message: the words in head, then one text. None must need escaping."""
    words = ",".join(f'"{word}"' for word in (*head.split(), text))
    return f"42[{words}]".encode()


def text_messages(head: str, sender: int, size: int = MESSAGE_BYTES) -> list[Message]:
    """Frames that send a text with the event in head, and the frames in which it comes back as `message`."""
    source = random.Random(-sender)
    return [
        Message(
            client_frame(TEXT, event(head, text), source.randbytes(4)),
            server_frame(TEXT, event("message", text)),
        )
        for text in texts(sender, size)
    ]


def binary_messages(name: str, sender: int, size: int) -> list[Message]:
    """The same with random bytes for a text: an event with one attachment takes two frames."""
    source = random.Random(sender)
    return [_binary_message(name, source.randbytes(size), source.randbytes(4)) for _ in range(RING)]


def _binary_message(name: str, data: bytes, mask: bytes) -> Message:
    sent, received = (f'451-["{word}",{PLACEHOLDER}]'.encode() for word in (name, "message"))
    return Message(
        client_frame(TEXT, sent, mask) + client_frame(BINARY, data, mask),
        server_frame(TEXT, received) + server_frame(BINARY, data),
    )
