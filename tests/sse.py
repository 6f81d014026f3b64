"""A client for streams of server-sent events, which reads what is on the wire and makes nothing up."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.conformance.wire import Answer

PATIENCE = 15.0


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    data: str
    #: The place in the stream after it, as the client knows it then.
    place: str

    @property
    def args(self) -> Any:
        """Its data, which is JSON."""
        return json.loads(self.data)


class StreamClient:
    """Asks for a stream, and reads its events. What was answered instead of one is ``refusal``.

    :param buffer: bytes that the kernel keeps for it, if not as many as it likes.
    :param tls: how to encrypt, if it is encrypted.
    """

    def __init__(
        self,
        port: int,
        where: str,
        headers: dict[str, str] | None = None,
        buffer: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._connection.sock = self.sock = socket.socket()
        if buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        if tls is not None:
            self._connection.sock = self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self._connection.request("GET", where, headers={"Accept": "text/event-stream", **(headers or {})})
        self.response = self._connection.getresponse()
        self.refusal: Answer | None = None
        #: As it is told by the server: the place up to which the client has read, and milliseconds.
        self.place = ""
        self.retry = 0
        #: How many comments there were.
        self.comments = 0
        if self.response.status != 200:
            self.refusal = Answer(self.response.status, self.response.headers, self.response.read())
            self.close()
        else:
            assert self.response.headers["Content-Type"] == "text/event-stream"
            self._events = self._read()
            while not self.retry:
                self._line()

    def next(self) -> Event:
        """The next event."""
        return next(self._events)

    def texts(self, count: int) -> list[str]:
        """The data of the next events, which are all messages."""
        events = [self.next() for _ in range(count)]
        assert {event.name for event in events} <= {"message"}, events
        return [event.data for event in events]

    def rest(self) -> list[Event]:
        """All events up to the end of the stream."""
        events = []
        with contextlib.suppress(ConnectionError, http.client.IncompleteRead):
            events.extend(self._events)
        return events

    def wait_for_comment(self) -> None:
        """Read up to the next comment; no event comes before."""
        seen = self.comments
        while self.comments == seen:
            assert self._line().partition(":")[0] in ("", "id")

    def close(self) -> None:
        """Hang up."""
        self.response.close()
        self._connection.close()
        self.sock.close()

    def _line(self) -> str:
        line = self.response.readline()
        if not line:
            raise EOFError
        assert line.endswith(b"\n"), line
        text = line[:-1].decode()
        name, _, value = text.partition(": ")
        if text.startswith(":"):
            self.comments += 1
        elif name == "id":
            self.place = value
        elif name == "retry":
            self.retry = int(value)
        return text

    def _read(self) -> Iterator[Event]:
        kind, data = "message", []
        while True:
            try:
                line = self._line()
            except EOFError:
                return
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif line == "data: " or name == "data":
                data.append(value)
            elif not line:
                if data:
                    yield Event(kind, "\n".join(data), self.place)
                kind, data = "message", []
