"""Official clients behind nginx: by polling, by WebSocket, moving from one to the other, and doing nothing at all."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.clients.generations import TEXT, WAYS, InNode, check_journey, package_and_way
from tests.conformance.targets import require_node
from tests.nginx.recipes import RECIPES, Nginx, behind_nginx
from tests.serving import CLIENTS

#: Which clients leave nginx's connections idle, and for how long, if it cuts after one second of silence.
IDLE = [f"socket.io-client-{version}:{transport}" for version in "42" for transport in ("polling", "websocket")]
SECONDS = 2.5


@pytest.fixture(scope="module", params=RECIPES)
def nginx(request: pytest.FixtureRequest) -> Iterator[Nginx]:
    """A recipe, and the application of the journeys behind it."""
    with behind_nginx(request.param, "generations") as nginx:
        yield nginx
        for log in [nginx.log, *(server.log for server in nginx.servers)]:
            assert "[error]" not in log
            assert "Traceback" not in log


@pytest.fixture(scope="module")
def node(nginx: Nginx) -> Iterator[InNode]:
    """Clients that trust this nginx."""
    require_node()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODE_EXTRA_CA_CERTS", str(nginx.authority) if nginx.tls else "")
        with InNode() as node:
            yield node


@pytest.mark.parametrize("name", [f"{version}-{way}" for version in ("1", "2", "4") for way in WAYS])
def test_journey(nginx: Nginx, node: InNode, name: str) -> None:
    package, way = package_and_way(name)
    check_journey(name, node.call("journey", package, nginx.url, way, TEXT))


def idle(recipe: str, ping_interval: float) -> dict[str, str | None]:
    """How connections end that carry nothing but heartbeats; None, if they hold."""
    require_node()
    with behind_nginx(recipe, "conformance", {"120s": "1s"}, ping_interval=ping_interval) as nginx:
        env = {**os.environ, "NODE_EXTRA_CA_CERTS": str(nginx.authority) if nginx.tls else ""}
        command = ["node", "idle.js", nginx.url, str(SECONDS), *IDLE]
        done = subprocess.run(command, cwd=CLIENTS, env=env, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))


@pytest.mark.parametrize("recipe", RECIPES)
def test_heartbeats_hold_an_idle_connection(recipe: str) -> None:
    assert idle(recipe, ping_interval=0.3) == dict.fromkeys(IDLE)


@pytest.mark.parametrize("recipe", RECIPES)
def test_heartbeats_that_are_too_rare_do_not(recipe: str) -> None:
    ends = idle(recipe, ping_interval=30)
    assert set(ends.values()) <= {"transport close", "transport error"}
