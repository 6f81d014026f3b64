"""Who a request comes from when it came by a proxy, as proxies tell it that are trusted.

Anybody can send these headers. So they count only where an address that the operator has declared is at the other
end, and in a chain of proxies only as far as each that wrote is itself declared. And only those count which the
operator says that the proxies write, X-Forwarded-For and -Proto or Forwarded (RFC 7239): a proxy that knows the ones
passes the others on as the client sent them.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from .options import RFC_7239, UNIX
from .settings import Settings
from .transports.proxy_headers import ProxiedAddress
from .wire.forwarded_elements import read_elements
from .wire.proxy_protocol import plain_address

#: The environ's key of a server's :class:`Forwarded`, which it has put into effect, if it trusts anybody.
FORWARDED = "webpy_socketio.forwarded"
#: The environ's key of the address of the proxy that connected to us, if the client's stands in its place.
PROXY_ADDR = "PROXY_ADDR"
#: Proxies in a chain, and characters that an address of it may have.
LONGEST_CHAIN, LONGEST_ADDRESS = 32, 64
#: Addresses of which is remembered what they are, as most requests come from the same few.
REMEMBERED = 1024
# No scope of a link-local address: it may be any text.
ADDRESS = re.compile(r"([0-9.]+)(?::([0-9]{1,5}))?|\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)")
#: What may stand for a port (RFC 7239, section 6).
OBFUSCATED_PORT = re.compile(r":_[A-Za-z0-9._-]+$")
#: Some proxies name the scheme of a WebSocket.
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Forwarded:
    """What one server's proxies say of its clients."""

    def __init__(self, settings: Settings) -> None:
        names = settings.trusted_proxies
        self._trusts_unix = UNIX in names
        self._networks = [ipaddress.ip_network(name) for name in names if name != UNIX]
        self._is_proxy = functools.lru_cache(REMEMBERED)(self._is_in_networks)
        self._read = self._read_rfc_7239 if settings.forwarded_header == RFC_7239 else self._read_x_forwarded

    def is_trusted(self, address: Any) -> bool:
        """Whether the headers of a connection count.

        :param address: of the other end, as the socket tells it, or as a PROXY header did.
        """
        if not isinstance(address, tuple):
            return self._trusts_unix
        if isinstance(address, ProxiedAddress) and not address.is_known:
            return False  # it is the proxy's, but the headers are somebody's whom even the proxy does not know
        return self._is_proxy(address[0])

    def apply(self, environ: dict[str, Any], address: Any) -> None:
        """Put the client in the place of the proxy that a request came by, if that is trusted."""
        if isinstance(address, ProxiedAddress):
            environ[PROXY_ADDR] = address.proxy
        if not self.is_trusted(address):
            return
        client, scheme = self._read(environ)
        if client is not None:
            environ.setdefault(PROXY_ADDR, address[0] if isinstance(address, tuple) else UNIX)
            environ["REMOTE_ADDR"], port = client
            if port:
                environ["REMOTE_PORT"] = port
            else:
                environ.pop("REMOTE_PORT", None)  # the proxy's
        scheme = scheme.strip().lower()
        if scheme in SCHEMES:
            environ["wsgi.url_scheme"] = SCHEMES[scheme]

    def apply_at_door(self, environ: dict[str, Any]) -> None:
        """Do so for another server, of which no more is known than what its environ tells."""
        host = environ.get("REMOTE_ADDR")
        self.apply(environ, (host,) if host else "")

    def _read_x_forwarded(self, environ: Mapping[str, Any]) -> tuple[tuple[str, str] | None, str]:
        """Return the client, and the scheme that it used, which each proxy sets anew."""
        chain = environ.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", LONGEST_CHAIN)[-LONGEST_CHAIN:]
        walked = self._walk(reversed(chain))
        return walked[-1] if walked else None, environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2]

    def _read_rfc_7239(self, environ: Mapping[str, Any]) -> tuple[tuple[str, str] | None, str]:
        """Return the client, and the scheme that it used, as the outermost of the trusted proxies tells it."""
        elements = list(islice(read_elements(environ.get("HTTP_FORWARDED", "")), LONGEST_CHAIN))
        walked = self._walk(OBFUSCATED_PORT.sub("", element.get("for", "")) for element in elements)
        # Each trusted proxy wrote one: the one that connected to us, and those that another of them names.
        written = elements[: 1 + sum(self._is_proxy(address) for address, _ in walked)]
        schemes = [element["proto"] for element in written if "proto" in element]
        return walked[-1] if walked else None, schemes[-1] if schemes else ""

    def _walk(self, chain: Iterable[str]) -> list[tuple[str, str]]:
        """Return the trusted proxies of a chain, the last first, then the first address that is none, and their ports.

        Whoever has nothing readable before it did not know who asked it, so counts as the client.
        """
        walked = []
        for text in chain:
            text = text.strip()
            address = _read_address(text) if len(text) <= LONGEST_ADDRESS else None
            if address is None:
                break
            walked.append(address)
            if not self._is_proxy(address[0]):
                break
        return walked

    def _is_in_networks(self, host: str) -> bool:
        try:
            address = plain_address(host)
        except ValueError:  # a name, or whatever else another server calls its clients
            return False
        return any(address in network for network in self._networks)


@functools.lru_cache(REMEMBERED)
def _read_address(text: str) -> tuple[str, str] | None:
    """Return an address and its port, which may be empty; None for anything else, like "unknown"."""
    match = ADDRESS.fullmatch(text)
    if match is None:
        return None
    port = match[2] or match[4] or ""
    try:
        host = str(plain_address(match[1] or match[3] or match[5]))
    except ValueError:
        return None
    return (host, port) if not port or int(port) <= 65535 else None
