"""Sending from outside an event: from a page, a greenlet or a thread.

The functions speak for the server that started last in this process; a process has only one, outside of tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .errors import EventError, NoSocket
from .identifiers import private_channel
from .node import Node
from .presences import Place, Presence
from .services import Services
from .targets import (
    Target,
    check_channels,
    check_event_name,
    check_namespace,
    check_web_session_id,
    seconds_to_wait,
    select,
)

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
    return Target(_services(), select(namespace, channels, excluding, local))


def send(session_id: str, message: Any, *, namespace: str = "/") -> None:
    """Send a message to one socket.

    :param session_id: its ``socket.session.session_id``.

    Raises NoSocket if it is not connected and there is no other process where it could be, UnsendableValue if the
    message has no form on the wire.
    """
    if not to(session_id, namespace=namespace).send(message) and _is_alone():
        raise NoSocket(f"no socket with the session id {session_id!r} is connected")


def broadcast(message: Any, *, namespace: str = "/") -> None:
    """Send a message to everybody in a namespace.

    Raises NoSocket if nobody is connected, UnsendableValue if the message has no form on the wire.
    """
    if not to(namespace=namespace).send(message) and _is_alone():
        raise NoSocket("no socket is connected")


def broadcast_channel(message: Any, channel: str, *, namespace: str = "/") -> None:
    """Send a message to the subscribers of a channel.

    Raises NoSocket if there are none, UnsendableValue if the message has no form on the wire.
    """
    if not to(channel, namespace=namespace).send(message) and _is_alone():
        raise NoSocket(f"no socket is subscribed to {channel!r}")


def disconnect_session(web_session_id: str) -> None:
    """End all connections of a web session, with the reason ``logged out``; clients do not come back by themselves.

    :param web_session_id: as web.py's ``session.session_id``, or what ``socket.web_session_id`` was set to.

    Raises NoSocket if there are none, and no other process that could have one; EventError for what is no text.
    """
    check_web_session_id(web_session_id)
    channel, services = private_channel(web_session_id), None if _current is None else _current.services
    is_over = services is not None and services.runner.call(lambda: services.backplane.log_out(channel))
    if services is None or not (is_over or not services.backplane.is_alone):
        raise NoSocket("no connection belongs to this web session")


def channels(namespace: str = "/") -> list[str]:
    """List the channels of a namespace that somebody follows, in any process.

    Raises NoSocket if no server runs in this process, and AckTimeout, with the ``answers`` that came, if another does
    not tell.
    """
    services = _services()
    check_namespace(namespace)
    return services.runner.call(lambda: services.backplane.channels(namespace))


def presence(channel: str, namespace: str = "/") -> list[Presence]:
    """List who is in a channel, in any process: one entry for each user, however many sockets that are.

    Raises NoSocket if no server runs in this process, EventError for a channel that no ``channel_presence`` matches,
    and AckTimeout, with those of this process as ``answers``, if Redis does not tell.
    """
    services = _services()
    check_namespace(namespace)
    check_channels((channel,))
    if not services.attendance.has(channel):
        raise EventError(f"nobody keeps who is in {channel!r}: declare it by channel_presence(pattern)")
    return services.runner.call(lambda: services.backplane.presence.here(Place(namespace, channel)))


def server_side_emit(event: str, *args: Any, namespace: str = "/") -> None:
    """Have the handlers of ``on_server_side_event(event)`` run by all other processes.

    Raises NoSocket if no server runs in this process, UnsendableValue for arguments that JSON has no form for.
    """
    services = _services()
    check_event_name(event)
    check_namespace(namespace)
    services.runner.call(lambda: services.backplane.server_side_emit(namespace, [event, *args]))


def server_side_call(event: str, *args: Any, timeout: float | None = None, namespace: str = "/") -> list[Any]:
    """The same, and wait for what these handlers return: a list with the answer of each process.

    :param timeout: seconds to wait; the setting ``redis_timeout`` if not given.

    Raises AckTimeout, with the ``answers`` that came, if not all did; else as :func:`server_side_emit` does.
    """
    services = _services()
    check_event_name(event)
    check_namespace(namespace)
    seconds = seconds_to_wait(timeout, services.settings.redis_timeout)
    return services.runner.call(lambda: services.backplane.server_side_call(namespace, [event, *args], seconds))


def _services() -> Services:
    if _current is None:
        raise NoSocket("no Socket.IO server runs in this process, so nobody is connected to it")
    return _current.services


def _is_alone() -> bool:
    """Whether nobody else can have been reached: of the sockets of other processes, nobody says how many there are."""
    return _services().backplane.is_alone
