"""The messages that are sent: made and masked before anything is measured, each one different from its neighbours."""

from __future__ import annotations

import random
import string
from typing import NamedTuple

from load import TEXT, client_frame, server_frame

MESSAGE_BYTES = 100
RING = 32


class Message(NamedTuple):
    """The same text on its way to the server and on its way back."""

    sent: bytes
    received: bytes


def texts(sender: int) -> list[str]:
    """RING texts of MESSAGE_BYTES letters and digits that no other sender has."""
    source = random.Random(sender)
    filler = "".join(source.choices(string.ascii_letters + string.digits, k=MESSAGE_BYTES))
    return [f"{sender}.{number}.{filler}"[:MESSAGE_BYTES] for number in range(RING)]


def event(name: str, text: str) -> bytes:
    """A Socket.IO event with one string, as an Engine.IO message. The text must need no escaping."""
    return f'42["{name}","{text}"]'.encode()


def websocket_messages(name: str, sender: int) -> list[Message]:
    """Frames that send a text with the event `name`, and the frames in which it comes back as `message`."""
    source = random.Random(-sender)
    return [
        Message(
            client_frame(TEXT, event(name, text), source.randbytes(4)),
            server_frame(TEXT, event("message", text)),
        )
        for text in texts(sender)
    ]
