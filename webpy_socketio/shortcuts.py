"""Sending from outside an event: from a page, a greenlet or a thread.

The functions speak for the server that started last in this process; a process has only one, outside of tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .errors import NoSocket
from .identifiers import private_channel
from .node import Node
from .targets import Target, check_web_session_id, select

_current: Node | None = None


def set_current(node: Node | None) -> None:
    """Make a node the one that the functions of this module speak for."""
    global _current
    _current = node


def current() -> Node | None:
    """The node that the functions of this module speak for, once there is one."""
    return _current


def to(*channels: str, excluding: str | Iterable[str] = (), local: bool = False, namespace: str = "/") -> Target:
    """Return the sockets of a namespace, or of some channels of it, to send to or to do something to.

    :param channels: channels whose subscribers are meant, or session ids; none of them means everybody.
    :param excluding: a channel or session id, or several: their sockets are not meant.
    :param local: only sockets of this process are meant.

    Raises NoSocket if no server runs in this process, EventError for what cannot be the name of a channel.
    """
    if _current is None:
        raise NoSocket("no Socket.IO server runs in this process, so nobody is connected to it")
    return Target(_current.services, select(namespace, channels, excluding, local))


def send(session_id: str, message: Any, *, namespace: str = "/") -> None:
    """Send a message to one socket.

    :param session_id: its ``socket.session.session_id``.

    Raises NoSocket if it is not connected, UnsendableValue if the message has no form on the wire.
    """
    if not to(session_id, namespace=namespace).send(message):
        raise NoSocket(f"no socket with the session id {session_id!r} is connected")


def broadcast(message: Any, *, namespace: str = "/") -> None:
    """Send a message to everybody in a namespace.

    Raises NoSocket if nobody is connected, UnsendableValue if the message has no form on the wire.
    """
    if not to(namespace=namespace).send(message):
        raise NoSocket("no socket is connected")


def broadcast_channel(message: Any, channel: str, *, namespace: str = "/") -> None:
    """Send a message to the subscribers of a channel.

    Raises NoSocket if there are none, UnsendableValue if the message has no form on the wire.
    """
    if not to(channel, namespace=namespace).send(message):
        raise NoSocket(f"no socket is subscribed to {channel!r}")


def disconnect_session(web_session_id: str) -> None:
    """End all connections of a web session, with the reason ``logged out``; clients do not come back by themselves.

    :param web_session_id: as web.py's ``session.session_id``, or what ``socket.web_session_id`` was set to.

    Raises NoSocket if there are none, EventError for what is no text.
    """
    check_web_session_id(web_session_id)
    services = None if _current is None else _current.services
    if services is None or not services.runner.call(
        lambda: services.backplane.log_out(private_channel(web_session_id))
    ):
        raise NoSocket("no connection belongs to this web session")
