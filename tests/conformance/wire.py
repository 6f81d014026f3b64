"""Raw clients that show what is on the wire: Engine.IO by long-polling and by WebSocket, one byte at a time if need be.

Nothing is answered, retried or put right behind a test's back. ``PollingClient`` and ``WebSocketClient`` share the
verbs ``send``, ``provoke``, ``receive``, ``join``, ``wait_closed``, so that one test can run on both transports.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import select
import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

RS = "\x1e"
PATH = "/socket.io/"
PATIENCE = 15.0
FAREWELLS = ("1", "6", f"6{RS}1")
UPGRADE_HEADERS = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NO_STATUS = 1005

Packet = str | bytes


class Address(Protocol):
    """Whatever knows the port of a running server, and the path under which it is spoken to."""

    port: int
    path: str


class Answer(NamedTuple):
    """An HTTP response, read to its end."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def code(self) -> int:
        """The error code of an Engine.IO refusal."""
        return int(json.loads(self.body)["code"])

    @property
    def content_type(self) -> str:
        """The media type, in lower case and without a space."""
        return self.headers["Content-Type"].lower().replace(" ", "")


class Exchange:
    """An HTTP request on its way; its answer can be waited for, or its connection dropped."""

    def __init__(self, server: Address) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self.connection.connect()

    def start(self, method: str, target: str, headers: dict[str, str], body: Any = None) -> Exchange:
        """Send a whole request."""
        self.connection.request(method, target, body=body, headers=headers)
        return self

    def begin(self, method: str, target: str, headers: dict[str, str]) -> Exchange:
        """Send the head of a request only."""
        self.connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()
        return self

    def send(self, data: bytes) -> None:
        """Send a part of the body."""
        self.connection.send(data)

    def answer(self) -> Answer:
        """Wait for the response."""
        response = self.connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        self.connection.close()
        return answer

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing comes back within the time."""
        return not select.select([self.connection.sock], [], [], seconds)[0]

    def was_dropped(self) -> bool:
        """Whether the connection ends without a response."""
        try:
            self.answer()
        except (http.client.RemoteDisconnected, ConnectionError):
            return True
        return False

    def abort(self) -> None:
        """Hang up."""
        self.connection.close()


def request(
    server: Address, method: str, query: dict[str, str], headers: dict[str, str] | None = None, body: Any = None
) -> Answer:
    """Make one HTTP request to the server's path and wait for the response."""
    return Exchange(server).start(method, target(query, server.path), headers or {}, body).answer()


def keep_asking(connection: http.client.HTTPConnection, method: str, where: str, body: Any = None) -> Answer:
    """Make a request on a connection that stays open for the next, as browsers and fetch do."""
    connection.request(method, where, body=body)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def target(query: dict[str, str], path: str = PATH) -> str:
    """The request target for a query."""
    return f"{path}?{urlencode(query)}" if query else path


def let_read(server: Address) -> None:
    """Return when the server has read what was sent before.

    A held request gives no sign of life; a request made after it does, once it was the turn of both.
    """
    assert Exchange(server).start("GET", "/", {}).answer().status == 200


def polling_query(**changes: str | None) -> dict[str, str]:
    """The query of a polling request, with changes; None removes a key."""
    return _query("polling", changes)


def websocket_query(**changes: str | None) -> dict[str, str]:
    """The query of a WebSocket request, with changes; None removes a key."""
    return _query("websocket", changes)


def _query(transport: str, changes: dict[str, str | None]) -> dict[str, str]:
    merged: dict[str, str | None] = {"EIO": "4", "transport": transport, **changes}
    return {name: value for name, value in merged.items() if value is not None}


class Client:
    """What both transports have in common: Socket.IO's words."""

    server: Address
    sid: str

    def send(self, *packets: Packet) -> None:
        """Send packets that the server has to take."""
        raise NotImplementedError

    def provoke(self, *packets: Packet) -> None:
        """Send packets that the server may turn down, in any manner."""
        raise NotImplementedError

    def receive(self) -> Packet:
        """Wait for the next packet; a binary message is bytes."""
        raise NotImplementedError

    def wait_closed(self) -> int:
        """Wait until the connection is over. Anything but a farewell before that is an error."""
        raise NotImplementedError

    def drain(self) -> None:
        """Wait until the connection is over, whatever comes before that."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave politely."""
        raise NotImplementedError

    def join(self, namespace: str = "/", auth: str = "") -> str:
        """Join a namespace, read the two packets that follow, and return the Socket.IO session id."""
        prefix = "" if namespace == "/" else f"{namespace},"
        self.send(f"40{prefix}{auth}")
        accepted = str(self.receive())
        assert accepted.startswith(f"40{prefix}" + "{"), accepted
        assert self.receive() == f'42{prefix}["auth",{auth or "{}"}]'
        return str(json.loads(accepted.removeprefix(f"40{prefix}"))["sid"])

    def receives(self, *packets: Packet) -> None:
        """Check that exactly these packets come next."""
        assert [self.receive() for _ in packets] == list(packets)

    def echoes(self, text: str = "still here") -> None:
        """Check that the connection is alive and owes nothing: the answer to an event comes next."""
        self.send(f'42["message","{text}"]')
        self.receives(f'42["message-back","{text}"]')


class PollingClient(Client):
    """An Engine.IO session by long-polling, each request on a connection of its own."""

    def __init__(self, server: Address, headers: dict[str, str] | None = None, /, **query: str | None) -> None:
        self.server = server
        self.headers = headers or {}
        self.query = polling_query(**query)
        self.inbox: deque[Packet] = deque()
        self.opening = request(server, "GET", self.query, self.headers)
        assert self.opening.status == 200, self.opening
        self.handshake: dict[str, Any] = json.loads(self.opening.body[1:]) if "j" not in query else {}
        self.sid = str(self.handshake.get("sid"))

    def target(self, **changes: str | None) -> str:
        """The request target of this session, with changes."""
        query: dict[str, str | None] = {**self.query, "sid": self.sid, **changes}
        return target({name: value for name, value in query.items() if value is not None}, self.server.path)

    def hold_get(self, headers: dict[str, str] | None = None, **query: str | None) -> Exchange:
        """Start a GET and leave it pending."""
        return Exchange(self.server).start("GET", self.target(**query), {**self.headers, **(headers or {})})

    def get(self, headers: dict[str, str] | None = None, **query: str | None) -> Answer:
        """Poll once, and wait."""
        return self.hold_get(headers, **query).answer()

    def post(self, body: Any, content_type: str | None = "text/plain;charset=UTF-8", **query: str | None) -> Answer:
        """Post a body, and wait."""
        headers = {"Content-Type": content_type} if content_type else {}
        data = body.encode() if isinstance(body, str) else body
        return Exchange(self.server).start("POST", self.target(**query), {**self.headers, **headers}, data).answer()

    def begin_post(self, length: int) -> Exchange:
        """Start a POST whose body of so many bytes is to follow."""
        headers = {"Content-Type": "text/plain", "Content-Length": str(length)}
        return Exchange(self.server).begin("POST", self.target(), headers)

    def poll(self) -> list[str]:
        """Poll once, for packets."""
        answer = self.get()
        assert answer.status == 200, answer
        return answer.text.split(RS)

    def send(self, *packets: Packet) -> None:
        """Post packets as one payload."""
        answer = self.post(payload(packets))
        assert (answer.status, answer.body) == (200, b"ok"), answer

    def provoke(self, *packets: Packet) -> None:
        """Post packets as one payload and let the server answer what it wants."""
        with contextlib.suppress(http.client.RemoteDisconnected, ConnectionError):
            self.post(payload(packets))

    def receive(self) -> Packet:
        """The next packet; polls when none is at hand."""
        if not self.inbox:
            self.inbox.extend(_received(packet) for packet in self.poll())
        return self.inbox.popleft()

    def wait_closed(self) -> int:
        """Poll until the session is unknown, which returns 0."""
        assert not self.inbox, self.inbox
        for _ in range(3):
            answer = self.get()
            if answer.status == 400:
                return 0
            assert answer.text in FAREWELLS, answer
        raise AssertionError("the session goes on")

    def drain(self) -> None:
        """Poll until the session is unknown."""
        while self.get().status == 200:
            pass

    def is_unknown(self) -> bool:
        """Whether the server has forgotten the session."""
        answer = self.get()
        return (answer.status, answer.body) == (400, b'{"code":1,"message":"Session ID unknown"}')

    def close(self) -> None:
        """Leave politely."""
        self.provoke("1")


class WebSocketClient(Client):
    """An Engine.IO session by WebSocket, or the attempt to move one there."""

    def __init__(self, server: Address, headers: dict[str, str] | None = None, /, **query: str | None) -> None:
        self.server = server
        self.last: Packet = ""
        self._exit = contextlib.ExitStack()
        self.connection = self._connect(websocket_query(**query), headers or {})
        self.sid = query.get("sid") or ""
        self.handshake: dict[str, Any] = {}
        if not self.sid:
            self.opening = self.receive()
            self.handshake = json.loads(self.opening[1:])
            self.sid = str(self.handshake["sid"])

    def _connect(self, query: dict[str, str], headers: dict[str, str]) -> ClientConnection:
        opening = connect(
            f"ws://127.0.0.1:{self.server.port}{target(query, self.server.path)}",
            additional_headers=headers,
            compression=None,
            proxy=None,
            ping_interval=None,
            open_timeout=PATIENCE,
            close_timeout=1,
            max_size=None,
        )
        return self._exit.enter_context(opening)

    def send(self, *packets: Packet) -> None:
        """Send packets, each as one message."""
        for packet in packets:
            self.connection.send(packet)

    def provoke(self, *packets: Packet) -> None:
        """Send packets until the server has enough."""
        with contextlib.suppress(ConnectionClosed):
            self.send(*packets)

    def send_bytes(self, data: bytes) -> None:
        """Send raw bytes past the WebSocket library."""
        self.connection.socket.sendall(data)

    def receive(self, timeout: float = PATIENCE) -> Packet:
        """The next message."""
        return self.connection.recv(timeout)

    def wait_closed(self, timeout: float = PATIENCE) -> int:
        """Wait for the end and return the close code that the server sent: 1005 is none, 1006 no close frame."""
        try:
            message = self.connection.recv(timeout)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
        raise AssertionError(f"the connection goes on, with {message!r}")

    def drain(self) -> None:
        """Read until the connection is over."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.receive()

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing comes, and the connection stays open, for the time; what comes is then in ``last``."""
        try:
            self.last = self.connection.recv(seconds)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        """Leave politely."""
        self._exit.close()


def open_websocket(server: Address, **query: str | None) -> WebSocketClient:
    """A session that starts on WebSocket."""
    return WebSocketClient(server, **query)


def open_client(transport: str, server: Address) -> Client:
    """A fresh session by the transport of that name."""
    return PollingClient(server) if transport == "polling" else open_websocket(server)


def open_candidate(client: PollingClient, **query: str | None) -> WebSocketClient:
    """A WebSocket that wants to take over a polling session."""
    return WebSocketClient(client.server, sid=client.sid, **query)


def upgrade(client: PollingClient) -> WebSocketClient:
    """Move a polling session to WebSocket."""
    candidate = open_candidate(client)
    probe(candidate)
    candidate.send("5")
    return candidate


def probe(candidate: WebSocketClient) -> None:
    """Exchange the probe."""
    candidate.send("2probe")
    candidate.receives("3probe")


def refused_websocket(server: Address, query: dict[str, str], headers: dict[str, str] | None = None) -> Answer:
    """Ask for a WebSocket and return the HTTP response that came instead, after which the server hung up."""
    stream = send_raw(server, upgrade_request(target(query, server.path), headers))
    response = http.client.HTTPResponse(stream)
    response.begin()
    answer = Answer(response.status, response.headers, response.read())
    assert stream.recv(1) == b"", "the connection stays open"
    stream.close()
    return answer


def upgrade_request(request_target: str, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of a WebSocket handshake."""
    fields = {"Host": "127.0.0.1", **UPGRADE_HEADERS, **(headers or {})}
    lines = [f"GET {request_target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def send_raw(server: Address, data: bytes) -> socket.socket:
    """Connect by TCP and send bytes."""
    stream = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    stream.sendall(data)
    return stream


def rejection_of(server: Address, **query: str | None) -> int | str:
    """How the server turns a WebSocket down: an HTTP status, or "closed" if it accepts and closes at once."""
    try:
        socket_client = WebSocketClient(server, **query)
    except InvalidStatus as refusal:
        return refusal.response.status_code
    except ConnectionClosed:
        return "closed"
    socket_client.wait_closed()
    return "closed"


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """One WebSocket frame as a client sends it, or as it should not."""
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if len(data) < 126:
        head += bytes([mask_bit | len(data)])
    elif len(data) < 65536:
        head += struct.pack("!BH", mask_bit | 126, len(data))
    else:
        head += struct.pack("!BQ", mask_bit | 127, len(data))
    if not masked:
        return head + data
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def payload(packets: Iterable[Packet]) -> bytes:
    """Packets as the body of a POST."""
    return RS.join(packet if isinstance(packet, str) else as_base64(packet) for packet in packets).encode()


def as_base64(data: bytes) -> str:
    """A binary message as text."""
    return "b" + base64.b64encode(data).decode()


def _received(packet: str) -> Packet:
    return base64.b64decode(packet[1:], validate=True) if packet.startswith("b") else packet


def chunks(body: bytes, size: int) -> Iterator[bytes]:
    """A body in pieces, for chunked requests."""
    for start in range(0, len(body), size):
        yield body[start : start + size]
