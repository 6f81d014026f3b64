"""Echoes over HTTP long-polling: each client keeps a connection for its GETs and one for its POSTs, as browsers do."""

from __future__ import annotations

import json
import socket

from clients import BROWSER_HEADERS
from drivers import FOREVER
from load import HOST, LoadError, Loop, WrongData, connect
from messages import event, texts
from responses import Response

PATH = "/socket.io/?EIO=4&transport=polling"
#: How a POST is answered. Socket.IO's own server writes it small, and clients look at the status alone.
POSTED = (b"ok", b"OK")


class Requests:
    """The requests of one polling session, as bytes."""

    def __init__(self, port: int) -> None:
        self._path = PATH
        self._headers = f"Host: {HOST}:{port}\r\n{BROWSER_HEADERS}Connection: keep-alive\r\n"
        self.get = self._make_get()

    def open(self, packet: bytes) -> str:
        """Take the session's id from its open packet: all later requests carry it."""
        session_id: str = json.loads(packet[1:])["sid"]
        self._path = f"{PATH}&sid={session_id}"
        self.get = self._make_get()
        return session_id

    def post(self, body: bytes) -> bytes:
        """A POST with one packet."""
        head = f"POST {self._path} HTTP/1.1\r\n{self._headers}Content-Type: text/plain;charset=UTF-8\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def _make_get(self) -> bytes:
        return f"GET {self._path} HTTP/1.1\r\n{self._headers}\r\n".encode()


class PollingEchoes:
    """Every client has one message in flight. An operation is a POST with its answer and a GET with its answer."""

    def __init__(self, loop: Loop, port: int, count: int) -> None:
        self.operations = 0
        self.stopping = False
        self.in_flight = count
        self._loop = loop
        self._clients = [_PollingClient(self, port, number) for number in range(count)]

    def start(self) -> None:
        """Let every client poll and send its first message."""
        for client in self._clients:
            client.start(self._loop)

    def tick(self) -> float:
        """Nothing depends on the clock."""
        return FOREVER

    def stop(self) -> None:
        """Wait for the last echo of each client, then close the sessions."""
        self.stopping = True
        self._loop.run_until(lambda: self.in_flight == 0)
        for client in self._clients:
            client.close(self._loop)


class _PollingClient:
    def __init__(self, driver: PollingEchoes, port: int, number: int) -> None:
        self._driver = driver
        self._requests = Requests(port)
        self._get_sock, self._post_sock = connect(port), connect(port)
        self._get_response, self._post_response = Response(self._get_sock), Response(self._post_sock)
        self._open()
        packets = [event("message", text) for text in texts(number)]
        self._ring = [(self._requests.post(packet), packet) for packet in packets]
        self._next = 0
        self._due: bytes | None = None
        self._post_is_due = False

    def _open(self) -> None:
        """Connect to the main namespace."""
        self._requests.open(self._exchange(self._get_sock, self._get_response, self._requests.get))
        self._exchange(self._post_sock, self._post_response, self._requests.post(b"40"))
        packet = self._exchange(self._get_sock, self._get_response, self._requests.get)
        if not packet.startswith(b'40{"sid":"'):
            raise WrongData(f"{packet!r} instead of the namespace's answer")

    def _exchange(self, sock: socket.socket, response: Response, request: bytes) -> bytes:
        """One request and its answer, waiting for it."""
        sock.settimeout(10)
        sock.sendall(request)
        while (body := response.body()) is None:
            pass
        sock.setblocking(False)
        return body

    def start(self, loop: Loop) -> None:
        """Poll, and send the first message."""
        loop.handle(self._get_sock, self._on_get)
        loop.handle(self._post_sock, self._on_post)
        self._send(self._get_sock, self._requests.get)
        self._send_message()

    def close(self, loop: Loop) -> None:
        """Tell the server that this session is over."""
        self._exchange(self._post_sock, self._post_response, self._requests.post(b"1"))
        loop.close(self._get_sock)
        loop.close(self._post_sock)

    def _send(self, sock: socket.socket, data: bytes) -> None:
        if sock.send(data) != len(data):
            raise LoadError("the kernel took only a part")

    def _send_message(self) -> None:
        request, self._due = self._ring[self._next]
        self._next = (self._next + 1) % len(self._ring)
        self._post_is_due = True
        self._send(self._post_sock, request)

    def _on_get(self) -> None:
        """The echo: poll again at once, as every client does."""
        body = self._get_response.body()
        if body is None:
            return
        if body != self._due:
            raise WrongData(f"{body!r} instead of {self._due!r}")
        self._due = None
        self._send(self._get_sock, self._requests.get)
        self._next_message()

    def _on_post(self) -> None:
        body = self._post_response.body()
        if body is None:
            return
        if body not in POSTED or not self._post_is_due:
            raise WrongData(f"a POST was answered {body!r}")
        self._post_is_due = False
        self._next_message()

    def _next_message(self) -> None:
        if self._due is not None or self._post_is_due:
            return
        self._driver.operations += 1
        if self._driver.stopping:
            self._driver.in_flight -= 1
        else:
            self._send_message()
