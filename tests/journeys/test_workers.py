"""Several workers at one address, with nothing that keeps a client with its process.

``CROWD=500`` runs the crowd at full size.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.targets import require_node
from tests.conformance.wire import PollingClient, keep_asking, open_websocket, upgrade
from tests.hosting import OURS, OfficialStayers, gunicorn, is_alive
from tests.serving import APPS, CLIENTS, ROOT, Server, serve, serve_by_name, wait_for

CROWD = int(os.environ.get("CROWD", "60"))
WORKERS = 4
#: Nobody connects to it before there is something to say to other processes.
REDIS = "redis://127.0.0.1:1/0"

Start = Callable[[], contextlib.AbstractContextManager[Server]]


@pytest.fixture(params=["SocketIOServer", "serve", "gunicorn"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts four workers, in one of the ways that there are."""
    starts: dict[str, Start] = {
        "SocketIOServer": lambda: serve("crew", workers=WORKERS, redis_url=REDIS),
        "serve": lambda: serve_by_name("crew", "--workers", str(WORKERS), redis_url=REDIS),
        "gunicorn": lambda: gunicorn(OURS, "-w", str(WORKERS), home=tmp_path, app="crew:application", redis_url=REDIS),
    }
    return starts[request.param]


def who(server: Server, connection: http.client.HTTPConnection | None = None) -> int:
    """The process that answers a page."""
    connection = connection or http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    return int(keep_asking(connection, "GET", "/who").text)


def everybody(server: Server) -> set[int]:
    """The processes of all workers, once all have answered."""
    seen: set[int] = set()

    def see() -> bool:
        seen.add(who(server))
        return len(seen) >= WORKERS

    wait_for(see, 20)
    return seen


def crowd(server: Server, transports: str) -> dict[str, Any]:
    """Let many official clients ask ten times each, and return what they tell."""
    require_node()
    command = ["node", str(CLIENTS / "crowd.js"), server.url, transports, str(CROWD), "10"]
    done = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=100, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_crowd_notices_nothing(start: Start) -> None:
    with start() as server:
        everybody(server)
        for transports in ("polling", "polling,websocket"):
            report = crowd(server, transports)
            assert (report["ok"], report["failures"], report["moved"]) == (CROWD, [], 0)
            assert report["upgraded"] == (CROWD if "websocket" in transports else 0)
        assert "Traceback" not in server.log


def join(client: Any) -> int:
    """Join, and return the process in which the session lives."""
    client.send("40")
    client.receive()
    client.send('420["message","x"]')
    return int(json.loads(str(client.receive())[3:])[0])


@pytest.fixture(scope="module")
def crew() -> Iterator[Server]:
    """Four workers, all there."""
    with serve("crew", workers=WORKERS, redis_url=REDIS) as server:
        everybody(server)
        yield server


def test_each_request_of_a_session_comes_to_its_owner(crew: Server) -> None:
    clients = [PollingClient(crew) for _ in range(20)]  # which make a connection for each request
    homes = [join(client) for client in clients]
    for _ in range(3):
        for client, home in zip(clients, homes, strict=True):
            client.send('420["message","x"]')
            assert client.receive() == f"430[{home}]"


def test_an_upgrade_comes_to_its_owner(crew: Server) -> None:
    for _ in range(10):
        client = PollingClient(crew)
        home = join(client)
        websocket = upgrade(client)
        websocket.send('420["message","x"]')
        assert websocket.receive() == f"430[{home}]"
        websocket.close()


def test_a_large_body_that_comes_in_pieces(crew: Server) -> None:
    for _ in range(8):
        client = PollingClient(crew)
        home = join(client)
        body = f'420["message","{"x" * 500_000}"]'.encode()
        exchange = client.begin_post(len(body))
        for start in range(0, len(body), 100_000):
            exchange.send(body[start : start + 100_000])
        assert exchange.answer().text == "ok"
        assert client.receive() == f"430[{home}]"


def test_a_connection_that_carried_pages_before(crew: Server) -> None:
    """As those of a proxy do."""
    client = PollingClient(crew)
    home = join(client)
    for _ in range(12):
        connection = http.client.HTTPConnection("127.0.0.1", crew.port, timeout=10)
        who(crew, connection)
        assert keep_asking(connection, "POST", client.target(), '420["message","x"]').text == "ok"
        assert client.receive() == f"430[{home}]"
        assert who(crew, connection) == home  # it lives there now
        connection.close()


def test_a_session_that_nobody_has(crew: Server) -> None:
    for label in ("A", "B", "C", "D", "_", "z"):
        connection = http.client.HTTPConnection("127.0.0.1", crew.port, timeout=10)
        answer = keep_asking(connection, "GET", f"/socket.io/?EIO=4&transport=polling&sid=-_{label}{'x' * 17}")
        assert (answer.status, answer.code) == (400, 1)
        connection.close()


def test_a_worker_that_is_killed_is_replaced_and_its_clients_come_back() -> None:
    require_node()
    with serve("crew", workers=WORKERS, redis_url=REDIS) as server:
        before = everybody(server)
        with OfficialStayers("socket.io-client-4", server.url) as stayers:
            homes = {said["answer"] for said in stayers.expect("connect").values()}
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            assert homes <= before
            stayers.expect("disconnect")
            assert stayers.expect("connect").keys() == set(stayers.ways)
        wait_for(lambda: len(everybody(server) - before) == WORKERS)
        assert server.log.count("another takes its place") == WORKERS


def test_a_stop_ends_all_workers(start: Start) -> None:
    with start() as server:
        pids = everybody(server)
        websocket = open_websocket(server)
        join(websocket)
        assert server.signal(signal.SIGTERM) == 0
        assert websocket.wait_closed() == 1012
        wait_for(lambda: not any(map(is_alive, pids)))
        assert "Traceback" not in server.log


def test_workers_do_not_outlive_the_first_process() -> None:
    with serve("crew", workers=WORKERS, redis_url=REDIS) as server:
        pids = everybody(server)
        server.signal(signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, pids)), 10)


def run(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected to end by itself."""
    command = [sys.executable, *options]
    environ = os.environ | {"PYTHONPATH": str(ROOT)} | env
    return subprocess.run(command, cwd=APPS, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "set redis_url, by which they reach all"),
        ({"SOCKETIO_REDIS_URL": REDIS, "SOCKETIO_WORKERS": "100"}, "workers = 100: 64 is the most"),
    ],
)
def test_what_cannot_be_is_told_at_the_start(settings: dict[str, str], problem: str) -> None:
    done = run("-m", "webpy_socketio", "serve", "crew", **{"SOCKETIO_WORKERS": "2", **settings})
    assert done.returncode == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_workers_that_cannot_serve_are_not_started_for_ever(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from gevent import monkey\nmonkey.patch_all()\nimport os, sys, web\nfrom webpy_socketio import *\n"
        "if 'WEBPY_SOCKETIO_WORKER' in os.environ:\n    sys.exit('no')\n"
        "application = web.application(socketio_urls, {}).wsgifunc()\n"
        "SocketIOServer(('127.0.0.1', 0), application, workers=2).serve_forever()\n"
    )
    before = time.monotonic()
    done = run(str(broken), SOCKETIO_REDIS_URL=REDIS)
    assert done.returncode == 1
    assert "what they say above has to be put right" in done.stderr
    assert time.monotonic() - before < 30
