"""The front: a server's connections while they carry nothing but Socket.IO, which need no greenlet of their own."""

from __future__ import annotations

import _socket
import functools
import time
import weakref
from collections.abc import Callable
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer
from gevent.socket import socket as gevent_socket

from .door import Door
from .forwarded import FORWARDED
from .gate import ROUTINE
from .handler import SocketIOHandler, complete, set_no_delay
from .hub import Hub
from .logs import logger, printable
from .responses import Answer, Later
from .transports.http import Request
from .transports.probe import NAME as PROBE
from .transports.requests import CLOSE, HttpConnection
from .transports.service import Response
from .transports.streams import Connection, Stream
from .transports.tls import Handshake, TlsSocket, TlsStream

#: Seconds that a stopping server gives to what is being answered.
LAST_ANSWERS = 0.1
FAILED = Response(
    "500 Internal Server Error",
    [("Content-Type", "text/plain"), ("Connection", "close"), ("Content-Length", "21")],
    b"Internal Server Error",
)
#: Codes of answers that have no body, nor the length of one (RFC 9110, section 8.6).
BODILESS = (101, 204, 304)


class Front:
    """Serves the requests for Socket.IO of one server; see the contract of Service."""

    #: The one that it relieves; another one sees every request.
    handler_class: type[SocketIOHandler] = SocketIOHandler

    def __init__(self, server: WSGIServer, door: Door) -> None:
        self._server = server
        self._door = door
        self._connections: weakref.WeakSet[HttpConnection | Handshake] = weakref.WeakSet()
        #: What the paths of Socket.IO begin with.
        self.prefix = f"/{door.settings.resource}/".encode()
        #: The one of them whose answer comes in pieces.
        self.probe = self.prefix + PROBE.encode()
        #: Those of them that the application is not asked for.
        self.reports = door.reports.paths

    @property
    def hub(self) -> Hub:
        """Whose sessions the requests are for."""
        return self._door.hub

    def welcome(self, raw: _socket.socket, address: Any, early: bytes = b"") -> None:
        """Serve a connection that was accepted, here or by another worker, which has read something of it."""
        raw.setblocking(False)
        set_no_delay(raw)
        if self._server.ssl_enabled:
            self._encrypt(raw, address)
        else:
            self._connections.add(HttpConnection(Stream(raw), address, self, early))

    def _encrypt(self, raw: _socket.socket, address: Any) -> None:
        def done(sock: TlsSocket) -> None:
            self._connections.add(HttpConnection(TlsStream(sock), address, self))

        try:
            sock = self._server.wrap_socket(raw, do_handshake_on_connect=False, **self._server.ssl_args)
        except OSError as error:  # the client is gone already
            logger.debug("no TLS with %s: %s", address, error)
            raw.close()
            return
        handshake = Handshake(sock, address, done)
        handshake.expire(self.hub.deadlines, self.hub.runner.now() + self._door.settings.header_timeout)
        self._connections.add(handshake)

    def close(self) -> None:
        """Close the connections that still are here, those that are being answered a little later."""
        with gevent.Timeout(LAST_ANSWERS, False):
            while any(connection.is_busy for connection in self._connections):
                gevent.sleep(0.001)
        for connection in list(self._connections):
            connection.close()

    def make_environ(self, request: Request, address: Any) -> dict[str, Any]:
        """The WSGI environ of a request, all but its input and its connection (PEP 3333)."""
        environ: dict[str, Any] = self._server.get_environ()
        environ.update(request.headers)
        environ["REQUEST_METHOD"] = request.method
        environ["SCRIPT_NAME"] = ""
        environ["PATH_INFO"] = request.path_info
        environ["QUERY_STRING"] = request.query
        environ["SERVER_PROTOCOL"] = "HTTP/1.1"
        environ["wsgi.input_terminated"] = True
        if isinstance(address, tuple):
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = address[0], str(address[1])
        if FORWARDED in environ:
            environ[FORWARDED].apply(environ, address)
        return environ

    def answer(self, environ: dict[str, Any], name: str) -> Response | Callable[[], Response]:
        """Answer a request of a session, at once or by a function that may wait."""
        try:
            answer = self._door.answer(environ, name)
        except Exception as error:
            return _fail("a request", error)
        if isinstance(answer, Answer):
            return Response(*answer)
        return functools.partial(_make, answer)

    def run_application(self, environ: dict[str, Any], connection: Connection) -> Response:
        """Answer any other request: as the application says, or as it lets the door do. May wait."""
        started = _Started()
        try:
            result = self._server.application(environ, started.start_response)
            try:
                started.pieces.extend(result)
            finally:
                if hasattr(result, "close"):
                    result.close()
            body = b"".join(started.pieces)
            if connection.later is not None and not body and started.code == 200:
                answer = connection.later()
                return Response(*answer._replace(headers=complete(started.headers, answer.headers)))
            return started.complete(body)
        except BaseException as error:  # also timeouts of gevent: whatever it is, the client gets an answer
            return _fail("the application", error)

    def owner_of(self, head: bytes) -> str | None:
        """Which other worker has the session that a request is for, if one has."""
        owner: str | None = self._server.owner_of(head)
        return owner

    def hand_over(self, owner: str, raw: _socket.socket, address: Any, early: bytes) -> None:
        """Give a connection to another worker; if that is gone, so is the session, and the HTTP server will say so."""

        def give() -> None:
            if not self._server.colleagues.hand_over(owner, raw, address, early):
                self.take_back(raw, address, early)

        self.hub.runner.start(give)

    def take_back(self, raw: _socket.socket | TlsSocket, address: Any, early: bytes) -> None:
        """Take a connection, of which something has been read already, to the HTTP server."""
        server = self._server
        if isinstance(raw, TlsSocket):
            early += raw.early
            sock = raw.detach()
        else:
            sock = gevent_socket(raw.family, raw.type, raw.proto, fileno=raw.detach())
        if server.closed:  # it is stopping, but this request came before that was over
            gevent.spawn(server.handle, sock, address, early)
        elif server.full():  # the option spawn limits it: wait for a place, but not in the loop
            gevent.spawn(server.do_handle, sock, address, early)
        else:
            server.do_handle(sock, address, early)

    def log_answer(self, request: Request, environ: dict[str, Any], status: str, size: int) -> None:
        """Note an answer in the access log, as the HTTP server does, but not each packet that comes or goes."""
        if not (environ.get(ROUTINE) and status[:3] in ("101", "200")):
            self.write_log(request, environ, status, size)

    def write_log(self, request: Request, environ: dict[str, Any], status: str, size: int) -> None:
        """Write a line into the access log."""
        line = f"{request.method} {request.path.decode()}{'?' if request.query else ''}{request.query} HTTP/1.1"
        client = printable(environ.get("REMOTE_ADDR") or "-")
        moment = time.strftime("%Y-%m-%d %H:%M:%S")
        self._server.log.write(f'{client} - - [{moment}] "{printable(line)}" {status[:3]} {size} -\n')


class _Started:
    """What an application answers, judged as the HTTP server would."""

    def __init__(self) -> None:
        self.status = ""
        self.code = 0
        self.headers: list[tuple[str, str]] = []
        self.pieces: list[bytes] = []

    def start_response(self, status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[..., Any]:
        """Begin an answer; see PEP 3333. Raises an error for what would be none."""
        if error and any(self.pieces):
            raise error[1].with_traceback(error[2])
        texts = [status]
        for name, value in headers:
            texts += (name, value)
        whole = "".join(texts).encode("latin-1")
        if b"\r" in whole or b"\n" in whole:
            raise ValueError("an answer's status and headers have no line ends")
        self.code = int(status.split(" ", 1)[0])
        self.status, self.headers = status, list(headers)
        return self.pieces.append

    def complete(self, body: bytes) -> Response:
        """The answer with its body. Raises ValueError if the two do not fit together."""
        if not self.status:
            raise ValueError("start_response was not called")
        is_bodiless = self.code in BODILESS
        headers, has_length = [], False
        for header in self.headers:
            name = header[0].lower()
            if name == "date" or (name == "content-length" and self.code == 101):
                continue
            if name == "content-length":
                has_length = header[1] != "0" or not is_bodiless
            headers.append(CLOSE if name == "connection" and header[1] == "close" else header)
        if is_bodiless and (body or has_length):
            raise ValueError(f"an answer of status {self.code} has no body")
        if not has_length and not is_bodiless:
            headers.append(("Content-Length", str(len(body))))
        return Response(self.status, headers, body)


def _make(later: Later) -> Response:
    try:
        return Response(*later())
    except Exception as error:
        return _fail("a request", error)


def _fail(culprit: str, error: BaseException) -> Response:
    logger.error("%s raised %s", culprit, type(error).__name__, exc_info=error)
    return FAILED
