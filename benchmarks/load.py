"""A load generator on raw sockets: WebSockets that speak just enough Socket.IO, driven by one epoll loop.

It has to cost less than the server it loads, so frames are masked in advance, what arrives is compared as raw bytes
instead of being decoded, and there is no library between this file and the kernel.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

HOST = "127.0.0.1"
RECEIVE_BYTES = 8192
EVENTS_AT_ONCE = 32
STALL_SECONDS = 10.0
OPENING_AT_ONCE = 50

TEXT, CLOSE = 0x1, 0x8
INCOMPLETE = 1 << 62

# The example key of RFC 6455, section 1.3, with the answer that it demands.
WEBSOCKET_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WEBSOCKET_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

BROWSER_HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: */*\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
)


class LoadError(Exception):
    """The server did not do what it was asked; the measurement is worthless."""


class WrongData(LoadError):
    """Something arrived that was not sent, or not in this form."""


class Stalled(LoadError):
    """Nothing arrived for STALL_SECONDS although something was due."""


class Disconnected(LoadError):
    """The server closed a connection that should have stayed open."""


def client_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """A whole masked frame, as a client sends it."""
    keys = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return _header(opcode, len(payload), 0x80) + mask + masked.to_bytes(len(payload), "big")


def server_frame(opcode: int, payload: bytes) -> bytes:
    """A whole unmasked frame, as a server has to send it."""
    return _header(opcode, len(payload), 0) + payload


def _header(opcode: int, length: int, mask_bit: int) -> bytes:
    first = 0x80 | opcode
    if length < 126:
        return bytes((first, mask_bit | length))
    if length < 65536:
        return bytes((first, mask_bit | 126)) + length.to_bytes(2, "big")
    return bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames at the start of data, with their headers, and the rest."""
    frames = []
    start, size = 0, len(data)
    while size - start >= 2:
        length = data[start + 1]
        end = start + 2 + length if length < 126 else _end_of_long_frame(data, start)
        if end > size:
            break
        frames.append(data[start:end])
        start = end
    return frames, data[start:]


def _end_of_long_frame(data: bytes, start: int) -> int:
    """Where a frame with an extended length ends, or INCOMPLETE while its header is."""
    length = data[start + 1]
    if length > 127:
        raise WrongData("a masked frame from the server")
    header_end = start + (4 if length == 126 else 10)
    if header_end > len(data):
        return INCOMPLETE
    return header_end + int.from_bytes(data[start + 2 : header_end], "big")


def frame_payload(frame: bytes) -> bytes:
    """The payload of a whole, unmasked frame."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


ENGINE_PING = server_frame(TEXT, b"2")
ENGINE_PONG = client_frame(TEXT, b"3", b"\x11\x22\x33\x44")
CONNECT = client_frame(TEXT, b"40", b"\x51\x62\x73\x84")
GOODBYE = client_frame(CLOSE, (1000).to_bytes(2, "big"), b"\x91\xa2\xb3\xc4")


class Loop:
    """Calls a handler for each socket that has something to read.

    Sockets whose latency is measured jump the queue: they are looked after between any EVENTS_AT_ONCE of the others,
    so that what the load itself has to do is not counted as the server's slowness.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._urgent = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._events_at_once = -1
        self._epoll.register(self._urgent.fileno(), select.EPOLLIN)
        self._handlers[self._urgent.fileno()] = self._handle_urgent

    def handle(self, sock: socket.socket, handler: Callable[[], None]) -> None:
        """Call handler whenever sock is readable, instead of the handler it had."""
        fd = sock.fileno()
        if fd not in self._handlers:
            self._epoll.register(fd, select.EPOLLIN)
        self._handlers[fd] = handler

    def hurry(self, sock: socket.socket) -> None:
        """Let a handled sock jump the queue from now on."""
        self._epoll.unregister(sock)
        self._urgent.register(sock, select.EPOLLIN)
        self._events_at_once = EVENTS_AT_ONCE

    def close(self, sock: socket.socket) -> None:
        """Forget sock and close it."""
        del self._handlers[sock.fileno()]
        sock.close()

    def run_for(self, seconds: float, tick: Callable[[], float]) -> None:
        """Run for a while; tick is called in between and tells how long it can wait for its next turn."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._step(min(left, tick()))

    def run_until(self, done: Callable[[], bool]) -> None:
        """Run until done() is true; raises Stalled when nothing happens any more."""
        while not done():
            if not self._step(STALL_SECONDS):
                raise Stalled(f"nothing arrived for {STALL_SECONDS:g} s")

    def _step(self, timeout: float) -> int:
        events = self._epoll.poll(timeout, self._events_at_once)
        handlers = self._handlers
        for fd, _ in events:
            handlers[fd]()
        if self._events_at_once == EVENTS_AT_ONCE:
            self._handle_urgent()
        return len(events)

    def _handle_urgent(self) -> None:
        for fd, _ in self._urgent.poll(0):
            self._handlers[fd]()


def connect(port: int) -> socket.socket:
    """A connected, non-blocking socket without Nagle's delay."""
    sock = socket.create_connection((HOST, port), STALL_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


def upgrade_request(port: int, more_query: str = "") -> bytes:
    """The request a browser on a page of the same server makes to open the WebSocket."""
    return (
        f"GET /socket.io/?EIO=4&transport=websocket{more_query} HTTP/1.1\r\n"
        f"Host: {HOST}:{port}\r\n"
        f"{BROWSER_HEADERS}"
        "Sec-WebSocket-Version: 13\r\n"
        f"Origin: http://{HOST}:{port}\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        f"Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\n"
        "Connection: keep-alive, Upgrade\r\n"
        "Pragma: no-cache\r\n"
        "Cache-Control: no-cache\r\n"
        "Upgrade: websocket\r\n\r\n"
    ).encode()


def check_upgrade(head: bytes) -> None:
    """Raise WrongData unless this is the head of an accepted, uncompressed WebSocket."""
    status, *headers = head.lower().split(b"\r\n")
    if not status.startswith(b"http/1.1 101 "):
        raise WrongData(f"no WebSocket but {head!r}")
    values = dict(header.split(b": ", 1) for header in headers)
    if values.get(b"sec-websocket-accept") != WEBSOCKET_ACCEPT.lower():
        raise WrongData(f"wrong Sec-WebSocket-Accept in {head!r}")
    if b"sec-websocket-extensions" in values:
        raise WrongData("the server compresses; this comparison is about messages that are not compressed")


class WebSocket:
    """One Socket.IO client on a WebSocket; calls opened(self) when it is connected to the main namespace."""

    __slots__ = ("_closed", "_loop", "_opened", "_receive", "_rest", "_send", "pings", "sock")

    def __init__(self, loop: Loop, port: int, opened: Callable[[WebSocket], None]) -> None:
        self.pings = 0
        self.sock = connect(port)
        self._send = self.sock.send
        self._receive = self.sock.recv
        self._rest = b""
        self._loop = loop
        self._opened = opened
        loop.handle(self.sock, self._on_upgrade)
        self.send(upgrade_request(port))

    def send(self, data: bytes) -> None:
        """Send all of it: with so little in flight the kernel has to have room."""
        if self._send(data) != len(data):
            raise LoadError("the kernel took only a part")

    def receive(self) -> bytes:
        """What has arrived, not yet split into frames."""
        return self._receive(RECEIVE_BYTES)

    def frames(self) -> list[bytes]:
        """The whole frames that have arrived, raw; pings of the Engine.IO session are answered and left out."""
        return self.split(self._receive(RECEIVE_BYTES))

    def split(self, data: bytes) -> list[bytes]:
        """The same for what receive() gave."""
        if not data:
            raise Disconnected("the server closed a WebSocket")
        frames, self._rest = split_frames(self._rest + data if self._rest else data)
        return self._without_pings(frames) if ENGINE_PING in frames else frames

    def on_idle(self) -> None:
        """The handler of a connection that only answers pings."""
        if frames := self.frames():
            raise WrongData(f"unexpected {frames}")

    def close(self, closed: Callable[[WebSocket], None]) -> None:
        """Start the closing handshake; calls closed(self) when the server has answered and hung up."""
        self._closed = closed
        self._loop.handle(self.sock, self._on_closing)
        self.send(GOODBYE)

    def _without_pings(self, frames: list[bytes]) -> list[bytes]:
        others = [frame for frame in frames if frame != ENGINE_PING]
        for _ in range(len(frames) - len(others)):
            self.send(ENGINE_PONG)
            self.pings += 1
        return others

    def _on_upgrade(self) -> None:
        data = self._receive(RECEIVE_BYTES)
        if not data:
            raise Disconnected("the server closed a connection instead of upgrading it")
        head, found, rest = (self._rest + data).partition(b"\r\n\r\n")
        if not found:
            self._rest = head
            return
        check_upgrade(head)
        self._loop.handle(self.sock, self._on_handshake)
        self._rest = b""
        if rest:
            self._shake_hands(self.split(rest))

    def _on_handshake(self) -> None:
        self._shake_hands(self.frames())

    def _shake_hands(self, frames: list[bytes]) -> None:
        for frame in frames:
            text = frame_payload(frame)
            if text.startswith(b'0{"sid":"'):
                self.send(CONNECT)
            elif text.startswith(b'40{"sid":"'):
                self._loop.handle(self.sock, self.on_idle)
                self._opened(self)
            else:
                raise WrongData(f"unexpected {frame!r} in the handshake")

    def _on_closing(self) -> None:
        if data := self._receive(RECEIVE_BYTES):
            self._rest += data
            return
        frames, rest = split_frames(self._rest)
        if rest or not frames or frames[-1][0] != 0x80 | CLOSE:
            raise WrongData("the server hung up without a close frame")
        self._loop.close(self.sock)
        self._closed(self)


def open_websockets(loop: Loop, port: int, count: int) -> list[WebSocket]:
    """Open so many connections, a few at a time, and wait until each is connected to the main namespace."""
    opened: list[WebSocket] = []
    later = iter(range(count - OPENING_AT_ONCE))

    def one_is_open(websocket: WebSocket) -> None:
        opened.append(websocket)
        if next(later, None) is not None:
            WebSocket(loop, port, one_is_open)

    for _ in range(min(count, OPENING_AT_ONCE)):
        WebSocket(loop, port, one_is_open)
    loop.run_until(lambda: len(opened) == count)
    return opened


def close_websockets(loop: Loop, sockets: list[WebSocket]) -> None:
    """Close them all with a closing handshake."""
    closed: list[WebSocket] = []
    for websocket in sockets:
        websocket.close(closed.append)
    loop.run_until(lambda: len(closed) == len(sockets))
