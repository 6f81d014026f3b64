"""The benchmarks run and check what they count. What they measure here means nothing: rounds are far too short."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conformance.targets import require_node

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
SHORT = ["--rounds=1", "--seconds=0.1", "--warm-up=0", "--settle=0.05", "--scale=0.1", "--connections=50"]
SHORT += ["--many-connections=50", "--idle-seconds=0.2", "--backlog=2"]
MORE = ["channels", "slow_reader", "bus"]


Import = Callable[[str], Any]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Import:
    """Import a module of the benchmarks, which are programs in a directory and not a package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run.py"), *SHORT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def scenario_names(module: Import, *more: str) -> list[str]:
    scenarios = module("scenarios").SCENARIOS
    return [scenario.name for scenario in scenarios if not scenario.only_full or scenario.name in more]


def test_smoke(module: Import, tmp_path: Path) -> None:
    """One short round of each default scenario and a few more, the plugin beside Node, down to the plot."""
    require_node()
    results = tmp_path / "results.json"
    names = scenario_names(module, *MORE)
    done = run("--servers=plugin,node", f"--only={','.join(names)}", f"--json={results}")
    assert done.returncode == 0, done.stderr + done.stdout
    figures = json.loads(results.read_text())["figures"]
    assert {figure["scenario"] for figure in figures} == set(names)
    for figure in figures:
        assert figure["failures"] == {}
        for server in ("plugin", "node"):
            [sample] = figure["samples"][server]
            assert sample["verified"] > 0, (figure["name"], server)
    picture = tmp_path / "picture.svg"
    subprocess.run([sys.executable, str(BENCHMARKS / "plot.py"), str(results), str(picture)], check=True)
    texts = [element.text for element in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert {"plugin", "echo, 50 WebSockets", "1 x"} <= set(texts)


def test_other_checkout_and_lower_bound(tmp_path: Path) -> None:
    """Another checkout of the plugin runs beside this one; the C program has no polling, and says so."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    results = tmp_path / "results.json"
    servers = ["--servers=plugin,lower-bound", f"--plugin=before={ROOT}"]
    done = run(*servers, "--only=fanout,channels,fanout_50_64k,polling", f"--json={results}")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "plugin / before" in done.stdout
    samples = {figure["scenario"]: figure["samples"] for figure in json.loads(results.read_text())["figures"]}
    assert set(samples["polling"]) == {"plugin", "before"}
    assert all(set(samples[name]) == {"plugin", "before", "lower-bound"} for name in samples if name != "polling")


ECHO = "    socket.send(message)\n"
CAST = '    socket.send_and_broadcast_channel(message, "all")\n'
FAULTS = {
    "echo doubled": ("echo", ECHO, ECHO + ECHO, "WrongData"),
    "echo lost": ("echo", ECHO, ECHO.replace("socket", "message[-1] in 'aeiou' or socket"), "WrongData|Stalled"),
    "echo changed": ("echo", ECHO, ECHO.replace("message", "message.swapcase()"), "WrongData"),
    "cast doubled": ("fanout", CAST, CAST + CAST, "WrongData"),
    "cast lost": ("fanout", CAST, CAST.replace("socket", 'message[:4] == "0.3." or socket'), "WrongData"),
    "sender left out": ("fanout", CAST, '    socket.broadcast_channel(message, "all")\n', "Stalled"),
    "one byte changed": ("slow_reader", CAST, CAST.replace("message,", "message[:-1] + '?',"), "WrongData"),
    "poll doubled": ("polling", ECHO, ECHO + ECHO, "WrongData"),
}


@pytest.mark.parametrize(("name", "line", "fault", "error"), FAULTS.values(), ids=FAULTS)
def test_fault_is_found(
    module: Import, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, line: str, fault: str, error: str
) -> None:
    """A server that loses, doubles or changes a message fails the scenario."""
    if "Stalled" in error:
        monkeypatch.setattr(module("load"), "STALL_SECONDS", 1.0)
    program = (BENCHMARKS / "servers" / "plugin_server.py").read_text()
    assert program.count(line) == 1
    faulty = tmp_path / "faulty_server.py"
    faulty.write_text(program.replace(line, fault))
    kind = module("kinds").plugin_kind()._replace(command=[sys.executable, str(faulty)])
    assert re.match(rf"{name} on plugin: ({error})\(", failure(module, name, kind))


def failure(module: Import, name: str, kind: Any) -> str:
    """Why a scenario failed; empty if it did not."""
    [scenario] = [scenario for scenario in module("scenarios").SCENARIOS if scenario.name == name]
    effort = module("usage").Effort(warm_up=0.0, seconds=0.2, settle=0.0, backlog=1.0, scale=0.1)
    cores = module("processes").split_cores()
    outcome = module("rounds").ScenarioRun(scenario, effort, cores).run([kind], 1)
    return outcome.failures.get("plugin", "")


class Feed:
    """A WebSocket that receives given pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.pongs = 0

    def receive(self, size: int) -> bytes:
        return self.pieces.pop(0)

    def answer_ping(self) -> None:
        self.pongs += 1

    def send(self, data: bytes) -> None:
        pass


@pytest.mark.parametrize("size", [1, 2, 3, 7, 118, 5000])
def test_pings_between_messages(module: Import, size: int) -> None:
    """However the stream is cut, pings are answered and messages counted."""
    groups, messages = module("groups"), module("messages")
    ring = messages.text_messages("cast", 0)
    ping = module("frames").ENGINE_PING
    stream = ping + b"".join(message.received + ping for message in ring * 2)
    websocket = Feed([stream[start : start + size] for start in range(0, len(stream), size)])
    group = groups.Group([websocket], ring, 5)
    group.limit = len(ring) * 2
    group.start()
    receiver = groups.Receiver(group, websocket)
    while websocket.pieces:
        receiver.on_readable()
    assert (receiver.count, websocket.pongs, group.is_quiet) == (64, 65, True)


def test_missing_peer_names_the_command(module: Import) -> None:
    """What has to be installed, and how, is said at once."""
    kinds = module("kinds")
    with pytest.raises(module("processes").Missing, match=r"needs no-such-package: run `pip install -r benchmarks"):
        kinds._python_kind("peer", "peer.py", "no-such-package")


@pytest.mark.parametrize("head", [b"Content-Length: 5\r\n\r\nabcde", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_responses_in_pieces(module: Import, head: bytes) -> None:
    """A response is whole with its last byte, of a known length or in chunks."""
    chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" if b"chunked" in head else b""
    data = b"HTTP/1.1 200 OK\r\n" + head + chunks
    here, there = socket.socketpair()
    with here, there:
        response = module("responses").Response(here)
        bodies = []
        for byte in data:
            there.send(bytes([byte]))
            bodies.append(response.body())
        assert bodies == [None] * (len(data) - 1) + [b"abcde"]
        there.send(data + b"x")
        with pytest.raises(module("load").WrongData):
            response.body()
