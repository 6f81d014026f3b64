"""A client that sends bytes as they are given to it, and shows what comes back on the same connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterable
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.conformance.wire import Answer

PATIENCE = 15.0


class RawClient:
    """One connection."""

    def __init__(self, address: Any, source: tuple[str, int] | None = None) -> None:
        if isinstance(address, (str, bytes)):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(address)
        else:
            self.sock = socket.create_connection(address, PATIENCE, source)
        self.use(self.sock)

    def use(self, sock: socket.socket) -> None:
        """Go on with a socket, perhaps one around the last."""
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self._file = self.sock.makefile("rb")

    def send(self, data: bytes) -> RawClient:
        """Send bytes."""
        self.sock.sendall(data)
        return self

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer to its end, and not further."""
        response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]
        response.begin()
        return Answer(response.status, response.headers, response.read())

    def ask(self, data: bytes) -> Answer:
        """Send a request, and read the answer."""
        return self.send(data).answer()

    def read(self) -> bytes:
        """Everything up to the end of the connection."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := self._file.read1(65536):
                data += piece
        return data

    def read_some(self, size: int) -> bytes:
        """So many bytes."""
        return self._file.read(size)

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to a mark, and with it."""
        data = b""
        while mark not in data:
            byte = self._file.read(1)
            assert byte, data
            data += byte
        return data

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.sock.close()

    def makefile(self, mode: str) -> Any:
        """What http.client reads from; it closes this after each answer, but our connection lasts."""
        return _Open(self._file)


class _Open:
    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """Do not."""


def get(where: str, *headers: str) -> bytes:
    """The bytes of a GET."""
    return make("GET", where, headers)


def post(where: str, body: bytes | str, *headers: str) -> bytes:
    """The bytes of a POST."""
    data = body.encode() if isinstance(body, str) else body
    return make("POST", where, (f"Content-Length: {len(data)}", *headers)) + data


def make(method: str, where: str, headers: Iterable[str] = ()) -> bytes:
    """The bytes of a head."""
    lines = (f"{method} {where} HTTP/1.1", "Host: localhost", *headers, "", "")
    return "\r\n".join(lines).encode("latin-1")


def sid_of(answer: Answer) -> str:
    """The session that an answer has opened by polling."""
    assert answer.status == 200, answer
    return str(json.loads(answer.body[1:])["sid"])


class RawWebSocket:
    """A WebSocket on a raw client's connection, of one thread only.

    Python before 3.13 does not keep two threads, as other clients have, from using one encrypted connection at the same
    time, by which what is sent or received is lost now and then.
    """

    def __init__(self, client: RawClient, where: str, *headers: str) -> None:
        host, port = client.sock.getpeername()[:2]
        self._client = client
        self._protocol = ClientProtocol(parse_uri(f"ws://{host}:{port}{where}"))
        request = self._protocol.connect()
        for header in headers:
            name, _, value = header.partition(": ")
            request.headers[name] = value
        self._protocol.send_request(request)
        self._received: list[str] = []
        self._flush()
        while self._protocol.state is State.CONNECTING:
            self._read()
        assert self._protocol.state is State.OPEN, self._protocol.handshake_exc

    def send(self, text: str) -> None:
        """Send a text message."""
        self._protocol.send_text(text.encode())
        self._flush()

    def receive(self) -> str:
        """Wait for the next message, which is not in fragments."""
        while not self._received:
            self._read()
        return self._received.pop(0)

    def _read(self) -> None:
        data = self._client.sock.recv(65536)
        assert data, "the server hung up"
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        self._received += [event.data.decode() for event in events if isinstance(event, Frame)]
        self._flush()

    def _flush(self) -> None:
        self._client.send(b"".join(self._protocol.data_to_send()))
