"""The engine alone: Engine.IO for whoever speaks something else than Socket.IO on it.

::

    def echo(client, message):
        client.send(message)

    SocketIOServer(("", 8000), EngineIO(echo)).serve_forever()
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from .conversation import Conversation
from .door import Door
from .doors import Application, check_application, is_under, not_found
from .engine.deadlines import Deadlines
from .engine.session import Session
from .errors import UnsendableValue
from .goodbyes import Goodbyes
from .hub import Hub
from .logs import log_to_stderr, logger
from .metrics import Counters
from .overflows import Overflows
from .reasons import FORCED_CLOSE, Reason
from .runner import Runner, Scope
from .startup import open_door, read_settings
from .transports.workers import Workers
from .wire.prepared import Prepared, PreparedText


class Client:
    """One client of the engine, from its handshake to its end."""

    __slots__ = ("__weakref__", "_hub", "_overflows", "_session", "reason", "request")

    def __init__(self, session: Session, request: dict[str, Any], hub: Hub, overflows: Overflows) -> None:
        #: The WSGI environ of its handshake.
        self.request = request
        #: Why the connection ended; None while it has not.
        self.reason: Reason | None = None
        self._session = session
        self._hub = hub
        self._overflows = overflows

    @property
    def connected(self) -> bool:
        """Whether the client is there to receive."""
        return self._session.is_open

    def send(self, message: str | bytes) -> None:
        """Send a message, text or binary; dropped if the client is gone, or has too much waiting for it and the setting
        ``overflow`` says so. Raises UnsendableValue for anything else.

        Other OS threads may send, too. In text, the character U+001E cannot reach a client of revision 4 by
        long-polling: there it separates messages.
        """
        if isinstance(message, str):
            try:
                text = message.encode()
            except UnicodeEncodeError:
                raise UnsendableValue("message", "has half of a surrogate pair, which is no character") from None
            prepared: Prepared = PreparedText(text)
        elif isinstance(message, bytes):
            prepared = Prepared(None, [message])
        else:
            raise UnsendableValue("message", f"is a {type(message).__name__}; Engine.IO carries str and bytes")
        prepared.overflow = self._overflows.default
        self._hub.runner.call(lambda: self._transmit(prepared))

    def close(self) -> None:
        """Close the connection once what was sent before has been taken."""
        hub, session = self._hub, self._session
        hub.runner.call(lambda: hub.close(session, FORCED_CLOSE))

    def _transmit(self, prepared: Prepared) -> None:
        self._session.send(prepared)
        if prepared.overflow is not None:
            self._overflows.wait_for_room((self._session,), prepared.overflow)


#: Called with a client and its message.
OnMessage = Callable[[Client, "str | bytes"], object]
#: Called with a client that connected, or whose connection is over.
OnChange = Callable[[Client], object]


class EngineIO:
    """A WSGI application that speaks Engine.IO, both revisions on each transport, and hands messages to a function.

    The functions run in greenlets and may block; those of one client run one after the other, in order.

    :param on_message: called with a client and its message, ``str`` or ``bytes``.
    :param on_open: called with a client that has connected.
    :param on_close: called with a client whose connection is over; ``client.reason`` tells why.
    :param application: gets the requests of all other paths; without it they are not found.
    :param resource: first part of the URL path under which the engine answers.
    :param options: settings, as for SocketIOServer; those of Socket.IO have no effect.
    """

    def __init__(
        self,
        on_message: OnMessage,
        *,
        on_open: OnChange | None = None,
        on_close: OnChange | None = None,
        application: Application = not_found,
        resource: str = "engine.io",
        **options: Any,
    ) -> None:
        check_application(application)
        self.on_message = on_message
        self.on_open = on_open
        self.on_close = on_close
        #: Conversations that may still be busy although their connection is over.
        self.ending: weakref.WeakSet[Conversation] = weakref.WeakSet()
        self._application = application
        self._settings = read_settings({**options, "resource": resource})
        self._door: Door | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if not is_under(environ, self._settings.resource):
            return self._application(environ, start_response)
        return self.door(environ, start_response)

    @property
    def door(self) -> Door:
        """What answers the engine's requests; made when it is first asked for, by the thread that serves."""
        if self._door is None:
            self._door = self._open()
        return self._door

    def drain(self, longest: float = math.inf) -> None:
        """Let nobody in any more, and close all connections. SocketIOServer does so when it stops."""
        Goodbyes(self.door.hub).begin(longest)

    def end_all(self) -> None:
        """End the connections that are still there."""
        Goodbyes(self.door.hub).end()

    @property
    def is_quiet(self) -> bool:
        """Whether all connections are over, and the functions called for them have returned."""
        return self._door is None or self._door.hub.is_quiet

    def _open(self) -> Door:
        log_to_stderr(self._settings.log_format)
        workers = Workers()
        overflows = Overflows(self._settings, (), workers)

        def converse(session: Session, request: dict[str, Any], scope: Scope | None) -> Conversation:
            return _Talk(session, Client(session, request, hub, overflows), scope, workers, self)

        hub = Hub(self._settings, workers, Deadlines(), Counters(), self.ending)
        return open_door(hub, converse)


class _Talk(Conversation):
    """What a client and the application's functions say to each other."""

    __slots__ = ("_app", "_client", "_failures")

    def __init__(self, session: Session, client: Client, scope: Scope | None, runner: Runner, app: EngineIO) -> None:
        super().__init__(session, client.request, scope, runner)
        self.joined = True  # there is nothing to join: who connected is there
        self._failures = runner.failures
        self._app = app
        self._client = client

    def begin(self) -> None:
        """The session can send now."""
        self._call(0, self._app.on_open)

    def receive(self, message: str | bytes) -> None:
        """Hand the next message on."""
        self._call(len(message), self._app.on_message, message)

    def end(self, reason: Reason) -> None:
        """The connection is over, or has begun to close."""
        if self._client.reason is None:
            self._client.reason = reason
            self._app.ending.add(self)
            self._call(0, self._app.on_close)

    def _call(self, size: int, function: Callable[..., object] | None, *args: Any) -> None:
        if function is not None:
            self.inbox.put(size, self._run, function, args)

    def _run(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            function(self._client, *args)
        except self._failures as error:
            name = getattr(function, "__qualname__", repr(function))
            fields = self.session.log_fields
            logger.error("%s raised %s", name, type(error).__name__, exc_info=error, extra=fields)
