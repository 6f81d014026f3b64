"""Stopping: every client is told, in its own moment, and has got what was sent before; nobody waits for ever.

``STOPPING_CLIENTS=2000`` runs the crowd at full size.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conformance.targets import require_node
from tests.conformance.wire import (
    FAREWELLS,
    RS,
    Packet,
    WebSocketClient,
    keep_asking,
    open_websocket,
    polling_query,
    target,
)
from tests.hosting import OfficialStayers
from tests.serving import CLIENTS, Server, serve, serve_by_name, wait_for
from webpy_socketio.reasons import SERVER_SHUTDOWN

CROWD = int(os.environ.get("STOPPING_CLIENTS", "200"))
#: Seconds over which the goodbyes are spread, and within which the server has to be gone.
SPREAD, DEADLINE = 2.0, 20.0
#: Seconds between two questions of a client: this machine plays them all.
PAUSE = CROWD / 2000


def settings_for_a_crowd(count: int) -> dict[str, object]:
    """The goodbyes take SPREAD seconds, however many there are."""
    return {"drain_time": SPREAD * 10_000 / count, "stop_timeout": DEADLINE}


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the application notes the end of each client."""
    path = tmp_path / "ends"
    path.touch()
    monkeypatch.setenv("ENDS", str(path))
    return path


async def join(url: str) -> ClientConnection:
    """Connect as the smallest client that there can be."""
    connection = await connect(f"{url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket", open_timeout=60)
    await connection.recv()
    await connection.send("40")
    await connection.recv()
    await connection.send('420["__subscribe__","room"]')
    await connection.recv()
    return connection


def told(ends: Path) -> dict[str, list[str]]:
    """What the application was told of each client that the server sent away, in order."""
    steps: dict[str, list[str]] = {}
    for line in ends.read_text().splitlines():
        step, client, reason = line.split(" ", 2)
        if reason == SERVER_SHUTDOWN.name:
            steps.setdefault(client, []).append(step)
    return steps


class Crowd:
    """Clients that talk all the time, and go to a second server when the first one sends them away."""

    def __init__(self, first: str, second: str) -> None:
        self.first, self.second = first, second
        self.codes: Counter[int] = Counter()
        self.moments: list[float] = []
        self.answers = 0
        self.back = 0

    async def live(self, connection: ClientConnection) -> None:
        """Ask and be answered until the server says goodbye; then go to the other one."""
        try:
            while True:
                await connection.send('420["echo","x"]')
                while (packet := await connection.recv()) != '430["x"]':
                    if packet == "2":
                        await connection.send("3")
                self.answers += 1
                await asyncio.sleep(PAUSE)
        except ConnectionClosed as closed:
            self.codes[closed.rcvd.code if closed.rcvd else 1006] += 1
            self.moments.append(time.monotonic())
        again = await join(self.second)
        self.back += 1
        await again.close()

    async def run(self, count: int, server: Server) -> None:
        """Let so many clients live until the first server is stopped, and all are back."""
        lives = []
        for _ in range(count):
            lives.append(asyncio.create_task(self.live(await join(self.first))))
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*lives), DEADLINE + 20)


def test_a_crowd_is_told_bit_by_bit_and_moves_to_another_server(ends: Path) -> None:
    settings = settings_for_a_crowd(CROWD)
    with serve("stopping", **settings) as first, serve("stopping") as second:
        crowd = Crowd(first.url, second.url)
        with ThreadPoolExecutor(1) as thread:  # this one may have a loop already, of a browser's
            thread.submit(asyncio.run, crowd.run(CROWD, first)).result()
        assert first.process is not None
        assert first.process.wait(DEADLINE) == 0
        assert "Traceback" not in first.log
        assert "still running" not in first.log
    assert crowd.codes == {SERVER_SHUTDOWN.code: CROWD}
    assert crowd.back == CROWD
    assert crowd.answers >= CROWD
    assert SPREAD / 2 < max(crowd.moments) - min(crowd.moments) < DEADLINE
    assert list(told(ends).values()) == [["disconnect", "unsubscribe", "finish"]] * CROWD


def stop(server: Server) -> None:
    """Tell a server to stop, and wait until it has begun to."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in server.log)


def enter(websocket: WebSocketClient) -> None:
    """Join the main namespace."""
    websocket.send("40")
    websocket.receive()


def next_word(websocket: WebSocketClient) -> Packet | None:
    """What the server says next; None if that is goodbye."""
    with contextlib.suppress(ConnectionClosed):
        return websocket.receive()
    return None


def expect_end(server: Server) -> None:
    """Wait for the end of a server that was told to stop: an orderly one."""
    assert server.process is not None
    assert server.process.wait(10) == 0


@pytest.fixture
def stopping(ends: Path) -> Iterator[Server]:
    """A server that takes a while to say goodbye, even to a few."""
    with serve("stopping", drain_time=15_000, stop_timeout=8) as server:
        yield server


def test_meanwhile_who_has_not_been_told_goes_on_and_nobody_comes_in(stopping: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stopping.port)
    keep_asking(connection, "GET", target(polling_query()))
    websockets = [open_websocket(stopping) for _ in range(5)]
    for websocket in websockets:
        enter(websocket)
    stop(stopping)
    connection.request("GET", "/socket.io/?EIO=4&transport=polling")  # on a connection that is there already
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Retry-After")) == (503, "1")
    assert json.loads(answer.read())["message"] == "The server is stopping"
    for websocket in websockets:  # unless its moment has come already
        websocket.provoke('421["echo","still here"]')
    assert '431["still here"]' in [next_word(websocket) for websocket in websockets]
    assert {websocket.wait_closed() for websocket in websockets} == {SERVER_SHUTDOWN.code}
    expect_end(stopping)


def test_what_was_sent_before_arrives(ends: Path) -> None:
    with serve("stopping", stop_timeout=10, max_outbox_bytes=100_000_000) as server:
        websocket = open_websocket(server)
        enter(websocket)
        websocket.send('42["pile",2000]')
        websocket.receive()  # the server is at it
        stop(server)
        numbers = [json.loads(str(websocket.receive())[2:])[1] for _ in range(1999)]
        assert numbers == list(range(1, 2000))
        assert websocket.wait_closed() == SERVER_SHUTDOWN.code
        expect_end(server)


def test_what_was_asked_before_is_answered(ends: Path) -> None:
    with serve("stopping") as server:
        websocket = open_websocket(server)
        enter(websocket)
        websocket.send('421["echo","x"]', '422["think",0.3]')
        websocket.receives('431["x"]')
        stop(server)
        websocket.receives('432["done"]')
        assert websocket.wait_closed() == SERVER_SHUTDOWN.code


def test_a_handler_that_takes_long_does_not_keep_its_client(ends: Path) -> None:
    with serve("stopping", stop_timeout=60) as server:
        websocket = open_websocket(server)
        enter(websocket)
        websocket.send('421["echo","x"]', '422["think",3]')
        websocket.receives('431["x"]')
        before = time.monotonic()
        stop(server)
        assert websocket.wait_closed() == SERVER_SHUTDOWN.code
        assert time.monotonic() - before < 2
        expect_end(server)
    assert list(told(ends).values()) == [["disconnect", "finish"]]


def test_what_was_sent_before_arrives_by_polling(ends: Path) -> None:
    with serve("stopping") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        opening = keep_asking(connection, "GET", target(polling_query())).text
        where = target(polling_query(sid=json.loads(opening[1:])["sid"]))
        keep_asking(connection, "POST", where, "40")
        keep_asking(connection, "GET", where)
        keep_asking(connection, "POST", where, '421["pile",3]')
        stop(server)
        packets = keep_asking(connection, "GET", where).text.split(RS)
        assert [packet[:13] for packet in packets] == [f'42["piece",{number},' for number in range(3)] + ["431[]"]
        assert keep_asking(connection, "GET", where).text in FAREWELLS
        expect_end(server)


def test_who_does_not_read_is_not_waited_for_beyond_the_deadline(ends: Path) -> None:
    with serve("stopping", stop_timeout=1, max_outbox_bytes=100_000_000) as server:
        websocket = open_websocket(server)
        enter(websocket)
        websocket.send('42["pile",2000]')
        websocket.receive()
        before = time.monotonic()
        assert server.signal(signal.SIGTERM) == 0
        assert time.monotonic() - before < 5
        assert "still running" not in server.log
    assert list(told(ends).values()) == [["disconnect", "finish"]]


def test_a_second_signal_ends_it_at_once(ends: Path) -> None:
    with serve("stopping", stop_timeout=60) as server:
        websocket = open_websocket(server)
        enter(websocket)
        websocket.send('421["echo","x"]', '42["hang"]')
        websocket.receives('431["x"]')
        stop(server)
        assert server.signal(signal.SIGTERM) == 1


@pytest.mark.parametrize("package", ["socket.io-client-4", "socket.io-client-2"])
def test_official_clients_of_a_killed_server_come_back(package: str) -> None:
    require_node()
    with serve_by_name("hosted:application") as server, OfficialStayers(package, server.url) as stayers:
        first = stayers.expect("connect")
        assert server.signal(signal.SIGKILL) == -signal.SIGKILL
        stayers.expect("disconnect")
        server.start()
        assert stayers.expect("connect") == first


@pytest.mark.parametrize("version", ["2", "3", "4.0", "4.5", "4"])
def test_official_clients_learn_why(ends: Path, version: str) -> None:
    require_node()
    with serve("stopping") as server:
        command = ["node", "--no-deprecation", str(CLIENTS / "ending.js"), f"socket.io-client-{version}", server.url]
        with subprocess.Popen(command, cwd=CLIENTS, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "connected\n"
            server.signal(signal.SIGTERM)
            ending = json.loads(client.stdout.readline())
    details = {"code": SERVER_SHUTDOWN.code, "sentence": SERVER_SHUTDOWN.sentence}
    assert ending == {"reason": "transport close", **(details if version in ("4.5", "4") else {})}
