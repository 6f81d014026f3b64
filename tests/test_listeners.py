"""Where a server listens: every kind of place is served, and a place that cannot be had is told, with the remedy."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.targets import miss
from tests.conformance.wire import TEXT, UPGRADE_HEADERS, frame
from tests.raw import RawClient, get, post, sid_of
from tests.serving import APPS, ServerHere, free_port
from webpy_socketio import SettingsError, SocketIOServer
from webpy_socketio.engineio import Client, EngineIO
from webpy_socketio.listeners import choose_listener, inherit, take_activated
from webpy_socketio.settings import load_settings

POLLING = "/engine.io/?EIO=4&transport=polling"
SOCKET_IO = "/socket.io/?EIO=4&transport=polling"
UPGRADE = [f"{name}: {value}" for name, value in UPGRADE_HEADERS.items()]
LOOPBACK = "127.0.0.1"

Serve = Callable[..., ServerHere]


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The application for everything else."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"page for {environ.get('REMOTE_ADDR', 'nobody')}".encode()]


def echo(client: Client, message: str | bytes) -> None:
    client.send(message)


def make_server(listener: Any, **options: Any) -> SocketIOServer:
    return SocketIOServer(listener, EngineIO(echo, application=page), log=None, **options)


def serving(listener: Any, **options: Any) -> ServerHere:
    """A server in a thread."""
    return ServerHere(lambda: make_server(listener, **options), "/")


@pytest.fixture
def start(patched: None) -> Iterator[Serve]:
    """Runs a server."""
    with contextlib.ExitStack() as stack:

        def start(listener: Any, **options: Any) -> ServerHere:
            return stack.enter_context(serving(listener, **options))

        yield start


def converse(address: Any, who: str) -> None:
    """Poll, ask for a page, and use a WebSocket."""
    client = RawClient(address)
    where = f"{POLLING}&sid={sid_of(client.ask(get(POLLING)))}"
    assert client.ask(post(where, "4hello")).body == b"ok"
    assert client.ask(get(where)).body == b"4hello"
    assert client.ask(get("/")).body == f"page for {who}".encode()
    client.close()
    client = RawClient(address)
    client.send(get(POLLING.replace("polling", "websocket"), *UPGRADE) + frame(TEXT, b"4hello"))
    data = b""
    while not data.endswith(b"\x81\x064hello"):
        data += client.read_some(1)
    client.close()


def listening(family: socket.AddressFamily = socket.AF_INET, address: Any = (LOOPBACK, 0)) -> socket.socket:
    """A socket that listens."""
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen()
    return listener


# Every kind of place.


def test_tcp(start: Serve) -> None:
    here = start((LOOPBACK, 0))
    assert here.served._where() == f"http://127.0.0.1:{here.port}/"
    converse((LOOPBACK, here.port), LOOPBACK)


@pytest.mark.parametrize("listener", [("::1", 0), "[::1]:0"])
def test_ipv6(start: Serve, listener: Any) -> None:
    needs_ipv6()
    here = start(listener)
    assert here.served._where() == f"http://[::1]:{here.port}/"
    converse(("::1", here.port), "::1")


@pytest.mark.parametrize("host", ["", "::"])
def test_every_interface(start: Serve, host: str) -> None:
    needs_ipv6()
    here = start((host, 0))
    assert here.served._where() == f"http://localhost:{here.port}/"
    converse(("::1", here.port), "::1")
    converse((LOOPBACK, here.port), "::ffff:127.0.0.1")


def test_a_unix_socket(start: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    here = start(f"unix:{path}")
    assert here.served._where() == f"unix:{path}"
    converse(path, "nobody")


def test_a_unix_socket_of_the_settings(start: Serve, tmp_path: Path) -> None:
    start(None, unix=tmp_path / "app.sock")
    converse(str(tmp_path / "app.sock"), "nobody")


def test_a_path_that_is_relative(patched: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving("unix:app.sock"):
        monkeypatch.chdir("/")
        converse(str(tmp_path / "app.sock"), "nobody")
    assert not (tmp_path / "app.sock").exists()


@pytest.mark.parametrize("blocking", [True, False])
def test_a_socket_that_is_ready(start: Serve, blocking: bool) -> None:
    listener = listening()
    listener.setblocking(blocking)
    here = start(listener)
    converse((LOOPBACK, here.port), LOOPBACK)


@pytest.mark.parametrize("how", ["listener", "setting"])
def test_a_descriptor(start: Serve, how: str) -> None:
    descriptor = listening().detach()
    here = start(descriptor) if how == "listener" else start(None, fd=descriptor)
    converse((LOOPBACK, here.port), LOOPBACK)
    assert here.served._where() == f"http://127.0.0.1:{here.port}/"


def test_a_descriptor_of_a_unix_socket_whose_file_stays(patched: None, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with serving(listening(socket.AF_UNIX, path).detach()) as here:
        converse(path, "nobody")
        assert here.served._where() == f"unix:{path}"
    assert os.path.exists(path)


def test_an_abstract_socket_by_its_descriptor(start: Serve) -> None:
    name = f"\0webpy-socketio-{os.getpid()}"
    here = start(listening(socket.AF_UNIX, name).detach())
    converse(name, "nobody")
    assert here.served._where() == "unix:@" + name[1:]


def needs_ipv6() -> None:
    try:
        listening(socket.AF_INET6, ("::1", 0)).close()
    except OSError:
        pytest.skip("no IPv6 here")


# The file of a Unix socket.


def test_everybody_who_may_enter_the_directory_may_connect(start: Serve, tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        start(f"unix:{tmp_path}/app.sock")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "app.sock").stat().st_mode) == 0o666


def test_a_file_that_nobody_listens_at_is_replaced_and_removed_at_the_end(patched: None, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    listening(socket.AF_UNIX, path).close()
    with serving(f"unix:{path}"):
        converse(path, "nobody")
    assert not os.path.exists(path)


def test_a_file_that_somebody_listens_at_is_left_alone(patched: None, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with listening(socket.AF_UNIX, path):
        assert refusal(f"unix:{path}") == (
            f"cannot listen at unix:{path}: somebody listens there; stop that program, or choose another place"
        )
        assert os.path.exists(path)


def test_a_file_that_another_process_put_there_is_not_removed(patched: None, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with serving(f"unix:{path}"):
        os.rename(path, path + ".old")  # so that its number is not used again
        listening(socket.AF_UNIX, path).close()
    assert os.path.exists(path)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_left_alone(patched: None, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "app.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    assert f"{path} is there, and is no socket: remove it" in refusal(f"unix:{path}")
    assert os.path.lexists(path)


def test_a_socket_for_datagrams_is_left_alone(patched: None, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        assert f"{path} is in the way: " in refusal(f"unix:{path}")


def test_a_directory_that_is_not_there(patched: None, tmp_path: Path) -> None:
    assert "there is no such directory" in refusal(f"unix:{tmp_path}/no/app.sock")


def test_a_path_that_is_too_long(patched: None, tmp_path: Path) -> None:
    assert "too long" in refusal(f"unix:{tmp_path}/{'x' * 120}")


# Places that cannot be had.


def refusal(listener: Any, **options: Any) -> str:
    """Why a server does not start there."""
    with pytest.raises(SettingsError) as caught:
        made = make_server(listener, **options)
        try:
            made.start()
        finally:
            made.close()
    return str(caught.value)


def test_a_port_in_use(patched: None) -> None:
    with listening() as other:
        port = other.getsockname()[1]
        assert refusal((LOOPBACK, port)) == (
            f"cannot listen at http://127.0.0.1:{port}/: "
            "somebody listens there; stop that program, or choose another place"
        )


def test_an_address_of_another_machine(patched: None) -> None:
    assert "this machine does not have that address" in refusal(("192.0.2.1", 0))


def test_a_name_that_does_not_exist(patched: None) -> None:
    assert "cannot listen at http://no.such.host.invalid:8000/: " in refusal(("no.such.host.invalid", 8000))


@pytest.mark.parametrize("junk", [object(), 1.5, "localhost:http", b"unix:/run/x"])
def test_what_is_no_place(patched: None, junk: Any) -> None:
    assert "write ('', 8000), for example" in refusal(junk)


def test_a_socket_that_does_not_listen(patched: None) -> None:
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        assert "does not listen: whoever made it has to call its listen()" in refusal(bound)
    with socket.socket() as bound:
        assert "does not listen" in refusal(bound.fileno())
        bound.getsockname()  # it is open as before


def test_a_descriptor_that_is_none() -> None:
    for descriptor in (-1, 8000):
        with pytest.raises(SettingsError, match=rf"to listen on a port, write \('', {descriptor}\)"):
            inherit(descriptor)


def test_a_descriptor_that_is_a_file(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        with pytest.raises(SettingsError, match="is no socket that this process was started with"):
            inherit(file.fileno())
        file.write("it is open as before")


def test_programs_that_the_server_starts_do_not_get_its_descriptor() -> None:
    with listening() as listener:
        os.set_inheritable(listener.fileno(), True)
        inherit(listener.fileno()).detach()
        assert not os.get_inheritable(listener.fileno())


# What the settings mean.


def activation(**changes: str) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "HOME": "/", **changes}


@pytest.mark.parametrize(
    ("options", "environ", "listener"),
    [
        ({}, {}, (LOOPBACK, 8000)),
        ({"host": "", "port": 1}, {}, ("", 1)),
        ({"unix": "/run/a"}, {}, "unix:/run/a"),
        ({"fd": 7}, {}, 7),
        ({"fd": 7}, activation(), 7),
        ({"unix": "/run/a"}, activation(), 3),
        ({}, activation(), 3),
        ({}, activation(LISTEN_FDS="0"), (LOOPBACK, 8000)),
        ({}, activation(LISTEN_PID="1"), (LOOPBACK, 8000)),
    ],
)
def test_the_order(options: dict[str, Any], environ: dict[str, str], listener: Any) -> None:
    assert choose_listener(load_settings(options), environ) == listener


def test_two_places_are_one_too_many() -> None:
    with pytest.raises(SettingsError, match="both fd and unix are set"):
        choose_listener(load_settings({"fd": 3, "unix": "/run/a"}), {})


def test_systemds_variables_are_taken_once() -> None:
    environ = activation()
    assert take_activated(environ) == 3
    assert environ == {"HOME": "/"}


def test_variables_for_another_process_stay() -> None:
    environ = activation(LISTEN_PID="1")
    assert take_activated(environ) is None
    assert environ == activation(LISTEN_PID="1")


@pytest.mark.parametrize("count", ["2", "x", ""])
def test_more_than_one_socket_of_systemds(count: str) -> None:
    with pytest.raises(SettingsError, match=r"write one ListenStream= in its \.socket unit"):
        take_activated(activation(LISTEN_FDS=count))


# In a process of its own.


class Child:
    """An application in a process of its own."""

    def __init__(self, command: list[str], env: Mapping[str, str], descriptors: tuple[int, ...] = ()) -> None:
        self.process = subprocess.Popen(
            command, env={**os.environ, "PYTHONUNBUFFERED": "1", **env}, pass_fds=descriptors, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def next_line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def stop(self) -> str:
        """Stop it, and return what else it had to say."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=15)[0]


@pytest.fixture
def run() -> Iterator[Callable[..., Child]]:
    """Runs an application in a process of its own."""
    with contextlib.ExitStack() as stack:

        def run(app: str, env: Mapping[str, str], *descriptors: int, before: tuple[str, ...] = ()) -> Child:
            child = Child([*before, sys.executable, str(APPS / f"{app}.py")], env, descriptors)
            stack.enter_context(child.process)
            stack.callback(child.process.kill)
            return child

        yield run


def test_a_descriptor_is_inherited_and_lasts(run: Callable[..., Child]) -> None:
    with listening() as listener:
        descriptor, port = listener.fileno(), listener.getsockname()[1]
        for _ in range(2):  # one after the other, as at a restart
            child = run("engine", {"SOCKETIO_FD": str(descriptor)}, descriptor)
            assert child.next_line() == f"Socket.IO on http://127.0.0.1:{port}/\n"
            client = RawClient((LOOPBACK, port))
            sid_of(client.ask(get(POLLING)))
            client.close()
            child.stop()
            assert child.process.returncode == 0
        waiting = RawClient((LOOPBACK, port))  # while there is no server
        waiting.send(get(POLLING))
        child = run("engine", {"SOCKETIO_FD": str(descriptor)}, descriptor)
        assert waiting.answer().status == 200
        waiting.close()
        child.stop()


def test_socketio_and_webpy_on_a_unix_socket(run: Callable[..., Child], tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    child = run("conformance", {"SOCKETIO_UNIX": path})
    assert child.next_line() == f"Socket.IO on unix:{path}\n"
    client = RawClient(path)
    where = f"{SOCKET_IO}&sid={sid_of(client.ask(get(SOCKET_IO)))}"
    assert client.ask(post(where, "40")).body == b"ok"
    assert client.ask(post(where, '42["message","hello"]')).body == b"ok"
    body = client.ask(get(where)).body
    while b"message-back" not in body:
        body += client.ask(get(where)).body
    assert client.ask(get("/")).body == b"index"
    client.close()
    rest = child.stop()
    assert re.search(r'^- - - \[.*\] "Socket.IO MESSAGE: .*hello', rest, re.MULTILINE)
    assert "Traceback" not in rest
    assert not os.path.exists(path)


def needs_systemd() -> None:
    if not shutil.which("systemd-socket-activate"):
        miss("systemd-socket-activate is missing: it comes with systemd")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_systemd_hands_a_socket_over(run: Callable[..., Child], kind: str, tmp_path: Path) -> None:
    needs_systemd()
    port, path = free_port(), str(tmp_path / "app.sock")
    address: Any = path if kind == "unix" else (LOOPBACK, port)
    place = path if kind == "unix" else f"{LOOPBACK}:{port}"
    child = run("engine", {}, before=("systemd-socket-activate", "-l", place, "--fdname=web", "-E", "PYTHONUNBUFFERED"))
    assert "Listening on" in child.next_line()
    client = RawClient(address)
    assert json.loads(client.ask(get(POLLING)).body[1:])["sid"]
    client.close()
    said = child.stop()
    assert f"Socket.IO on {'unix:' + path if kind == 'unix' else f'http://{place}/'}\n" in said
    assert os.path.exists(path) == (kind == "unix")


def test_two_sockets_of_systemds_are_an_error(run: Callable[..., Child]) -> None:
    needs_systemd()
    port = free_port()
    places = ("-l", f"{LOOPBACK}:{port}", "-l", f"{LOOPBACK}:{free_port()}")
    child = run("engine", {}, before=("systemd-socket-activate", *places))
    assert "Listening on" in child.next_line()
    assert "Listening on" in child.next_line()
    with socket.create_connection((LOOPBACK, port)):
        said = child.process.communicate(timeout=15)[0]
    assert "SettingsError: systemd hands over 2 sockets, but a server listens at one" in said
