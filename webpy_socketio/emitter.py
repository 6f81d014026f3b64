"""The emitter: sends to the clients of a cluster from a process that has no sockets, like a cron job or a shell.

It needs neither a server in this process nor gevent's patches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from .envelope import Envelope, Selection
from .errors import SettingsError
from .extras import import_for
from .options import PUBSUB, REDIS_ADAPTERS, STREAMS
from .targets import check_channels, check_event_name, check_names, check_namespace, select

#: Modules of posts, and what they call them, by the setting ``redis_adapter``.
POSTS = {PUBSUB: ("redis_post", "Post"), STREAMS: ("streams_post", "StreamsPost")}


class _Post(Protocol):
    """What is used of :class:`~.backplane.redis_post.Post`, whose module is imported if somebody wants it."""

    trouble: tuple[type[Exception], ...]

    def broadcast(self, envelope: Envelope) -> None: ...
    def subscribe(self, selection: Selection, channels: Sequence[str]) -> None: ...
    def unsubscribe(self, selection: Selection, channels: Sequence[str]) -> None: ...
    def disconnect(self, selection: Selection) -> None: ...
    def server_side_emit(self, namespace: str, data: list[Any]) -> None: ...


class EmitterTarget:
    """The sockets that an emitter's ``to(...)`` means, wherever they are connected. It may be kept and used again.

    Nobody tells whom it reached. Every method raises what Redis raises.
    """

    __slots__ = ("_post", "_selection")

    def __init__(self, post: _Post, selection: Selection) -> None:
        self._post = post
        self._selection = selection

    def send(self, message: Any, *, volatile: bool = False) -> None:
        """Send a message (the event ``message``); see :meth:`emit`."""
        self.emit("message", message, volatile=volatile)

    def emit(self, event: str, *args: Any, volatile: bool = False) -> None:
        """Send a named event.

        :param volatile: drop it for clients that are not ready to take it at once.

        Raises UnsendableValue for arguments that have no form on the wire, EventError for a reserved name.
        """
        check_event_name(event)
        self._post.broadcast(Envelope(self._selection, [event, *args], volatile))

    def subscribe(self, *channels: str) -> None:
        """Subscribe all to channels. The decision is yours: ``on_subscribe`` is not asked. Raises EventError."""
        check_channels(channels)
        self._post.subscribe(self._selection, channels)

    def unsubscribe(self, *channels: str) -> None:
        """End the subscriptions of all to channels. Raises EventError."""
        check_names(channels)
        self._post.unsubscribe(self._selection, channels)

    def disconnect(self) -> None:
        """Put all out of the namespace; they do not come back by themselves."""
        self._post.disconnect(self._selection)


class Emitter:
    """A way to the clients of all processes that share a Redis. Make one and keep it: it keeps its connection.

    Its methods may be called from any thread. Each returns when Redis has the message, and raises what Redis raises.

    :param url: where Redis is, as in the setting ``redis_url``.
    :param key: the setting ``redis_key`` of the servers.
    :param adapter: their setting ``redis_adapter``.

    Raises SettingsError for what cannot be one of these, or if the extra ``redis`` is not installed.
    """

    def __init__(self, url: str, *, key: str = "socket.io", adapter: str = PUBSUB) -> None:
        if not isinstance(key, str) or not key:
            raise SettingsError(f"key={key!r} is no text that names of channels could begin with, like 'socket.io'")
        if adapter not in REDIS_ADAPTERS:
            raise SettingsError(f"adapter={adapter!r} is neither {' nor '.join(map(repr, REDIS_ADAPTERS))}")
        module, name = POSTS[adapter]
        make = getattr(import_for("redis", f"webpy_socketio.backplane.{module}", "Emitter"), name)
        self._post: _Post = make(url, key)

    @property
    def trouble(self) -> tuple[type[Exception], ...]:
        """What is raised when Redis cannot be reached, or refuses."""
        return self._post.trouble

    def to(self, *channels: str, excluding: str | Iterable[str] = (), namespace: str = "/") -> EmitterTarget:
        """Return the sockets of a namespace, or of some channels of it, to send to or to do something to.

        :param channels: channels whose subscribers are meant, or session ids; none of them means everybody.
        :param excluding: a channel or session id, or several: their sockets are not meant.

        Raises EventError for what cannot be the name of a channel.
        """
        return EmitterTarget(self._post, select(namespace, channels, excluding, False))

    def send(self, session_id: str, message: Any, *, namespace: str = "/") -> None:
        """Send a message to one socket. Raises UnsendableValue if the message has no form on the wire."""
        self.to(session_id, namespace=namespace).send(message)

    def emit(self, event: str, *args: Any, volatile: bool = False, namespace: str = "/") -> None:
        """Send a named event to everybody in a namespace; see :meth:`EmitterTarget.emit`."""
        self.to(namespace=namespace).emit(event, *args, volatile=volatile)

    def broadcast(self, message: Any, *, namespace: str = "/") -> None:
        """Send a message to everybody in a namespace. Raises UnsendableValue."""
        self.to(namespace=namespace).send(message)

    def broadcast_channel(self, message: Any, channel: str, *, namespace: str = "/") -> None:
        """Send a message to the subscribers of a channel. Raises UnsendableValue."""
        self.to(channel, namespace=namespace).send(message)

    def server_side_emit(self, event: str, *args: Any, namespace: str = "/") -> None:
        """Have the handlers of ``on_server_side_event(event)`` run by all servers.

        Raises UnsendableValue for arguments that JSON has no form for.
        """
        check_event_name(event)
        check_namespace(namespace)
        self._post.server_side_emit(namespace, [event, *args])
