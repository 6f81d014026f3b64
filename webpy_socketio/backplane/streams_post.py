"""The post to a cluster whose servers speak over a stream: what it tells them is added to that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..envelope import Envelope, Selection
from ..settings import Settings
from ..wire.socketio import encode_event
from .redis_dial import TROUBLE, Dial
from .redis_post import EMITTER, PATIENCE
from .redis_wire import DISCONNECT, JOIN, LEAVE, SERVER_SIDE_EMIT, options_of
from .streams_wire import StreamsWire

#: Emitters do not number what they add: they do not read it.
UNNUMBERED = -1


class StreamsPost:
    """Adds or publishes one message for each call; see :class:`~.redis_post.Post`."""

    trouble = TROUBLE

    def __init__(self, url: str, key: str) -> None:
        self._dial = Dial(url, PATIENCE)
        self._wire = StreamsWire(key, EMITTER)
        self._stream = key.encode()

    def broadcast(self, envelope: Envelope) -> None:
        """Add an event. Raises UnsendableValue."""
        encode_event(envelope.selection.namespace, envelope.data, None, Settings.max_attachments)
        self._add(self._wire.write_event(envelope, UNNUMBERED))

    def subscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """Subscribe the sockets that are meant to channels."""
        self._command(JOIN, selection, rooms=list(channels))

    def unsubscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """End the subscriptions of the sockets that are meant."""
        self._command(LEAVE, selection, rooms=list(channels))

    def disconnect(self, selection: Selection) -> None:
        """Put the sockets that are meant out of their namespace."""
        self._command(DISCONNECT, selection, close=False)

    def server_side_emit(self, namespace: str, data: list[Any]) -> None:
        """Have the handlers of a server-side event run by all processes. Raises UnsendableValue."""
        request = self._wire.write_request(SERVER_SIDE_EMIT, namespace, None, {"data": data})
        self._dial.publish(self._wire.requests(namespace), request)

    def _command(self, kind: int, selection: Selection, **fields: Any) -> None:
        command = {"opts": options_of(selection), **fields}
        self._add(self._wire.write_command(kind, selection.namespace, command, UNNUMBERED))

    def _add(self, fields: Sequence[bytes]) -> None:
        entry = dict(zip(fields[::2], fields[1::2], strict=True))
        self._dial.client.xadd(self._stream, entry, maxlen=Settings.max_stream_length, approximate=True)
