"""The gate: who may come in, and how a session begins, whatever the client speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .admission import Admission
from .engine.session import Session
from .environs import compact_environ
from .errors import RequestRefused
from .forwarded import FORWARDED, Forwarded
from .hub import Converse, Hub
from .logs import address_of, logger, printable
from .origins import Origins
from .runner import Scope
from .wire.dialects import Dialect

#: Set in the environ of a request whose success is not worth a line in the access log.
ROUTINE = "webpy_socketio.routine"
#: What those are told who may come back in a moment, and in how many seconds.
LATER = ("Retry-After", "1")
#: Makes, of a handshake's environ, what surrounds the client's handlers.
Surround = Callable[[dict[str, Any]], Scope]


class Gate:
    """That of one hub."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.origins = Origins(hub.settings, hub.runner.failures)
        #: What makes something of trusted proxies' headers, if there are any.
        self.forwarded = Forwarded(hub.settings) if hub.settings.trusted_proxies else None
        self._admission = Admission(hub, self.forwarded)
        self._warned_of_transport = False

    def identify(self, environ: dict[str, Any]) -> None:
        """See to it that a request's environ names its client, and not a proxy."""
        if self.forwarded is not None and FORWARDED not in environ:
            self.forwarded.apply_at_door(environ)

    def check_origin(self, environ: dict[str, Any], is_script: bool = False) -> None:
        """Raise RequestRefused for a page that may not connect; see Origins.allows."""
        if not self.origins.allows(environ, is_script):
            origin = printable(environ.get("HTTP_ORIGIN", ""))
            text = "refused a page of %s: add that origin to cors_origins to let it connect"
            logger.warning(text, origin, extra=about(environ, 4))
            raise RequestRefused(4, "Origin not allowed", "403 Forbidden")

    def check_open(self) -> None:
        """Raise RequestRefused if nobody is let in any more."""
        if self.hub.draining:
            raise RequestRefused(3, "The server is stopping", "503 Service Unavailable")

    def warn_of_transport(self) -> None:
        """Tell the operator, once, why there are no WebSockets."""
        if not self._warned_of_transport:
            self._warned_of_transport = True
            logger.warning("WebSocket is not offered: this server does not give its connections away; run the "
                           "application with SocketIOServer, or with gunicorn's worker gevent and TLS in a proxy, "
                           "or keep long-polling")  # fmt: skip

    def open(
        self,
        environ: Mapping[str, Any],
        converse: Converse,
        dialect: Dialect,
        transport: str,
        surround: Surround | None,
    ) -> Session:
        """Open a session for the client of a request. Raises RequestRefused if it is one too many.

        :param converse: makes its conversation.
        :param surround: makes what shall surround its handlers.
        """
        group = self._admission.admit(environ)
        request = compact_environ(environ)
        scope = None if surround is None else surround(request)
        return self.hub.open(converse, dialect, transport, request, scope, group)


def about(environ: Mapping[str, Any], code: int) -> dict[str, str]:
    """What a log's record of a refused request says beside its text."""
    return {"code": str(code), "address": address_of(environ)}


def is_temporary(error: RequestRefused) -> bool:
    """Whether who is refused may come back in a moment."""
    return error.status.startswith(("503", "429"))
