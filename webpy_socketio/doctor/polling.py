"""One client by long-polling, each of whose requests takes a connection of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from .site import PATIENCE, Reply, Site

#: Between packets in a body (Engine.IO 4).
SEPARATOR = "\x1e"
QUERY = {"EIO": "4", "transport": "polling"}
#: Nobody has a namespace of this name, so joining it runs no handlers, and is always answered.
NOWHERE = "/webpy-socketio-doctor"
UNKNOWN_SESSION = 1


class Refusal(Exception):
    """A request was answered with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.line)
        self.reply = reply


class PollingClient:
    """A client; every method but :meth:`close` raises Refusal, OSError or HTTPException."""

    def __init__(self, site: Site, origin: str | None, keeps_cookies: bool = False) -> None:
        self._site = site
        #: What the browser adds to each request, and to a WebSocket.
        self.headers = {"Origin": origin} if origin else {}
        self._keeps_cookies = keeps_cookies
        self._query = dict(QUERY)
        #: The answer to the handshake.
        self.handshake: Reply | None = None

    @property
    def sid(self) -> str:
        """The name of the session."""
        return self._query["sid"]

    def open(self) -> dict[str, Any]:
        """Open a session, and return what the server says of it. Raises Refusal if it is no Engine.IO that answers."""
        reply = self.handshake = self._ask("GET", None, PATIENCE)
        try:
            opening: dict[str, Any] = json.loads(reply.body.removeprefix(b"0"))
            self._query["sid"] = opening["sid"]
        except (ValueError, KeyError, TypeError):
            raise Refusal(reply) from None
        cookies = SimpleCookie("; ".join(reply.headers.get_all("Set-Cookie", [])))
        if self._keeps_cookies and cookies:
            self.headers["Cookie"] = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())
        return opening

    def get(self, wait: float = PATIENCE) -> list[str]:
        """Poll, and return the packets that come within so many seconds."""
        return self._ask("GET", None, wait).text.split(SEPARATOR)

    def post(self, *packets: str) -> None:
        """Send packets."""
        self._ask("POST", SEPARATOR.join(packets).encode(), PATIENCE)

    def close(self) -> None:
        """Leave, if that is possible."""
        if "sid" in self._query:
            with contextlib.suppress(Refusal, OSError, http.client.HTTPException):
                self.post("1")

    def _ask(self, method: str, body: bytes | None, wait: float) -> Reply:
        headers = self.headers | ({"Content-Type": "text/plain;charset=UTF-8"} if body is not None else {})
        reply = self._site.ask(method, urlencode(self._query), body, headers, wait)
        if reply.status != 200:
            raise Refusal(reply)
        return reply

    def __enter__(self) -> PollingClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
