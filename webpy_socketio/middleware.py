"""Middleware: functions around what a namespace does, each of which decides whether, and how, it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .handlers import Handler
from .sockets import Socket


def around_connection(middleware: Sequence[Handler], socket: Socket, let_in: Callable[[], bool]) -> Callable[[], Any]:
    """Return what lets a client in, with all the middleware around it, the first outermost."""
    proceed: Callable[[], Any] = let_in
    for handler in reversed(middleware):
        proceed = _connection_step(handler.function, socket, proceed)
    return proceed


def around_packet(
    middleware: Sequence[Handler], socket: Socket, event: Any, handle: Callable[..., Any]
) -> Callable[..., Any]:
    """Return what handles an event's arguments, with all the middleware around it, the first outermost."""
    proceed = handle
    for handler in reversed(middleware):
        proceed = _packet_step(handler.function, socket, event, proceed)
    return proceed


def _connection_step(function: Callable[..., Any], socket: Socket, proceed: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: function(socket.request, socket, socket.context, proceed)


def _packet_step(
    function: Callable[..., Any], socket: Socket, event: Any, proceed: Callable[..., Any]
) -> Callable[..., Any]:
    return lambda *args: function(socket.request, socket, socket.context, event, list(args), proceed)
