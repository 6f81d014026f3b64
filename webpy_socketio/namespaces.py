"""A namespace: runs the application's handlers for its sockets, in each step of a connection's life.

Everything here runs in a worker, one step of a client after the other, and may block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from .answers import FAILED, as_arguments, error_answer
from .dispatch import Dispatch
from .errors import AckTimeout, Disconnected, EventError, LimitExceeded, Refused, SubscriptionRefused, UnsendableValue
from .handlers import Handler
from .identifiers import is_private
from .logs import address_of, as_text, logger, printable
from .middleware import around_connection, around_packet
from .options import OPEN
from .reasons import LOGGED_OUT, REFUSED, SERVER_DISCONNECT
from .services import Services
from .sockets import Socket
from .tokens import token_in
from .wire.packets import SocketPacket, SocketType

SUBSCRIBE = "__subscribe__"
#: What a client still says then is not heard.
PUT_OUT = (SERVER_DISCONNECT.name, LOGGED_OUT.name, REFUSED.name)
CHANNEL_EVENTS = (SUBSCRIBE, "__unsubscribe__")


class Namespace:
    """One namespace and its events."""

    def __init__(self, name: str, services: Services) -> None:
        self.name = name
        #: How many sockets are in it, or on their way in or out.
        self.population = 0
        self._services = services
        self._events = services.events
        self._failures = services.runner.failures
        self._handlers = Dispatch(name, services, self.report)
        self._is_logged = services.settings.message_log_format is not None

    def connect(self, socket: Socket) -> Refused | None:
        """Ask the middleware and ``on_connect``, and let the client in, or turn it away; return why, if so."""
        self._log(socket, "CONNECT", socket.sid)
        refusal = self._refusal_of_connection(socket)
        if refusal is None:
            socket.accept()
        elif socket.admitted:  # a handler called the client before another refused it
            socket.disconnect()
        else:
            self._turn_away(socket, refusal)
        return refusal

    def event(self, socket: Socket, data: list[Any], ack_id: int | None) -> Any:
        """Run the handlers of an event, and acknowledge it if the client asked for that; return the answer.

        :param data: the event's name and its arguments.
        """
        if not socket.admitted or (socket.reason is not None and socket.reason.name in PUT_OUT):
            return None  # it was on its way when the client was put out
        name, *args = data
        if self._events.packet_middleware.is_bound:
            answer = self._through_middleware(socket, name, args)
        else:
            answer = self._dispatch(socket, name, args)
        if ack_id is not None:
            self._acknowledge(socket, ack_id, as_arguments(answer))
        return answer

    def outgoing(self, socket: Socket, data: list[Any]) -> None:
        """Show an event that was sent to a socket to the handlers of outgoing events."""
        self._run(socket, self._events.on_any_outgoing.matching(self.name, socket.channels), *data)

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
        trace = None if isinstance(error, (AckTimeout, Disconnected, LimitExceeded)) else error
        name = type(error).__name__
        fields = {"session": socket.link.label, "address": address_of(socket.request)}
        logger.error("%s raised %s: %s", where, name, printable(str(error)), exc_info=trace, extra=fields)
        for handler in self._events.on_error.matching(self.name, socket.channels):
            try:
                handler.function(socket.request, socket, socket.context, error)
            except self._failures as second:
                name = type(second).__name__
                logger.error("%s raised %s", handler.where, name, exc_info=second, extra=fields)

    def _turn_away(self, socket: Socket, refusal: Refused) -> None:
        try:
            socket.refuse(refusal.message, refusal.data)
        except UnsendableValue as error:
            self.report(socket, error, "the data of a refusal")
            socket.refuse(refusal.message)

    # Middleware.

    def _refusal_of_connection(self, socket: Socket) -> Refused | None:
        handlers = self._events.on_connect.matching(self.name, ())
        middleware = self._events.connection_middleware.matching(self.name, ())
        if not middleware:
            return self._refusal(socket, handlers)
        was_asked = False

        def let_in() -> bool:
            nonlocal was_asked
            refusal = None if was_asked else self._refusal(socket, handlers)
            if refusal is not None:
                raise refusal
            was_asked = True
            return True

        verdict = self._consent(socket, around_connection(middleware, socket, let_in), "a connection middleware")
        if isinstance(verdict, Refused):
            return verdict
        return None if was_asked else Refused()

    def _through_middleware(self, socket: Socket, name: Any, args: list[Any]) -> Any:
        middleware = self._events.packet_middleware.matching(self.name, socket.channels)

        def handle(*args: Any) -> Any:
            return self._dispatch(socket, name, list(args))

        try:
            return around_packet(middleware, socket, name, handle)(*args)
        except Refused as refusal:
            return error_answer("refused", refusal.message, refusal.data)
        except self._failures as error:
            self.report(socket, error, "a packet middleware")
            return FAILED

    # Events.

    def _dispatch(self, socket: Socket, name: Any, args: list[Any]) -> Any:
        """Do what an event is for; return what acknowledges it."""
        if name in CHANNEL_EVENTS:
            try:
                return self._subscribe(socket, args) if name == SUBSCRIBE else self._unsubscribe(socket, args)
            except SubscriptionRefused as refusal:
                return error_answer(refusal.code, str(refusal))
        if self._is_logged and self._services.log.enabled:
            self._log_event(socket, name, args)
        return self._handlers.run(socket, name, args)

    def _acknowledge(self, socket: Socket, ack_id: int, answer: list[Any]) -> None:
        try:
            socket.deliver(SocketPacket(SocketType.ACK, self.name, answer, ack_id))
        except UnsendableValue as error:
            self.report(socket, error, "the value that a handler returned")
            socket.deliver(SocketPacket(SocketType.ACK, self.name, [FAILED], ack_id))

    # Channels.

    def _subscribe(self, socket: Socket, args: list[Any]) -> Any:
        channel, token = self._channel_name(args[:1]), token_in(args[1:])
        self._log(socket, "SUBSCRIBE", channel)
        most = self._services.settings.max_channels
        if most and channel not in socket.channels and socket.owner.followed >= most:
            raise self._beyond("max_channels", "over_limit", f"a client follows at most {most:,} channels")
        if token is not None:
            socket.user = self._services.tokens.check(token, self.name, channel, socket.user)
        if not socket.provisionally(channel):
            return True
        answer: Any = None  # whatever ends the handlers, only their consent grants it
        try:
            answer = self._decision(socket, channel, token is not None)
        finally:
            if answer is not True:
                socket.unsubscribe(channel)
        if answer is True and channel in socket.channels:  # unless a handler ended the subscription again
            try:
                socket.subscribe(channel)
            except EventError as error:  # the user cannot be in a channel with presence
                socket.unsubscribe(channel)
                self.report(socket, error, "the subscription to a channel")
                return FAILED
        return answer

    def _decision(self, socket: Socket, channel: str, has_token: bool) -> Any:
        """Ask the handlers; return what the client is answered: True if it may follow the channel, else an error."""
        is_granted = has_token or self._services.settings.subscriptions == OPEN
        for verdict in self._verdicts(socket, self._events.on_subscribe.matching(self.name, (channel,)), channel):
            if isinstance(verdict, Refused):
                return error_answer("refused", verdict.message, verdict.data)
            is_granted = is_granted or verdict
        return True if is_granted else error_answer("token_required", "a token is needed to follow this channel")

    def _unsubscribe(self, socket: Socket, args: list[Any]) -> Any:
        channel = self._channel_name(args)
        self._log(socket, "UNSUBSCRIBE", channel)
        if channel in socket.channels:
            socket.unsubscribe(channel)
            self._run(socket, self._events.on_unsubscribe.matching(self.name, (channel,)), channel)
        return True

    def _channel_name(self, args: list[Any]) -> str:
        limit = self._services.settings.max_channel_length
        if len(args) != 1 or not isinstance(args[0], str) or not args[0]:
            raise SubscriptionRefused("invalid_channel", f"a channel's name is a string of 1 to {limit} characters")
        if len(args[0]) > limit:
            text = f"a channel's name is a string of 1 to {limit} characters"
            raise self._beyond("max_channel_length", "invalid_channel", text)
        if is_private(args[0]):
            raise SubscriptionRefused("invalid_channel", "a session id is the name of a private channel")
        return args[0]

    def _beyond(self, limit: str, code: str, text: str) -> SubscriptionRefused:
        """What a client is answered that goes beyond a limit; it is counted."""
        self._services.counters.limited[limit] += 1
        return SubscriptionRefused(code, f"{limit}: {text}")

    # Running handlers.

    def _run(self, socket: Socket, handlers: Iterable[Handler], *args: Any) -> None:
        """Run handlers whose result does not matter."""
        for handler in handlers:
            try:
                handler.function(socket.request, socket, socket.context, *args)
            except self._failures as error:
                self.report(socket, error, handler.where)

    def _refusal(self, socket: Socket, handlers: Iterable[Handler], *args: Any) -> Refused | None:
        """Run handlers that may refuse; return the first refusal, after which no more are asked."""
        return next((v for v in self._verdicts(socket, handlers, *args) if isinstance(v, Refused)), None)

    def _verdicts(self, socket: Socket, handlers: Iterable[Handler], *args: Any) -> Iterator[Refused | bool]:
        """Run handlers that may refuse, one for each step; see :meth:`_consent`."""
        for handler in handlers:
            call = partial(handler.function, socket.request, socket, socket.context, *args)
            yield self._consent(socket, call, handler.where)

    def _consent(self, socket: Socket, call: Callable[[], Any], where: str) -> Refused | bool:
        """Call something that may refuse: by returning False, by raising Refused, or by failing.

        If it does not, tell whether it consented in so many words, by returning True.
        """
        try:
            answer = call()
        except Refused as refusal:
            return refusal
        except self._failures as error:
            self.report(socket, error, where)
            return Refused("the server could not decide this")
        return Refused() if answer is False else answer is True

    # The message log.

    def _log(self, socket: Socket, kind: str, message: str) -> None:
        self._services.log.write(socket.request, kind, message)

    def _log_event(self, socket: Socket, name: Any, args: list[Any]) -> None:
        message = args[0] if name == "message" and len(args) == 1 else args
        text = message if isinstance(message, str) else as_text(message)
        self._log(socket, "MESSAGE" if name == "message" else f"EVENT {name}", text)


class Namespaces:
    """The namespaces of one node; each is made when the first client asks for it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table: dict[str, Namespace] = {}

    def __len__(self) -> int:
        return len(self._table)

    def enter(self, name: str) -> Namespace | None:
        """Return a namespace for one more socket, or None if no handler was bound to it, so that it does not exist.

        Raises LimitExceeded for a name that is too long to be compared with patterns.
        """
        namespace = self._table.get(name)
        if (namespace is None or not namespace.population) and not self._exists(name):
            return None
        if namespace is None:
            namespace = self._table[name] = Namespace(name, self._services)
        namespace.population += 1
        return namespace

    def report(self, socket: Socket, error: BaseException, where: str) -> None:
        """Report what a function that belongs to a socket raised; its namespace may be gone already."""
        namespace = self._table.get(socket.namespace) or Namespace(socket.namespace, self._services)
        namespace.report(socket, error, where)

    def leave(self, namespace: Namespace) -> None:
        """A socket is gone. An empty namespace that exists by a pattern only is forgotten: clients make up its name."""
        namespace.population -= 1
        if not namespace.population and not self._services.events.names(namespace.name):
            del self._table[namespace.name]

    def _exists(self, name: str) -> bool:
        events, longest = self._services.events, self._services.settings.max_channel_length
        if events.names(name):
            return True
        if len(name) > longest:
            raise LimitExceeded("max_channel_length", f"a namespace's name has at most {longest} characters")
        return events.declares(name)
