"""Applications of other frameworks, with every way in around them: the examples, and the samples of docs/wsgi.rst."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import socketio
import websocket

from tests.hosting import PLAIN, gunicorn
from tests.samples import on_port, python_samples
from tests.serving import ROOT, Server, free_port, serve
from tests.sse import StreamClient

KEY = "a-key-of-this-example"
EXAMPLES = ROOT / "example" / "dashboard"
_, *SAMPLES = python_samples(ROOT / "docs" / "wsgi.rst")


@pytest.fixture(params=["flask_app", "bottle_app", "app"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each example; the last is that of web.py."""
    with serve(EXAMPLES / f"{request.param}.py", publish_keys=KEY, message_log_format="") as running:
        yield running
        assert "Traceback" not in running.log


def ask(server: Server, where: str, body: bytes | None = None, **headers: str) -> Any:
    """Ask for a page, and return the JSON or the text of the answer."""
    with urlopen(Request(server.url + where, body, headers), timeout=10) as answer:
        text = answer.read().decode()
        return json.loads(text) if answer.headers["Content-Type"].startswith("application/json") else text


def publish(server: Server, value: float) -> Any:
    """Publish a number, as curl does."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    return ask(server, "/publish/load", json.dumps(value).encode(), **headers)


def test_every_way_in(server: Server) -> None:
    assert "by server-sent events" in ask(server, "/")
    stream = StreamClient(server.port, "/sse/load")
    with socketio.SimpleClient() as official:
        official.connect(server.url)
        assert official.call("__subscribe__", "load") is True
        assert publish(server, 0.5) == {"reached": 2}
        assert stream.next().data == "0.5"
        assert official.receive(10) == ["message", 0.5]
    stream.close()


@pytest.mark.parametrize("server", ["flask_app", "bottle_app"], indirect=True)
def test_pages_and_plain_websockets_are_there_too(server: Server) -> None:
    plain = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws/load", timeout=10)
    stream = StreamClient(server.port, "/sse/load")
    while ask(server, "/load/0.25", b"") != {"reached": 2}:  # it follows the channel a moment after it is open
        assert stream.next().data == "0.25"
    assert stream.next().data == "0.25"
    assert plain.recv() == "0.25"
    plain.close()
    stream.close()
    for where in ("/nothing", "/sse", "/publish"):
        with pytest.raises(HTTPError) as missing:
            ask(server, where)
        assert missing.value.code == 404
    with pytest.raises(HTTPError) as refused:
        ask(server, "/publish/load", b"x", Authorization="Bearer something else")
    assert refused.value.code == 401


@pytest.mark.parametrize("name", ["flask_app", "bottle_app"])
def test_under_gunicorn(name: str, tmp_path: Path) -> None:
    options = ("--chdir", str(EXAMPLES))
    with gunicorn(PLAIN, *options, home=tmp_path, app=f"{name}:application", publish_keys=KEY) as server:
        stream = StreamClient(server.port, "/sse/load")
        assert publish(server, 0.75) == {"reached": 1}
        assert stream.next().data == "0.75"
        stream.close()


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_the_samples_of_the_document(number: int, tmp_path: Path) -> None:
    port = free_port()
    script = tmp_path / "sample.py"
    script.write_text(on_port(SAMPLES[number], port))
    with ExitStack() as stack:
        command = [sys.executable, str(script)]
        env = {"PYTHONUNBUFFERED": "1", "SOCKETIO_PUBLISH_KEYS": KEY}
        server = stack.enter_context(Server(command, port, env, tmp_path))
        assert "page" in ask(server, "/")
        stream = StreamClient(port, "/sse/load")
        stack.callback(stream.close)
        assert publish(server, 1.5) == {"reached": 1}
        assert stream.next().data == "1.5"


def test_the_commands_of_the_example() -> None:
    """Those that its first lines show, by curl itself."""
    text = (EXAMPLES / "app.py").read_text()
    assert KEY in text
    with serve(EXAMPLES / "app.py", publish_keys=KEY) as server:
        stream = StreamClient(server.port, "/sse/load")
        (command,) = (part for part in text.split("\n    curl ") if "publish/load" in part)
        line = command.split("\n    curl")[0].replace("\\\n", " ").replace("http://127.0.0.1:8000", server.url)
        done = subprocess.run(f"curl --silent --max-time 10 {line.strip()}", shell=True, capture_output=True, text=True)
        assert json.loads(done.stdout) == {"reached": 1}
        assert stream.next().data == "0.42"
        stream.close()
