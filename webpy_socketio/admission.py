"""Admission: how many clients may be connected, in all and from one address.

A proxy that nobody has declared hides all its clients behind one address. So the machine's own address, Unix sockets
and declared proxies are never counted, and addresses that are not of the public Internet only if proxies are declared:
then what is left are clients. In IPv6, who has one address has a network of 64 bits full of them (RFC 6177, section 2).
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping
from typing import Any

from .errors import RequestRefused
from .forwarded import Forwarded
from .hub import Hub
from .wire.proxy_protocol import plain_address

#: Bits of an IPv6 address that its owner cannot choose.
NETWORK = 64
#: Addresses of which is remembered what they are.
REMEMBERED = 1024
FULL, CROWDED = "503 Service Unavailable", "429 Too Many Requests"


class Admission:
    """Judges whether one more client fits in.

    :param forwarded: knows the trusted proxies; None if there are none.
    """

    def __init__(self, hub: Hub, forwarded: Forwarded | None) -> None:
        self._hub = hub
        self._forwarded = forwarded
        self._most = hub.settings.max_connections
        self._most_of_one = hub.settings.max_connections_per_address
        self._group = functools.lru_cache(REMEMBERED)(self._find_group)

    def admit(self, environ: Mapping[str, Any]) -> str | None:
        """Return with whom the client of a request is to be counted, None for nobody.

        Raises RequestRefused, with the limit that has been reached.
        """
        hub = self._hub
        if self._most and len(hub) >= self._most:
            hub.hints.full(self._most)
            raise self._refusal("max_connections", f"the server has its {self._most:,} clients", FULL)
        group = self._group(environ.get("REMOTE_ADDR") or "") if self._most_of_one else None
        if group is not None and hub.groups.get(group, 0) >= self._most_of_one:
            hub.hints.crowded(group)
            text = f"your address has its {self._most_of_one:,} connections"
            raise self._refusal("max_connections_per_address", text, CROWDED)
        return group

    def _refusal(self, limit: str, text: str, status: str) -> RequestRefused:
        self._hub.counters.limited[limit] += 1
        return RequestRefused(3, f"{limit}: {text}", status)

    def _find_group(self, text: str) -> str | None:
        try:
            address = plain_address(text)
        except ValueError:  # nothing, or whatever another server says of a Unix socket
            return None
        if address.is_loopback or not (address.is_global or self._forwarded is not None):
            return None
        if self._forwarded is not None and self._forwarded.is_trusted((text,)):
            return None
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        return str(ipaddress.ip_network((address.packed[: NETWORK // 8] + bytes(NETWORK // 8), NETWORK)))
