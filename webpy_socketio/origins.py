"""Origins: which pages may connect, and what their browsers have to be told (CORS).

A browser sends the Origin of the page with what it asks of another site, and with every WebSocket; other programs need
not. So a request without one is let through, and one with a foreign Origin only if it was declared.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from .logs import logger, printable
from .origin_rules import OriginRules
from .responses import Headers
from .settings import Settings

#: Anything else may not stand in a header (RFC 9110, section 5.5), so must not be sent back in one.
LEGAL_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
DEFAULT_PORTS = {"http": 80, "https": 443}
METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"
#: Seconds that a browser may remember the answer to a question in advance; Chromium takes no more.
REMEMBERED = "7200"
#: The environ's key of what the application's functions said of a request's origin, once they have been asked.
VERDICT = "webpy_socketio.origin_verdict"


class Origins:
    """The policy of one server.

    The application's functions may wait, so they are asked only about requests that open a session, and about what a
    browser asks in advance: where both run, one may wait.

    :param failures: what such a function may raise without being more than a failure of its own.
    """

    def __init__(self, settings: Settings, failures: tuple[type[BaseException], ...]) -> None:
        self._rules = OriginRules(settings.cors_origins)
        self._credentials = settings.cors_credentials
        self._failures = failures

    def is_legal(self, environ: Mapping[str, Any]) -> bool:
        """Whether the Origin consists of what a header may hold."""
        return LEGAL_VALUE.fullmatch(environ.get("HTTP_ORIGIN", "")) is not None

    def allows(self, environ: dict[str, Any], is_script: bool = False) -> bool:
        """Whether the page that sent a request may connect.

        :param is_script: whether the answer will be a script, which any page can ask for without telling its origin.
        """
        origin = environ.get("HTTP_ORIGIN")
        if origin is None:
            origin = _foreign_page(environ, is_script)
        return origin is None or self._rules.declare(origin) or _is_own(origin, environ) or self._ask(origin, environ)

    def recall(self, environ: dict[str, Any], handshake: Mapping[str, Any]) -> None:
        """Let a request of a session have the verdict of its handshake, if a page of the same origin sent it."""
        if self._rules.functions:
            environ[VERDICT] = environ.get("HTTP_ORIGIN") == handshake.get("HTTP_ORIGIN")

    def headers(self, environ: Mapping[str, Any]) -> Headers:
        """The headers that every answer needs, so that a declared origin's page may read it."""
        if self._rules.is_empty:
            return []
        if self._rules.allow_all and not self._credentials:
            return [("Access-Control-Allow-Origin", "*")]
        headers = [("Vary", "Origin")]
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and self.is_legal(environ) and self._may_read(origin, environ):
            headers.append(("Access-Control-Allow-Origin", origin))
            if self._credentials:
                headers.append(("Access-Control-Allow-Credentials", "true"))
        return headers

    def preflight(self, environ: dict[str, Any]) -> Headers | None:
        """The headers that answer a browser's question in advance; None if no origin was declared."""
        if self._rules.is_empty:
            return None
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and self.is_legal(environ) and not self._rules.declare(origin):
            self._ask(origin, environ)
        headers = [
            *self.headers(environ),
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Max-Age", REMEMBERED),
        ]
        wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
        if wanted and LEGAL_VALUE.fullmatch(wanted):
            headers += [("Vary", "Access-Control-Request-Headers"), ("Access-Control-Allow-Headers", wanted)]
        return headers

    def _may_read(self, origin: str, environ: Mapping[str, Any]) -> bool:
        return self._rules.declare(origin) or environ.get(VERDICT, False)

    def _ask(self, origin: str, environ: dict[str, Any]) -> bool:
        """Ask the application's functions; one that fails allows nothing."""
        verdict = False
        for function in self._rules.functions:
            try:
                verdict = _as_verdict(function(origin, environ))
            except self._failures as error:
                text = "the function %s of cors_origins raised %s about a page of %s, which is refused"
                name = getattr(function, "__qualname__", type(function).__qualname__)
                logger.error(text, name, type(error).__name__, printable(origin), exc_info=error)
            if verdict:
                break
        environ[VERDICT] = verdict
        return verdict


def _as_verdict(answer: object) -> bool:
    """Raises TypeError for an answer that is still to come, which counts as true whatever it would be."""
    if isinstance(answer, (Awaitable, Iterator, AsyncIterator)):
        raise TypeError(
            f"it returned a {type(answer).__name__}, whose result nobody waits for here; take a plain function"
        )
    return bool(answer)


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
