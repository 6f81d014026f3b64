"""The site that is examined: connections to it, and requests, as a browser makes them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from websockets.sync.client import ClientConnection, connect

#: Seconds that a connection, or an answer that is not held, may take.
PATIENCE = 10.0
#: Bytes that are read of an answer.
MOST = 4_000_000
AGENT = "webpy-socketio-doctor"


class Reply(NamedTuple):
    """An answer, read to its end."""

    status: int
    reason: str
    headers: Message
    body: bytes

    @property
    def line(self) -> str:
        """What a browser's network panel shows."""
        server = self.headers.get("Server", "")
        return f"{self.status} {self.reason}" + (f" from {server}" if server else "")

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def code(self) -> int | None:
        """The error code of Engine.IO, if that is what was answered."""
        return engine_code(self.body)


def engine_code(body: bytes | bytearray) -> int | None:
    """The error code in the body of an answer by Engine.IO; None if it is another one."""
    try:
        code = json.loads(body)["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, int) else None


class Site:
    """Where the page comes from, and under which path Socket.IO should answer.

    :param url: the page's address; its path does not matter.
    :param resource: Socket.IO's path, without slashes at its ends.
    :param insecure: whether to take any certificate.

    Raises ValueError for what is no address of a page.
    """

    def __init__(self, url: str, resource: str = "socket.io", insecure: bool = False) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError(f"{url!r} is no address of a page; one is written like https://example.com/")
        self.is_secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = port or (443 if self.is_secure else 80)
        name = f"[{self.host}]" if ":" in self.host else self.host
        self._netloc = f"{name}:{port}" if port else name
        self.origin = f"{parts.scheme}://{self._netloc}"
        self.resource = resource.strip("/")
        self.path = f"/{quote(self.resource)}/"
        self.context = ssl.create_default_context()
        if insecure:
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE

    def connect(self) -> socket.socket:
        """Open a TCP connection. Raises OSError."""
        return socket.create_connection((self.host, self.port), PATIENCE)

    def ask(
        self,
        method: str,
        query: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
        wait: float = PATIENCE,
    ) -> Reply:
        """Make one request to Socket.IO's path, over a connection of its own.

        :param wait: seconds to wait for the answer.

        Raises OSError or HTTPException.
        """
        with self.exchange(method, f"?{query}", body, headers, wait) as response:
            body = response.read(MOST)
            if response.length and len(body) < MOST:
                raise http.client.IncompleteRead(body, response.length)
            return Reply(response.status, response.reason, response.headers, body)

    @contextlib.contextmanager
    def exchange(
        self, method: str, rest: str, body: bytes | None, headers: Mapping[str, str], wait: float = PATIENCE
    ) -> Iterator[http.client.HTTPResponse]:
        """A request whose answer has begun; ``rest`` is what follows Socket.IO's path in the URL."""
        kind = {"context": self.context} if self.is_secure else {}
        make: Any = http.client.HTTPSConnection if self.is_secure else http.client.HTTPConnection
        connection = make(self.host, self.port, timeout=PATIENCE, **kind)
        with contextlib.closing(connection):
            connection.connect()
            connection.sock.settimeout(wait)
            # A server that does not want a body may answer, and hang up, before it has read that.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self.path + rest, body, {"User-Agent": AGENT, **headers})
            yield connection.getresponse()

    @contextlib.contextmanager
    def websocket(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[ClientConnection]:
        """An open WebSocket, which sends no pings: browsers do not. Raises OSError or a WebSocketException."""
        address = f"{'wss' if self.is_secure else 'ws'}://{self._netloc}{self.path}?{urlencode(query)}"
        secure: dict[str, Any] = {"ssl": self.context, "server_hostname": self.host} if self.is_secure else {}
        with connect(
            address,
            sock=self.connect(),
            additional_headers=headers,
            user_agent_header=AGENT,
            open_timeout=PATIENCE,
            close_timeout=1,
            ping_interval=None,
            **secure,
        ) as websocket:
            yield websocket


class Stopwatch:
    """Tells how many seconds have passed since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """So many."""
        return time.monotonic() - self._start
