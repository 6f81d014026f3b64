"""Who a request comes from when it came by a proxy: what X-Forwarded-For and -Proto say, from proxies that are trusted.

Anybody can send these headers. So they count only where an address that the operator has declared is at the other
end, and in a chain of proxies only as far as each that wrote is itself declared.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from .options import UNIX
from .transports.proxy_headers import ProxiedAddress
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
#: Some proxies name the scheme of a WebSocket.
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Forwarded:
    """What one server's proxies say of its clients.

    :param proxies: addresses and networks whose word counts, and "unix" for everybody who comes by a Unix socket.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        names = list(proxies)
        self._trusts_unix = UNIX in names
        self._networks = [ipaddress.ip_network(name) for name in names if name != UNIX]
        self._is_proxy = functools.lru_cache(REMEMBERED)(self._is_in_networks)

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
        client = self._find_client(environ.get("HTTP_X_FORWARDED_FOR", ""))
        if client is not None:
            environ.setdefault(PROXY_ADDR, address[0] if isinstance(address, tuple) else UNIX)
            environ["REMOTE_ADDR"], port = client
            if port:
                environ["REMOTE_PORT"] = port
            else:
                environ.pop("REMOTE_PORT", None)  # the proxy's
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
        if scheme in SCHEMES:
            environ["wsgi.url_scheme"] = SCHEMES[scheme]

    def apply_at_door(self, environ: dict[str, Any]) -> None:
        """Do so for another server, of which no more is known than what its environ tells."""
        host = environ.get("REMOTE_ADDR")
        self.apply(environ, (host,) if host else "")

    def _find_client(self, chain: str) -> tuple[str, str] | None:
        """Return the last address that is no trusted proxy's, and its port, or what comes nearest to that.

        Whoever has nothing readable before it did not know who asked it, so counts as the client.
        """
        client = None
        for text in reversed(chain.rsplit(",", LONGEST_CHAIN)[-LONGEST_CHAIN:]):
            text = text.strip()
            address = _read_address(text) if len(text) <= LONGEST_ADDRESS else None
            if address is None:
                break
            client = address
            if not self._is_proxy(address[0]):
                break
        return client

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
