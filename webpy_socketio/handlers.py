"""Handlers: functions that an application bound to events, and what those of each kind of event are called with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .declarations import ModuleRun

UNLIMITED = 1_000_000


class Shape(NamedTuple):
    """What the handlers of an event are called with, beyond request, socket and context."""

    #: As it is written in a signature.
    arguments: str
    #: How many a handler must be able to take, and how many there are at the most; None if that depends on the client.
    least: int
    most: int | None
    #: Whether it is the name of the event that comes first.
    has_name: bool = False


NOTHING = Shape("", 0, 0)
ONE_VALUE = Shape(", value", 1, 1)
ALL_VALUES = Shape(", *args", 0, None)
NAME_AND_VALUES = Shape(", event, *args", UNLIMITED, 1, has_name=True)
CHANNEL_AND_PRESENCE = Shape("channel, presence", 2, 2)
PROCEED = Shape(", proceed", 1, 1)
PACKET_AND_PROCEED = Shape(", event, args, proceed", 3, 3)


class Handler(NamedTuple):
    """One decorated function and when it runs."""

    function: Callable[..., Any]
    #: A namespace, or a pattern of the names of namespaces.
    namespace: str | re.Pattern[str]
    pattern: re.Pattern[str] | None
    #: How many arguments of the event it takes: not fewer, not more.
    fewest: int
    most: int
    shape: Shape
    #: The run of the module that bound it, if it was bound at a module's top level.
    run: ModuleRun | None

    @property
    def where(self) -> str:
        """What the log calls it."""
        function = self.function
        return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"

    def serves(self, namespace: str) -> bool:
        """Whether it is bound to a namespace."""
        bound = self.namespace
        return bound == namespace if isinstance(bound, str) else bound.fullmatch(namespace) is not None

    def sees(self, channels: Iterable[str]) -> bool:
        """Whether it runs for a socket (or a subscription) with these channels."""
        return self.pattern is None or any(map(self.pattern.match, channels))
