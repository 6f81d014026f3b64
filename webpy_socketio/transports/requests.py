"""HTTP connections without a greenlet: requests for Socket.IO are read from the loop, and answered in one piece.

A request that belongs to a session goes straight to the door. One that may open a session goes through the application,
so that its middleware and processors see it, in a worker. The first request for something else takes the connection to
the HTTP server, for good.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Callable
from typing import Any

import gevent

from ..runner import Waiter
from .bodies import KEEP_ALIVE, Body, Patience, too_slow
from .http import END_OF_HEAD, HeadReader, Request, render
from .service import Response, Service
from .streams import KEY, Connection, Stream

#: Bytes that the head of a request may have.
LONGEST_HEAD = 65_536
#: Ends a head for the HTTP server too, which takes bare line feeds.
ANY_END_OF_HEAD = re.compile(rb"\n\r?\n")
#: No number of requests.
NOT_IDLE = -1
HAS_SID = re.compile(r"(?:^|&)sid=[^&]")
CLOSE = ("Connection", "close")
#: The answer to who does not finish the head of a request.
TOO_SLOW = "408 Request Timeout", [("Content-Length", "14")], b"header_timeout"


class HttpConnection:
    """One connection, from when it was accepted until somebody else takes it, or it is closed.

    :param early: what has been read of it already.
    """

    __slots__ = (
        "__weakref__", "_address", "_arrived", "_body", "_buffer", "_connection", "_expected", "_heads", "_is_gone",
        "_is_paused", "_served", "_service", "_stream",
    )  # fmt: skip

    def __init__(self, stream: Stream, address: Any, service: Service, early: bytes = b"") -> None:
        self._stream = stream
        self._address = address
        self._service = service
        self._heads = HeadReader()
        self._buffer = early
        self._served = 0
        #: How many requests had been served when the time for the next began to run.
        self._expected = -1
        self._is_paused = False
        #: Whether somebody else has taken the connection.
        self._is_gone = False
        #: Of the request that is being answered, until the next may be taken.
        self._connection: Connection | None = None
        #: Of the last request, if it did not come with its head.
        self._body: Body | None = None
        #: Set when more of it has arrived, or the client has hung up.
        self._arrived: Waiter | None = None
        self._stream.listen(self._readable)
        self._set_deadline()
        if early:
            self._take_request()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._connection is not None

    def close(self) -> None:
        """Close it, if nobody else has taken it."""
        self._connection = None
        self._stream.close()

    def read_body(self, most: int, patience: Patience) -> bytes:
        """Return what comes next, or nothing if the client hangs up. May wait; raises TimeoutError if it is in vain."""
        if not self._buffer:
            runner = self._service.hub.runner
            arrived, began = runner.waiter(), runner.now()
            self._arrived = arrived
            self._listen()
            in_time = arrived.wait(patience.left)
            self._arrived = None
            patience.spend(runner.now() - began, len(self._buffer))
            if not in_time:
                raise too_slow()
        body, self._buffer = self._buffer[:most], self._buffer[most:]
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
        self._buffer += data
        if self._arrived is not None:
            self._arrived.set()
        elif not data:
            self.close()
        else:
            self._take_request()

    def _take_request(self) -> None:
        """Answer the next request, if its head is all there."""
        if self._body is not None:
            self._skip_body(self._body)
        end = self._buffer.find(END_OF_HEAD)
        if end < 0 or end > LONGEST_HEAD:
            self._expect_head()
            return
        end += len(END_OF_HEAD)
        service = self._service
        owner = service.owner_of(self._buffer)
        if owner is not None:
            self._is_gone = True
            service.hand_over(owner, self._stream.release(), self._address, self._buffer)
            return
        request = self._heads.read(self._buffer[:end])
        if (
            request is None
            or not request.path.startswith(service.prefix)
            or request.path == service.probe
            or request.length > service.hub.settings.max_payload
        ):
            self._leave()
            return
        self._buffer = self._buffer[end:]
        self._served += 1
        self._answer(request)

    def _skip_body(self, body: Body) -> None:
        """Skip what the last request's answer did not take of its body: it must not pass for a request."""
        size = min(body.left, len(self._buffer))
        self._buffer = self._buffer[size:]
        body.left -= size
        if not body.left:
            self._body = None

    def _expect_head(self) -> None:
        """Wait for the rest of a head, unless it is none of ours, or never will be one."""
        head = self._buffer
        if len(head) > LONGEST_HEAD or not self._may_be_ours() or ANY_END_OF_HEAD.search(head) is not None:
            self._leave()
        elif self._expected != self._served and (head or self._body is not None):
            self._set_deadline()

    def _may_be_ours(self) -> bool:
        """Whether the beginning of a head could become that of a request for Socket.IO."""
        beginnings = (b"GET " + self._service.prefix, b"POST " + self._service.prefix)
        return any(self._buffer[: len(beginning)] == beginning[: len(self._buffer)] for beginning in beginnings)

    def _listen(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._stream.listen(self._readable)

    def _leave(self) -> None:
        self._is_gone = True
        self._service.take_back(self._stream.release(), self._address, self._buffer)

    def _set_deadline(self) -> None:
        hub = self._service.hub
        deadline = hub.runner.now() + hub.settings.header_timeout
        self._expected = self._served
        hub.deadlines.add_weakly(deadline, HttpConnection.expect_request, self, self._served)

    def expect_request(self, served: int) -> None:
        """The time for the next request, after so many, is over."""
        if self._is_gone or self._stream.raw.fileno() < 0:
            return
        if served == self._served and self._connection is None:
            if self._buffer:
                self._service.hub.counters.limited["header_timeout"] += 1
                with contextlib.suppress(OSError):
                    self._stream.send(render(*TOO_SLOW, close=True))
            self.close()
        elif served == 0:
            self._look_again()

    def be_idle(self, served: int) -> None:
        """Close the connection if it has rested since so many requests, and look again later if not."""
        if self._is_gone or self._stream.raw.fileno() < 0:
            return
        if served == self._served and self._connection is None and not self._buffer:
            self.close()
        else:
            self._look_again()

    def _look_again(self) -> None:
        hub = self._service.hub
        served = self._served if self._connection is None else NOT_IDLE  # the rest begins after the answer
        hub.deadlines.add_weakly(hub.runner.now() + KEEP_ALIVE, HttpConnection.be_idle, self, served)

    # Answer.

    def _answer(self, request: Request) -> None:
        service = self._service
        environ = service.make_environ(request, self._address)
        connection = self._connection = environ[KEY] = Connection(self._stream.raw)
        environ["wsgi.input"] = self._input(request.length)
        if HAS_SID.search(request.query) is None and request.path_info not in service.reports:
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

    def _input(self, length: int) -> Any:
        if len(self._buffer) < length:
            self._body = Body(self, length, self._service.hub.settings.header_timeout)
            return io.BufferedReader(self._body)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return io.BytesIO(body)

    def _answer_later(
        self, request: Request, environ: dict[str, Any], connection: Connection, make: Callable[[], Response]
    ) -> None:
        self._send(request, environ, connection, make())

    def _run_application(self, request: Request, environ: dict[str, Any], connection: Connection) -> None:
        self._send(request, environ, connection, self._service.run_application(environ, connection))

    def _send(self, request: Request, environ: dict[str, Any], connection: Connection, response: Response) -> None:
        """Send an answer in one piece."""
        is_switch = connection.taker is not None and response.status.startswith("101")
        says_close = CLOSE in response.headers
        is_last = not is_switch and (says_close or request.closes)
        data = render(response.status, response.headers, response.body, close=is_last and not says_close)
        try:
            is_out = self._stream.send(data)
        except OSError:
            self._broken(connection)
            return
        self._service.log_answer(request, environ, response.status, len(data))
        if is_out:
            self._sent(connection, is_switch, is_last)
        else:  # no other request is taken meanwhile, so that not more than one answer has to be kept
            hub = self._service.hub
            deadline = hub.runner.now() + hub.settings.connect_timeout
            hub.deadlines.add_weakly(deadline, HttpConnection.expect_taking, self, self._served)
            self._stream.on_drained = functools.partial(self._drained, connection, is_switch, is_last)
            self._stream.on_broken = functools.partial(self._broken, connection)

    def expect_taking(self, served: int) -> None:
        """The time for taking the answer to a request, after so many, is over."""
        if served == self._served and self._connection is not None and self._stream.is_blocked:
            self._broken(self._connection)

    def _drained(self, connection: Connection, is_switch: bool, is_last: bool) -> None:
        self._stream.on_drained = self._stream.on_broken = None
        self._sent(connection, is_switch, is_last)

    def _broken(self, connection: Connection) -> None:
        """The answer cannot be sent."""
        self._stream.on_drained = self._stream.on_broken = None
        self.close()
        if connection.on_failure is not None:
            connection.on_failure()

    def _sent(self, connection: Connection, is_switch: bool, is_last: bool) -> None:
        """The answer has gone out: let go of the connection, or take the next request."""
        if connection.taker is not None:
            self._give_away(connection, is_switch)
        if is_last:
            self._end()
        elif is_switch:
            return
        elif self._buffer:  # not at once: a thousand small requests may have come in one piece
            gevent.get_hub().loop.run_callback(self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._connection = None
        if self._stream.raw.fileno() >= 0:
            self._listen()
            if self._buffer or self._body is not None:
                self._take_request()

    def _give_away(self, connection: Connection, is_switch: bool) -> None:
        if is_switch and connection.taker is not None:
            self._is_gone = True
            self._connection = None
            connection.taker(self._stream, self._buffer)
        elif connection.on_failure is not None:
            connection.on_failure()  # something between us and the door changed the answer

    def _end(self) -> None:
        """Close the connection."""
        self._connection = None
        try:
            self._stream.half_close()
        except OSError:
            self.close()
        else:
            self._stream.linger(self._service.hub.deadlines, self._service.hub.runner.now())
