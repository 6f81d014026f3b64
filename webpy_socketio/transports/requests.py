"""HTTP connections without a greenlet: requests for Socket.IO are read from the loop, and answered in one piece.

A request that belongs to a session goes straight to the door. One that may open a session goes through the application,
so that its middleware and processors see it, in a worker. The first request for something else takes the connection to
the HTTP server, for good.
"""

from __future__ import annotations

import _socket
import io
import re
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import gevent

from ..hub import Hub
from ..runner import Waiter
from .http import END_OF_HEAD, HeadReader, Request, render
from .streams import KEY, Connection, Stream

#: Bytes that the head of a request may have.
LONGEST_HEAD = 65_536
HAS_SID = re.compile(r"(?:^|&)sid=[^&]")
CLOSE = ("Connection", "close")


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

    def make_environ(self, request: Request, address: Any) -> dict[str, Any]:
        """The WSGI environ of a request, all but its input and its connection."""

    def answer(self, environ: dict[str, Any], name: str) -> Response | Callable[[], Response]:
        """Answer a request of a session, at once or by a function that may wait."""

    def run_application(self, environ: dict[str, Any], connection: Connection) -> Response:
        """Answer any other request. May wait."""

    def take_back(self, raw: _socket.socket, address: Any, early: bytes) -> None:
        """Take a connection, of which something has been read already, to the HTTP server."""

    def log_answer(self, request: Request, environ: dict[str, Any], response: Response) -> None:
        """Note an answer in the access log, if it is worth that."""


class HttpConnection:
    """One connection, from when it was accepted until somebody else takes it, or it is closed."""

    __slots__ = (
        "__weakref__", "_address", "_arrived", "_buffer", "_connection", "_heads", "_is_paused", "_served", "_service",
        "_stream",
    )  # fmt: skip

    def __init__(self, raw: _socket.socket, address: Any, service: Service) -> None:
        self._stream = Stream(raw)
        self._address = address
        self._service = service
        self._heads = HeadReader()
        self._buffer = b""
        self._served = 0
        self._is_paused = False
        #: Of the request that is being answered.
        self._connection: Connection | None = None
        #: Set when more of its body has arrived, or the client has hung up.
        self._arrived: Waiter | None = None
        self._stream.listen(self._readable)
        self._set_deadline()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._connection is not None or self._stream.is_blocked

    def close(self) -> None:
        """Close it, if nobody else has taken it."""
        self._stream.close()

    def read_body(self, length: int) -> bytes:
        """Return so much of what comes, or less if the client hangs up. May wait."""
        while len(self._buffer) < length:
            size = len(self._buffer)
            self._arrived = self._service.hub.runner.waiter()
            self._listen()
            self._arrived.wait()
            self._arrived = None
            if len(self._buffer) == size:
                break
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    # Read.

    def _readable(self) -> None:
        if self._connection is not None and self._arrived is None:  # the next request can wait
            self._is_paused = True
            self._stream.pause()
            return
        try:
            data = self._stream.receive()
        except OSError:
            data = b""
        if data is None:
            return
        is_first_part = not self._buffer
        self._buffer += data
        if self._arrived is not None:
            self._arrived.set()
        elif not data:
            self.close()
        else:
            self._take_request()
            if self._buffer and is_first_part:
                self._set_deadline()

    def _take_request(self) -> None:
        """Answer the next request, if its head is all there."""
        end = self._buffer.find(END_OF_HEAD)
        if end < 0:
            if len(self._buffer) > LONGEST_HEAD or not self._may_be_ours():
                self._leave()
            return
        end += len(END_OF_HEAD)
        request = self._heads.read(self._buffer[:end])
        service = self._service
        if (
            request is None
            or not request.path.startswith(service.prefix)
            or request.length > service.hub.settings.max_payload
        ):
            self._leave()
            return
        self._buffer = self._buffer[end:]
        self._served += 1
        self._answer(request)

    def _may_be_ours(self) -> bool:
        """Whether the beginning of a head could become that of a request for Socket.IO."""
        beginnings = (b"GET " + self._service.prefix, b"POST " + self._service.prefix)
        return any(self._buffer[: len(beginning)] == beginning[: len(self._buffer)] for beginning in beginnings)

    def _listen(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._stream.listen(self._readable)

    def _leave(self) -> None:
        self._service.take_back(self._stream.release(), self._address, self._buffer)

    def _set_deadline(self) -> None:
        hub = self._service.hub
        deadline = hub.runner.now() + hub.settings.connect_timeout
        hub.deadlines.add(deadline, _expect_request, (weakref.ref(self), self._served))

    def expect_request(self, served: int) -> None:
        """The time for the next request, after so many, is over."""
        if served == self._served and self._stream.raw.fileno() >= 0 and self._connection is None:
            self.close()

    # Answer.

    def _answer(self, request: Request) -> None:
        service = self._service
        environ = service.make_environ(request, self._address)
        connection = self._connection = environ[KEY] = Connection(self._stream.raw)
        environ["wsgi.input"] = self._body(request.length)
        if HAS_SID.search(request.query) is None:
            service.hub.runner.start(self._run_application, request, environ, connection)
        elif request.method == "GET":
            self._ask_door(request, environ, connection)
        else:
            # The loop calls back for what became readable at the same time in no particular order. A client that
            # closes while it polls shall have its poll answered.
            gevent.get_hub().loop.run_callback(self._ask_door, request, environ, connection)

    def _ask_door(self, request: Request, environ: dict[str, Any], connection: Connection) -> None:
        service = self._service
        answer = service.answer(environ, request.path_info[len(service.prefix) :])
        if isinstance(answer, Response):
            self._send(request, environ, connection, answer)
        else:
            service.hub.runner.start(self._answer_later, request, environ, connection, answer)

    def _body(self, length: int) -> Any:
        if len(self._buffer) < length:
            return _Body(self, length)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return io.BytesIO(body)

    def _answer_later(
        self, request: Request, environ: dict[str, Any], connection: Connection, make: Callable[[], Response]
    ) -> None:
        self._send(request, environ, connection, make())

    def _run_application(self, request: Request, environ: dict[str, Any], connection: Connection) -> None:
        self._send(request, environ, connection, self._service.run_application(environ, connection))

    def _send(self, request: Request, environ: dict[str, Any], connection: Connection, response: Response) -> None:
        """Send an answer in one piece; then let go of the connection, or take the next request."""
        is_switch = connection.taker is not None and response.status.startswith("101")
        is_last = not is_switch and (request.closes or CLOSE in response.headers)
        self._stream.on_broken = connection.on_failure
        try:
            self._stream.send(render(response.status, response.headers, response.body, close=request.closes))
        except OSError:
            self.close()
            if connection.on_failure is not None:
                connection.on_failure()
            return
        self._service.log_answer(request, environ, response)
        self._connection = None
        if connection.taker is not None:
            self._give_away(connection, is_switch)
        if is_last:
            self._end()
        elif not is_switch:
            self._listen()
            if self._buffer:
                self._take_request()

    def _give_away(self, connection: Connection, is_switch: bool) -> None:
        if is_switch and connection.taker is not None:
            self._served += 1
            self._stream.on_broken = None
            connection.taker(self._stream, self._buffer)
        elif connection.on_failure is not None:
            connection.on_failure()  # something between us and the door changed the answer

    def _end(self) -> None:
        """Close the connection when the answer has gone out."""
        if self._stream.is_blocked:
            self._stream.on_drained = self._end
            return
        try:
            self._stream.half_close()
        except OSError:
            self.close()
        else:
            self._stream.linger(self._service.hub.deadlines, self._service.hub.runner.now())


class _Body:
    """The input of a request whose body is still on its way."""

    def __init__(self, connection: HttpConnection, length: int) -> None:
        self._connection = connection
        self._left = length

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, or all."""
        wanted = self._left if size < 0 else min(size, self._left)
        self._left -= wanted
        return self._connection.read_body(wanted)


def _expect_request(subject: tuple[weakref.ref[HttpConnection], int], now: float) -> None:
    reference, served = subject
    connection = reference()
    if connection is not None:
        connection.expect_request(served)
