"""Namespaces by class: an object of its own for each connection, whose methods are the handlers.

::

    @on_namespace("/chat")
    class Chat:
        def on_connect(self):
            self.name = self.socket.auth["name"]

        def on_move(self, x, y):          # the event "move"
            self.socket.to("room").emit("moved", self.name, x, y)
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

from .errors import EventError
from .events import Event, Events, check_namespace

C = TypeVar("C", bound=type)

#: Methods that are called for what happens to the socket; every other ``on_<event>`` is called for a client's event.
#: So a client cannot call one of these with an event of that name.
OF_THE_SOCKET = (
    "on_connect", "on_message", "on_subscribe", "on_unsubscribe", "on_error", "on_disconnect", "on_finish", "on_any",
    "on_any_outgoing",
)  # fmt: skip
PREFIX = "on_"


def bind_class(events: Events, namespace: str | re.Pattern[str], cls: Any) -> None:
    """Bind the ``on_`` methods of a class. Raises EventError if it could never be used."""
    if not isinstance(cls, type):
        raise EventError(f"on_namespace decorates a class, not {cls!r}")
    try:
        inspect.signature(cls).bind()
    except TypeError:
        raise EventError(
            f"{cls.__qualname__} cannot be a namespace: an object of it is made without arguments"
        ) from None
    except ValueError:
        pass  # Python does not tell; then its first use will
    if inspect.isabstract(cls):
        raise EventError(f"{cls.__qualname__} cannot be a namespace: it is abstract, so no object of it is made")
    if not cls.__dictoffset__ and not hasattr(cls, "socket"):
        raise EventError(f"{cls.__qualname__} cannot be a namespace: its __slots__ have no place for 'socket'")
    bound = [(_event(events, name), _method(cls, name)) for name in dir(cls) if name.startswith(PREFIX)]
    if not bound:
        raise EventError(
            f"{cls.__qualname__} has no method on_connect, on_message, on_<event>, so it can handle nothing"
        )
    for event, method in bound:
        event.check(method, leading=1)  # all of them, before one is bound
    for event, method in bound:
        event.bind(method, _calling(cls, method), namespace, leading=1)


def make_on_namespace(events: Events) -> Callable[[str | re.Pattern[str]], Callable[[C], C]]:
    """Return the decorator ``on_namespace`` for some events."""

    def on_namespace(namespace: str | re.Pattern[str]) -> Callable[[C], C]:
        """Bind a class to a namespace, or to all those whose names match a compiled pattern.

        An object of it is made for each connection, without arguments, and gets the attribute ``socket``. Its methods
        ``on_connect``, ``on_message``, ``on_<event>`` ... are handlers without request, socket and context.

        Raises EventError if the class could never be used.
        """
        check_namespace("on_namespace", namespace)

        def bind(cls: C) -> C:
            bind_class(events, namespace, cls)
            return cls

        return bind

    return on_namespace


def _method(cls: type, name: str) -> Any:
    if isinstance(inspect.getattr_static(cls, name), (staticmethod, classmethod)):
        raise EventError(f"{cls.__qualname__}.{name} must be a method of the object: it is called with self")
    return getattr(cls, name)


def _event(events: Events, name: str) -> Event:
    if name in OF_THE_SOCKET:
        event: Event = getattr(events, name)
        return event
    return events.event(name[len(PREFIX) :])


def _calling(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler that calls a method of the connection's own object."""

    @functools.wraps(method, ("__module__", "__qualname__"), ())
    def handler(request: dict[str, Any], socket: Any, context: dict[str, Any], *args: Any) -> Any:
        return method(_instance(cls, socket), *args)

    return handler


def _instance(cls: type, socket: Any) -> Any:
    if socket.instances is None:
        socket.instances = {}
    instance = socket.instances.get(cls)
    if instance is None:
        instance = cls()
        instance.socket = socket
        # Another handler may have made one while this one was waiting for something.
        instance = socket.instances.setdefault(cls, instance)
    return instance
