"""gevent's HTTP handler, able to put an answer off, and to let go of a connection that has become a WebSocket."""

from __future__ import annotations

import _socket
import contextlib
import errno
import io
import socket
from collections.abc import Callable, Generator
from typing import Any

import gevent
from gevent.pywsgi import Input, WSGIHandler, _InvalidClientInput
from gevent.ssl import SSLSocket

from .forwarded import FORWARDED
from .gate import ROUTINE
from .logs import printable
from .responses import Headers, Streaming
from .transports.bodies import KEEP_ALIVE, PatientFile, too_slow
from .transports.probe import probe
from .transports.streams import KEY, Connection, Stream
from .transports.tls import TlsSocket, TlsStream

TOO_SLOW = (
    "408 Request Timeout",
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 14\r\n\r\nheader_timeout",
)


class SocketIOHandler(WSGIHandler):  # type: ignore[misc]
    """Handles the requests of one connection, until it is handed to a WebSocket."""

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        self.socket: Any
        self.rfile: Any
        super().__init__(sock, address, server)
        self._address = address
        self._seconds: float = server.door.settings.header_timeout
        self._head_timeout: Any = None
        self._is_first = True
        self._is_late = False
        self._connection: Connection | None = None
        self._corked: list[bytes] | None = None
        self.result: Any = None
        self.response_headers: list[tuple[bytes, bytes]] = []
        set_no_delay(sock)

    def put_back(self, early: bytes) -> None:
        """Let what has been read of the connection already be read again."""
        self.rfile = io.BufferedReader(_Continued(early, self.rfile))

    def get_environ(self) -> dict[str, Any]:
        """The environ of a request, whose head is there, with the connection in it for who can use it."""
        self._head_timeout.close()
        environ: dict[str, Any] = super().get_environ()
        self.wsgi_input.rfile = PatientFile(self.rfile, self._seconds, self._end_after_this)
        if FORWARDED in environ:
            environ[FORWARDED].apply(environ, self._address)
            self.client_address = (environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT", ""))  # for the log
        # What is below the encryption shows that a client has hung up, but not that it only said that it would.
        self._connection = environ[KEY] = Connection(self.socket._sock)
        if self.wsgi_input.chunked_input:
            self.wsgi_input.__class__ = _Chunks
        return environ

    def handle(self) -> None:
        """Handle the requests of a connection; that the client went away is not worth a word."""
        with contextlib.suppress(OSError):
            super().handle()

    def run_application(self) -> None:
        """Have the application answer a request, unless it is the probe of ``doctor``, or a report of the server's."""
        path, door = self.environ["PATH_INFO"], self.server.door
        if path == self.server.probe_path:
            self.application = probe
        elif path in door.reports.paths:
            self.application = door
        super().run_application()

    def handle_one_request(self) -> Any:
        """Read and answer one request; whose it is, if it comes by a proxy, is only known when it has been read."""
        self.client_address = self._address
        self._head_timeout = gevent.Timeout(self._seconds, too_slow())
        self._is_late = False
        try:
            result = super().handle_one_request()
        finally:
            self._head_timeout.close()
            self._is_first = False
        return self._complain_of_delay() if self._is_late else result

    def read_requestline(self) -> str:
        """Read the first line of a request; time for the head runs from its first byte on, or from the connection's."""
        if not self._is_first:
            with gevent.Timeout(KEEP_ALIVE, too_slow()):
                self.rfile.peek(1)
        self._head_timeout.start()
        try:
            line: str = super().read_requestline()
        except TimeoutError:
            self._is_late = True
            raise
        return line

    def _end_after_this(self) -> None:
        """There will be no other request: nobody knows where it would begin."""
        self.close_connection = True

    def handle_one_response(self) -> None:
        """Answer one request; then let go of the connection if the answer was to switch protocols.

        One for a session of another worker is not answered here: that worker gets the connection, with the request.
        """
        if self._belongs_elsewhere():
            self.close_connection = True
            return
        super().handle_one_response()
        connection = self._connection
        if connection is None or connection.taker is None:
            return
        if self.code == 101 and self.headers_sent:
            self._give_away(connection.taker)
        elif connection.on_failure is not None:
            connection.on_failure()  # something between us and the server changed the answer
        self.close_connection = True

    def write(self, data: bytes) -> None:
        """Send a part of the application's answer; if that was empty to its end, make the one that was put off."""
        connection = self._connection
        if data or self.headers_sent or connection is None or connection.later is None or self.code != 200:
            super().write(data)
            return
        later, connection.later = connection.later, None
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.response_headers]
        answer = later()
        self.start_response(answer.status, complete(headers, answer.headers))
        if isinstance(answer, Streaming):
            self._write_pieces(answer.pieces)
        else:
            super().write(answer.body)

    def _write_pieces(self, pieces: Generator[bytes, None, None]) -> None:
        """Send a body in pieces; the base class takes its length from the application's own if that has one."""
        result, self.result = self.result, pieces
        try:
            for piece in pieces:
                super().write(piece)
        finally:
            self.result = result
            pieces.close()

    def finalize_headers(self) -> None:
        """Complete the headers; a switch of protocols has no length (RFC 9110, section 8.6)."""
        super().finalize_headers()
        if self.code == 101:
            self.response_headers = [h for h in self.response_headers if h[0].lower() != b"content-length"]

    def format_request(self) -> str:
        """One line of the access log; what the client sent is escaped in it."""
        return printable(super().format_request())

    def log_request(self) -> None:
        """Write the access log, but not a line for each packet that comes or goes."""
        environ = getattr(self, "environ", None) or {}  # there is none of a request that could not be read
        if not (environ.get(ROUTINE) and self.code in (101, 200)):
            self.write_log()

    def write_log(self) -> None:
        """Write a line into the access log."""
        super().log_request()

    def _handle_client_error(self, ex: Exception) -> Any:
        """Answer a request that cannot be read, with a line in the log; that a client went away is not worth a word.

        The base class takes what is no ValueError for a mistake of its own, which it may be ("HTTP/9" is one): still,
        it is the client's.
        """
        if isinstance(ex, TimeoutError):
            return self._complain_of_delay()
        if isinstance(ex, OSError):
            return None
        return super()._handle_client_error(ex if isinstance(ex, ValueError) else ValueError(str(ex)))

    def _complain_of_delay(self) -> tuple[str, bytes]:
        """Answer who does not finish the head of a request."""
        self.server.door.hub.counters.limited["header_timeout"] += 1
        return TOO_SLOW

    def _belongs_elsewhere(self) -> bool:
        """Give the connection to the worker that the request is for, if it is another; tells whether that took it."""
        owner = self.server.owner_of(self.requestline.encode("latin-1"))
        if owner is None:
            return False
        lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
        early = "\r\n".join(lines).encode("latin-1") + self._unread()
        if not self.server.colleagues.hand_over(owner, self.socket, self._address, early):
            return False
        self.socket = None
        return True

    def _give_away(self, taker: Callable[[Stream, bytes], None]) -> None:
        """Hand the connection to its taker, and do not touch it again."""
        sock, early = self.socket, self._unread()
        self.socket = None
        if isinstance(sock, SSLSocket):
            taker(TlsStream(TlsSocket(sock)), early)
            return
        family, kind, protocol = sock.family, sock.type, sock.proto
        raw = _socket.socket(family, kind, protocol, fileno=sock.detach())
        raw.setblocking(False)
        taker(Stream(raw), early)

    def _unread(self) -> bytes:
        """What the client sent after its request, and was read from the socket together with it."""
        sock: Any = self.socket
        sock.settimeout(0.0)
        try:
            return bytes(self.rfile.peek())
        except OSError:
            return b""

    # Head and body in one send: in two, the second would wait for the client to acknowledge the first.

    def _write_with_headers(self, data: bytes) -> None:
        self._corked = []
        super()._write_with_headers(data)
        whole, self._corked = b"".join(self._corked), None
        self._sendall(whole)

    def _sendall(self, data: bytes) -> None:
        if self._corked is not None:
            self._corked.append(bytes(data))
            return
        try:
            super()._sendall(data)
        except OSError as error:
            if self._connection is not None and self._connection.on_failure is not None:
                self._connection.on_failure()
            # The base class knows two ways in which a client can be gone; with TLS, and by time, there are more.
            raise BrokenPipeError(errno.EPIPE, str(error)) from error


class _Chunks(Input):  # type: ignore[misc]
    """A body in chunks, of which one may have no size, which the base class takes for a number (RFC 9112, 7.1)."""

    __slots__ = ()

    def _chunked_read(self, *args: Any) -> Any:
        try:
            return super()._chunked_read(*args)
        except ValueError as error:
            self._chunked_input_error = True  # type: ignore[misc]
            raise _InvalidClientInput(f"a chunk has no size: {error}") from None


class _Continued(io.RawIOBase):
    """What has been read of a connection already, and then the rest of it."""

    def __init__(self, early: bytes, rest: Any) -> None:
        super().__init__()
        self._early = memoryview(early)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._early:
            data = self._rest.read1(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        size = min(len(buffer), len(self._early))
        buffer[:size] = self._early[:size]
        self._early = self._early[size:]
        return size


def complete(headers: Headers, own: Headers) -> Headers:
    """Return the headers of an answer that was put off, with those that the application has set meanwhile."""
    return [header for header in headers if header[0].lower() not in ("content-length", "content-type")] + own


def set_no_delay(sock: Any) -> None:
    """Let everything that is sent leave at once: what comes in pieces would wait for acknowledgements else."""
    if sock.family != getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
