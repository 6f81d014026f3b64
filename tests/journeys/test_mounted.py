"""The plugin in an application: served in several ways, beside pages, sessions and threads, until the server stops."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio

from tests.serving import Server, serve, wait_for

PATHS = {"subapp": "/chat/socket.io/", "resource": "/realtime/v1/"}
Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setenv("SESSIONS", str(tmp_path / "sessions"))
    with contextlib.ExitStack() as stack:

        def begin(mount: str = "plain", **settings: object) -> Server:
            monkeypatch.setenv("MOUNT", mount)
            return stack.enter_context(serve("mounted", **settings))

        yield begin


@contextlib.contextmanager
def client(server: Server, mount: str = "plain", **options: Any) -> Iterator[socketio.SimpleClient]:
    with socketio.SimpleClient() as simple:
        simple.connect(server.url, socketio_path=PATHS.get(mount, "/socket.io/"), **options)
        yield simple


def get(server: Server, path: str, **options: Any) -> str:
    return requests.get(server.url + path, timeout=5, **options).text


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
@pytest.mark.parametrize("mount", ["plain", "subapp", "middleware", "resource"])
def test_every_mount_on_every_transport(start: Start, mount: str, transports: list[str]) -> None:
    server = start(mount)
    with client(server, mount, transports=transports) as simple:
        assert simple.call("message", {"a": [1, "ü"]}) == {"a": [1, "ü"]}
        assert simple.transport == transports[-1]
    assert get(server, "/") == "index"
    assert "Traceback" not in server.log


def test_without_the_raw_connection_there_is_long_polling(start: Start) -> None:
    server = start("pywsgi")
    with client(server) as simple:
        assert simple.call("message", "hello") == "hello"
        assert simple.transport == "polling"
    answer = requests.get(server.url + "/socket.io/?EIO=4&transport=polling", timeout=5)
    assert json.loads(answer.text[1:])["upgrades"] == []
    with pytest.raises(socketio.exceptions.ConnectionError), client(server, transports=["websocket"]):
        pass
    assert "WebSocket is not offered" in server.log
    assert "Traceback" not in server.log


def test_a_wrong_resource_is_told(start: Start) -> None:
    server = start("plain", resource="elsewhere")
    with client(server) as simple:
        simple.call("message", 1)
    assert "write urls += make_socketio_urls('elsewhere')" in server.log


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="-".join)
def test_handlers_find_the_web_ctx_of_their_handshake(start: Start, transports: list[str]) -> None:
    server = start()
    browser = requests.Session()
    browser.get(server.url + "/login/Ada", timeout=5)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    with client(server, transports=transports, headers=cookie) as simple:
        expected = {
            "user": "Ada", "path": "/socket.io/", "ip": "127.0.0.1", "home": server.url, "stain": None,
            "cookie": True, "same": True,
        }  # fmt: skip
        assert simple.call("context") == expected
        assert simple.call("context") == expected
        with client(server, transports=transports) as stranger:
            assert stranger.call("context") == expected | {"user": "nobody", "cookie": False}


def test_a_session_changed_while_a_websocket_is_open_stays_changed(start: Start) -> None:
    server = start()
    browser = requests.Session()
    browser.get(server.url + "/login/before", timeout=5)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    for transports in (["websocket"], ["polling"], ["polling", "websocket"]):
        with client(server, transports=transports, headers=cookie) as simple:
            simple.call("message", "open")
            browser.get(server.url + "/login/meanwhile-" + transports[0], timeout=5)
        wait_for(lambda: "DISCONNECT" in server.log)
        assert browser.get(server.url + "/who", timeout=5).text == "meanwhile-" + transports[0]


@pytest.mark.parametrize("mount", ["plain", "middleware"])
def test_web_py_is_done_with_a_request_before_anything_waits(start: Start, mount: str) -> None:
    server = start(mount)
    with client(server, transports=["polling"]) as first, client(server, transports=["websocket"]) as second:
        first.call("message", "now a poll is held")
        wait_for(lambda: second.call("held") == 0)


def test_nothing_of_one_event_is_left_for_another(start: Start) -> None:
    server = start()
    with client(server, transports=["websocket"]) as simple:
        assert [simple.call("local") for _ in range(5)] == [False] * 5


def test_sends_from_anywhere(start: Start) -> None:
    server = start()
    assert get(server, "/tell/page") == "NoSocket: no socket is connected"
    assert get(server, "/tell/thread") == "NoSocket: no socket is connected"
    with client(server) as simple:
        simple.call("__subscribe__", "room-1")
        for how, message in (
            ("page", "from a page"),
            ("greenlet", "from a greenlet"),
            ("thread", "from an OS thread"),
            ("room-1", "to a channel"),
        ):
            assert get(server, f"/tell/{how}") == "sent"
            assert simple.receive(timeout=5) == ["message", message]
        assert get(server, "/tell/room-2") == "NoSocket: no socket is subscribed to 'room-2'"


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="-".join)
def test_a_handler_that_sleeps_holds_nobody_up_and_loses_nobody(start: Start, transports: list[str]) -> None:
    """The heartbeat allows half a second of silence; the handler takes four times as long."""
    server = start("plain", ping_interval=0.25, ping_timeout=0.25)
    with client(server, transports=transports) as sleeper, client(server, transports=transports) as other:
        answer: list[Any] = []
        nap = threading.Thread(target=lambda: answer.append(sleeper.call("nap", 2)))
        nap.start()
        longest = 0.0
        while nap.is_alive():
            before = time.monotonic()
            assert other.call("message", "quick") == "quick"
            longest = max(longest, time.monotonic() - before)
        assert answer == ["awake"]
        assert longest < 1, "the other client had to wait"
        assert sleeper.call("message", "still here") == "still here"


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="-".join)
def test_a_handler_can_ask_its_client(start: Start, transports: list[str]) -> None:
    server = start()
    sio = socketio.Client()
    sio.on("question", lambda question: question + "!")
    sio.connect(server.url, transports=transports)
    try:
        assert sio.call("ask", "who", timeout=5) == "who!"
    finally:
        sio.disconnect()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_every_connection_in_order(start: Start, number: int) -> None:
    server = start()
    with contextlib.ExitStack() as stack:
        for transports in (["polling"], ["websocket"]):
            simple = stack.enter_context(client(server, transports=transports))
            simple.call("__subscribe__", "room-1")
        assert server.signal(number) == 0
    ends = [json.loads(line.removeprefix("END ")) for line in server.log.splitlines() if line.startswith("END")]
    said = sorted(event for end in ends for event in end)
    assert said == ["disconnect server shutting down"] * 2 + ["finish ['room-1']"] * 2 + ["unsubscribe room-1"] * 2
    assert "Traceback" not in server.log


def test_a_stop_does_not_wait_for_ever(start: Start) -> None:
    server = start("plain", stop_timeout=0.5)
    with client(server, transports=["websocket"]) as simple:
        simple.emit("nap", 60)
        wait_for(lambda: "EVENT nap" in server.log)
        before = time.monotonic()
        assert server.signal(signal.SIGTERM) == 0
        assert time.monotonic() - before < 5
    assert "handlers were still running" in server.log
