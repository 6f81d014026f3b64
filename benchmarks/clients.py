"""One Socket.IO client on a WebSocket, and many of them: just enough of both protocols, checked at each step."""

from __future__ import annotations

from collections.abc import Callable

from frames import CLOSE, CONNECT, ENGINE_PING, ENGINE_PONG, GOODBYE, frame_payload, split_frames
from load import HOST, RECEIVE_BYTES, Disconnected, Loop, WrongData, connect

OPENING_AT_ONCE = 50

# The example key of RFC 6455, section 1.3, with the answer that it demands.
WEBSOCKET_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WEBSOCKET_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

BROWSER_HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: */*\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
)


def upgrade_request(port: int, more_query: str = "") -> bytes:
    """The request a browser on a page of the same server makes to open the WebSocket.

    It does not offer compression as a browser would: some of the servers would accept it, and Node does not.
    """
    return (
        f"GET /socket.io/?EIO=4&transport=websocket{more_query} HTTP/1.1\r\n"
        f"Host: {HOST}:{port}\r\n"
        f"{BROWSER_HEADERS}"
        "Sec-WebSocket-Version: 13\r\n"
        f"Origin: http://{HOST}:{port}\r\n"
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
        raise WrongData(f"an extension that nobody offered in {head!r}")


def is_goodbye(received: bytes, over: bool, client_hangs_up: bool) -> bool:
    """Whether a connection has come to its end; WrongData if the last thing on it was not a close frame.

    Where the client hangs up, the close frame is enough: such a server may still send an HTTP response behind it.
    """
    if not over and not client_hangs_up:
        return False
    frames, rest = split_frames(received)
    if client_hangs_up and any(frame[0] == 0x80 | CLOSE for frame in frames):
        return True
    if over and (rest or not frames or frames[-1][0] != 0x80 | CLOSE):
        raise WrongData("the server hung up without a close frame")
    return over


class WebSocket:
    """One Socket.IO client on a WebSocket; calls opened(self) when it is connected to the main namespace."""

    __slots__ = ("_closed", "_loop", "_opened", "_receive", "_rest", "_send", "_unsent", "pings", "sock")

    def __init__(self, loop: Loop, port: int, opened: Callable[[WebSocket], None]) -> None:
        self.pings = 0
        self.sock = connect(port)
        self._send = self.sock.send
        self._receive = self.sock.recv
        self._rest = b""
        self._unsent = bytearray()
        self._loop = loop
        self._opened = opened
        loop.handle(self.sock, self._on_upgrade)
        self.send(upgrade_request(port))

    def send(self, data: bytes) -> None:
        """Send data; what the kernel has no room for leaves later."""
        if self._unsent:
            self._unsent += data
            return
        try:
            taken = self._send(data)
        except BlockingIOError:
            taken = 0
        if taken != len(data):
            self._unsent += memoryview(data)[taken:]
            self._loop.flush_later(self.sock, self._flush)

    def _flush(self) -> None:
        data, self._unsent = bytes(self._unsent), bytearray()
        self.send(data)

    def receive(self, size: int = RECEIVE_BYTES) -> bytes:
        """What has arrived, not yet split into frames; nothing if the server hung up."""
        return self._receive(size)

    def frames(self) -> list[bytes]:
        """The whole frames that have arrived, raw; pings of the Engine.IO session are answered and left out."""
        return self.split(self._receive(RECEIVE_BYTES))

    def split(self, data: bytes) -> list[bytes]:
        """The same for what receive() gave."""
        if not data:
            raise Disconnected("the server closed a WebSocket")
        frames, self._rest = split_frames(self._rest + data if self._rest else data)
        return self._without_pings(frames) if ENGINE_PING in frames else frames

    def answer_ping(self) -> None:
        """Tell the server that this end is alive."""
        self.send(ENGINE_PONG)
        self.pings += 1

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
            self.answer_ping()
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
        data = self._receive(RECEIVE_BYTES)
        self._rest += data
        if not is_goodbye(self._rest, over=not data, client_hangs_up=self._loop.client_hangs_up):
            return
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
