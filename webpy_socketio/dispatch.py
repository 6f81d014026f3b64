"""Dispatch: the handlers of each event in one namespace, found once, and run for whoever sent it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .answers import FAILED, error_answer
from .errors import Refused
from .handlers import ALL_VALUES, ONE_VALUE, UNLIMITED, Handler
from .logs import logger, printable
from .services import Services
from .sockets import Socket

#: Events of which the log says that they cannot be handled: clients can make up any number.
MOST_TOLD = 100
LONGEST_TOLD = 200

#: Reports what a function that belongs to a socket raised, and where.
Report = Callable[[Socket, BaseException, str], None]


class _Bound(NamedTuple):
    """The handlers of one event."""

    handlers: list[Handler]
    #: Whether all of them take whatever comes, from everybody.
    is_simple: bool


class Dispatch:
    """Runs the handlers of a namespace's events."""

    def __init__(self, namespace: str, services: Services, report: Report) -> None:
        self._namespace = namespace
        self._events = services.events
        self._failures = services.runner.failures
        self._report = report
        self._told: set[str] = set()
        self._version = -1
        self._bound: dict[str | None, _Bound] = {}

    def run(self, socket: Socket, name: Any, args: list[Any]) -> Any:
        """Run the handlers of an event; return what acknowledges it.

        The first that returns something answers. A refusal is the answer and ends it; an error does not end it.
        """
        if self._version != self._events.version:
            self._version = self._events.version
            self._bound.clear()
        handlers, is_simple = self._bound.get(name) or self._find(name)
        if not is_simple or not handlers:
            handlers = [handler for handler in handlers if handler.sees(socket.channels)]
            problem = self._problem(handlers, name, args)
            if problem is not None:
                return problem
        answer: Any = None
        failed = False
        for handler in handlers:
            try:
                if handler.shape is ONE_VALUE:
                    result = handler.function(socket.request, socket, socket.context, args[0] if args else None)
                else:
                    values = _values(handler, name, args)
                    result = handler.function(socket.request, socket, socket.context, *values)
            except Refused as refusal:
                return error_answer("refused", refusal.message, refusal.data)
            except self._failures as error:
                failed = True
                self._report(socket, error, handler.where)
            else:
                answer = result if answer is None else answer
        return FAILED if failed else answer

    def _find(self, name: Any) -> _Bound:
        """Look the handlers of an event up. Unknown names, which clients can make up, share an entry."""
        key = name if name in self._events.named or name == "message" else None
        bound = self._bound.get(key)
        if bound is None:
            handlers = self._events.handlers_of(self._namespace, key)
            bound = self._bound[key] = _Bound(handlers, all(map(_is_simple, handlers)))
        return bound

    def _problem(self, handlers: Sequence[Handler], name: Any, args: list[Any]) -> Any:
        """Why an event cannot be handled, as what answers it; None if it can."""
        if not handlers:
            return self._cannot("no_handler", f"no handler for the event {name!r}")
        for handler in handlers:
            if handler.shape is ALL_VALUES and not handler.fewest <= len(args) <= handler.most:
                problem = f"the event {name!r} takes {_range(handler)} arguments, not {len(args)}"
                return self._cannot("wrong_arguments", problem)
        return None

    def _cannot(self, code: str, problem: str) -> Any:
        """Return the answer to an event that cannot be handled; the log says it once, for who did not ask for one."""
        told = problem[:LONGEST_TOLD]
        if told not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(told)
            logger.info("%s", printable(told))
        return error_answer(code, problem)


def _range(handler: Handler) -> str:
    if handler.fewest == handler.most:
        return str(handler.fewest)
    return f"at least {handler.fewest}" if handler.most == UNLIMITED else f"{handler.fewest} to {handler.most}"


def _is_simple(handler: Handler) -> bool:
    """Whether a handler runs for all sockets and any arguments."""
    takes_all = handler.shape is not ALL_VALUES or (handler.fewest == 0 and handler.most == UNLIMITED)
    return handler.pattern is None and takes_all


def _values(handler: Handler, name: Any, args: list[Any]) -> Sequence[Any]:
    """What a handler that takes more than one value is called with."""
    return (name, *args) if handler.shape.has_name else args
