"""Origins: which pages may connect, and what their browsers have to be told (CORS).

A browser sends the Origin of the page with what it asks of another site, and with every WebSocket; other programs need
not. So a request without one is let through, and one with a foreign Origin only if it was declared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .responses import Headers
from .settings import Settings

#: Anything else may not stand in a header (RFC 9110, section 5.5), so must not be sent back in one.
LEGAL_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
DEFAULT_PORTS = {"http": 80, "https": 443}
METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"


class Origins:
    """The policy of one server."""

    def __init__(self, settings: Settings) -> None:
        self._declared = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins)
        self._credentials = settings.cors_credentials

    def is_legal(self, environ: Mapping[str, Any]) -> bool:
        """Whether the Origin consists of what a header may hold."""
        return LEGAL_VALUE.fullmatch(environ.get("HTTP_ORIGIN", "")) is not None

    def allows(self, environ: Mapping[str, Any], is_script: bool = False) -> bool:
        """Whether the page that sent a request may connect.

        :param is_script: whether the answer will be a script, which any page can ask for without telling its origin.
        """
        origin = environ.get("HTTP_ORIGIN")
        if origin is None:
            origin = _foreign_page(environ, is_script)
        return origin is None or self._is_declared(origin) or _is_own(origin, environ)

    def headers(self, environ: Mapping[str, Any]) -> Headers:
        """The headers that every answer needs, so that a declared origin's page may read it."""
        origin = environ.get("HTTP_ORIGIN")
        if not self._declared:
            return []
        if "*" in self._declared and not self._credentials:
            return [("Access-Control-Allow-Origin", "*")]
        headers = [("Vary", "Origin")]
        if origin is not None and self._is_declared(origin):
            headers.append(("Access-Control-Allow-Origin", origin))
            if self._credentials:
                headers.append(("Access-Control-Allow-Credentials", "true"))
        return headers

    def preflight(self, environ: Mapping[str, Any]) -> Headers | None:
        """The headers that answer a browser's question in advance; None if no origin was declared."""
        if not self._declared:
            return None
        headers = [*self.headers(environ), ("Access-Control-Allow-Methods", METHODS)]
        wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
        if wanted and LEGAL_VALUE.fullmatch(wanted):
            headers += [("Vary", "Access-Control-Request-Headers"), ("Access-Control-Allow-Headers", wanted)]
        return headers

    def _is_declared(self, origin: str) -> bool:
        return "*" in self._declared or origin.lower() in self._declared


def _foreign_page(environ: Mapping[str, Any], is_script: bool) -> str | None:
    """The origin of the page behind a request without Origin; None if there is no page, or none of another site."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site in ("none", "same-origin") or (site is None and not is_script):
        return None
    referer = environ.get("HTTP_REFERER", "")
    scheme, separator, rest = referer.partition("://")
    if not separator:
        return None if site is None else "null"
    return f"{scheme}://{rest.partition('/')[0]}"


def _is_own(origin: str, environ: Mapping[str, Any]) -> bool:
    """Whether an origin is the site that is asked.

    A proxy may have taken the encryption off, so a secure origin may come in by http; not the other way round.
    """
    try:
        page = urlsplit(origin)
        host = urlsplit("//" + environ.get("HTTP_HOST", ""))
        port = DEFAULT_PORTS.get(page.scheme)
        if port is None or page.hostname is None or page.hostname != host.hostname:
            return False
        if environ.get("wsgi.url_scheme") == "https" and page.scheme != "https":
            return False
        return (page.port or port) == (host.port or port)
    except ValueError:  # a port that is no number
        return False
