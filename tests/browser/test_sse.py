"""Streams of server-sent events by the browser's own EventSource."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import socketio
import websocket

from tests.browser.windows import expect
from tests.conformance.targets import miss, require_node
from tests.serving import CLIENTS, ROOT, Server, serve, wait_for

KEY = "a key of some length"
COUNT = 1000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("sse", publish_keys=KEY, recovery=True, cors_origins="https://good.example") as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """A page that follows a channel."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/#room")
    page.wait_for_function("source.readyState === EventSource.OPEN")
    yield page
    context.close()


def publish(server: Server, channel: str, body: str) -> int:
    """Publish by HTTP; return how many got it. Raises HTTPError if nobody did."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}
    with urlopen(Request(f"{server.url}/publish/{channel}", body.encode(), headers), timeout=10) as answer:
        return int(json.load(answer)["reached"])


def ask(server: Server, where: str) -> None:
    """Ask for a page."""
    with urlopen(server.url + where, timeout=20) as answer:
        answer.read()


@pytest.fixture
def listeners(server: Server) -> Iterator[list[subprocess.Popen[str]]]:
    """What prints a line for each message of the channel: Node's ws, and curl."""
    require_node()
    if not shutil.which("curl"):
        miss("curl is not installed")
    node = ["node", str(CLIENTS / "listen.js"), f"ws://127.0.0.1:{server.port}/ws/room"]
    curl = ["curl", "--no-buffer", "--silent", f"{server.url}/sse/room"]
    with contextlib.ExitStack() as stack:
        running = []
        for command in (node, curl):
            running.append(stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)))
            stack.callback(running[-1].kill)
            assert running[-1].stdout is not None
            running[-1].stdout.readline()  # it has begun
        yield running


def test_everybody_hears_what_comes_in_every_way_in_order(
    page: Any, server: Server, listeners: list[subprocess.Popen[str]]
) -> None:
    page.evaluate("""() => new Promise((resolve) => {
        window.plain = [];
        const socket = new WebSocket(new URL("/ws/room", location.href.replace(/^http/, "ws")));
        socket.onmessage = ({ data }) => plain.push(data);
        socket.onopen = resolve;
    })""")
    talker = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws/room", timeout=10)
    other = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws/room", timeout=10)
    official = socketio.SimpleClient()
    official.connect(server.url, transports=["websocket"])
    for number in range(0, COUNT, 4):
        ask(server, f"/tell/room/{number}")
        assert official.call("say", ("room", f"{number + 1}")) is True
        publish(server, "room", f"{number + 2}")
        talker.send(f"{number + 3}")
        assert [other.recv() for _ in range(4)] == [f"{number + more}" for more in range(4)]
    everything = [str(number) for number in range(COUNT)]
    for heard in ("heard", "plain"):
        page.wait_for_function(f"{heard}.length >= {COUNT}")
        assert page.evaluate(heard) == everything
    for listener, prefix in zip(listeners, ("", "data: "), strict=True):
        assert listener.stdout is not None
        lines = (line.rstrip("\n") for line in listener.stdout if line.startswith(prefix))
        assert [line.removeprefix(prefix) for line in islice(lines, COUNT)] == everything
    official.disconnect()
    talker.close()
    other.close()


def test_named_events_and_lines(page: Any, server: Server) -> None:
    ask(server, "/do/emit")
    page.wait_for_function("others.length === 1")
    assert page.evaluate("others") == [["move", [1, {"x": "AA=="}]]]
    publish(server, "room", "Grüße\r\n\n \U0001f30d\n")
    page.wait_for_function("heard.length === 1")
    assert page.evaluate("heard") == ["Grüße\n\n \U0001f30d\n"]


def test_it_comes_back_by_itself_and_has_missed_nothing(page: Any, server: Server) -> None:
    publish(server, "room", "before")
    ask(server, "/do/out")
    page.wait_for_function("others.length === 1 && source.readyState === EventSource.CONNECTING")
    listener = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws/room", timeout=10)
    wait_for(lambda: heard_by(listener, server))
    page.wait_for_function("source.readyState === EventSource.OPEN")
    publish(server, "room", "after")
    page.wait_for_function("heard.at(-1) === 'after'")
    heard = page.evaluate("heard")
    assert heard[0] == "before"
    assert heard.count("meanwhile") == 1
    assert page.evaluate("others.map(([name]) => name)") == ["__end__"]
    listener.close()


def heard_by(listener: Any, server: Server) -> bool:
    """Publish once to a listener that may not follow the channel yet."""
    return reached(server, "room", "meanwhile") > 0 and bool(listener.recv() == "meanwhile")


def test_one_that_is_refused_does_not_come_back(browser: Any, server: Server) -> None:
    page = browser.new_page()
    page.goto(f"{server.url}/#private-1")
    page.wait_for_function("source.readyState === EventSource.CLOSED")
    page.close()


def test_pages_of_other_sites_are_kept_out(browser: Any, server: Server) -> None:
    page = browser.new_page()
    page.goto("data:text/html,<title>elsewhere</title>")
    state = page.evaluate(
        f"new Promise((done) => {{ const source = new EventSource('{server.url}/sse/room');"
        "source.onopen = source.onerror = () => done(source.readyState); })"
    )
    assert state == 2
    page.close()


@pytest.mark.parametrize("name", ["app", "flask_app", "bottle_app"])
def test_the_example(browser: Any, name: str) -> None:
    with serve(ROOT / "example" / "dashboard" / f"{name}.py", publish_keys=KEY) as server:
        page = browser.new_page()
        page.goto(server.url)
        wait_for(lambda: reached(server, "load", "0.42") == 2)
        for element in ("#by-sse", "#by-socketio"):
            expect(page.locator(element)).to_have_text("0.42")
        page.close()


def reached(server: Server, channel: str, body: str) -> int:
    """Publish, and return how many got it."""
    try:
        return publish(server, channel, body)
    except HTTPError:
        return 0
