"""Handlers that misbehave, in a real server: what they owe is answered, each end comes once, and nothing stays."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

import pytest

from tests.conformance.wire import WebSocketClient, open_websocket
from tests.faults.watching import Watch
from tests.serving import Server, serve

WHAT = ("fail", "die", "be_killed", "leave", "time_out", "leave_timeout", "block", "disconnect", "spawn",
        "disturb_the_dead", "unsendable")  # fmt: skip
#: Handlers that decide whether a client comes in; what fails denies.
DENYING = ("fail", "die", "be_killed", "leave", "time_out")
AT_THE_DOOR = ("connect", "before", "after")
WHERE = (*AT_THE_DOOR, "message", "packet", "any", "outgoing", "subscribe", "unsubscribe", "error", "disconnect",
         "finish")  # fmt: skip
EVENTS = ('["message","x"]', '["__subscribe__","more"]', '["break"]', '["__unsubscribe__","more"]', '["well"]')
ACKNOWLEDGED = re.compile(r"43/bad,(\d+)\[")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("faults", ping_interval=60, connect_timeout=20, ack_timeout=0.2) as running:
        yield running


@pytest.fixture(scope="module")
def watch(server: Server) -> Watch:
    with open_websocket(server).connection:  # what the first client makes is no leak
        pass
    return Watch(server)


def open_misled(server: Server, what: str, where: str) -> WebSocketClient:
    """A client that makes a handler misbehave; it has sent all its events already."""
    client = open_websocket(server)
    client.send("40/bad," + json.dumps({"what": what, "where": where}))
    # If it is turned away meanwhile, the next event is one too many.
    client.provoke(*(f"42/bad,{number}{event}" for number, event in enumerate(EVENTS)))
    return client


def outcome(client: WebSocketClient) -> tuple[str, list[int]]:
    """How the client was received, and what was acknowledged, up to its last event or its end in the namespace."""
    reception, acknowledged = "", []
    while len(acknowledged) < len(EVENTS):
        packet = str(client.receive())
        match = ACKNOWLEDGED.match(packet)
        if match:
            acknowledged.append(int(match[1]))
        elif packet.startswith(("44/bad,", "41/bad")):
            return reception or packet[:2], acknowledged
        elif packet.startswith("40/bad,"):
            reception = "40"
    return reception, acknowledged


@pytest.mark.parametrize("what", WHAT)
def test_handlers_that_misbehave(server: Server, watch: Watch, what: str) -> None:
    """Everywhere at the same time, beside clients whose handlers behave."""
    everything = list(range(len(EVENTS)))
    with contextlib.ExitStack() as stack:

        def open_one(what: str, where: str) -> WebSocketClient:
            client = open_misled(server, what, where)
            stack.callback(client.close)
            return client

        clients = {where: open_one(what, where) for where in WHERE}
        others = [open_one("fail", "nowhere") for _ in range(10)]
        outcomes = {where: outcome(client) for where, client in clients.items()}
        assert [outcome(client) for client in others] == [("40", everything)] * len(others)
        if what in DENYING:
            assert {where: outcomes.pop(where)[0] for where in AT_THE_DOOR} == dict.fromkeys(AT_THE_DOOR, "44")
        if what == "disconnect":
            assert {where: outcomes[where][0] for where in outcomes} == dict.fromkeys(outcomes, "40")
        else:
            assert outcomes == dict.fromkeys(outcomes, ("40", everything))
    watch.settle()


def test_a_forgotten_timeout_hits_nobody_else(server: Server, watch: Watch) -> None:
    """It belongs to the greenlet of the handler that started it, which others must not get."""
    with contextlib.ExitStack() as stack:
        guilty, innocent = open_misled(server, "leave_timeout", "message"), open_misled(server, "fail", "nowhere")
        for client in (guilty, innocent):
            stack.callback(client.close)
            assert outcome(client) == ("40", list(range(len(EVENTS))))
        for number in range(10):
            guilty.send('42/bad,["message","x"]')
            innocent.send(f'42/bad,{number}["well"]')
            assert innocent.receive() == f'43/bad,{number}["well"]'
    watch.settle()
