"""A namespace: runs the application's handlers for its sockets, in each step of a connection's life.

Everything here runs in a worker, one step of a client after the other, and may block.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from .errors import AckTimeout, ClientError, Disconnected, Refused, UnsendableValue
from .events import UNLIMITED, Handler
from .logs import logger, printable
from .reasons import SERVER_DISCONNECT
from .services import Services
from .sockets import Socket
from .wire.packets import SocketPacket, SocketType

#: Events of which the log says that they cannot be handled: clients can make up any number.
MOST_TOLD = 100
SUBSCRIBE, UNSUBSCRIBE = "__subscribe__", "__unsubscribe__"


class Namespace:
    """One namespace and its events."""

    def __init__(self, name: str, services: Services) -> None:
        self.name = name
        self._services = services
        self._events = services.events
        self._told: set[tuple[Any, str]] = set()
        self._failures = services.runner.failures

    def connect(self, socket: Socket) -> bool:
        """Ask ``on_connect`` and let the client in, or turn it away; tell which."""
        self._log(socket, "CONNECT", socket.sid)
        refusal = self._refusal(socket, self._events.on_connect.matching(self.name, ()))
        if refusal is None:
            socket.accept()
        elif socket.connected:  # a handler called the client before another refused it
            socket.disconnect()
        else:
            self._turn_away(socket, refusal)
        return refusal is None

    def event(self, socket: Socket, packet: SocketPacket) -> None:
        """Run the handlers of an event, and acknowledge it if the client asked for that."""
        if not socket.admitted or socket.reason is SERVER_DISCONNECT:
            return  # it was on its way when the client was put out
        name, *args = packet.data
        if name == SUBSCRIBE:
            answer = self._change_channels(socket, "SUBSCRIBE", self._subscribe, args)
        elif name == UNSUBSCRIBE:
            answer = self._change_channels(socket, "UNSUBSCRIBE", self._unsubscribe, args)
        else:
            if self._services.log.enabled:
                self._log_event(socket, name, args)
            answer = self._handle(socket, name, args)
        if packet.id is not None:
            self._acknowledge(socket, packet.id, answer)

    def end(self, socket: Socket) -> None:
        """Run the handlers of the end, in their order; then the socket's channels are dropped."""
        if not socket.admitted:
            return
        self._log(socket, "DISCONNECT", str(socket.reason))
        channels = socket.channels
        self._run(socket, self._events.on_disconnect.matching(self.name, channels))
        for channel in channels:
            self._run(socket, self._events.on_unsubscribe.matching(self.name, (channel,)), channel)
        self._run(socket, self._events.on_finish.matching(self.name, channels))
        socket.forget()

    def report(self, socket: Socket, error: BaseException, where: str) -> None:
        """Log what a handler raised, and show it to ``on_error``."""
        # That a client did not answer, or left, is no fault of the handler: one line will do.
        trace = None if isinstance(error, (AckTimeout, Disconnected)) else error
        logger.error("%s raised %s: %s", where, type(error).__name__, printable(str(error)), exc_info=trace)
        for handler in self._events.on_error.matching(self.name, socket.channels):
            try:
                handler.function(socket.request, socket, socket.context, error)
            except self._failures as second:
                logger.error("%s raised %s", _name(handler), type(second).__name__, exc_info=second)

    def _turn_away(self, socket: Socket, refusal: Refused) -> None:
        try:
            socket.refuse(refusal.message, refusal.data)
        except UnsendableValue as error:
            self.report(socket, error, "the data of a refusal")
            socket.refuse(refusal.message)

    # Events.

    def _handle(self, socket: Socket, name: Any, args: list[Any]) -> list[Any]:
        """Run the handlers of an event; return what acknowledges it.

        The first that returns something answers. A refusal is the answer and ends it; an error does not end it.
        """
        bound = self._events.handlers_of(self.name, name)
        handlers = [handler for handler in bound if handler.pattern is None or handler.sees(socket.channels)]
        if not handlers:
            return self._cannot(name, "no_handler", f"no handler for the event {name!r}")
        for handler in handlers:
            if not handler.first_only and not handler.fewest <= len(args) <= handler.most:
                problem = f"the event {name!r} takes {_range(handler)} arguments, not {len(args)}"
                return self._cannot(name, "wrong_arguments", problem)
        answer: Any = None
        failed = False
        for handler in handlers:
            values = (args[:1] or (None,)) if handler.first_only else args
            try:
                result = handler.function(socket.request, socket, socket.context, *values)
            except Refused as refusal:
                return _error("refused", refusal.message, refusal.data)
            except self._failures as error:
                failed = True
                self.report(socket, error, _name(handler))
            else:
                answer = result if answer is None else answer
        return _FAILED if failed else _as_arguments(answer)

    def _cannot(self, name: Any, code: str, problem: str) -> list[Any]:
        """Return the answer to an event that cannot be handled; the log says it once, for who did not ask for one."""
        if (name, code) not in self._told and len(self._told) < MOST_TOLD:
            self._told.add((name, code))
            logger.info("%s", printable(problem[:200]))
        return _error(code, problem)

    def _acknowledge(self, socket: Socket, ack_id: int, answer: list[Any]) -> None:
        try:
            socket.deliver(SocketPacket(SocketType.ACK, self.name, answer, ack_id))
        except UnsendableValue as error:
            self.report(socket, error, "the value that a handler returned")
            socket.deliver(SocketPacket(SocketType.ACK, self.name, _FAILED, ack_id))

    # Channels.

    def _change_channels(
        self, socket: Socket, kind: str, change: Callable[[Socket, str], list[Any]], args: list[Any]
    ) -> list[Any]:
        try:
            channel = self._channel_name(args)
        except ClientError as error:
            return _error("invalid_channel", str(error))
        self._log(socket, kind, channel)
        return change(socket, channel)

    def _subscribe(self, socket: Socket, channel: str) -> list[Any]:
        if not socket.provisionally(channel):
            return [True]
        refusal: Refused | None = Refused()  # whatever ends the handlers, only their consent grants it
        try:
            refusal = self._refusal(socket, self._events.on_subscribe.matching(self.name, (channel,)), channel)
        finally:
            if refusal is not None:
                socket.unsubscribe(channel)
        if refusal is not None:
            return _error("refused", refusal.message, refusal.data)
        if channel in socket.channels:  # unless a handler ended the subscription again
            socket.subscribe(channel)
        return [True]

    def _unsubscribe(self, socket: Socket, channel: str) -> list[Any]:
        if channel in socket.channels:
            socket.unsubscribe(channel)
            self._run(socket, self._events.on_unsubscribe.matching(self.name, (channel,)), channel)
        return [True]

    def _channel_name(self, args: list[Any]) -> str:
        limit = self._services.settings.max_channel_length
        if len(args) != 1 or not isinstance(args[0], str) or not 0 < len(args[0]) <= limit:
            raise ClientError(f"a channel's name is a string of 1 to {limit} characters")
        return args[0]

    # Running handlers.

    def _run(self, socket: Socket, handlers: Iterable[Handler], *args: Any) -> None:
        """Run handlers whose result does not matter."""
        for handler in handlers:
            try:
                handler.function(socket.request, socket, socket.context, *args)
            except self._failures as error:
                self.report(socket, error, _name(handler))

    def _refusal(self, socket: Socket, handlers: Iterable[Handler], *args: Any) -> Refused | None:
        """Run handlers that may refuse: by returning False, by raising Refused, or by failing."""
        for handler in handlers:
            try:
                if handler.function(socket.request, socket, socket.context, *args) is False:
                    return Refused()
            except Refused as refusal:
                return refusal
            except self._failures as error:
                self.report(socket, error, _name(handler))
                return Refused("the server could not decide this")
        return None

    # The message log.

    def _log(self, socket: Socket, kind: str, message: str) -> None:
        self._services.log.write(socket.request, kind, message)

    def _log_event(self, socket: Socket, name: Any, args: list[Any]) -> None:
        message = args[0] if name == "message" and len(args) == 1 else args
        text = message if isinstance(message, str) else _as_text(message)
        self._log(socket, "MESSAGE" if name == "message" else f"EVENT {name}", text)


class Namespaces:
    """The namespaces of one hub; each is made when the first client asks for it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table: dict[str, Namespace] = {}

    def find(self, name: str) -> Namespace | None:
        """Return a namespace, or None if no handler was bound to it, so that it does not exist."""
        namespace = self._table.get(name)
        if namespace is None and self._services.events.declares(name):
            namespace = self._table[name] = Namespace(name, self._services)
        return namespace


def _error(code: str, message: str, data: Any = None) -> list[Any]:
    error = {"code": code, "message": message}
    return [{"error": error if data is None else {**error, "data": data}}]


_FAILED = _error("failed", "the server could not handle this event")


def _range(handler: Handler) -> str:
    if handler.fewest == handler.most:
        return str(handler.fewest)
    return f"at least {handler.fewest}" if handler.most == UNLIMITED else f"{handler.fewest} to {handler.most}"


def _as_arguments(answer: Any) -> list[Any]:
    if isinstance(answer, tuple):
        return list(answer)
    return [] if answer is None else [answer]


def _name(handler: Handler) -> str:
    function = handler.function
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"


def _as_text(message: Any) -> str:
    """A client's message for the log, whatever it is."""
    try:
        return json.dumps(message, default=_describe, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return f"<a deeply nested {type(message).__name__}>"


def _describe(value: bytes) -> str:
    return f"<{len(value)} bytes>"
