"""Malformed and hostile inputs over real ports: the server keeps working, and nothing of them stays."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.attacks import KINDS, PROXY, Attacker
from tests.faults.sizes import SEED, scaled
from tests.faults.watching import SLACK, Bystanders, Watch
from tests.serving import Server, serve

#: Inputs of each kind, in a quick run.
INPUTS = {"websocket": 900, "polling": 900, "upgrade": 200, "http": 300, "proxy": 200}
#: What a server keeps for good reasons is bounded, and reaches its bounds soon.
SETTINGS: dict[str, Any] = {
    "recovery": True,
    "recovery_window": 1,
    "max_recovery_bytes": 100_000,
    "max_recovery_clients": 50,
    "max_payload": 50_000,
    "ping_interval": 1,
    "ping_timeout": 1.5,
    "connect_timeout": 2,
    "header_timeout": 2,
    "upgrade_timeout": 1,
    "ack_timeout": 1,
    "close_timeout": 1,
    "proxy_protocol": True,
    "trusted_proxies": PROXY,
    "health": True,
    "message_log_format": "None",
    "max_blocking": 0,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("faults", **SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def watch(server: Server) -> Watch:
    return Watch(server)


class Campaign:
    """Attacks of all kinds, one after the other."""

    def __init__(self, server: Server, watch: Watch) -> None:
        self._attacker = Attacker(server.port)
        self._watch = watch
        self._recent: deque[str] = deque(maxlen=5)
        self._number = 0
        #: Inputs that have been judged, of each kind.
        self.judged: Counter[str] = Counter()

    def run(self, counts: dict[str, int]) -> None:
        """Go on until so many inputs of each kind have been judged."""
        while lacking := [kind for kind in KINDS if self.judged[kind] < counts[kind]]:
            for kind in lacking:
                self._attack(kind)
            self._watch.check_log(f"FAULTS_SEED={SEED}, one of {list(self._recent)}")

    def _attack(self, kind: str) -> None:
        self._number += 1
        seed = f"{SEED}/{kind}/{self._number}"
        self._recent.append(seed)
        try:
            self.judged[kind] += self._attacker.attack(kind, seed)
        except Exception as error:
            raise AssertionError(f"FAULTS_SEED={SEED}, the seed {seed!r}: {error!r}") from error


def test_whatever_comes_in_the_server_keeps_working(server: Server, watch: Watch) -> None:
    campaign = Campaign(server, watch)
    sizes = []
    for share in (0.5, 1):
        with Bystanders(server) as others:
            campaign.run({kind: int(share * scaled(count)) for kind, count in INPUTS.items()})
            others.check()
        sizes.append(watch.memory())
    print(f"judged {dict(campaign.judged)}, {campaign.judged.total()} in all; memory {sizes}")  # noqa: T201
    assert sizes[1] - sizes[0] < SLACK, f"FAULTS_SEED={SEED}: it keeps something"
