"""The contract of who answers the requests that come by connections without a greenlet."""

from __future__ import annotations

import _socket
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Protocol

from ..hub import Hub
from .http import Request
from .streams import Connection


class Response(NamedTuple):
    """What a request is answered."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Service(Protocol):
    """What a connection needs of its server."""

    @property
    def hub(self) -> Hub:
        """Whose sessions the requests are for."""

    @property
    def prefix(self) -> bytes:
        """What the paths of Socket.IO begin with."""

    @property
    def probe(self) -> bytes:
        """The one of them that is left to the HTTP server."""

    @property
    def reports(self) -> Collection[str]:
        """Those that the door answers without the application."""

    def make_environ(self, request: Request, address: Any) -> dict[str, Any]:
        """The WSGI environ of a request, all but its input and its connection."""

    def answer(self, environ: dict[str, Any], name: str) -> Response | Callable[[], Response]:
        """Answer a request of a session, at once or by a function that may wait."""

    def run_application(self, environ: dict[str, Any], connection: Connection) -> Response:
        """Answer any other request. May wait."""

    def owner_of(self, head: bytes) -> str | None:
        """Which other worker has the session that a request is for, if one has."""

    def hand_over(self, owner: str, raw: _socket.socket, address: Any, early: bytes) -> None:
        """Give a connection, of which something has been read already, to another worker."""

    def take_back(self, raw: _socket.socket, address: Any, early: bytes) -> None:
        """Take a connection, of which something has been read already, to the HTTP server."""

    def log_answer(self, request: Request, environ: dict[str, Any], status: str, size: int) -> None:
        """Note an answer of so many bytes in the access log, if it is worth that."""
