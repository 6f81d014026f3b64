"""Official clients that lose their connections again and again, and what they received in spite of that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from tests.conformance.targets import require_node
from tests.serving import CLIENTS

Report = dict[str, Any]


def lose_clients(
    transports: str, url: str, direct: str, clients: int, messages: int, lose: Callable[[int], object]
) -> list[Report]:
    """Have messages sent to clients, let them lose their connections whenever they ask for it; return their reports.

    :param url: where they connect, through something that can cut their connections.
    :param direct: where the one connects who is never cut off, and starts the messages.
    :param lose: called with the number of the loss.
    """
    require_node()
    script = str(CLIENTS / "recovery.js")
    command = ["node", script, "socket.io-client-4", transports, url, direct, str(clients), str(messages)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        for count, line in enumerate(process.stdout):
            if line != "cut\n":
                return list(json.loads(line))
            lose(count)
        raise AssertionError(process.stderr.read())


def check_reports(reports: Sequence[Report], messages: int, most_told: int) -> None:
    """Everybody who was not told of a loss got everything, once and in order, under one identity.

    :param most_told: how many may be lost again just while they get what they missed, and so start anew.
    """
    told = [report for report in reports if report["anew"]]
    for report in reports:
        if report not in told:
            assert report["numbers"] == list(range(messages))
            assert report["binary"] == [number % 256 for number in range(0, messages, 10)]
            assert report["sids"] == 1
        # Who was told that something is missing lacks it, but has nothing twice, nor out of order.
        assert report["numbers"] == sorted(set(report["numbers"]))
        assert report["recovered"] > 0
    assert len(told) <= most_told
