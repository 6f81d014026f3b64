"""Server options: what SocketIOServer is given by name, told apart, translated from 2012, and checked."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from typing import Any

from gevent.pywsgi import WSGIServer

from .certificates import IN_CONTEXT, choose_context
from .errors import SettingsError
from .identifiers import LABELS
from .settings import Settings

#: gevent-socketio's names of options that still have a meaning.
RENAMED = {"heartbeat_interval": "ping_interval", "heartbeat_timeout": "ping_timeout"}
#: gevent-socketio's names of transports, as they are called today.
TRANSPORT_NAMES = {"xhr-polling": "polling", "jsonp-polling": "polling", "polling": "polling", "websocket": "websocket"}
MEANINGLESS = {
    "policy_server": "browsers have had no Flash since 2021, so nothing asks for a policy file",
    "policy_listener": "browsers have had no Flash since 2021, so nothing asks for a policy file",
}
SERVER_OPTIONS = (
    frozenset(inspect.signature(WSGIServer.__init__).parameters) - {"self", "listener", "application", "ssl_args"}
) | {"ssl_context"}


def check_proxies(settings: Settings) -> None:
    """Raise SettingsError if proxies are expected of which none is known."""
    if settings.proxy_protocol and not settings.trusted_proxies:
        raise SettingsError(
            "proxy_protocol is on, but nobody is trusted to send PROXY headers: name the proxies in trusted_proxies"
        )


def check_workers(settings: Settings) -> None:
    """Raise SettingsError if several processes would not know of each other's clients."""
    if settings.workers > len(LABELS):
        raise SettingsError(f"workers = {settings.workers}: {len(LABELS)} is the most")
    if settings.workers > 1 and settings.redis_url is None:
        raise SettingsError(
            f"workers = {settings.workers}: send and broadcast would reach the clients of one process only; "
            "set redis_url, by which they reach all"
        )


def encryption(settings: Settings, context: Any) -> dict[str, Any]:
    """What gevent's server has to be given to encrypt, if it shall. Raises SettingsError if that cannot be.

    :param context: an ssl.SSLContext, if the application made one.
    """
    context = choose_context(settings, context)
    if context is None:
        return {}
    if settings.workers > 1 or settings.worker_dir is not None:
        raise SettingsError("an encrypted connection cannot change its worker: leave TLS to a proxy, like nginx")
    return {"ssl_context": context}


def sort_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide options into settings and those of gevent's server, translating what gevent-socketio called otherwise."""
    settings: dict[str, Any] = {}
    server: dict[str, Any] = {}
    for name, value in options.items():
        if name in MEANINGLESS:
            warnings.warn(f"{name} does nothing: {MEANINGLESS[name]}", stacklevel=3)
        elif name == "transports":
            settings[name] = _transports(value)
        elif name == "log_file":
            server["log"] = open(value, "a", buffering=1)  # noqa: SIM115  # it stays open as long as the process
        elif name in IN_CONTEXT:
            raise SettingsError(f"{name} is a matter of the ssl.SSLContext: make one, and give it as ssl_context")
        elif name in SERVER_OPTIONS:
            server[name] = value
        else:
            settings[RENAMED.get(name, name)] = value
    return settings, server


def _transports(names: Any) -> Any:
    if not isinstance(names, Iterable):
        return names  # the settings have a word for that
    known: dict[str, None] = {}
    for name in names.split(",") if isinstance(names, str) else names:
        if name in TRANSPORT_NAMES:
            known[TRANSPORT_NAMES[name]] = None
        elif name in ("flashsocket", "htmlfile", "xhr-multipart"):
            warnings.warn(f"the transport {name} does nothing: no browser of today has it", stacklevel=4)
        else:
            raise SettingsError(f"unknown transport {name!r}; choose from polling, websocket")
    return tuple(known)
