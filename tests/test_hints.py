"""Hints: each is told once, with its remedy, when there is reason to, and not before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.wire import UPGRADE_HEADERS
from tests.raw import RawClient, get
from tests.serving import ROOT, ServerHere
from webpy_socketio.hints import CUTS, Hints
from webpy_socketio.wsgi import SocketIOApp

WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
EARLY = """
import sys
sys.path.insert(0, {place!r})
import early_bird, quiet_bird
from gevent import monkey; monkey.patch_all()
import late_bird
from webpy_socketio import SocketIOServer
server = SocketIOServer(("127.0.0.1", 0), lambda environ, start_response: [])
server.start()
server.stop()
"""


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the operator was told."""
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_proxy_that_drops_upgrade(serve_here: Callable[..., ServerHere], caplog: pytest.LogCaptureFixture) -> None:
    client = RawClient(("127.0.0.1", serve_here(SocketIOApp()).port))
    assert client.ask(get(WEBSOCKET)).status == 400
    assert told(caplog) == []  # somebody tried it out
    headers = [f"{name}: {value}" for name, value in UPGRADE_HEADERS.items() if name.startswith("Sec-")]
    for _ in range(2):
        assert client.ask(get(WEBSOCKET, *headers)).status == 400
    assert len(told(caplog)) == 1
    assert "proxy_set_header Upgrade $http_upgrade" in told(caplog)[0]
    client.close()


def test_connections_that_are_cut_at_the_same_age(caplog: pytest.LogCaptureFixture) -> None:
    hints = Hints()
    for number in range(2 * CUTS):
        hints.cut(60 + number % 2 * 0.5, 1000.0 + number)
    assert len(told(caplog)) == 1
    assert "cut about 60 seconds after they began" in told(caplog)[0]
    assert "proxy_read_timeout" in told(caplog)[0]


@pytest.mark.parametrize(
    ("ages", "interval"),
    [
        ([60.0] * (CUTS - 1), 1.0),  # too few
        ([60.0, 64.0] * CUTS, 1.0),  # not of the same age
        ([0.5] * 2 * CUTS, 1.0),  # scripts that come and go
        ([60.0] * 2 * CUTS, 0.01),  # all at once: they came together
    ],
)
def test_other_ends_tell_nothing(caplog: pytest.LogCaptureFixture, ages: list[float], interval: float) -> None:
    hints = Hints()
    for number, age in enumerate(ages):
        hints.cut(age, 1000.0 + number * interval)
    assert told(caplog) == []


def test_real_connections_that_a_proxy_cuts(
    serve_here: Callable[..., ServerHere], caplog: pytest.LogCaptureFixture
) -> None:
    here = serve_here(SocketIOApp())
    hub = here.served._running.node.hub
    now = hub.runner.now
    headers = [f"{name}: {value}" for name, value in UPGRADE_HEADERS.items()]
    shift = 0.0
    hub.runner.now = lambda: now() + shift
    for _ in range(CUTS):
        client = RawClient(("127.0.0.1", here.port))
        client.send(get(WEBSOCKET, *headers)).read_until(b'"maxPayload"')
        shift += 10
        client.close()
        here.do(lambda: None)
        while here.do(lambda: len(hub)):
            pass
    assert "cut about 10 seconds after they began" in told(caplog)[0]


def test_a_module_that_was_imported_before_the_patches(tmp_path: Path) -> None:
    (tmp_path / "early_bird.py").write_text("from time import sleep\nfrom socket import create_connection\n")
    (tmp_path / "quiet_bird.py").write_text("import time, socket, threading\nclass Quiet: pass\n")
    (tmp_path / "late_bird.py").write_text("from time import sleep\n")
    command = [sys.executable, "-c", EARLY.format(place=str(tmp_path))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    lines = [line for line in done.stderr.splitlines() if "imported before gevent's patches" in line]
    assert len(lines) == 1
    assert "early_bird (socket.create_connection)" in lines[0]
    assert "quiet_bird" not in lines[0]
    assert "late_bird" not in lines[0]
    assert "monkey.patch_all()" in lines[0]
