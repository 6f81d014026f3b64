"""Settings: every option, its default and its meaning, read once at start-up.

A value is looked for in this order: keyword arguments, ``web.config``, the environment, the project's ``settings``
module, the default. Outside of keyword arguments an option ``ping_interval`` is written ``SOCKETIO_PING_INTERVAL``.
Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import SettingsError
from .options import (
    CLIENTS,
    CLOSED,
    DEFAULT_LOG_FORMAT,
    FORWARDED_HEADERS,
    LOG_FORMATS,
    OPEN,
    PUBSUB,
    REDIS_ADAPTERS,
    SAMESITE,
    TRANSPORTS,
    X_FORWARDED,
    as_cookie_name,
    as_count,
    as_depth,
    as_descriptor,
    as_filled_text,
    as_limit,
    as_log_format,
    as_optional_text,
    as_path,
    as_port,
    as_proxies,
    as_resource,
    as_seconds,
    as_seconds_or_zero,
    as_secrets,
    as_size,
    as_switch,
    as_text,
    as_tokens,
    one_of,
    some_of,
    suggestion,
)
from .origin_rules import OriginRule, as_origins
from .overflow import DISCONNECT, POLICIES

PREFIX = "SOCKETIO_"


def _option(default: Any, read: Callable[[Any], Any], *, shown: bool = True) -> Any:
    """An option. One that is not ``shown`` is in no message: it is nobody's business."""
    return field(default=default, metadata={"read": read}, repr=shown)


@dataclass(frozen=True)
class Settings:
    """All options. Build it with :func:`load_settings`, which checks them."""

    #: Address to listen on, when SocketIOServer gets no listener. Empty: every interface.
    host: str = _option("127.0.0.1", as_text)
    #: Port to listen on, when SocketIOServer gets no listener.
    port: int = _option(8000, as_port)
    #: Path of a Unix socket to listen at instead, when SocketIOServer gets no listener.
    unix: str | None = _option(None, as_path)
    #: Descriptor of a listening socket to inherit instead, when SocketIOServer gets no listener.
    fd: int | None = _option(None, as_descriptor)
    #: Redis server by which several processes reach each other's clients: "redis://:password@host:6379", "rediss://"
    #: with TLS, "redis+sentinel://host:26379,host:26379/name", "redis+cluster://host:6379"; None for one process.
    redis_url: str | None = _option(None, as_optional_text, shown=False)
    #: What the names of Redis' channels begin with: processes with different ones do not hear each other.
    redis_key: str = _option("socket.io", as_filled_text)
    #: Seconds within which Redis, and other processes that are asked something, have to answer.
    redis_timeout: float = _option(5.0, as_seconds)
    #: Bytes for other processes that may wait while Redis is away; beyond, they are dropped.
    max_redis_backlog: int = _option(16_000_000, as_count)
    #: How the processes speak over it: "pubsub", as Node's ``@socket.io/redis-adapter`` does, or "streams", as
    #: ``@socket.io/redis-streams-adapter``, with which clients can come back to any process (see ``recovery``).
    redis_adapter: str = _option(PUBSUB, one_of(REDIS_ADAPTERS))
    #: About how many messages are kept in the stream.
    max_stream_length: int = _option(10_000, as_count)
    #: Processes that SocketIOServer starts to share the work; more than one needs ``redis_url``.
    workers: int = _option(1, as_count)
    #: Private directory through which the processes of one server, if others start them, hand over requests.
    worker_dir: str | None = _option(None, as_path)
    #: File with the certificate, and those that lead to its authority, in PEM: everything is encrypted then.
    certfile: str | None = _option(None, as_path)
    #: File with the certificate's key, if that is not in the same.
    keyfile: str | None = _option(None, as_path)
    #: First part of the URL path under which Socket.IO answers.
    resource: str = _option("socket.io", as_resource)
    #: Transports that clients may use.
    transports: tuple[str, ...] = _option(TRANSPORTS, some_of(TRANSPORTS))
    #: Generations of Socket.IO clients that are let in, by their major versions.
    clients: tuple[str, ...] = _option(CLIENTS, some_of(CLIENTS))
    #: Subprotocols that plain WebSockets may speak; of those that a client offers, the first of these is chosen.
    websocket_protocols: tuple[str, ...] = _option((), as_tokens)
    #: Whether messages on plain WebSockets are compressed (permessage-deflate), for clients that offer it.
    websocket_compression: bool = _option(False, as_switch)
    #: Whether a polling client may change over to WebSocket.
    allow_upgrades: bool = _option(True, as_switch)
    #: Seconds between two heartbeats of an idle connection.
    ping_interval: float = _option(25.0, as_seconds)
    #: Seconds that a client has to answer a heartbeat.
    ping_timeout: float = _option(20.0, as_seconds)
    #: Seconds that an upgrade to WebSocket may take.
    upgrade_timeout: float = _option(10.0, as_seconds)
    #: Seconds within which the head of a request has to be there, and before it a TLS handshake or a PROXY header. Its
    #: body is waited for as long, and a second longer for each 500 bytes that came.
    header_timeout: float = _option(20.0, as_seconds)
    #: Seconds within which a new connection has to join a namespace.
    connect_timeout: float = _option(45.0, as_seconds)
    #: Seconds that a closing connection waits for its client to take the last packets.
    close_timeout: float = _option(30.0, as_seconds)
    #: Seconds that an acknowledgement by a client is waited for, unless the call says otherwise.
    ack_timeout: float = _option(60.0, as_seconds)
    #: Seconds over which a stopping server spreads its goodbyes to ten thousand clients; fewer take less.
    drain_time: float = _option(5.0, as_seconds)
    #: Seconds within which a stopping server is done: with its goodbyes, what clients still have to get, and handlers.
    stop_timeout: float = _option(10.0, as_seconds)
    #: Largest message taken from a client, and largest body of one POST, in bytes.
    max_payload: int = _option(1_000_000, as_count)
    #: Most packets in the body of one POST; 0 for no limit.
    max_poll_packets: int = _option(100_000, as_limit)
    #: Levels of lists and dicts in each other in what a client sends, 240 at the most.
    max_json_depth: int = _option(100, as_depth)
    #: Messages that a client may send per second, on average; beyond, it is read no faster. 0 for no limit.
    message_rate: int = _option(10_000, as_limit)
    #: Messages that a client may send at once after it has sent less than that for a while.
    message_burst: int = _option(20_000, as_count)
    #: Most binary attachments in one event, in either direction: the official clients accept no more than 10.
    max_attachments: int = _option(10, as_count)
    #: Events of one client that may wait for its running handler; beyond, reading from it pauses.
    max_inbox: int = _option(1_000, as_count)
    #: Bytes that may wait for a client that does not read; beyond, ``overflow`` says what happens.
    max_outbox_bytes: int = _option(4_000_000, as_count)
    #: Packets that may wait for a client that does not read; beyond, ``overflow`` says what happens.
    max_outbox_packets: int = _option(50_000, as_count)
    #: What happens to an event beyond: "disconnect" ends the client's connection with the reason "slow", "drop_oldest"
    #: and "drop_newest" drop events, "wait" lets the sender wait. Channels can have another, by ``channel_overflow``.
    overflow: str = _option(DISCONNECT, one_of(POLICIES))
    #: Seconds that a sender waits, where it does; a client that has no room then is disconnected.
    overflow_timeout: float = _option(5.0, as_seconds)
    #: Namespaces that one client may be in.
    max_namespaces: int = _option(100, as_count)
    #: Channels that one client may subscribe to, in all its namespaces together; 0 for no limit.
    max_channels: int = _option(1_000, as_limit)
    #: Acknowledgements that one client may owe to ``emit`` and ``call`` of its socket; 0 for no limit.
    max_pending_acks: int = _option(1_000, as_limit)
    #: Clients that may be connected; 0 for no limit.
    max_connections: int = _option(15_000, as_limit)
    #: Of these, from one address, which in IPv6 is a network of 64 bits; 0 for no limit.
    max_connections_per_address: int = _option(1_000, as_limit)
    #: Characters in the name of a channel that a client subscribes to, or of a namespace that exists by a pattern.
    max_channel_length: int = _option(200, as_count)
    #: Which channels clients may follow: "open", all that ``on_subscribe`` does not refuse, or "closed", of those only
    #: the ones that they have a token for, or for which a handler of ``on_subscribe`` returns True.
    subscriptions: str = _option(OPEN, one_of((OPEN, CLOSED)))
    #: Secrets that tokens for channels are signed with: the first makes new ones, all of them are good for a check.
    secrets: tuple[str, ...] = _option((), as_secrets, shown=False)
    #: Who sends one of these as a bearer token may publish over HTTP; several, so that one can take another's place. If
    #: there are none, nobody may.
    publish_keys: tuple[str, ...] = _option((), as_secrets, shown=False)
    #: Whether a client whose connection broke may come back to it, with its session id, channels and context, and get
    #: what it missed. Events then carry one more argument, which official clients of before 4.6 show to the page.
    recovery: bool = _option(False, as_switch)
    #: Seconds within which such a client has to come back.
    recovery_window: float = _option(120.0, as_seconds)
    #: Bytes of sent messages that are kept for such clients; who missed older ones starts anew.
    max_recovery_bytes: int = _option(16_000_000, as_count)
    #: Clients that are waited for; beyond, those that have been gone longest are given up.
    max_recovery_clients: int = _option(10_000, as_count)
    #: Seconds for which one who has left a channel with presence is still there: a page that is loaded again is back by
    #: then, and nobody is told.
    presence_grace: float = _option(3.0, as_seconds_or_zero)
    #: Origins, besides the page's own, whose pages may connect: "https://example.com", "https://*.example.com" for all
    #: below that, "*" for all there are; patterns; or functions of an origin and an environ.
    cors_origins: tuple[OriginRule, ...] = _option((), as_origins)
    #: Whether pages of other origins may send their cookies.
    cors_credentials: bool = _option(False, as_switch)
    #: Proxies that are believed when they tell who a client is: addresses, networks like "10.0.0.0/8", and "unix" for
    #: whoever comes by a Unix socket.
    trusted_proxies: tuple[str, ...] = _option((), as_proxies)
    #: The header in which they tell it: "x-forwarded-for" (and X-Forwarded-Proto), or "forwarded" of RFC 7239.
    forwarded_header: str = _option(X_FORWARDED, one_of(FORWARDED_HEADERS))
    #: Whether these proxies begin each connection with a PROXY header, of version 1 or 2; only SocketIOServer reads it.
    proxy_protocol: bool = _option(False, as_switch)
    #: Name of a cookie holding the session id, for load balancers; None sets none.
    cookie: str | None = _option(None, as_cookie_name)
    #: When browsers send that cookie from pages of other sites: "Lax" and "Strict" never do, "None" does by https.
    cookie_samesite: str = _option("Lax", one_of(SAMESITE))
    #: Smallest polling response that is compressed, in bytes; 0 compresses none.
    compression_threshold: int = _option(1024, as_size)
    #: One line per message received: a %-format over the environ's keys, TIME, TYPE and MESSAGE; None logs none.
    message_log_format: str | None = _option(DEFAULT_LOG_FORMAT, as_log_format)
    #: How the logs are written to standard error, if the application has not configured logging: lines of text, or one
    #: JSON object per line.
    log_format: str = _option("text", one_of(LOG_FORMATS))
    #: Whether ``/<resource>/health`` tells if the server is well.
    health: bool = _option(False, as_switch)
    #: Whether ``/<resource>/metrics`` has the numbers for Prometheus.
    metrics: bool = _option(False, as_switch)
    #: Who sends this as a bearer token may read the metrics; None: only who asks from the same machine, by no proxy.
    metrics_token: str | None = _option(None, as_optional_text, shown=False)
    #: Seconds that something may hold the event loop before the log says what it was; 0 never looks.
    max_blocking: float = _option(1.0, as_seconds_or_zero)


OPTIONS: dict[str, Callable[[Any], Any]] = {f.name: f.metadata["read"] for f in dataclasses.fields(Settings)}
HIDDEN = {f.name for f in dataclasses.fields(Settings) if not f.repr}


def load_settings(keywords: Mapping[str, Any], *sources: Mapping[str, Any]) -> Settings:
    """Build Settings from keyword arguments and, after them, mappings of ``SOCKETIO_<NAME>`` in falling priority.

    Raises SettingsError for an option that does not exist or a value that cannot be.
    """
    raw: dict[str, Any] = {}
    for source in reversed(sources):
        raw |= _options_of(source)
    for name in keywords:
        if name not in OPTIONS:
            raise SettingsError(f"unknown option {name!r}{suggestion(name, OPTIONS)}")
    raw |= keywords
    return Settings(**{name: _read(name, value) for name, value in raw.items()})


def _options_of(source: Mapping[str, Any]) -> dict[str, Any]:
    options = {}
    for key in source:
        if isinstance(key, str) and key.startswith(PREFIX):
            name = key[len(PREFIX) :].lower()
            if name not in OPTIONS or key != key.upper():
                raise SettingsError(f"unknown option {key!r}{suggestion(key, [PREFIX + n.upper() for n in OPTIONS])}")
            options[name] = source[key]
    return options


def _read(name: str, value: Any) -> Any:
    try:
        return OPTIONS[name](value)
    except (TypeError, ValueError, OverflowError) as error:
        shown = "(not shown)" if name in HIDDEN else repr(value)
        raise SettingsError(f"option {name} = {shown}: {error}") from None
