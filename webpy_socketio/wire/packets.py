"""The nouns of both protocols: Engine.IO packets carry Socket.IO packets."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any, NamedTuple


class EngineType(str, Enum):
    """Types of Engine.IO packets, as the character that starts each."""

    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    MESSAGE = "4"
    UPGRADE = "5"
    NOOP = "6"

    def __init__(self, character: str) -> None:
        #: The same as bytes.
        self.prefix = character.encode()


#: The types by their characters.
TYPES = {kind.value: kind for kind in EngineType}


class EnginePacket(NamedTuple):
    """One Engine.IO packet. Only messages carry bytes."""

    type: EngineType
    data: str | bytes = ""


class SocketType(IntEnum):
    """Types of Socket.IO packets (protocol revisions 4 and 5)."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class SocketPacket(NamedTuple):
    """One Socket.IO packet; binary values stand inside ``data``, wherever the sender put them."""

    type: SocketType
    namespace: str = "/"
    data: Any = None
    id: int | None = None
    #: How many attachments still have to follow; only while a packet is being received.
    attachments: int = 0
