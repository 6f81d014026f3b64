"""Connections cut at random while numbered messages arrive: official clients miss none, and get none twice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.targets import require_node
from tests.proxy import CuttingProxy
from tests.serving import CLIENTS, Server, serve

CLIENTS_AT_ONCE = 20
MESSAGES = 1000
#: How many connections have to be lost in all.
LOSSES = 200
#: How many clients may be lost again just while they get what they missed, and so start anew.
MOST_TOLD = 5


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # An official client that loses its WebSocket while it moves there just waits for its next heartbeat.
    heartbeat = {"ping_interval": 2, "ping_timeout": 2}
    with serve("recovery", recovery="true", message_log_format="None", **heartbeat) as server:
        yield server


def cut_until_done(process: subprocess.Popen[str], proxy: CuttingProxy) -> list[dict[str, Any]]:
    """Cut all connections, by RST and by FIN, whenever the clients ask for it, until they say what they received."""
    assert process.stdout is not None and process.stderr is not None
    for count, line in enumerate(process.stdout):
        if line != "cut\n":
            return list(json.loads(line))
        proxy.cut(reset=count % 2 == 0)
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])
def test_every_message_once(server: Server, transports: str) -> None:
    require_node()
    with CuttingProxy(server.port) as proxy:
        script = str(CLIENTS / "recovery.js")
        numbers = [str(CLIENTS_AT_ONCE), str(MESSAGES)]
        command = ["node", script, "socket.io-client-4", transports, proxy.url, server.url, *numbers]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            reports = cut_until_done(process, proxy)
    assert sum(report["lost"] for report in reports) >= LOSSES
    told = [report for report in reports if report["anew"]]
    for report in reports:
        if report not in told:
            assert report["numbers"] == list(range(MESSAGES))
            assert report["binary"] == [number % 256 for number in range(0, MESSAGES, 10)]
            assert report["sids"] == 1
        # Who was told that something is missing lacks it, but has nothing twice, nor out of order.
        assert report["numbers"] == sorted(set(report["numbers"]))
        assert report["recovered"] > 0
    assert len(told) <= MOST_TOLD
    assert "Traceback" not in server.log
