"""The plugin under gunicorn, by its own gevent worker and by ours: all clients, while workers come and go."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio
import trustme

from tests.clients.test_official import EXPECTED
from tests.conformance.targets import require_node
from tests.conformance.wire import frame
from tests.hosting import OURS, PLAIN, WAYS, OfficialStayers, PythonStayers, Stayers, gunicorn, is_alive
from tests.raw import RawClient, get
from tests.serving import APPS, CLIENTS, Server, free_port, wait_for

#: Gunicorn's own worker looks once a second whether it has to end.
QUICKLY = {PLAIN: 8.0, OURS: 5.0}
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
both_workers = pytest.mark.parametrize("worker", [PLAIN, OURS], ids=["plain", "ours"])
Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def begin(worker: str, *options: str, **settings: Any) -> Server:
            return stack.enter_context(gunicorn(worker, *options, home=tmp_path, **settings))

        yield begin


def ends(server: Server) -> list[str]:
    """The reasons of all connections that are over."""
    return re.findall(r"^END (.*)$", server.log, re.MULTILINE)


def page(server: Server, path: str) -> str:
    return requests.get(server.url + path, timeout=10).text


def worker_pid(server: Server) -> int:
    return int(page(server, "/who"))


@pytest.fixture(scope="module", params=[PLAIN, OURS], ids=["plain", "ours"])
def conformance(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    with gunicorn(request.param, home=home, app="conformance:application") as server:
        yield server


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
def test_an_official_client_can_do_everything(conformance: Server, transports: str) -> None:
    require_node()
    command = ["node", str(CLIENTS / "official.js"), "socket.io-client-4", transports, conformance.url]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert {step: report[step] for step in EXPECTED} == EXPECTED
    assert report["transport"] == transports.rpartition(",")[2]
    assert "Traceback" not in conformance.log


@both_workers
@pytest.mark.parametrize("clients", ["socket.io-client-4", "socket.io-client-2", "python-socketio"])
def test_nobody_is_lost_when_workers_are_replaced_and_everybody_sees_the_end(
    start: Start, worker: str, clients: str
) -> None:
    server = start(worker)
    former = worker_pid(server)
    with make_stayers(clients, server.url) as stayers:
        first = stayers.expect("connect")
        assert all(said["transport"] == way.rpartition(",")[2] for way, said in first.items())
        assert all(said["answer"] == {"a": [1, "ü"]} for said in first.values())
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        stayers.expect("disconnect")
        again = stayers.expect("connect")
        # Gunicorn's own worker goes on accepting for up to a second, beside the next. An upgrade that comes to the
        # wrong one does not happen.
        assert again == first or (worker == PLAIN and again.keys() == first.keys())
        wait_for(lambda: not is_alive(former), QUICKLY[worker])
        assert worker_pid(server) != former
        wait_for(lambda: tell(server, stayers))
        if worker == OURS:
            assert ends(server) == ["server shutting down"] * len(stayers.ways)
        before = time.monotonic()
        assert server.signal(signal.SIGTERM) == 0
        assert time.monotonic() - before < QUICKLY[worker]
        assert set(stayers.expect("disconnect").values()) <= {"transport close", "transport error", "server disconnect"}
    assert ends(server).count("server shutting down") == 2 * len(stayers.ways) or worker == PLAIN
    assert ends(server)[-len(stayers.ways) :] == ["server shutting down"] * len(stayers.ways)
    assert "Traceback" not in server.log


def tell(server: Server, stayers: Stayers) -> bool:
    """Broadcast; tells whether all clients have received that."""
    assert page(server, "/tell") == "told"
    try:
        return set(stayers.expect("message", seconds=0.5).values()) == {"news"}
    except queue.Empty:
        return False


def make_stayers(clients: str, url: str) -> OfficialStayers | PythonStayers:
    if clients == "python-socketio":
        return PythonStayers(url, WAYS[1:])  # by polling, it takes the end of a session for a farewell for ever
    require_node()
    return OfficialStayers(clients, url)


@both_workers
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_a_quick_end_is_a_polite_one_too(start: Start, worker: str, number: int) -> None:
    server = start(worker)
    with PythonStayers(server.url) as stayers:
        stayers.expect("connect")
        before = time.monotonic()
        assert server.signal(number) == 0
        assert time.monotonic() - before < QUICKLY[worker]
        stayers.expect("disconnect")
    assert ends(server) == ["server shutting down"] * 3
    assert "Traceback" not in server.log


@both_workers
def test_a_handler_that_does_not_end_is_not_waited_for_longer_than_allowed(start: Start, worker: str) -> None:
    server = start(worker, "--graceful-timeout", "2", stop_timeout=0.5)
    with socketio.SimpleClient() as client:
        client.connect(server.url, transports=["websocket"])
        client.emit("nap", 60)
        wait_for(lambda: "EVENT nap" in server.log)
        before = time.monotonic()
        assert server.signal(signal.SIGTERM) == 0
        assert time.monotonic() - before < QUICKLY[worker] + 2
    assert "handlers were still running" in server.log


@both_workers
def test_enough_requests_are_an_end_of_the_worker_but_not_of_its_clients(start: Start, worker: str) -> None:
    server = start(worker, "--max-requests", "5")
    former = worker_pid(server)
    with socketio.SimpleClient(reconnection_delay=0.1) as client:
        client.connect(server.url, transports=["websocket"])
        for _ in range(5):
            page(server, "/who")
        wait_for(lambda: not is_alive(former))
        wait_for(lambda: client.connected and client.sid)
        assert client.call("message", "still here", timeout=10) == "still here"
    assert ends(server)[0] == "server shutting down"


@both_workers
def test_what_was_sent_right_behind_the_handshake_is_read(start: Start, worker: str) -> None:
    server = start(worker)
    client = RawClient(("127.0.0.1", server.port))
    client.send(get(WEBSOCKET, *UPGRADE) + frame(1, b"40") + frame(1, b'420["message","early"]'))
    head = client.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert b"content-length" not in head.lower()
    assert b'430["early"]' in client.read_until(b'430["early"]')
    client.close()
    wait_for(lambda: ends(server))
    assert "Traceback" not in server.log


@both_workers
def test_an_application_that_fails_after_the_handshake_is_answered_for(start: Start, worker: str) -> None:
    server = start(worker)
    client = RawClient(("127.0.0.1", server.port))
    client.send(get(WEBSOCKET, *UPGRADE, "X-Fail: yes"))
    assert b"500 Internal Server Error" in client.read_until(b"\r\n")
    client.close()
    with socketio.SimpleClient() as simple:
        simple.connect(server.url, transports=["websocket"])
        assert simple.call("message", 1) == 1


def test_polls_of_clients_that_went_away_end_under_gunicorn_too(start: Start) -> None:
    server = start(PLAIN)
    client = RawClient(("127.0.0.1", server.port))
    sid = json.loads(client.ask(get("/socket.io/?EIO=4&transport=polling")).body[1:])["sid"]
    client.ask(b"POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n40"
               % sid.encode())  # fmt: skip
    client.ask(get(f"/socket.io/?EIO=4&transport=polling&sid={sid}"))
    client.send(get(f"/socket.io/?EIO=4&transport=polling&sid={sid}"))
    time.sleep(0.1)
    client.close()
    wait_for(lambda: ends(server))


@both_workers
def test_several_workers_are_warned_of(start: Start, worker: str) -> None:
    # One that gets the signal while it starts would not notice, and be killed in the end.
    server = start(worker, "-w", "2", "--graceful-timeout", "1")
    page(server, "/socket.io/?EIO=4&transport=polling")
    wait_for(lambda: "without redis_url, send and broadcast reach the clients of one only" in server.log)
    assert server.log.count("the server has more than one process") <= (4 if worker == PLAIN else 2)
    assert ("must all come to the same one" in server.log) is (worker == PLAIN)


@both_workers
@pytest.mark.parametrize("is_patched", [True, False])
def test_a_preloaded_application(start: Start, worker: str, is_patched: bool, tmp_path: Path) -> None:
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("from gevent import monkey\nmonkey.patch_all()\n" if is_patched else "")
    if worker == OURS and not is_patched:
        advice = "let gunicorn.conf.py begin with 'from gevent import monkey"
        assert advice in complaint(start, advice, "--preload")
        return
    server = start(worker, "--preload", "-c", str(config))
    with PythonStayers(server.url) as stayers:
        stayers.expect("connect")
        assert server.signal(signal.SIGTERM) == 0
        stayers.expect("disconnect")
    assert "Traceback" not in server.log


def test_nothing_of_ours_is_there_before_the_fork() -> None:
    code = (
        "import hosted, gevent._hub_local, gc\n"
        "from webpy_socketio import doors, shortcuts\n"
        "from webpy_socketio.transports.clock import Clock\n"
        "from webpy_socketio.transports.workers import Workers\n"
        "assert doors._default is None and shortcuts.current() is None\n"
        "assert not any(isinstance(thing, (Clock, Workers)) for thing in gc.get_objects())\n"
        "assert gevent._hub_local.get_hub_if_exists() is None\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=APPS, check=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the certificate and the key of 127.0.0.1, and the certificate of who vouches for it."""
    directory, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(directory / "key.pem")
    issued.cert_chain_pems[0].write_to_path(directory / "cert.pem")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    return directory


@pytest.mark.parametrize(("worker", "transport"), [(PLAIN, "polling"), (OURS, "polling"), (OURS, "websocket")])
def test_gunicorns_encryption(start: Start, authority: Path, worker: str, transport: str) -> None:
    files = ("--certfile", str(authority / "cert.pem"), "--keyfile", str(authority / "key.pem"))
    server = start(worker, *files)
    with requests.Session() as session:
        session.trust_env = False  # a bundle that the environment names would come before this
        session.verify = str(authority / "ca.pem")
        with socketio.SimpleClient(http_session=session) as client:
            client.connect(server.url.replace("http:", "https:"), transports=[transport])
            assert client.call("message", "secret") == "secret"


# What only our worker does.


def test_a_wrong_setting_ends_gunicorn_with_a_word_and_no_traceback(start: Start) -> None:
    said = complaint(start, "App failed to load", ping_interval="often")
    assert "ping_interval" in said
    assert "Traceback" not in said


def test_a_second_address_is_refused(start: Start) -> None:
    said = complaint(start, "App failed to load", "-b", f"127.0.0.1:{free_port()}")
    assert "SocketIOWorker listens at one address" in said
    assert "Traceback" not in said


def complaint(start: Start, end: str, *options: str, **settings: Any) -> str:
    """Start our worker, which gives up, and return what it said. Gunicorn's master may have listened by then."""
    try:
        server = start(OURS, *options, **settings)
    except RuntimeError as error:
        return str(error)
    wait_for(lambda: end in server.log, 10)
    return server.log


def test_a_page_in_the_making_is_finished_and_an_idle_connection_not_waited_for(start: Start) -> None:
    server = start(OURS)
    idle = RawClient(("127.0.0.1", server.port))
    assert idle.ask(get("/who")).status == 200
    answers: list[str] = []
    visitor = threading.Thread(target=lambda: answers.append(page(server, "/slow/1")))
    visitor.start()
    wait_for(lambda: "SLOW" in server.log)
    before = time.monotonic()
    assert server.signal(signal.SIGTERM) == 0
    assert time.monotonic() - before < 3
    visitor.join(5)
    assert answers == ["at last"]
    assert idle.read() == b""
    idle.close()


def test_the_access_log_is_gunicorns(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    line = '%(m)s %(U)s q=%(q)s s=%(s)s a=%(a)s x=%({x-test}i)s "%(r)s"'
    server = start(OURS, "--access-logfile", str(log), "--access-logformat", line)
    requests.get(server.url + "/who?a=1", headers={"X-Test": "page", "User-Agent": "me"}, timeout=5)
    requests.get(server.url + "/socket.io/?EIO=1", headers={"X-Test": "front", "User-Agent": "me"}, timeout=5)
    wait_for(lambda: log.read_text().count("\n") == 2)
    assert log.read_text().splitlines() == [
        'GET /who q=a=1 s=200 a=me x=page "GET /who?a=1 HTTP/1.1"',
        'GET /socket.io/ q=EIO=1 s=400 a=me x=front "GET /socket.io/?EIO=1 HTTP/1.1"',
    ]


def test_what_is_no_request_is_answered_and_logged_without_a_traceback(start: Start) -> None:
    server = start(OURS)
    client = RawClient(("127.0.0.1", server.port))
    assert b"400 Bad Request" in client.send(b"GARBAGE\r\n\r\n").read()
    client.close()
    assert "Traceback" not in server.log


def test_a_unix_socket(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "app.sock"
    port = free_port()  # somebody has to accept there, for the test to see that the server has started
    with socket.create_server(("127.0.0.1", port)):
        command = [sys.executable, "-m", "gunicorn", "-k", OURS, "-b", f"unix:{path}", "hosted:application"]
        with Server(command, port, {"HOME": str(tmp_path)}, APPS) as server:
            wait_for(lambda: "Listening at" in server.log, 10)
            client = RawClient(str(path))
            assert client.ask(get("/socket.io/?EIO=4&transport=polling")).status == 200
            client.close()
            assert server.signal(signal.SIGTERM) == 0
            assert "Traceback" not in server.log
