"""Dialling: the connections to Redis that a URL describes: to one server, by Sentinel, or to a cluster.

::

    redis://user:password@host:6379                           one server; rediss:// with TLS, unix:///path for a socket
    redis+sentinel://:password@host:26379,host:26379/name     the master that the Sentinels call so
    redis+cluster://:password@host:7000,host:7001             any node of a cluster: Pub/Sub reaches all of it

The latter two are encrypted with ``rediss+`` in front. Parameters are those of redis-py; those for the Sentinels
themselves begin with ``sentinel_``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from ..errors import SettingsError

DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}
EXAMPLE = "one is written like 'redis://:password@127.0.0.1:6379'"
#: What may go wrong with a connection.
TROUBLE = (redis.RedisError, OSError)
Refusal, Silence = redis.ResponseError, redis.TimeoutError


class Connection(Protocol):
    """What is used of redis-py's connections."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def send_command(self, *args: Any) -> None: ...
    def send_packed_command(self, command: Any, check_health: bool = True) -> None: ...
    def can_read(self, timeout: float = 0) -> bool: ...
    def read_response(self, disable_decoding: bool = False, *, disconnect_on_error: bool = True) -> Any: ...


class Dial:
    """Where Redis is. Nothing is connected until somebody asks.

    :param seconds: that connecting, and anything else that is waited for, may take.

    Raises SettingsError for a URL that cannot be.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._options = {
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "retry": Retry(NoBackoff(), 0),  # who uses a connection knows better when to try again
            "protocol": 2,
            "max_connections": 2**31 - 1,  # their pools count those that are long closed, too
        }
        try:
            self._make = self._reader(url)
        except ValueError as error:
            raise SettingsError(f"option redis_url: {error}; {EXAMPLE}") from None
        self._client: Any = None

    @property
    def client(self) -> Any:
        """What commands are given to that are waited for; its methods raise what TROUBLE has."""
        if self._client is None:
            self._client = self._make()
        return self._client

    def connect(self, key: bytes | None = None) -> Connection:
        """Return a new connection; in a cluster, to the node that has a key. Raises what TROUBLE has."""
        client = self.client
        if isinstance(client, redis.RedisCluster):
            node = client.get_random_node() if key is None else client.get_node_from_key(key)
            client = client.get_redis_connection(node)
        connection: Connection = client.connection_pool.make_connection()
        connection.connect()
        return connection

    def count(self, channel: bytes) -> int:
        """Return how many connections are subscribed to a channel by its name. Raises what TROUBLE has."""
        return sum(number for _, number in self.client.pubsub_numsub(channel))

    def publish(self, channel: bytes, payload: bytes) -> None:
        """Publish a message, and wait until Redis has it. Raises what TROUBLE has."""
        self.client.publish(channel, payload)

    def run(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script, and return its answer. Raises what TROUBLE has."""
        return self.client.eval(script, len(keys), *keys, *args)

    def close(self) -> None:
        """Close what :attr:`client` has used."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _reader(self, url: str) -> Callable[[], Any]:
        """Read a URL; return what makes a client. Raises ValueError."""
        parts = urlsplit(url)
        scheme, _, kind = parts.scheme.partition("+")
        if not kind:
            options = {**parse_url(url), **self._options}
            return lambda: redis.Redis.from_pool(ConnectionPool(**options))
        if scheme not in ("redis", "rediss") or kind not in DEFAULT_PORTS:
            raise ValueError(f"knows no {parts.scheme}://")
        hosts = _hosts(parts, DEFAULT_PORTS[kind])
        name = parts.path.strip("/")
        user = parts.netloc.rpartition("@")[0]
        options = parse_url(f"{scheme}://{user + '@' if user else ''}host/?{parts.query}") | self._options
        del options["host"]
        if kind == "sentinel":
            return self._by_sentinel(hosts, name, options)
        if options.pop("connection_class", None) is not None:
            options["ssl"] = True
        return lambda: redis.RedisCluster(startup_nodes=[redis.cluster.ClusterNode(*h) for h in hosts], **options)

    def _by_sentinel(self, hosts: list[tuple[str, int]], name: str, options: dict[str, Any]) -> Callable[[], Any]:
        if not name:
            raise ValueError("needs the name that the Sentinels have for the master, after the last slash")
        if options.pop("connection_class", None) is not None:
            options["ssl"] = True
        theirs = {key[9:]: options.pop(key) for key in list(options) if key.startswith("sentinel_")}
        theirs |= self._options
        return lambda: Sentinel(hosts, sentinel_kwargs=theirs, **options).master_for(name)


def _hosts(parts: SplitResult, default_port: int) -> list[tuple[str, int]]:
    hosts = []
    for text in parts.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{text}")
        if not one.hostname:
            raise ValueError("names no host")
        hosts.append((one.hostname, one.port or default_port))
    return hosts
