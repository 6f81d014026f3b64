"""circus, with deploy/circus.ini: it holds the listening socket while it replaces the process behind that."""

from __future__ import annotations

import configparser
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.conformance.targets import require_node
from tests.hosting import OfficialStayers, is_alive
from tests.serving import APPS, ROOT, Server, free_port, wait_for

#: Serves an application on a descriptor, as the command line does.
LAUNCHER = f"{sys.executable} {APPS / 'hosted.py'} $(circus.sockets.web)"


class Circus(Server):
    """circusd, and how to command it."""

    endpoint = ""

    def control(self, *command: str) -> None:
        """Have it do something, and wait until that is done."""
        program = [sys.executable, "-m", "circus.circusctl", "--endpoint", self.endpoint, *command]
        subprocess.run(program, check=True, capture_output=True, timeout=30)


@contextlib.contextmanager
def circus(directory: Path, command: str = "", **environ: str) -> Iterator[Circus]:
    """Run circusd with deploy/circus.ini, but on free ports.

    :param command: runs instead of what is written there.
    """
    config = configparser.RawConfigParser(inline_comment_prefixes=None)
    config.read(ROOT / "deploy" / "circus.ini")
    port, endpoint = free_port(), f"tcp://127.0.0.1:{free_port()}"
    config["circus"].update(endpoint=endpoint, pubsub_endpoint=f"tcp://127.0.0.1:{free_port()}")
    config["socket:web"]["port"] = str(port)
    web = config["watcher:web"]
    web["working_dir"] = str(ROOT / web["working_dir"])
    web["cmd"] = command or web["cmd"].replace("python ", f"{sys.executable} ", 1)
    path = directory / "circus.ini"
    with path.open("w") as file:
        config.write(file)
    with Circus([sys.executable, "-m", "circus.circusd", str(path)], port, environ) as server:
        server.endpoint = endpoint
        yield server


class Visitor:
    """Asks for a page again and again, over a connection of its own each time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._visit)
        self.answers: list[str] = []
        self.failures: list[Exception] = []

    def _visit(self) -> None:
        while not self._stopped.wait(0.01):
            try:
                self.answers.append(requests.get(self._url, timeout=10).text)
            except requests.ConnectionError as error:
                self.failures.append(error)

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._thread.join()


def test_a_restart_turns_nobody_away_and_everybody_comes_back(tmp_path: Path) -> None:
    require_node()
    with circus(tmp_path, LAUNCHER, PYTHONUNBUFFERED="1") as server:
        with OfficialStayers("socket.io-client-4", server.url) as stayers, Visitor(server.url + "/who") as visitor:
            first = stayers.expect("connect")
            wait_for(lambda: visitor.answers)
            former = visitor.answers[-1]
            server.control("restart", "--waiting", "web")
            stayers.expect("disconnect")
            assert stayers.expect("connect") == first
            wait_for(lambda: visitor.answers[-1] != former)
            assert visitor.failures == []
            assert server.signal(signal.SIGTERM) == 0
            stayers.expect("disconnect")
        assert not is_alive(int(visitor.answers[-1]))


def test_the_example_as_it_is_deployed(tmp_path: Path) -> None:
    with circus(tmp_path, CHAT_DATABASE=str(tmp_path / "chat.sqlite3")) as server:
        assert "Lounge" in requests.get(server.url, timeout=20).text
        server.control("restart", "--waiting", "web")
        assert requests.get(server.url + "/socket.io/?EIO=4&transport=polling", timeout=20).status_code == 200
