"""The history: what the stream has, for clients that come back. Everything is read from there when it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..envelope import Selection
from ..errors import PacketError, UnsendableValue
from ..settings import Settings
from ..wire.prepared import Prepared
from ..wire.socketio import encode_event
from .redis_dial import TROUBLE, Dial
from .redis_wire import Message
from .stream_reader import BEGINNING, StreamReader
from .streams_wire import EMIT, event_of, read_entry

#: Entries asked for at once.
PAGE = 500
#: Whether an event is meant for a client.
Includes = Callable[[Selection], bool]


class StreamHistory:
    """The stream's past, up to what this process has read."""

    def __init__(self, dial: Dial, stream: bytes, reader: StreamReader, settings: Settings) -> None:
        self._dial = dial
        self._stream = stream
        self._reader = reader
        self._settings = settings

    @property
    def place(self) -> str:
        """Where this process is in the stream."""
        return (self._reader.last_id or BEGINNING).decode()

    def mark(self, prepared: Prepared) -> None:
        """Give an event that is not in the stream the place of the last that is."""
        prepared.stamp(self.place)

    def homecoming(self, session: Message, namespace: str, place: str) -> StreamHomecoming:
        """Return a client that comes back. Raises LookupError if not everything after its place is there."""
        self.check(place)
        return StreamHomecoming(self, session, namespace, place)

    def check(self, place: str) -> None:
        """Raise LookupError if not everything after a place is there."""
        first = self._dial.client.xrange(self._stream, count=1)
        oldest = first[0][0].decode() if first else BEGINNING.decode()
        if _numbers(oldest) > _numbers(place):
            raise LookupError("what it missed is not in the stream any more")

    def after(self, place: str, includes: Includes) -> list[Prepared]:
        """Return what is meant for one client after a place, up to where this process is, which goes on meanwhile.

        :param includes: whether it is among those that an event is for.

        Raises LookupError.
        """
        found = _Found(self._settings)
        try:
            read_up_to = self._read(place, includes, found)
            self.check(place)  # the oldest of them may have gone meanwhile
            self._read(read_up_to, includes, found)  # there may be more by now; then nothing is waited for any more
        except TROUBLE as error:
            raise LookupError(str(error)) from None
        return found.packets

    def _read(self, read_up_to: str, includes: Includes, found: _Found) -> str:
        """Read on, up to where this process is; return that. When it returns, nothing newer has been delivered yet."""
        while _numbers(read_up_to) < _numbers(last := self.place):
            page = self._between(read_up_to, last)
            for entry_id, fields in page:
                prepared = self._prepare(entry_id, fields, includes)
                if prepared is not None:
                    found.add(prepared)
            read_up_to = page[-1][0] if len(page) >= PAGE else last
        return read_up_to

    def _between(self, place: str, last: str) -> list[tuple[str, dict[bytes, bytes]]]:
        """Entries after a place up to another, a page of them at the most."""
        milliseconds, number = _numbers(place)
        found = self._dial.client.xrange(self._stream, f"{milliseconds}-{number + 1}", last, count=PAGE)
        return [(entry_id.decode(), fields) for entry_id, fields in found]

    def _prepare(self, entry_id: str, fields: dict[bytes, bytes], includes: Includes) -> Prepared | None:
        """Return an entry as the client gets it; None if it is not for it, or could have been lost anyway."""
        try:
            entry = read_entry(fields)
            if entry is None or entry.type != EMIT or "requestId" in entry.data:
                return None
            envelope = event_of(entry)
            if envelope.volatile or not includes(envelope.selection):
                return None
            namespace, most = envelope.selection.namespace, self._settings.max_attachments
            prepared = Prepared(*encode_event(namespace, envelope.data, None, most))
        except (PacketError, UnsendableValue):  # nobody got it
            return None
        prepared.stamp(entry_id)
        return prepared


class _Found:
    """What was found for one client."""

    def __init__(self, settings: Settings) -> None:
        self.packets: list[Prepared] = []
        self._size = 0
        self._settings = settings

    def add(self, prepared: Prepared) -> None:
        """Take one more. Raises LookupError if so much cannot be queued for a client: in part, it is of no use."""
        self.packets.append(prepared)
        self._size += prepared.size
        settings = self._settings
        if len(self.packets) >= settings.max_outbox_packets or self._size >= settings.max_outbox_bytes:
            raise LookupError("it missed more than may wait for a client")


class Meant:
    """Which events are for one client."""

    def __init__(self, namespace: str, names: set[str]) -> None:
        self._namespace = namespace
        self._names = names

    def includes(self, selection: Selection) -> bool:
        """Whether it is among those who are meant."""
        if selection.namespace != self._namespace or not self._names.isdisjoint(selection.excluded):
            return False
        return not selection.channels or not self._names.isdisjoint(selection.channels)


class StreamHomecoming:
    """See Homecoming."""

    def __init__(self, history: StreamHistory, session: Message, namespace: str, place: str) -> None:
        self._history = history
        self.place = place
        self.pid: str = session["pid"]
        self.sid: str = session["sid"]
        self.channels: list[str] = session["rooms"]
        data: Any = session.get("data")
        self.context: dict[str, Any] = data if isinstance(data, dict) else {}
        user = session.get("user")
        self.user: str | int | None = user if isinstance(user, (str, int)) else None
        self._meant = Meant(namespace, {self.sid, *self.channels})

    def missed(self) -> list[Prepared]:
        """Read up to where this process is, which goes on meanwhile. Raises LookupError."""
        return self._history.after(self.place, self._meant.includes)


def _numbers(place: str) -> tuple[int, int]:
    milliseconds, _, number = place.partition("-")
    return int(milliseconds), int(number)
