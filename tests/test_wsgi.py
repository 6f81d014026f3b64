"""Socket.IO around a plain WSGI application and around nothing, by our server and by another: no web.py in sight."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import web
from gevent.pywsgi import WSGIServer

from tests.conformance.wire import (
    Client,
    Exchange,
    PollingClient,
    open_client,
    open_websocket,
    request,
    websocket_query,
)
from tests.serving import ServerHere, wait_for
from tests.sse import StreamClient
from webpy_socketio import SettingsError, SocketIOServer, doors, on_connect, on_event, server
from webpy_socketio.shortcuts import current
from webpy_socketio.startup import Running
from webpy_socketio.wsgi import SocketIOApp

NAMESPACE = "/plain-wsgi"
KEY = "a key of some length"


@on_connect(namespace=NAMESPACE)
def welcome(request: Any, socket: Any, context: Any) -> None:
    """Tell the client what its handlers are given."""
    socket.emit("welcome", request["PATH_INFO"], dict(web.ctx))


@on_event("shout", namespace=NAMESPACE)
def shout(request: Any, socket: Any, context: Any, text: str) -> str:
    """Answer in capitals."""
    return text.upper()


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """An application that knows nothing of Socket.IO."""
    body = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ServerHere]]:
    """Runs an application; the path is Socket.IO's unless said otherwise."""
    monkeypatch.setattr(server, "check_patched", lambda: None)  # the threads of this process are real
    monkeypatch.setattr(doors, "check_patched", lambda: None)
    monkeypatch.setattr(doors, "promise", lambda *_: None)  # the server does not last as long as this process
    monkeypatch.setattr(doors, "_default", None)
    with contextlib.ExitStack() as stack:

        def start(
            app: SocketIOApp, kind: Any = SocketIOServer, path: str = "/socket.io/", **options: Any
        ) -> ServerHere:
            return stack.enter_context(ServerHere(lambda: kind(("127.0.0.1", 0), app, log=None, **options), path))

        yield start


def converse(client: Client) -> None:
    """Join, and have an event answered."""
    client.send(f"40{NAMESPACE},")
    assert str(client.receive()).startswith(f'40{NAMESPACE},{{"sid":')
    client.receives(f'42{NAMESPACE},["welcome","{client.server.path}",{{}}]')
    client.send(f'42{NAMESPACE},7["shout","hello €"]')
    client.receives(f'43{NAMESPACE},7["HELLO €"]')


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_handlers_run_and_pages_are_served(serve: Callable[..., ServerHere], transport: str) -> None:
    here = serve(SocketIOApp(page))
    client = open_client(transport, here)
    converse(client)
    for path in ("/", "/socket.io", "/socket.iox/", "/pages/socket.io/"):
        answer = Exchange(here).start("POST", path, {}).answer()
        assert (answer.status, answer.text) == (200, f"POST {path}")
    client.close()


def test_around_nothing_other_paths_are_not_found(serve: Callable[..., ServerHere]) -> None:
    here = serve(SocketIOApp())
    answer = Exchange(here).start("GET", "/", {}).answer()
    assert (answer.status, answer.text, answer.content_type) == (404, "Not found", "text/plain")
    client = open_websocket(here)
    converse(client)
    client.close()


def test_it_has_the_settings_of_its_server(serve: Callable[..., ServerHere]) -> None:
    client = PollingClient(serve(SocketIOApp(page), ping_interval=7))
    assert client.handshake["pingInterval"] == 7000
    client.close()


def test_the_scripts_for_pages_are_there_too(serve: Callable[..., ServerHere]) -> None:
    answer = Exchange(serve(SocketIOApp(page))).start("GET", "/socket.io/socket.io.js", {}).answer()
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "text/javascript")


@pytest.mark.parametrize("resource", ["realtime/v1", "/realtime/v1/"])
def test_another_resource(serve: Callable[..., ServerHere], resource: str) -> None:
    here = serve(SocketIOApp(page, resource), path="/realtime/v1/", resource=resource)
    client = open_websocket(here)
    converse(client)
    assert Exchange(here).start("GET", "/socket.io/", {}).answer().text == "GET /socket.io/"
    client.close()


@pytest.mark.parametrize("resource", ["", "/", None])
def test_a_resource_that_cannot_be_is_told(resource: Any) -> None:
    with pytest.raises(SettingsError, match="resource"):
        SocketIOApp(page, resource)


@pytest.mark.parametrize("wrong", [None, web.application((), {})], ids=["None", "web.application"])
def test_what_is_no_application_is_told(wrong: Any) -> None:
    with pytest.raises(SettingsError, match=r"app\.wsgifunc\(\)"):
        SocketIOApp(wrong)


def test_a_resource_that_the_server_does_not_know_is_told_once(
    serve: Callable[..., ServerHere], caplog: pytest.LogCaptureFixture
) -> None:
    here = serve(SocketIOApp(page, "realtime"), path="/realtime/")
    for _ in range(2):
        PollingClient(here)
    assert caplog.text.count("resource='socket.io' is set") == 1


def test_under_another_server_there_is_long_polling(serve: Callable[..., ServerHere]) -> None:
    here = serve(SocketIOApp(page), WSGIServer)
    client = PollingClient(here)
    assert client.handshake["upgrades"] == []
    converse(client)
    assert Exchange(here).start("GET", "/", {}).answer().text == "GET /"
    refusal = request(here, "GET", websocket_query(), {"Connection": "Upgrade", "Upgrade": "websocket"})
    assert (refusal.status, refusal.body) == (400, b"Transport unknown")
    door = doors._default
    assert door is not None
    node = current()
    assert node is not None
    # Nobody does this for a door of the whole process, which lives as long as that.
    here.do(lambda: Running(node, door).stop(0))


def everything() -> SocketIOApp:
    """Every way in."""
    return SocketIOApp(page, websocket="ws", sse="/live/", publish="publish")


def publish(here: ServerHere, channel: str, body: str, key: str = KEY) -> tuple[int, Any]:
    """Publish by HTTP; return the status and the answer."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
    answer = Exchange(here).start("POST", f"/publish/{channel}", headers, body).answer()
    return answer.status, json.loads(answer.body)


def test_each_way_in_is_where_it_was_put(serve: Callable[..., ServerHere]) -> None:
    here = serve(everything(), publish_keys=KEY)
    stream = StreamClient(here.port, "/live/a%20room/%C3%BC")
    assert publish(here, "a%20room/%C3%BC", "hello") == (200, {"reached": 1})
    assert stream.next().data == "hello"
    assert publish(here, "a%20room/%C3%BC", "hello", "another key of some length")[0] == 401
    assert publish(here, "%ff", "hello")[0] == 400
    stream.close()
    for path in ("/", "/live", "/sse/room", "/publish", "/publisher/room"):
        assert Exchange(here).start("GET", path, {}).answer().text == f"GET {path}"
    assert Exchange(here).start("GET", "/ws/room", {}).answer().status == 426
    assert Exchange(here).start("GET", "/publish/room", {}).answer().status == 405


def test_a_stopping_server_begins_no_stream(serve: Callable[..., ServerHere]) -> None:
    here = serve(everything())
    here.do(lambda: setattr(here.served.door.hub, "draining", True))
    refusal = StreamClient(here.port, "/live/room").refusal
    assert refusal is not None
    assert (refusal.status, refusal.headers["Retry-After"]) == (503, "1")
    assert json.loads(refusal.body)["error"]["code"] == "unavailable"


def test_what_is_not_asked_for_is_not_there(serve: Callable[..., ServerHere]) -> None:
    here = serve(SocketIOApp(page), publish_keys=KEY)
    for path in ("/ws/room", "/sse/room", "/publish/room"):
        assert Exchange(here).start("POST", path, {}).answer().text == f"POST {path}"


@pytest.mark.parametrize(
    "paths", [{"sse": "socket.io"}, {"sse": "a", "publish": "/a/"}, {"sse": "a/b", "websocket": "a"}, {"publish": ""}]
)
def test_paths_that_are_not_apart_are_told(paths: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        SocketIOApp(page, **paths)


def test_under_another_server_streams_and_publishing_work_too(
    serve: Callable[..., ServerHere], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCKETIO_PUBLISH_KEYS", KEY)
    monkeypatch.setenv("SOCKETIO_PING_INTERVAL", "0.2")
    here = serve(everything(), WSGIServer)
    streams = [StreamClient(here.port, "/live/room") for _ in range(2)]
    assert publish(here, "room", "hello") == (200, {"reached": 2})
    assert [stream.next().data for stream in streams] == ["hello"] * 2
    streams[0].close()
    wait_for(lambda: publish(here, "room", "hello")[1] == {"reached": 1})  # the heartbeat finds nobody there
    streams[1].close()
    door, node = doors._default, current()
    assert door is not None
    assert node is not None
    here.do(lambda: Running(node, door).stop(0))
