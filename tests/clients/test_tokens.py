"""Clients that know nothing of channels give a token with the event: official ones, and python-socketio's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests
import socketio

from tests.conformance.targets import require_node
from tests.serving import CLIENTS, Server, serve

OLD, NEW = "the secret of last year", "the secret of this year"
ANSWERS = [True, "token_required", "token_other_channel", "token_other_user", "token_expired", "token_invalid"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("tokens", subscriptions="closed", secrets=f"{NEW},{OLD}") as running:
        yield running
        assert "Traceback" not in running.log


def pairs(server: Server) -> list[tuple[str, str | None]]:
    """Channels, each with a token that has something of its own."""

    def make(**query: str) -> str:
        answer = requests.get(f"{server.url}/token?{urlencode(query)}", timeout=10)
        assert answer.status_code == 200
        return answer.text

    tokens = {
        "own": make(channel="own", user="alice"),
        "none": None,
        "other channel": make(channel="own"),
        "other user": make(channel="other user", user="bob"),
        "expired": make(channel="expired", expires="0.000001"),
        "forged": make(channel="forged").swapcase(),
    }
    return list(tokens.items())


@pytest.mark.parametrize(
    "library", ["socket.io-client-1", "socket.io-client-2", "socket.io-client-3", "socket.io-client-4"]
)
def test_official_client(server: Server, library: str) -> None:
    require_node()
    command = ["node", str(CLIENTS / "tokens.js"), library, server.url, json.dumps(pairs(server))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ANSWERS


def test_python_client(server: Server) -> None:
    client = socketio.Client(reconnection=False)
    client.connect(server.url)
    answers = []
    for channel, token in pairs(server):
        answer = client.call("__subscribe__", channel if token is None else (channel, {"token": token}))
        answers.append(answer if answer is True else answer["error"]["code"])
    client.disconnect()
    assert answers == ANSWERS


def test_a_secret_is_replaced_without_a_gap() -> None:
    """A token of before the restart is good after it; and none is, once its secret is gone."""
    with serve("tokens", subscriptions="closed", secrets=OLD) as before:
        token = requests.get(before.url + "/token?channel=own", timeout=10).text
    for secrets, expected in ((f"{NEW},{OLD}", True), (NEW, "token_invalid")):
        with serve("tokens", subscriptions="closed", secrets=secrets) as after:
            client = socketio.Client(reconnection=False)
            client.connect(after.url)
            answer = client.call("__subscribe__", ("own", {"token": token}))
            client.disconnect()
            assert (answer if answer is True else answer["error"]["code"]) == expected
