"""The front: a server's connections while they carry nothing but Socket.IO, which need no greenlet of their own."""

from __future__ import annotations

import _socket
import time
import weakref
from collections.abc import Callable
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer
from gevent.socket import socket as gevent_socket

from .handler import complete, set_no_delay
from .hub import Hub
from .logs import logger, printable
from .transports.http import Request
from .transports.requests import HttpConnection, Response
from .transports.streams import Connection
from .wsgi import ROUTINE, Answer, Door

#: Seconds that a stopping server gives to what is being answered.
LAST_ANSWERS = 0.1
FAILED = Response("500 Internal Server Error", [("Content-Length", "0"), ("Connection", "close")], b"")


class Front:
    """Serves the requests for Socket.IO of one server; see the contract of Service."""

    def __init__(self, server: WSGIServer, door: Door) -> None:
        self._server = server
        self._door = door
        self._connections: weakref.WeakSet[HttpConnection] = weakref.WeakSet()
        #: What the paths of Socket.IO begin with.
        self.prefix = f"/{door.settings.resource}/".encode()

    @property
    def hub(self) -> Hub:
        """Whose sessions the requests are for."""
        return self._door.hub

    def welcome(self, raw: _socket.socket, address: Any) -> None:
        """Serve a connection that was accepted."""
        raw.setblocking(False)
        set_no_delay(raw)
        self._connections.add(HttpConnection(raw, address, self))

    def close(self) -> None:
        """Close the connections that still are here, those that are being answered a little later."""
        with gevent.Timeout(LAST_ANSWERS, False):
            while any(connection.is_busy for connection in self._connections):
                gevent.sleep(0.001)
        for connection in list(self._connections):
            connection.close()

    def make_environ(self, request: Request, address: Any) -> dict[str, Any]:
        """The WSGI environ of a request, all but its input and its connection (PEP 3333)."""
        environ = {**self._server.environ, **request.headers}
        environ["REQUEST_METHOD"] = request.method
        environ["SCRIPT_NAME"] = ""
        environ["PATH_INFO"] = request.path_info
        environ["QUERY_STRING"] = request.query
        environ["SERVER_PROTOCOL"] = "HTTP/1.1"
        environ["wsgi.input_terminated"] = True
        if isinstance(address, tuple):
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = address[0], str(address[1])
        return environ

    def answer(self, environ: dict[str, Any], name: str) -> Response | Callable[[], Response]:
        """Answer a request of a session, at once or by a function that may wait."""
        answer = self._door.answer(environ, name)
        if isinstance(answer, Answer):
            return Response(*answer)
        return lambda: Response(*answer())

    def run_application(self, environ: dict[str, Any], connection: Connection) -> Response:
        """Answer any other request: as the application says, or as it lets the door do. May wait."""
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[..., Any]:
            started[:] = status, headers
            return pieces.append

        pieces: list[bytes] = []
        try:
            result = self._server.application(environ, start_response)
            try:
                pieces.extend(result)
            finally:
                if hasattr(result, "close"):
                    result.close()
            status, headers = started
            if connection.later is not None and not any(pieces) and status.startswith("200"):
                return Response(*complete(headers, connection.later()))
        except Exception as error:
            logger.error("the application raised %s", type(error).__name__, exc_info=error)
            return FAILED
        return _with_length(status, headers, b"".join(pieces))

    def take_back(self, raw: _socket.socket, address: Any, early: bytes) -> None:
        """Take a connection, of which something has been read already, to the HTTP server."""
        sock = gevent_socket(raw.family, raw.type, raw.proto, fileno=raw.detach())
        self._server.do_handle(sock, address, early)

    def log_answer(self, request: Request, environ: dict[str, Any], response: Response) -> None:
        """Note an answer in the access log, but not a line for each packet that comes or goes."""
        code = response.status[:3]
        if self._server.log is None or (environ.get(ROUTINE) and code in ("101", "200")):
            return
        line = f"{request.method} {request.path.decode()}{'?' if request.query else ''}{request.query} HTTP/1.1"
        moment = time.strftime("%Y-%m-%d %H:%M:%S")
        client = environ.get("REMOTE_ADDR", "-")
        self._server.log.write(f'{client} - - [{moment}] "{printable(line)}" {code} {len(response.body)} -\n')


def _with_length(status: str, headers: list[tuple[str, str]], body: bytes) -> Response:
    """Complete the headers; a switch of protocols has no length (RFC 9110, section 8.6)."""
    if not status.startswith("101") and not any(name.lower() == "content-length" for name, _ in headers):
        headers = [*headers, ("Content-Length", str(len(body)))]
    return Response(status, headers, body)
