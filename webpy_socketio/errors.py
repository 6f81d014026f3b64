"""Every exception of this package, in one tree::

SocketIOError
├── EventError           a handler was declared wrongly (told at decoration), or a call names what cannot be
├── SettingsError        an option is unknown or has an impossible value (told at start-up)
├── NoSocket             nobody is there to receive what was sent
├── Refused              raised by *your* handlers: the client is told why
├── AckTimeout           a client, or another process, did not answer in time (also a TimeoutError)
├── Disconnected         a client left before it answered ``socket.call``
├── UnsendableValue      a value has no form on the wire (also a TypeError)
└── ClientError          a client's mistake; answered to it, never a traceback in the log
    ├── TransportMisused a legal packet in a place or direction that ends the connection
    ├── RequestRefused   an HTTP request that Engine.IO answers with an error code
    ├── HttpRefused      another HTTP request; has the status, and the code and message of the answer's JSON
    ├── LimitExceeded    more than a limit allows; names the limit
    ├── SubscriptionRefused a client may not follow a channel, or names none; has the code of the answer
    ├── RuleBroken       a readable packet that Socket.IO does not allow at this point; ends the connection
    └── PacketError      a packet that cannot be read; ends the connection
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class SocketIOError(Exception):
    """The root: ``except SocketIOError`` catches everything that this package raises."""


class EventError(SocketIOError):
    """An event handler was declared, or something was asked for, in a way that cannot work."""


class SettingsError(SocketIOError):
    """An option is unknown, or its value is impossible. The text says which one and what to write instead."""


class NoSocket(SocketIOError):
    """Nobody is connected who could receive the message."""


class Refused(SocketIOError):
    """Raise it in ``on_connect``, ``on_subscribe`` or an event handler to turn the client's wish down.

    :param message: a sentence for the client to read.
    :param data: anything that can be sent; the client finds it beside the message.
    """

    def __init__(self, message: str = "refused", data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class AckTimeout(SocketIOError, TimeoutError):
    """A client did not acknowledge, or another process did not answer, within the time allowed.

    :param answers: where more than one was asked, the answers that did come.
    """

    def __init__(self, message: str, answers: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.answers = list(answers)


class Disconnected(SocketIOError):
    """The client went away before it acknowledged."""


class UnsendableValue(SocketIOError, TypeError):
    """A value cannot be sent. :attr:`path` tells where in the message it stands, like ``data.points[3].y``."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class ClientError(SocketIOError):
    """A client did something wrong."""


class RequestRefused(ClientError):
    """An HTTP request that gets an error: Engine.IO's code, its message, and the HTTP status."""

    def __init__(self, code: int, message: str, status: str = "400 Bad Request") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class HttpRefused(ClientError):
    """An HTTP request, not of Engine.IO's, that is answered with an error.

    :param code: for programs, beside the message in the body.
    :param headers: that this answer needs.
    """

    def __init__(self, status: str, code: str, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


class PacketError(ClientError):
    """A packet or payload that cannot be read."""


class LimitExceeded(ClientError):
    """A client wants more than a limit allows, or owes more acknowledgements.

    :param limit: the name of the setting.
    """

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(f"{limit}: {message}")
        self.limit = limit


class SubscriptionRefused(ClientError):
    """A client asked for a channel in a way that cannot be granted.

    :param code: of the error that it is answered.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RuleBroken(ClientError):
    """A readable Socket.IO packet that is not allowed where it came: an event for a namespace not joined, say."""


class TransportMisused(ClientError):
    """A readable packet in a place where it must not come, like a ping from a client that has to answer them."""
