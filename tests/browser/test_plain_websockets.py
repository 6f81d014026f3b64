"""Plain WebSockets by the browser's own ``new WebSocket``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from tests.browser.windows import expect
from tests.serving import ROOT, Server, serve
from webpy_socketio.reasons import REFUSED

HELPERS = """
    const open = (path, ...protocols) => {
        const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws/' + path, protocols);
        socket.binaryType = 'arraybuffer';
        socket.heard = [];
        socket.waiting = [];
        socket.onmessage = ({data}) => (socket.waiting.length ? socket.waiting.shift()(data) : socket.heard.push(data));
        socket.next = () => new Promise((done) =>
            socket.heard.length ? done(socket.heard.shift()) : socket.waiting.push(done));
        socket.closed = new Promise((done) => { socket.onclose = ({code, reason}) => done([code, reason]); });
        socket.opened = new Promise((done) => { socket.onopen = () => done(socket); });
        return socket;
    };
"""

Run = Callable[[str], Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("plain_websockets", websocket_protocols="chat.v1", websocket_compression="on") as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
def run(browser: Any, server: Server) -> Iterator[Run]:
    """Runs a script in a page, and returns what that returns."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.url)
    yield lambda script: page.evaluate(f"async () => {{ {HELPERS} {script} }}")
    context.close()


def test_text_bytes_and_what_is_long_enough_to_be_compressed(run: Run) -> None:
    script = """
        const socket = await open('Grüße/1').opened;
        socket.send('hello');
        socket.send(new Uint8Array([0, 255]));
        socket.send('long '.repeat(10000));
        socket.send('!["who"]');
        return [await socket.next(), [...new Uint8Array(await socket.next())], (await socket.next()).length,
                JSON.parse(await socket.next())[0], socket.extensions];
    """
    text, data, size, channels, extensions = run(script)
    assert (text, data, size, channels) == ("hello", [0, 255], 50_000, ["Grüße/1"])
    assert extensions.startswith("permessage-deflate")


def test_pages_hear_what_is_sent_to_their_channel(run: Run, server: Server) -> None:
    run("""
        window.sockets = [open('news'), open('news')];
        for (const socket of sockets) {
            (await socket.opened).send('x');
            await socket.next();
        }
    """)
    with urlopen(f"{server.url}/tell/news/extra", timeout=10) as answer:
        assert answer.read() == b"2"
    assert run("return Promise.all(sockets.map((socket) => socket.next()))") == ["extra", "extra"]


def test_pages_learn_why_they_are_refused(run: Run) -> None:
    assert run("return await open('private-1').closed") == [REFUSED.code, "refused: nobody may"]


def test_subprotocols(run: Run) -> None:
    assert run("return (await open('room', 'other', 'chat.v1').opened).protocol") == "chat.v1"
    code, _ = run("return await open('room', 'other').closed")
    assert code == 1006  # browsers insist on one of theirs


def test_pages_of_other_sites_are_kept_out(browser: Any, server: Server) -> None:
    page = browser.new_page()
    page.goto("data:text/html,<title>elsewhere</title>")
    url = server.url.replace("http", "ws") + "/ws/room"
    code = page.evaluate(f"new Promise((done) => {{ new WebSocket('{url}').onclose = ({{code}}) => done(code); }})")
    page.close()
    assert code == 1006


def test_the_example(browser: Any) -> None:
    with serve(ROOT / "example" / "websocket" / "app.py") as server:
        context = browser.new_context()
        pages = [context.new_page(), context.new_page()]
        for page in pages:
            page.goto(server.url)
            page.locator("input").fill("hello")
            page.locator("button").click()
            expect(page.locator("li").last).to_have_text("hello")
        expect(pages[0].locator("li")).to_have_text(["hello", "hello"])
        context.close()
