"""The post: what a process without sockets tells those of a cluster, as Node's ``@socket.io/redis-emitter`` does.

It listens to nothing, so nobody counts it among the processes, and nobody answers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..envelope import Envelope, Selection
from ..settings import Settings
from ..wire.socketio import encode_event
from .redis_dial import TROUBLE, Dial
from .redis_wire import (
    DISCONNECT,
    JOIN,
    LEAVE,
    SERVER_SIDE_EMIT,
    Names,
    encode_broadcast,
    encode_request,
    options_of,
)

#: The id of every emitter.
EMITTER = "emitter"
#: Seconds that connecting, and the confirmation of a message, may take.
PATIENCE = 5.0


class Post:
    """Publishes one message for each call, and waits until Redis has it. Its methods raise what :attr:`trouble` has.

    Raises SettingsError for a URL that cannot be.
    """

    trouble = TROUBLE

    def __init__(self, url: str, key: str) -> None:
        self._dial = Dial(url, PATIENCE)
        self._names = Names(key, EMITTER)

    def broadcast(self, envelope: Envelope) -> None:
        """Publish an event. Raises UnsendableValue."""
        selection = envelope.selection
        # MessagePack has forms for more than clients can take, and servers could tell nobody.
        encode_event(selection.namespace, envelope.data, None, Settings.max_attachments)
        self._dial.publish(self._names.broadcast(selection), encode_broadcast(EMITTER, envelope))

    def subscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """Subscribe the sockets that are meant to channels."""
        self._request(selection, JOIN, rooms=list(channels))

    def unsubscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """End the subscriptions of the sockets that are meant."""
        self._request(selection, LEAVE, rooms=list(channels))

    def disconnect(self, selection: Selection) -> None:
        """Put the sockets that are meant out of their namespace."""
        self._request(selection, DISCONNECT, close=False)

    def server_side_emit(self, namespace: str, data: list[Any]) -> None:
        """Have the handlers of a server-side event run by all processes. Raises UnsendableValue."""
        self._dial.publish(self._names.request(namespace), encode_request(SERVER_SIDE_EMIT, EMITTER, data=data))

    def _request(self, selection: Selection, kind: int, **fields: Any) -> None:
        request = encode_request(kind, None, opts=options_of(selection), **fields)
        self._dial.publish(self._names.request(selection.namespace), request)
