"""Visits of clients that begin with long-polling, move to a WebSocket and leave: what a default client does."""

from __future__ import annotations

from collections.abc import Generator

from clients import check_upgrade, is_goodbye, upgrade_request
from drivers import Visits
from frames import GOODBYE, TEXT, client_frame, server_frame
from load import RECEIVE_BYTES, Disconnected, WrongData, connect
from longpolling import POSTED, Requests
from responses import Response

PROBE = client_frame(TEXT, b"2probe", b"\x21\x32\x43\x54")
PROBE_ANSWER = server_frame(TEXT, b"3probe")
UPGRADE = client_frame(TEXT, b"5", b"\x61\x72\x83\x94")
NOOP = b"6"

Steps = Generator[None, None, None]


class UpgradingVisitor:
    """One visit, written as a generator that is resumed whenever something has arrived on one of its connections."""

    def __init__(self, driver: Visits) -> None:
        self._driver = driver
        self._requests = Requests(driver.port)
        self._http = connect(driver.port)
        self._response = Response(self._http)
        self._body: bytes | None = None
        self._received = b""
        self._is_over = False
        driver.loop.handle(self._http, self._on_http)
        self._steps = self._visit()
        next(self._steps)

    def _on_http(self) -> None:
        if (body := self._response.body()) is not None:
            self._body = body
            next(self._steps, None)

    def _on_websocket(self) -> None:
        data = self._websocket.recv(RECEIVE_BYTES)
        self._received += data
        self._is_over = not data
        next(self._steps, None)

    def _visit(self) -> Steps:
        """All of it: handshake, namespace, upgrade, and the closing handshake."""
        session_id = self._requests.open((yield from self._answer(self._requests.get)))
        yield from self._expect(self._requests.post(b"40"), *POSTED)
        yield from self._expect(self._requests.get, b'40{"sid":"')
        self._http.send(self._requests.get)
        yield from self._upgrade(session_id)
        yield from self._expect(b"", NOOP)
        self._websocket.send(UPGRADE + GOODBYE)
        yield from self._hang_up()
        self._driver.loop.close(self._http)
        self._driver.loop.close(self._websocket)
        self._driver.left()

    def _answer(self, request: bytes) -> Generator[None, None, bytes]:
        """One request, or none for a poll that is already waiting, and the body of the answer."""
        self._http.send(request)
        while (body := self._body) is None:
            yield
        self._body = None
        return body

    def _expect(self, request: bytes, *starts: bytes) -> Steps:
        body = yield from self._answer(request)
        if not body.startswith(starts):
            raise WrongData(f"{body!r} instead of {starts[0]!r}")

    def _upgrade(self, session_id: str) -> Steps:
        """Open the WebSocket and probe it; meanwhile the poll stays open."""
        self._websocket = connect(self._driver.port)
        self._driver.loop.handle(self._websocket, self._on_websocket)
        self._websocket.send(upgrade_request(self._driver.port, f"&sid={session_id}"))
        head = yield from self._receive(b"\r\n\r\n")
        check_upgrade(head.removesuffix(b"\r\n\r\n"))
        self._websocket.send(PROBE)
        yield from self._receive(PROBE_ANSWER)

    def _receive(self, end: bytes) -> Generator[None, None, bytes]:
        """What arrives on the WebSocket up to the given end, with nothing behind it."""
        while not self._received.endswith(end):
            if self._is_over:
                raise Disconnected(f"a WebSocket that was upgrading ended after {self._received!r}")
            yield
        received, self._received = self._received, b""
        return received

    def _hang_up(self) -> Steps:
        """Wait for the end of the WebSocket, which has to be a close frame."""
        while not is_goodbye(self._received, self._is_over, self._driver.loop.client_hangs_up):
            yield
