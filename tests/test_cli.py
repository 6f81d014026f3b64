"""``python -m webpy_socketio serve``: what it serves, what it takes, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import socketio

from tests.raw import RawClient, get
from tests.serving import APPS, Server, free_port, serve_by_name, wait_for
from webpy_socketio.cli import main

PATCHED = """
from gevent import monkey
import json, sys, threading
PATCHED = monkey.is_module_patched("threading") and threading.local.__module__.startswith("gevent")
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([PATCHED, sys.flags.dev_mode]).encode()]
"""


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """The plain application, served by its name."""
    with serve_by_name("plain") as server:
        yield server


def test_it_serves_pages_and_sockets_of_a_module_in_the_current_directory(plain: Server) -> None:
    assert requests.get(plain.url, timeout=5).text == "a plain page"
    for transports in (["polling"], ["websocket"]):
        with socketio.SimpleClient() as client:
            client.connect(plain.url, transports=transports)
            client.emit("message", "hello")
            assert client.receive(timeout=5) == ["message", "hello"]
    assert f"Socket.IO on {plain.url}/" in plain.log


def test_the_patches_come_before_everything_and_the_interpreters_options_last(tmp_path: Path) -> None:
    (tmp_path / "patched.py").write_text(PATCHED)
    port = free_port()
    command = [sys.executable, "-X", "dev", "-m", "webpy_socketio", "serve", "patched", "--port", str(port)]
    with Server(command, port, {}, tmp_path) as server:
        assert requests.get(server.url, timeout=5).json() == [True, True]
        assert "MonkeyPatchWarning" not in server.log


def test_requests_are_logged_if_that_is_wanted(plain: Server) -> None:
    requests.get(f"{plain.url}/quiet", timeout=5)
    assert "GET /quiet" not in plain.log
    with serve_by_name("plain", "--access-log") as server:
        requests.get(f"{server.url}/loud", timeout=5)
        wait_for(lambda: "GET /loud" in server.log)


def test_its_settings_come_before_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKETIO_PORT", "1")
    monkeypatch.setenv("SOCKETIO_PING_INTERVAL", "7")
    monkeypatch.setenv("SOCKETIO_PING_TIMEOUT", "9")
    with serve_by_name("plain", ping_interval=8) as server:
        opening = requests.get(f"{server.url}/socket.io/?EIO=4&transport=polling", timeout=5).text
    assert '"pingInterval":8000,"pingTimeout":9000' in opening


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_an_orderly_way(number: int) -> None:
    with serve_by_name("plain") as server, socketio.SimpleClient() as client:
        client.connect(server.url)
        assert server.signal(number) == 0
        assert "stopping" in server.log
        assert "Socket.IO DISCONNECT: server shutting down" in server.log
        assert "Traceback" not in server.log


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "webpy_socketio", *arguments]
    return subprocess.run(command, cwd=APPS, capture_output=True, text=True, timeout=20)


def test_an_address_in_use_is_told(plain: Server) -> None:
    done = run("serve", "plain", "--port", str(plain.port))
    assert done.returncode == 1
    assert done.stderr.startswith("webpy_socketio: ")
    assert "in use" in done.stderr or "listens" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_module_is_told() -> None:
    done = run("serve", "no_such_app")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("webpy_socketio: there is no module 'no_such_app', neither in ")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--set", "ping_intervall=5"], "unknown option 'ping_intervall'. Did you mean 'ping_interval'?"),
        (["--set", "log=x"], "unknown option 'log'"),
        (["--set", "ping_interval=soon"], "option ping_interval = 'soon': must be a number of seconds above 0"),
        (["--port", "http"], "option port = 'http'"),
    ],
)
def test_a_setting_that_cannot_be_is_an_error(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "plain", *arguments]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"webpy_socketio: {problem}")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "COMMAND"),
        (["serve"], "MODULE[:APP]"),
        (["serve", "plain", "--set", "ping_interval"], "write --set NAME=VALUE, like --set ping_interval=10"),
        (["serve", "plain", "--port", "80", "--set", "port=81"], "port is given twice"),
        (["serve", "plain", "--workers", "4", "--reload"], "--reload runs one process"),
        (["serve", "plain", "--reload", "--fd", "3"], "--reload listens on --host and --port only"),
        (["doctor", "example.com"], "one is written like https://example.com/"),
        (["doctor", "http://example.com:port/"], "is no address of a page"),
        (["doctor", "http://example.com/", "--idle", "0"], "--idle must be a number of seconds above 0"),
    ],
)
def test_wrong_arguments_are_status_2(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert problem in " ".join(capsys.readouterr().err.split())


def test_one_worker_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "plain", "--workers", "1", "--port", "http"]) == 1


def test_the_doctor_tells_by_its_status(plain: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", plain.url, "--idle", "0.1"]) == 0
    assert capsys.readouterr().out.endswith("All is well.\n")
    assert main(["doctor", plain.url, "--idle", "0.1", "--resource", "nowhere"]) == 1
    assert "\n1 to mend.\n" in capsys.readouterr().out


def test_the_doctor_can_be_broken_off(plain: Server) -> None:
    command = [sys.executable, "-m", "webpy_socketio", "doctor", plain.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        while "(waiting 27 s" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
        assert process.stderr.read() == ""


def test_it_serves_on_a_descriptor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "webpy_socketio", "serve", "plain", "--fd", str(descriptor)]
        with subprocess.Popen(command, cwd=APPS, pass_fds=(descriptor,), stderr=subprocess.PIPE) as process:
            try:
                port = listener.getsockname()[1]
                assert requests.get(f"http://127.0.0.1:{port}/", timeout=10).text == "a plain page"
            finally:
                process.terminate()
            assert process.wait(10) == 0


def test_it_serves_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    command = [sys.executable, "-m", "webpy_socketio", "serve", "plain", "--unix", str(path)]
    with subprocess.Popen(command, cwd=APPS, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            assert b"Socket.IO on" in process.stderr.readline()  # the file is there a little earlier
            client = RawClient(str(path))
            assert client.ask(get("/")).body == b"a plain page"
            client.close()
        finally:
            process.terminate()
        assert process.wait(10) == 0


def test_it_serves_with_tls(tmp_path: Path) -> None:
    import trustme

    authority = trustme.CA()
    certificate, trusted = authority.issue_cert("localhost", "127.0.0.1"), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    options = ["--certfile", str(tmp_path / "cert.pem"), "--keyfile", str(tmp_path / "key.pem")]
    with serve_by_name("plain", *options) as server:
        url = server.url.replace("http:", "https:")
        assert requests.get(url, timeout=5, verify=str(trusted)).text == "a plain page"
        assert main(["doctor", url, "--idle", "0.1", "--insecure"]) == 0
