"""Settings: every option, its default and its meaning, read once at start-up.

A value is looked for in this order: keyword arguments, ``web.config``, the environment, the project's ``settings``
module, the default. Outside of keyword arguments an option ``ping_interval`` is written ``SOCKETIO_PING_INTERVAL``.
Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import SettingsError

N = TypeVar("N", int, float)

PREFIX = "SOCKETIO_"
TRANSPORTS = ("polling", "websocket")
CLIENTS = ("1-2", "3-4")
#: Stands for the address of whoever comes by a Unix socket.
UNIX = "unix"
DEFAULT_LOG_FORMAT = '%(REMOTE_ADDR)s - - [%(TIME)s] "Socket.IO %(TYPE)s: %(MESSAGE)s"'
LOG_FIELDS = ("TIME", "MESSAGE", "TYPE")
ENVIRON_KEYS = (
    "REMOTE_ADDR", "REMOTE_PORT", "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE",
    "CONTENT_LENGTH", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "REMOTE_USER",
    "PROXY_ADDR",
)  # fmt: skip


def _seconds(value: Any) -> float:
    number = _number(float, value, "must be a number of seconds above 0")
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise ValueError("must be a number of seconds above 0")
    return number


def _number(kind: type[N], value: Any, problem: str) -> N:
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise ValueError(problem) from None


def _whole(value: Any) -> int:
    number = _number(int, value, "must be a whole number")
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise ValueError("must be a whole number")
    return number


def _count(value: Any) -> int:
    number = _whole(value)
    if number < 1:
        raise ValueError("must be a whole number above 0")
    return number


def _size(value: Any) -> int:
    number = _whole(value)
    if number < 0:
        raise ValueError("must be a whole number of bytes, 0 or more")
    return number


def _port(value: Any) -> int:
    number = _whole(value)
    if not 0 <= number <= 65535:
        raise ValueError("must be between 0 and 65535")
    return number


def _switch(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if str(value).strip().lower() not in words:
        raise ValueError("must be true or false")
    return words[str(value).strip().lower()]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None or value in ("", "None") else _text(value)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Iterable):
        raise ValueError("must be a list of names")
    return tuple(filter(None, (_text(name).strip() for name in value)))


def _origins(value: Any) -> tuple[str, ...]:
    names = _names(value)
    for name in names:
        if name not in ("*", "null") and not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s]+/?", name):
            raise ValueError(
                f"{name!r} is not an origin; one is written like 'https://www.example.com', or '*' for all"
            )
    return names


def _path(value: Any) -> str | None:
    path = value if value is None else os.fspath(value)
    if isinstance(path, bytes) or (path is not None and "\0" in path):
        raise ValueError("must be the path of a file")
    return _optional_text(path)


def _descriptor(value: Any) -> int | None:
    if value is None or value in ("", "None"):
        return None
    number = _whole(value)
    if number < 0:
        raise ValueError("must be the number of a descriptor, 0 or more")
    return number


def _proxies(value: Any) -> tuple[str, ...]:
    names = _names(value)
    for name in names:
        try:
            if name != UNIX:
                ipaddress.ip_network(name)
        except ValueError as error:
            raise ValueError(
                f"{error}; a proxy is written like '10.0.0.7', a network like '10.0.0.0/8', and "
                f"{UNIX!r} means whoever comes by a Unix socket"
            ) from None
    return names


def _some_of(known: tuple[str, ...]) -> Callable[[Any], tuple[str, ...]]:
    def read(value: Any) -> tuple[str, ...]:
        names = _names(value)
        for name in names:
            if name not in known:
                raise ValueError(f"knows no {name!r}; choose from {', '.join(known)}")
        if not names:
            raise ValueError(f"needs at least one of {', '.join(known)}")
        return names

    return read


def _resource(value: Any) -> str:
    name = _text(value).strip("/")
    if not name:
        raise ValueError("must be a path like 'socket.io'")
    return name


def _log_format(value: Any) -> str | None:
    text = _optional_text(value)
    if text is not None:
        check_log_format(text)
    return text


class _KnownKeys(dict[str, str]):
    """Stands in for an environ while a log format is tried out."""

    def __repr__(self) -> str:
        raise ValueError("is a %-format that does not name what it shows, like %(MESSAGE)s")

    def __missing__(self, key: str) -> str:
        if key.startswith("HTTP_"):
            return ""
        raise ValueError(f"names an unknown key {key!r}{_suggestion(key, [*LOG_FIELDS, *ENVIRON_KEYS])}")


def check_log_format(text: str) -> None:
    """Raise ValueError if the format could not be filled from an environ, TIME, TYPE and MESSAGE."""
    try:
        text % _KnownKeys.fromkeys((*LOG_FIELDS, *ENVIRON_KEYS), "")
    except TypeError as error:
        raise ValueError(f"is not a %-format over a mapping: {error}") from None


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f". Did you mean {close[0]!r}?" if close else ""


def _option(default: Any, read: Callable[[Any], Any]) -> Any:
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True)
class Settings:
    """All options. Build it with :func:`load_settings`, which checks them."""

    #: Address to listen on, when SocketIOServer gets no listener. Empty: every interface.
    host: str = _option("127.0.0.1", _text)
    #: Port to listen on, when SocketIOServer gets no listener.
    port: int = _option(8000, _port)
    #: Path of a Unix socket to listen at instead, when SocketIOServer gets no listener.
    unix: str | None = _option(None, _path)
    #: Descriptor of a listening socket to inherit instead, when SocketIOServer gets no listener.
    fd: int | None = _option(None, _descriptor)
    #: File with the certificate, and those that lead to its authority, in PEM: everything is encrypted then.
    certfile: str | None = _option(None, _path)
    #: File with the certificate's key, if that is not in the same.
    keyfile: str | None = _option(None, _path)
    #: First part of the URL path under which Socket.IO answers.
    resource: str = _option("socket.io", _resource)
    #: Transports that clients may use.
    transports: tuple[str, ...] = _option(TRANSPORTS, _some_of(TRANSPORTS))
    #: Generations of Socket.IO clients that are let in, by their major versions.
    clients: tuple[str, ...] = _option(CLIENTS, _some_of(CLIENTS))
    #: Whether a polling client may change over to WebSocket.
    allow_upgrades: bool = _option(True, _switch)
    #: Seconds between two heartbeats of an idle connection.
    ping_interval: float = _option(25.0, _seconds)
    #: Seconds that a client has to answer a heartbeat.
    ping_timeout: float = _option(20.0, _seconds)
    #: Seconds that an upgrade to WebSocket may take.
    upgrade_timeout: float = _option(10.0, _seconds)
    #: Seconds within which a new connection has to join a namespace.
    connect_timeout: float = _option(45.0, _seconds)
    #: Seconds that a closing connection waits for its client to take the last packets.
    close_timeout: float = _option(30.0, _seconds)
    #: Seconds that an acknowledgement by a client is waited for, unless the call says otherwise.
    ack_timeout: float = _option(60.0, _seconds)
    #: Seconds that a stopping server gives the handlers of the connections' ends.
    stop_timeout: float = _option(10.0, _seconds)
    #: Largest message taken from a client, and largest body of one POST, in bytes.
    max_payload: int = _option(1_000_000, _count)
    #: Most binary attachments in one event, in either direction: the official clients accept no more than 10.
    max_attachments: int = _option(10, _count)
    #: Events of one client that may wait for its running handler; beyond, reading from it pauses.
    max_inbox: int = _option(1_000, _count)
    #: Bytes that may wait for a client that does not read; beyond, it is disconnected with the reason "slow".
    max_outbox_bytes: int = _option(4_000_000, _count)
    #: Packets that may wait for a client that does not read; beyond, it is disconnected with the reason "slow".
    max_outbox_packets: int = _option(50_000, _count)
    #: Namespaces that one client may be in.
    max_namespaces: int = _option(100, _count)
    #: Characters in the name of a channel that a client subscribes to, or of a namespace that exists by a pattern.
    max_channel_length: int = _option(200, _count)
    #: Whether a client whose connection broke may come back to it, with its session id, channels and context, and get
    #: what it missed. Events then carry one more argument, which official clients of before 4.6 show to the page.
    recovery: bool = _option(False, _switch)
    #: Seconds within which such a client has to come back.
    recovery_window: float = _option(120.0, _seconds)
    #: Bytes of sent messages that are kept for such clients; who missed older ones starts anew.
    max_recovery_bytes: int = _option(16_000_000, _count)
    #: Clients that are waited for; beyond, those that have been gone longest are given up.
    max_recovery_clients: int = _option(10_000, _count)
    #: Origins, besides the page's own, whose pages may connect: "https://example.com", or "*" for all.
    cors_origins: tuple[str, ...] = _option((), _origins)
    #: Whether pages of other origins may send their cookies.
    cors_credentials: bool = _option(False, _switch)
    #: Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses, networks like "10.0.0.0/8", and
    #: "unix" for whoever comes by a Unix socket.
    trusted_proxies: tuple[str, ...] = _option((), _proxies)
    #: Whether these proxies begin each connection with a PROXY header, of version 1 or 2; only SocketIOServer reads it.
    proxy_protocol: bool = _option(False, _switch)
    #: Name of a cookie holding the session id, for load balancers; None sets none.
    cookie: str | None = _option(None, _optional_text)
    #: Smallest polling response that is compressed, in bytes; 0 compresses none.
    compression_threshold: int = _option(1024, _size)
    #: One line per message received: a %-format over the environ's keys, TIME, TYPE and MESSAGE; None logs none.
    message_log_format: str | None = _option(DEFAULT_LOG_FORMAT, _log_format)


OPTIONS: dict[str, Callable[[Any], Any]] = {f.name: f.metadata["read"] for f in dataclasses.fields(Settings)}


def load_settings(keywords: Mapping[str, Any], *sources: Mapping[str, Any]) -> Settings:
    """Build Settings from keyword arguments and, after them, mappings of ``SOCKETIO_<NAME>`` in falling priority.

    Raises SettingsError for an option that does not exist or a value that cannot be.
    """
    raw: dict[str, Any] = {}
    for source in reversed(sources):
        raw |= _options_of(source)
    for name in keywords:
        if name not in OPTIONS:
            raise SettingsError(f"unknown option {name!r}{_suggestion(name, OPTIONS)}")
    raw |= keywords
    return Settings(**{name: _read(name, value) for name, value in raw.items()})


def _options_of(source: Mapping[str, Any]) -> dict[str, Any]:
    options = {}
    for key in source:
        if isinstance(key, str) and key.startswith(PREFIX):
            name = key[len(PREFIX) :].lower()
            if name not in OPTIONS or key != key.upper():
                raise SettingsError(f"unknown option {key!r}{_suggestion(key, [PREFIX + n.upper() for n in OPTIONS])}")
            options[name] = source[key]
    return options


def _read(name: str, value: Any) -> Any:
    try:
        return OPTIONS[name](value)
    except (TypeError, ValueError, OverflowError) as error:
        raise SettingsError(f"option {name} = {value!r}: {error}") from None
