"""Hints: what a server can tell of its surroundings, each once, with the line to change."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from .logs import logger

#: How many connections in a row have to be cut at the same age, give or take so many seconds, before somebody is taken
#: to do that on purpose.
CUTS, SAME_AGE = 10, 1.0
#: Seconds: younger connections are cut for other reasons, like scripts that come and go.
YOUNGEST = 5.0
#: Seconds over which these ends have to be spread: whoever came together may be cut together, by a network that fails.
SPREAD = 3.0


class _Cut(NamedTuple):
    """A connection that was cut."""

    age: float
    when: float


class Hints:
    """What one server's operator has been told already, and what leads to it."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._cuts: deque[_Cut] = deque(maxlen=CUTS)

    def lost_upgrade(self, environ: Mapping[str, Any]) -> None:
        """A request for a WebSocket came without the header that asks for it.

        ``Upgrade`` is for one hop only (RFC 9110, section 7.8), so a proxy that does not know it leaves it out, but not
        the key beside it. Without a key it was no browser that asked.
        """
        if "HTTP_SEC_WEBSOCKET_KEY" in environ:
            self._tell(
                "upgrade",
                "a WebSocket was asked for, but a proxy has left the header Upgrade out, so clients stay on "
                'long-polling: let nginx say "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; '
                'proxy_set_header Connection $connection_upgrade;"',
            )

    def cut(self, age: float, now: float) -> None:
        """A connection was closed by its other side without a word, at this age in seconds."""
        cuts = self._cuts
        cuts.append(_Cut(age, now))
        first = cuts[0]
        if age < YOUNGEST or len(cuts) < CUTS or now - first.when < SPREAD or abs(age - first.age) > 2 * SAME_AGE:
            return
        ages = [cut.age for cut in cuts]
        if min(ages) >= YOUNGEST and max(ages) - min(ages) <= 2 * SAME_AGE:
            self._tell(
                "cuts",
                f"the last {CUTS} connections that broke were all cut about {sum(ages) / CUTS:.0f} seconds after they "
                "began: a proxy seems to allow no more; in nginx that is proxy_read_timeout, which has to be above "
                "ping_interval and ping_timeout together",
            )

    def full(self, most: int) -> None:
        """A client was refused, as there are as many as there may be."""
        self._tell("full", f"refused a client, as {most:,} are connected, the setting max_connections")

    def crowded(self, address: str) -> None:
        """A client was refused, as its address has as many connections as one may have."""
        self._tell(
            "crowded",
            f"refused a client of {address}, which has its max_connections_per_address: if that is a proxy, name it in "
            "trusted_proxies, so that its clients are counted",
        )

    def _tell(self, name: str, text: str) -> None:
        if name not in self._told:
            self._told.add(name)
            logger.warning('%s (see "Hints in the log" in docs/operations.rst)', text)
