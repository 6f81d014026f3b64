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
import re
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar, overload

from .declarations import ModuleRun, compile_channel, current_run, is_called
from .errors import EventError
from .handlers import (
    ALL_VALUES,
    CHANNEL_AND_PRESENCE,
    NAME_AND_VALUES,
    NOTHING,
    ONE_VALUE,
    PACKET_AND_PROCEED,
    PROCEED,
    UNLIMITED,
    Handler,
    Shape,
)
from .overflow_rules import OverflowRule, make_rule
from .presence_rules import PresenceRule, make_presence_rule
from .wire.socketio import RESERVED_EVENTS

F = TypeVar("F", bound=Callable[..., Any])
#: What every handler is called with first.
LEADING = ("request", "socket", "context")


class Event:
    """A kind of event, and the decorator that binds handlers to it, bare or with options."""

    def __init__(
        self,
        name: str,
        shape: Shape,
        owner: Events,
        *,
        takes_channel: bool = True,
        leading: tuple[str, ...] = LEADING,
    ) -> None:
        self.name = name
        #: Whether any handler is bound.
        self.is_bound = False
        self._shape = shape
        self._owner = owner
        self._handlers: list[Handler] = []
        self._takes_channel = takes_channel
        self._leading = leading

    @overload
    def __call__(self, function: F) -> F: ...
    @overload
    def __call__(self, *, channel: str | None = None, namespace: str | re.Pattern[str] = "/") -> Callable[[F], F]: ...
    def __call__(
        self, function: F | None = None, *, channel: str | None = None, namespace: str | re.Pattern[str] = "/"
    ) -> F | Callable[[F], F]:
        """Bind a function. Raises EventError if it could never be called.

        :param channel: a regular expression; the handler runs only for sockets subscribed to a matching channel.
        :param namespace: the Socket.IO namespace whose events it sees, or a compiled pattern that the whole name of one
            has to match; binding to one also makes it exist.
        """
        pattern = self._compile(channel)
        check_namespace(self.name, namespace)

        def bind(handler: F) -> F:
            self.bind(handler, handler, namespace, pattern, len(self._leading))
            return handler

        return bind if function is None else bind(function)

    def bind(
        self,
        declared: Callable[..., Any],
        called: Callable[..., Any],
        namespace: str | re.Pattern[str],
        pattern: re.Pattern[str] | None = None,
        leading: int = len(LEADING),
    ) -> None:
        """Bind a function that was declared with so many parameters before those of the event.

        :param called: what is called in its place, with request, socket, context and what the event has.
        """
        fewest, most = self.check(declared, leading)
        run = current_run()
        if run is None or self._owner.begin(run):
            self._handlers.append(Handler(called, namespace, pattern, fewest, most, self._shape, run))
            self._changed()

    def of(self, namespace: str) -> list[Handler]:
        """Return the handlers that are bound to a namespace, in the order they were bound."""
        return [handler for handler in self._handlers if handler.serves(namespace)]

    def matching(self, namespace: str, channels: Iterable[str]) -> list[Handler]:
        """Return those that run in a namespace for these channels."""
        return [handler for handler in self._handlers if handler.serves(namespace) and handler.sees(channels)]

    def names(self, namespace: str) -> bool:
        """Whether a handler is bound to a namespace by its name, and not by a pattern only."""
        return any(handler.namespace == namespace for handler in self._handlers)

    def namespaces(self) -> set[str]:
        """The namespaces that handlers are bound to by their names."""
        return {handler.namespace for handler in self._handlers if isinstance(handler.namespace, str)}

    def patterns(self) -> list[re.Pattern[str]]:
        """The patterns of the names of namespaces that handlers are bound to."""
        return [handler.namespace for handler in self._handlers if isinstance(handler.namespace, re.Pattern)]

    def forget(self, run: ModuleRun) -> None:
        """Unbind what was bound during one execution of a module."""
        self._handlers = [h for h in self._handlers if h.run is None or h.run.code is not run.code]
        self._changed()

    def _changed(self) -> None:
        self.is_bound = bool(self._handlers)
        self._owner.version += 1

    def _compile(self, channel: str | None) -> re.Pattern[str] | None:
        if channel is None:
            return None
        if not self._takes_channel:
            raise EventError(f"{self.name} takes no channel: a socket that just connects is subscribed to none")
        return compile_channel(f"{self.name}: channel", channel)

    def check(self, function: Callable[..., Any], leading: int) -> tuple[int, int]:
        """Return how many arguments of the event a handler takes, beyond the leading ones.

        Raises EventError if it could never be called.
        """
        if not callable(function):
            raise EventError(f"{self.name} decorates a function, not {function!r}; options go by name: channel=...")
        name = getattr(function, "__qualname__", repr(function))
        if not is_called(function):
            raise EventError(f"{name} cannot handle {self.name}: it is called, not awaited or iterated; use plain def")
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise EventError(f"{name} cannot handle {self.name}: Python does not tell what it is called with") from None
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        fewest = sum(p.default is p.empty for p in positional) - leading
        most = UNLIMITED if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional) - leading
        shape = self._shape
        needs_keyword = any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
        if most < shape.least or (shape.most is not None and fewest > shape.most) or needs_keyword:
            names = ", ".join(("self",) if leading == 1 else self._leading)
            raise EventError(f"{name} cannot handle {self.name}: it is called with ({names}{shape.arguments})")
        return max(fewest, 0), most


class Events:
    """All the events of an application; each attribute is a decorator."""

    def __init__(self) -> None:
        #: Changes whenever a handler is bound or forgotten.
        self.version = 0
        self.on_connect = Event("on_connect", NOTHING, self, takes_channel=False)
        self.on_message = Event("on_message", ONE_VALUE, self)
        self.on_subscribe = Event("on_subscribe", ONE_VALUE, self)
        self.on_unsubscribe = Event("on_unsubscribe", ONE_VALUE, self)
        self.on_error = Event("on_error", ONE_VALUE, self)
        self.on_disconnect = Event("on_disconnect", NOTHING, self)
        self.on_finish = Event("on_finish", NOTHING, self)
        self.on_join = Event("on_join", CHANNEL_AND_PRESENCE, self, leading=())
        self.on_leave = Event("on_leave", CHANNEL_AND_PRESENCE, self, leading=())
        self.on_any = Event("on_any", NAME_AND_VALUES, self)
        self.on_any_outgoing = Event("on_any_outgoing", NAME_AND_VALUES, self)
        self.connection_middleware = Event("connection_middleware", PROCEED, self, takes_channel=False)
        self.packet_middleware = Event("packet_middleware", PACKET_AND_PROCEED, self)
        self.named: dict[str, Event] = {}
        self._server_side: dict[str, Event] = {}
        #: What was declared with :meth:`channel_overflow`; the first that matches counts.
        self.overflow_rules: list[OverflowRule] = []
        #: The same of :meth:`channel_presence`.
        self.presence_rules: list[PresenceRule] = []
        self._runs: dict[str, ModuleRun] = {}

    def on_event(
        self, name: str, *, channel: str | None = None, namespace: str | re.Pattern[str] = "/"
    ) -> Callable[[F], F]:
        """Return the decorator for handlers of a named Socket.IO event, which get all its arguments.

        :param channel: as for the other events.
        :param namespace: as for the other events.

        Raises EventError for a name that can never arrive, and as the other events do.
        """
        return self.event(name)(channel=channel, namespace=namespace)

    def event(self, name: str) -> Event:
        """Return a named event. Raises EventError for a name that can never arrive."""
        if not isinstance(name, str):
            raise EventError('on_event needs the name of an event: @on_event("move")')
        if name in RESERVED_EVENTS or name in ("__subscribe__", "__unsubscribe__"):
            raise EventError(f"no client can send an event named {name!r}; there are on_connect, on_subscribe, ...")
        return self.named.setdefault(name, Event(f"on_event({name!r})", ALL_VALUES, self))

    def on_server_side_event(self, name: str, *, namespace: str | re.Pattern[str] = "/") -> Callable[[F], F]:
        """Return the decorator for handlers of what another process sends with ``server_side_emit`` or ``_call``.

        They are called with the arguments only. What they return answers a call; the first that is not None counts.
        Raises EventError as the other events do.
        """
        if not isinstance(name, str) or name in RESERVED_EVENTS:
            raise EventError(f"on_server_side_event needs the name of an event, not {name!r}")
        event = self._server_side.get(name)
        if event is None:
            shown = f"on_server_side_event({name!r})"
            event = Event(shown, ALL_VALUES, self, takes_channel=False, leading=())
            self._server_side[name] = event
        return event(namespace=namespace)

    def server_side_handlers(self, namespace: str, name: Any) -> list[Handler]:
        """Return the handlers of a server-side event in a namespace."""
        event = self._server_side.get(name) if isinstance(name, str) else None
        return [] if event is None else event.of(namespace)

    def channel_overflow(
        self,
        pattern: str,
        policy: str,
        *,
        key: Callable[..., Hashable] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Declare what becomes of events to some channels, in every namespace, for a client whose outbox is full.

        :param pattern: a regular expression, matched from the start of a channel's name.
        :param policy: "disconnect", "drop_oldest", "drop_newest", "wait" or "latest".
        :param key: for "latest": called with the event's name and arguments, it tells what a newer event makes
            worthless: what waits with the same key. Without it, that is the name of the event.
        :param timeout: for "wait": seconds that a sender waits for room; the setting ``overflow_timeout`` if not given.

        Raises EventError for what cannot be.
        """
        run = current_run()
        rule = make_rule(pattern, policy, key, timeout, run)
        if run is None or self.begin(run):
            if any(rule.pattern.pattern == pattern for rule in self.overflow_rules):
                raise EventError(f"channel_overflow: the pattern {pattern!r} has a policy already")
            self.overflow_rules.append(rule)

    def channel_presence(self, pattern: str, *, clients: bool = False) -> None:
        """Declare for which channels it is kept who is there, in every namespace.

        :param pattern: a regular expression, matched from the start of a channel's name.
        :param clients: whether the subscribers are told, by the event ``presence``.

        Raises EventError for what cannot be.
        """
        run = current_run()
        rule = make_presence_rule(pattern, clients, run)
        if run is None or self.begin(run):
            if any(rule.pattern.pattern == pattern for rule in self.presence_rules):
                raise EventError(f"channel_presence: the pattern {pattern!r} is declared already")
            self.presence_rules.append(rule)

    def handlers_of(self, namespace: str, name: str | None) -> list[Handler]:
        """Return the handlers of a client's event in a namespace: those of any event, of ``on_message``, its own.

        :param name: None stands for every event that has no handlers of its own.
        """
        handlers = self.on_any.of(namespace)
        if name == "message":
            handlers += self.on_message.of(namespace)
        event = None if name is None else self.named.get(name)
        return handlers if event is None else handlers + event.of(namespace)

    def declares(self, namespace: str) -> bool:
        """Whether a namespace exists: the main one, and each that a handler is bound to."""
        return namespace == "/" or any(event.of(namespace) for event in self._all())

    def names(self, namespace: str) -> bool:
        """Whether a namespace exists by its name, and not because it matches a pattern."""
        return namespace == "/" or any(event.names(namespace) for event in self._all())

    def namespaces(self) -> set[str]:
        """The namespaces that handlers of any kind are bound to by their names."""
        return set().union(*(event.namespaces() for event in (*self._all(), *self._server_side.values())))

    def declared_name(self, namespace: str) -> str:
        """The name of a namespace as it was written by who bound handlers to it: if only by a pattern, that."""
        if self.names(namespace):
            return namespace
        return next((p.pattern for event in self._all() for p in event.patterns() if p.fullmatch(namespace)), namespace)

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
            for event in (*self._all(), *self._server_side.values()):
                event.forget(before)
            _forget_rules(self.overflow_rules, before)
            _forget_rules(self.presence_rules, before)
        self._runs[run.path] = run
        return True

    def _all(self) -> list[Event]:
        return [
            self.on_connect, self.on_message, self.on_subscribe, self.on_unsubscribe, self.on_error,
            self.on_disconnect, self.on_finish, self.on_join, self.on_leave, self.on_any, self.on_any_outgoing,
            self.connection_middleware, self.packet_middleware, *self.named.values(),
        ]  # fmt: skip


def _forget_rules(rules: list[Any], run: ModuleRun) -> None:
    """Drop what was declared during one execution of a module."""
    rules[:] = [rule for rule in rules if rule.run is None or rule.run.code is not run.code]


def check_namespace(who: str, namespace: Any) -> None:
    """Raise EventError for what is neither a namespace nor a pattern of the names of some."""
    if isinstance(namespace, re.Pattern):
        if not isinstance(namespace.pattern, str):
            raise EventError(f"{who}: namespace={namespace!r} is a pattern of bytes, which matches no name")
    elif not isinstance(namespace, str) or not namespace.startswith("/") or "," in namespace:
        raise EventError(
            f"{who}: namespace={namespace!r} is not a namespace; one starts with a slash, like '/admin', "
            "or is a pattern, like re.compile('/game-[0-9]+')"
        )


#: The events that the decorators of the package's face bind to.
EVENTS = Events()
