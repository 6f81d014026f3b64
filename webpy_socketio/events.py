"""Events: the decorators that bind an application's functions to what happens to its sockets.

::

    @on_message(channel="^room-")
    def chat(request, socket, context, message):
        socket.send_and_broadcast_channel(message)

A handler without ``channel`` sees every event of its namespace. One with a pattern (a regular expression, matched from
the start of the name) sees the events of sockets that are subscribed to a matching channel; for subscribe and
unsubscribe, those whose channel matches.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import Any, NamedTuple, TypeVar, overload

from .errors import EventError
from .wire.socketio import RESERVED_EVENTS

F = TypeVar("F", bound=Callable[..., Any])
UNLIMITED = 1_000_000


class ModuleRun(NamedTuple):
    """One execution of a module's code."""

    #: Made anew each time the module is loaded, so it tells one execution from another.
    code: CodeType
    name: str

    @property
    def path(self) -> str:
        """The module's file, however it was spelled."""
        return os.path.realpath(self.code.co_filename)


class Handler(NamedTuple):
    """One decorated function and when it runs."""

    function: Callable[..., Any]
    pattern: re.Pattern[str] | None
    #: How many arguments of the event it takes: not fewer, not more.
    fewest: int
    most: int
    #: Whether it gets the event's first argument only, or None if there is none.
    first_only: bool
    #: The run of the module that bound it, if it was bound at a module's top level.
    run: ModuleRun | None

    def sees(self, channels: Iterable[str]) -> bool:
        """Whether it runs for a socket (or a subscription) with these channels."""
        return self.pattern is None or any(map(self.pattern.match, channels))


class Event:
    """A kind of event, and the decorator that binds handlers to it, bare or with options."""

    def __init__(self, name: str, arguments: int | None, owner: Events, *, takes_channel: bool = True) -> None:
        self.name = name
        self._owner = owner
        self.handlers: dict[str, list[Handler]] = {}
        self._arguments = arguments
        self._takes_channel = takes_channel

    @overload
    def __call__(self, function: F) -> F: ...
    @overload
    def __call__(self, *, channel: str | None = None, namespace: str = "/") -> Callable[[F], F]: ...
    def __call__(
        self, function: F | None = None, *, channel: str | None = None, namespace: str = "/"
    ) -> F | Callable[[F], F]:
        """Bind a function. Raises EventError if it could never be called.

        :param channel: a regular expression; the handler runs only for sockets subscribed to a matching channel.
        :param namespace: the Socket.IO namespace whose events it sees; binding to one also makes it exist.
        """
        pattern = self._compile(channel)
        if not isinstance(namespace, str) or not namespace.startswith("/") or "," in namespace:
            raise EventError(
                f"{self.name}: namespace={namespace!r} is not a namespace; one starts with a slash, like '/admin'"
            )

        def bind(handler: F) -> F:
            fewest, most = self._check(handler)
            run = _current_run()
            if run is None or self._owner.begin(run):
                bound = self.handlers.setdefault(namespace, [])
                bound.append(Handler(handler, pattern, fewest, most, self._arguments == 1, run))
            return handler

        return bind if function is None else bind(function)

    def matching(self, namespace: str, channels: Iterable[str]) -> list[Handler]:
        """Return the handlers that run in a namespace for these channels, in the order they were bound."""
        return [handler for handler in self.handlers.get(namespace, ()) if handler.sees(channels)]

    def forget(self, run: ModuleRun) -> None:
        """Unbind what was bound during one execution of a module."""
        for bound in self.handlers.values():
            bound[:] = [handler for handler in bound if handler.run is None or handler.run.code is not run.code]

    def _compile(self, channel: str | None) -> re.Pattern[str] | None:
        if channel is None:
            return None
        if not self._takes_channel:
            raise EventError(f"{self.name} takes no channel: a socket that just connects is subscribed to none")
        try:
            pattern = re.compile(channel)
            pattern.match("")  # a pattern of bytes compiles, but matches no name
            return pattern
        except (re.error, TypeError, OverflowError, RecursionError) as error:
            raise EventError(f"{self.name}: channel={channel!r} is not a regular expression: {error}") from None

    def _check(self, function: Callable[..., Any]) -> tuple[int, int]:
        """Return how many arguments of the event a handler takes, beyond request, socket and context."""
        if not callable(function):
            raise EventError(f"{self.name} decorates a function, not {function!r}; options go by name: channel=...")
        name = getattr(function, "__qualname__", repr(function))
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise EventError(f"{name} cannot handle {self.name}: it is called, not awaited or iterated; use plain def")
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise EventError(f"{name} cannot handle {self.name}: Python does not tell what it is called with") from None
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        fewest = sum(p.default is p.empty for p in positional) - 3
        most = UNLIMITED if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional) - 3
        wanted = self._arguments
        needs_keyword = any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
        if most < (wanted or 0) or (wanted is not None and fewest > wanted) or needs_keyword:
            raise EventError(f"{name} cannot handle {self.name}: {self._signature()}")
        return max(fewest, 0), most

    def _signature(self) -> str:
        names = {None: ", *args", 0: "", 1: ", value"}[self._arguments]
        return f"it is called with (request, socket, context{names})"


class Events:
    """All the events of an application; each attribute is a decorator."""

    def __init__(self) -> None:
        self.on_connect = Event("on_connect", 0, self, takes_channel=False)
        self.on_message = Event("on_message", 1, self)
        self.on_subscribe = Event("on_subscribe", 1, self)
        self.on_unsubscribe = Event("on_unsubscribe", 1, self)
        self.on_error = Event("on_error", 1, self)
        self.on_disconnect = Event("on_disconnect", 0, self)
        self.on_finish = Event("on_finish", 0, self)
        self.named: dict[str, Event] = {}
        self._runs: dict[str, ModuleRun] = {}

    def on_event(self, name: str, *, channel: str | None = None, namespace: str = "/") -> Callable[[F], F]:
        """Return the decorator for handlers of a named Socket.IO event, which get all its arguments.

        :param channel: as for the other events.
        :param namespace: as for the other events.

        Raises EventError for a name that can never arrive, and as the other events do.
        """
        if not isinstance(name, str):
            raise EventError('on_event needs the name of an event: @on_event("move")')
        if name in RESERVED_EVENTS or name in ("__subscribe__", "__unsubscribe__"):
            raise EventError(f"no client can send an event named {name!r}; there are on_connect, on_subscribe, ...")
        event = self.named.setdefault(name, Event(f"on_event({name!r})", None, self))
        return event(channel=channel, namespace=namespace)

    def handlers_of(self, namespace: str, name: str) -> Sequence[Handler]:
        """Return the handlers bound to a named event in a namespace; ``message`` has those of ``on_message`` too."""
        event = self.named.get(name)
        named = () if event is None else event.handlers.get(namespace, ())
        if name != "message":
            return named
        messages = self.on_message.handlers.get(namespace, ())
        return [*messages, *named] if named else messages

    def declares(self, namespace: str) -> bool:
        """Whether a namespace exists: the main one, and each that a handler is bound to."""
        return namespace == "/" or any(event.handlers.get(namespace) for event in self._all())

    def begin(self, run: ModuleRun) -> bool:
        """Note which execution of a module binds handlers; tells whether it may.

        In debug mode web.py imports the main module a second time, under its own name, serves the pages from there,
        and loads it again whenever it has changed. Each handler shall be bound once, in the copy that has the pages: a
        later execution replaces what an earlier one bound, and ``__main__`` gives way to the module of its file.
        """
        before = self._runs.get(run.path)
        if before is not None and before.code is not run.code:
            if run.name == "__main__" != before.name:
                return False
            for event in self._all():
                event.forget(before)
        self._runs[run.path] = run
        return True

    def _all(self) -> list[Event]:
        return [
            self.on_connect, self.on_message, self.on_subscribe, self.on_unsubscribe, self.on_error,
            self.on_disconnect, self.on_finish, *self.named.values(),
        ]  # fmt: skip


def _current_run() -> ModuleRun | None:
    """The run of the module whose top level is calling a decorator.

    None if it is called from within a function, or typed into an interactive session.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "<module>" or frame.f_code.co_filename.startswith("<"):
        return None
    return ModuleRun(frame.f_code, frame.f_globals.get("__name__", ""))


#: The events that the decorators of the package's face bind to.
EVENTS = Events()
