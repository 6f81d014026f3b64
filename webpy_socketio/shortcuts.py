"""Sending from outside an event: from a page, a greenlet or a thread.

The functions speak for the server that started last in this process; a process has only one, outside of tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .envelope import Envelope
from .errors import NoSocket
from .hub import Hub

_current: Hub | None = None


def set_current(hub: Hub | None) -> None:
    """Make a hub the one that the functions of this module speak for."""
    global _current
    _current = hub


def current() -> Hub | None:
    """The hub that the functions of this module speak for, once there is one."""
    return _current


def send(session_id: str, message: Any, *, namespace: str = "/") -> None:
    """Send a message to one socket.

    :param session_id: its ``socket.session.session_id``.

    Raises NoSocket if it is not connected, UnsendableValue if the message has no form on the wire.
    """
    envelope = Envelope(namespace, ["message", message], sids=(session_id,))
    _publish(envelope, lambda: f"no socket with the session id {session_id!r} is connected")


def broadcast(message: Any, *, namespace: str = "/") -> None:
    """Send a message to everybody in a namespace.

    Raises NoSocket if nobody is connected, UnsendableValue if the message has no form on the wire.
    """
    _publish(Envelope(namespace, ["message", message]), lambda: "no socket is connected")


def broadcast_channel(message: Any, channel: str, *, namespace: str = "/") -> None:
    """Send a message to the subscribers of a channel.

    Raises NoSocket if there are none, UnsendableValue if the message has no form on the wire.
    """
    envelope = Envelope(namespace, ["message", message], (channel,))
    _publish(envelope, lambda: f"no socket is subscribed to {channel!r}")


def _publish(envelope: Envelope, problem: Callable[[], str]) -> None:
    hub = _current
    if hub is None:
        raise NoSocket("no Socket.IO server runs in this process, so nobody is connected to it")
    backplane = hub.services.backplane
    if hub.services.runner.call(lambda: backplane.publish(envelope)) == 0:
        raise NoSocket(problem())
