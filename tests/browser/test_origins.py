"""Pages of other origins in a real browser: strangers are kept out, declared ones get in, with cookies or without.

The server is friend.localhost; a browser takes every name under localhost for its own machine. Pages of
app.friend.localhost are of another origin, but of the same site, so it is not the browser that keeps cookies back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.browser.test_client import HARNESS, evaluate
from tests.serving import Server, serve, wait_for

CLIENT, OFFICIAL = "/socket.io/socket.io.js", "/official-4.js"
WAYS = [["polling"], ["websocket"], ["polling", "websocket"]]
CONNECT = """const ends = await Promise.all(argument.ways.map((transports) => {
    const socket = io(argument.url, {transports, forceNew: true, reconnection: false, ...argument.options});
    return within(new Promise((resolve) => {
        socket.once('connect', async () => resolve(await call(socket, 'has cookie')));
        socket.once('connect_error', () => resolve('refused'));
    }), transports);
}));
return ends;"""

Start = Callable[..., Server]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts a server with some rules for origins, or gives one that runs already."""
    servers: dict[tuple[str, bool], Server] = {}
    with ExitStack() as stack, pytest.MonkeyPatch.context() as monkeypatch:

        def begin(rules: str, credentials: bool = False) -> Server:
            if (rules, credentials) not in servers:
                monkeypatch.setenv("RULES", rules)
                running = serve("login", cors_credentials=credentials, recovery=True)
                servers[rules, credentials] = stack.enter_context(running)
            return servers[rules, credentials]

        yield begin
        assert all("Traceback" not in server.log for server in servers.values())


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser's window, logged in nowhere."""
    context = browser.new_context()
    yield context
    context.close()


def ask(context: Any, server: Server, host: str, script: str = CLIENT, **options: object) -> list[Any]:
    """Connect from a page of a host in all ways; whether the cookie came along, or "refused"."""
    url = f"http://friend.localhost:{server.port}"
    page = context.new_page()
    page.goto(f"http://{host}:{server.port}/")
    page.add_script_tag(path=str(HARNESS))
    page.add_script_tag(url=url + script)
    ends = evaluate(page, CONNECT, {"url": url, "ways": WAYS, "options": options})
    page.close()
    return list(ends)


def log_in(context: Any, server: Server) -> None:
    page = context.new_page()
    page.goto(f"http://friend.localhost:{server.port}/")
    page.evaluate("fetch('/login', {method: 'POST'})")
    page.close()


@pytest.mark.parametrize("script", [CLIENT, OFFICIAL], ids=["ours", "official"])
@pytest.mark.parametrize("with_credentials", [False, True])
def test_a_strangers_page_gets_in_by_no_transport(
    context: Any, start: Start, script: str, with_credentials: bool
) -> None:
    server = start("none")
    log_in(context, server)
    for host in ("evil.localhost", "app.friend.localhost"):
        assert ask(context, server, host, script, withCredentials=with_credentials) == ["refused"] * 3
        wait_for(lambda host=host: f"refused a page of http://{host}:{server.port}: add that origin" in server.log)
    assert ask(context, server, "friend.localhost", script, withCredentials=with_credentials) == [True] * 3


@pytest.mark.parametrize(
    ("rules", "script"),
    [("list", OFFICIAL), ("wildcard", CLIENT), ("pattern", CLIENT), ("function", CLIENT), ("function", OFFICIAL)],
)
def test_a_declared_page_gets_in(context: Any, start: Start, rules: str, script: str) -> None:
    """A WebSocket always carries the cookies; polls do only if page and server agree on it."""
    server = start(rules)
    log_in(context, server)
    assert ask(context, server, "app.friend.localhost", script) == [False, True, False]
    assert ask(context, server, "app.friend.localhost", script, withCredentials=True) == ["refused", True, "refused"]
    assert ask(context, server, "appxfriend.localhost", script) == ["refused"] * 3


@pytest.mark.parametrize(("rules", "script"), [("list", CLIENT), ("function", OFFICIAL)])
def test_a_declared_page_gets_in_with_its_cookies(context: Any, start: Start, rules: str, script: str) -> None:
    server = start(rules, credentials=True)
    log_in(context, server)
    asked = {"X-Asked": "in advance"}
    assert ask(context, server, "app.friend.localhost", script, withCredentials=True) == [True] * 3
    assert ask(context, server, "app.friend.localhost", script, extraHeaders=asked) == [False, True, False]
    assert ask(context, server, "evil.localhost", script, withCredentials=True) == ["refused"] * 3


@pytest.mark.parametrize("script", [CLIENT, OFFICIAL], ids=["ours", "official"])
def test_a_page_that_is_logged_out_stays_disconnected(context: Any, start: Start, script: str) -> None:
    server = start("none")
    url = f"http://friend.localhost:{server.port}"
    log_in(context, server)
    page = context.new_page()
    page.goto(url)
    page.add_script_tag(path=str(HARNESS))
    page.add_script_tag(url=url + script)
    before, reasons, connected = evaluate(
        page,
        """const sockets = argument.map((transports) =>
            io({transports, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 20}));
        sockets.push(sockets[0].io.socket('/admin').connect());
        await Promise.all(sockets.map(connected));
        const ends = Promise.all(sockets.map((socket) => next(socket, 'disconnect')));
        const before = (await (await fetch('/noted')).json()).length;
        await fetch('/logout', {method: 'POST'});
        const reasons = (await ends).map(([reason]) => reason);
        await new Promise((resolve) => setTimeout(resolve, 200)); // nothing tells that nobody comes back
        return [before, reasons, sockets.map((socket) => socket.connected || socket.io._reconnecting)];""",
        WAYS,
    )
    assert reasons == ["io server disconnect"] * 4
    noted = evaluate(page, "return await (await fetch('/noted')).json()")
    assert [(what, why) for what, _, why in noted[before:]] == [("disconnect", "logged out")] * 4
    assert not any(connected)
