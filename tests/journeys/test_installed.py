"""The README's sample, typed into a new directory after an installation of what would be published."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import socketio

from tests.conformance.targets import require_node
from tests.samples import on_port, python_samples
from tests.serving import CLIENTS, ROOT, Server, free_port

PAGE = """
        from mako.lookup import TemplateLookup
        lookup = TemplateLookup(directories=[template_dir()])
        return lookup.get_template("socketio_scripts.html").render()
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and a source distribution, as they would be published."""
    target = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(target), str(ROOT)], check=True, capture_output=True)
    return target


@pytest.fixture(scope="module", params=["*.whl", "*.tar.gz"])
def python(request: pytest.FixtureRequest, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment with the package in it."""
    directory = tmp_path_factory.mktemp("venv")
    venv.create(directory, with_pip=True)
    interpreter = directory / "bin" / "python"
    (package,) = packages.glob(request.param)
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", str(package)], check=True)
    return interpreter


@pytest.fixture(scope="module")
def sample(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The sample as it stands in the README, but for the port, with a page for the include."""
    port = free_port()
    code = on_port(python_samples(ROOT / "README.rst")[0], port)
    assert "SocketIOServer" in code
    assert 'return "a page"' in code
    script = tmp_path_factory.mktemp("project") / "chat.py"
    script.write_text(code.replace('        return "a page"\n', PAGE))
    with Server([str(python), str(script)], port, {"PYTHONPATH": "", "PYTHONUNBUFFERED": "1"}, script.parent) as server:
        yield server


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
def test_python_clients_chat_in_the_sample(sample: Server, transports: list[str]) -> None:
    with socketio.SimpleClient() as alice, socketio.SimpleClient() as bob:
        for client in (alice, bob):
            client.connect(sample.url, transports=transports)
            assert client.call("__subscribe__", "room-1") is True
        alice.emit("message", "hello")
        assert alice.receive(timeout=5) == bob.receive(timeout=5) == ["message", "hello"]
    assert "Traceback" not in sample.log


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
@pytest.mark.parametrize("library", ["socket.io-client-3", "socket.io-client-4"])
def test_official_clients_chat_in_the_sample(sample: Server, library: str, transports: str) -> None:
    require_node()
    command = ["node", str(CLIENTS / "chat.js"), library, sample.url, transports]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    last = transports.rpartition(",")[2]
    assert json.loads(done.stdout) == {"received": ["hello", "hello"], "transports": [last, last]}
    assert "Traceback" not in sample.log


def test_the_include_is_found_where_it_was_installed(sample: Server) -> None:
    page = requests.get(sample.url, timeout=5).text
    source = re.search(r'<script src="(/socket\.io/socket\.io\.js\?v=[0-9a-f]+)"></script>', page)
    assert source is not None, page
    script = requests.get(sample.url + source[1], timeout=5)
    assert script.status_code == 200
    assert "immutable" in script.headers["Cache-Control"]
    assert "__subscribe__" in script.text
