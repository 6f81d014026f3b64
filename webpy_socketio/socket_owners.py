"""The owner of sockets: what conversations have in common whose messages are events for an application's handlers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .conversation import Conversation
from .engine.session import Session
from .namespaces import Namespace, Namespaces
from .runner import Scope
from .services import Services
from .sockets import Socket


class SocketOwner(Conversation):
    """One client's conversation, and the work of its sockets."""

    __slots__ = ("_namespaces", "_services")

    def __init__(
        self,
        session: Session,
        request: dict[str, Any],
        scope: Scope | None,
        namespaces: Namespaces,
        services: Services,
    ) -> None:
        super().__init__(session, request, scope, services.runner)
        self._namespaces = namespaces
        self._services = services

    def perform(self, socket: Socket, what: str, function: Callable[..., object], args: Sequence[Any]) -> None:
        """Run an application's function here, as a handler is run."""
        self.inbox.scoped(self._perform, socket, what, function, args)

    def _perform(self, socket: Socket, what: str, function: Callable[..., object], args: Sequence[Any]) -> None:
        runner = self._services.runner
        try:
            function(*args)
        except runner.killed:
            pass  # at the end of the connection, for example
        except runner.failures as error:
            self._namespaces.report(socket, error, what)

    def _finish(self, socket: Socket, namespace: Namespace) -> None:
        namespace.end(socket)
        self._namespaces.leave(namespace)
