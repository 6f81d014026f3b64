"""Reports: what the programs of an operator may ask a server under Socket.IO's path. None exists unless switched on.

Nothing of an application is asked, and no client need have come before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .collector import Collector
from .environs import bearer_token
from .extras import import_for
from .forwarded import PROXY_ADDR
from .hub import Hub
from .responses import NO_STORE, Answer, Headers
from .services import Services
from .wire.proxy_protocol import plain_address

#: Headers that proxies add. Whoever comes by one is not on this machine, wherever the proxy is.
OF_PROXIES = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_X_FORWARDED_PROTO")
NO_TOKEN = b"metrics are for those who ask from this machine, by no proxy; or set metrics_token, and send it\n"

Report = Callable[[Mapping[str, Any]], Answer]


class Reports:
    """The reports of one server.

    :param services: what its sockets share; None if its sessions carry no Socket.IO.

    Raises SettingsError if there are to be metrics, but what writes them is not installed.
    """

    def __init__(self, hub: Hub, services: Services | None = None) -> None:
        self._hub = hub
        self._services = services
        self._table: dict[str, Report] = {}
        settings = hub.settings
        if settings.health:
            self._table["health"] = self._health
        if settings.metrics:
            prometheus = import_for("metrics", "prometheus_client", "metrics")
            self._exposition = prometheus.exposition
            self._registry = prometheus.CollectorRegistry()
            self._registry.register(Collector(lambda: (hub, services)))
            prometheus.ProcessCollector(registry=self._registry)
            self._token = None if settings.metrics_token is None else settings.metrics_token.encode()
            self._table["metrics"] = self._metrics
        #: The URL paths of the reports.
        self.paths = frozenset(f"/{settings.resource}/{name}" for name in self._table)

    def answer(self, environ: Mapping[str, Any], name: str) -> Answer | None:
        """Answer a request for a report; None if there is none of this name."""
        report = self._table.get(name)
        if report is None:
            return None
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return _answer("405 Method Not Allowed", b"", [("Allow", "GET, HEAD")])
        answer = report(environ)
        return answer._replace(body=b"") if method == "HEAD" else answer

    # Health.

    def _health(self, environ: Mapping[str, Any]) -> Answer:
        """Tell whether the server can take clients; for the query ``live``, only that it answers."""
        if environ.get("QUERY_STRING", "") == "live":
            return _status("200 OK", "live")
        if self._hub.draining:
            return _status("503 Service Unavailable", "draining")
        if self._services is not None and not self._services.backplane.is_ready:
            return _status("503 Service Unavailable", "backplane not ready")
        return _status("200 OK", "ready")

    # Metrics.

    def _metrics(self, environ: Mapping[str, Any]) -> Answer:
        if self._token is not None:
            if bearer_token(environ, (self._token,)) is None:
                return _answer("401 Unauthorized", b"", [("WWW-Authenticate", 'Bearer realm="metrics"')])
        elif not is_from_here(environ):
            return _answer("403 Forbidden", NO_TOKEN, [("Content-Type", "text/plain")])
        encode, kind = self._exposition.choose_encoder(environ.get("HTTP_ACCEPT", ""))
        return _answer("200 OK", encode(self._registry), [("Content-Type", kind)])


def is_from_here(environ: Mapping[str, Any]) -> bool:
    """Whether a request comes from this machine itself, by its loopback or by a Unix socket, and not by a proxy on it.

    The host that it names tells it from one that a proxy passes on as it came, and from one of a page of somebody
    else's whose name leads to this machine (DNS rebinding).
    """
    if PROXY_ADDR in environ or any(header in environ for header in OF_PROXIES):
        return False
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":  # of nginx's, unless it is told otherwise; Prometheus speaks 1.1
        return False
    address = environ.get("REMOTE_ADDR")
    return (not address or _is_loopback(address)) and _is_local_name(environ.get("HTTP_HOST", ""))


def _is_local_name(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() in ("localhost", "") or _is_loopback(name)


def _is_loopback(text: str) -> bool:
    try:
        return plain_address(text).is_loopback
    except ValueError:
        return False


def _status(status: str, word: str) -> Answer:
    return _answer(status, json.dumps({"status": word}).encode() + b"\n", [("Content-Type", "application/json")])


def _answer(status: str, body: bytes, headers: Headers) -> Answer:
    return Answer(status, [*headers, NO_STORE, ("Content-Length", str(len(body)))], body)
