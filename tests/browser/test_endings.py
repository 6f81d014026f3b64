"""How pages learn why their connection ended, and what follows from it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import start_python
from tests.browser.test_client import CLIENT, evaluate, open_page
from tests.serving import Server
from webpy_socketio.reasons import FORCED_CLOSE, SERVER_DISCONNECT, SERVER_SHUTDOWN, Reason

CONNECT = """
    window.endings = [];
    window.socket = io({transports: ['websocket'], reconnectionDelay: 10, reconnectionDelayMax: 50});
    socket.on('disconnect', (reason, {context}) => endings.push([reason, context.code, context.reason, socket.active]));
    await connected(socket);
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that a test may stop."""
    with start_python() as running:
        yield running


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    context = browser.new_context()
    yield context
    context.close()


def ending(reason: Reason) -> list[object]:
    """What a page sees of it on a WebSocket: Socket.IO's own word, the code, the sentence, whether it comes back."""
    return ["transport close", reason.code, reason.sentence, reason.may_reconnect]


@pytest.mark.parametrize("script", [CLIENT, "/official-4.js"], ids=["ours", "official"])
def test_pages_are_told_that_the_server_stops_and_come_back(context: Any, server: Server, script: str) -> None:
    page = open_page(context, server.url, script)
    evaluate(page, CONNECT)
    assert server.signal(signal.SIGTERM) == 0
    page.wait_for_function("endings.length")
    assert page.evaluate("endings") == [ending(SERVER_SHUTDOWN)]
    server.start()
    page.wait_for_function("socket.connected")


@pytest.mark.parametrize("reason", [FORCED_CLOSE, SERVER_DISCONNECT], ids=str)
def test_a_code_tells_our_client_whether_to_come_back(context: Any, server: Server, reason: Reason) -> None:
    page = open_page(context, server.url, CLIENT)
    evaluate(page, CONNECT + "window.before = socket.id; socket.emit('drop', argument);", reason.name)
    page.wait_for_function("endings.length")
    assert page.evaluate("endings") == [ending(reason)]
    evaluate(page, "await new Promise((resolve) => setTimeout(resolve, 200));")  # nothing to wait for: it stays away
    assert page.evaluate("socket.connected") == reason.may_reconnect
    page.evaluate("socket.connect()")  # unless the page says so
    page.wait_for_function("socket.connected && socket.id !== before")
