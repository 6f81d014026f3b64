"""Connections cut at random while numbered messages arrive: official clients miss none, and get none twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.losses import check_reports, lose_clients
from tests.proxy import CuttingProxy
from tests.serving import Server, serve

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


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])
def test_every_message_once(server: Server, transports: str) -> None:
    with CuttingProxy(server.port) as proxy:

        def lose(count: int) -> None:
            proxy.cut(reset=count % 2 == 0)

        reports = lose_clients(transports, proxy.url, server.url, CLIENTS_AT_ONCE, MESSAGES, lose)
    assert sum(report["lost"] for report in reports) >= LOSSES
    check_reports(reports, MESSAGES, MOST_TOLD)
    assert "Traceback" not in server.log
