"""The sessions: what is kept at Redis of the sockets of one process, as Node's adapter for streams does.

Node keeps a session when its connection ends. Here it is kept from the beginning and renewed while the process lives,
so that clients of one that was killed can go on, too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import PacketError
from ..roaming import Roamer
from ..runner import Runner, Waiter
from ..wire.prepared import Prepared
from .inquiries import new_id
from .redis_bus import Bus
from .redis_dial import TROUBLE, Dial
from .redis_values import pack, unpack
from .redis_wire import Message, describe_socket, read_rooms
from .stream_history import StreamHistory, StreamHomecoming

SESSION = b"sio:session:"
#: Where the process that a client was with puts what is newest of its session.
HANDED_OVER = b"sio:handed-over:"
#: Sessions written at once.
BATCH = 500
#: Parts of the time that sessions are kept after which those of the living are renewed.
RENEWALS = 3
#: Seconds that the process that a client was with has to hand its session over; a dead one does not. Redis before 6
#: takes whole ones only.
HANDOVER = 1
#: Ids of places in the stream, and of clients: a text of its own is an application's.
PLACE = re.compile(r"[0-9]{1,16}-[0-9]{1,16}", re.ASCII)
PID = re.compile(r"[A-Za-z0-9_-]{20}")


class _Record(NamedTuple):
    """What is to be written of one session; nothing: it is to be deleted."""

    data: bytes | None
    #: Whether it is written only if it is still there: else a client has gone on elsewhere.
    is_renewal: bool


class StreamSessions:
    """The sessions of one process.

    :param window: seconds for which a session is kept after its connection broke.
    :param most: sessions that may wait to be written while Redis is away.
    :param channel: on which processes tell that they take a session over.
    """

    def __init__(
        self,
        dial: Dial,
        bus: Bus,
        history: StreamHistory,
        runner: Runner,
        window: float,
        most: int,
        channel: bytes,
    ) -> None:
        self._dial = dial
        self._bus = bus
        self._history = history
        self._runner = runner
        self._window = window
        self._most = most
        self._channel = channel
        self._sockets: dict[str, Roamer] = {}
        #: Where the stream was when each of them connected, and the place that it came back with, if its client may
        #: have got a part only of what it missed.
        self._begun: dict[str, tuple[str, str | None]] = {}
        #: Those of them that have to be written, and whether for the first time.
        self._changed: dict[str, bool] = {}
        self._ended: dict[str, _Record] = {}
        self._waiter: Waiter | None = None
        self.mark = history.mark

    # See Roaming.

    def admit(self, socket: Roamer, doubtful: str | None = None) -> None:
        """Keep a socket from now on."""
        assert socket.pid is not None
        self._sockets[socket.pid] = socket
        self._begun[socket.pid] = self._history.place, doubtful
        self._ended.pop(socket.pid, None)
        self._note(socket.pid, True)

    def changed(self, socket: Roamer) -> None:
        """It follows other channels."""
        if socket.pid in self._sockets:
            assert socket.pid is not None
            self._note(socket.pid, False)

    def leave(self, socket: Roamer, may_return: bool) -> None:
        """Keep it for a while, or forget it."""
        pid = socket.pid
        if pid is None or self._sockets.get(pid) is not socket:
            return
        data = self._write(socket, is_live=False) if may_return else None
        del self._sockets[pid], self._begun[pid]
        is_renewal = not self._changed.pop(pid, False)
        if len(self._ended) < self._most:
            self._ended[pid] = _Record(data, is_renewal and data is not None)
            self._wake()

    def claim(self, pid: str, offset: Any, namespace: str) -> StreamHomecoming | None:
        """Take a session that was left, here or elsewhere. May wait."""
        if PID.fullmatch(pid) is None:
            return None
        try:
            session = self._take(pid)
            if session is None or session.get("nsp", namespace) != namespace:
                return None
            known = isinstance(offset, str) and PLACE.fullmatch(offset) is not None
            place = offset if known else session.get("offset")
            if not isinstance(place, str) or PLACE.fullmatch(place) is None or place == session.get("doubtful"):
                return None
            return self._history.homecoming(session | {"pid": pid}, namespace, place)
        except (*TROUBLE, PacketError, LookupError) as error:
            self._bus.complain(f"a client cannot go on where it was: {error}")
            return None

    # See Places.

    @property
    def place(self) -> str:
        """Where this process is in the stream."""
        return self._history.place

    def missed_by(self, namespace: str, channel: str, place: str) -> list[Prepared]:
        """Return what the followers of a channel were sent after a place, by whichever process."""
        if PLACE.fullmatch(place) is None:
            raise LookupError(place)
        try:
            self._history.check(place)
        except TROUBLE as error:
            raise LookupError(str(error)) from None
        return self._history.after(place, lambda selection: selection.concerns(namespace, channel))

    # Taking.

    def _take(self, pid: str) -> Message | None:
        socket = self._sockets.get(pid)
        if socket is not None:
            kept = self._surrender(pid)
            self._ended[pid] = _Record(kept, True)  # in case that this client is lost, too
            socket.give_up()  # at once: the new socket has the same id
            return _read(kept)
        if pid in self._ended:
            ended = self._ended[pid].data
            return None if ended is None else _read(ended)
        data = self._dial.client.get(SESSION + pid.encode())
        session = None if data is None else _read(data)
        if session is not None and session.get("live") is True:
            session = self._ask_for(pid) or session
        return session

    def _ask_for(self, pid: str) -> Message | None:
        """Have the process that a session is with hand it over; None if it does not."""
        key = HANDED_OVER + new_id().encode()
        self._bus.publish(self._channel, b"%s %s" % (pid.encode(), key))
        try:
            answer = self._dial.client.blpop(key, timeout=HANDOVER)
        except TROUBLE:  # with a short redis_timeout, that is how it ends
            return None
        return None if answer is None else _read(answer[1])

    def hand_over(self, request: bytes) -> None:
        """Another process asks for a session, whose client has come to it: let go of it, if it is here."""
        pid, _, key = request.decode("ascii", "replace").partition(" ")
        socket = self._sockets.get(pid)
        if socket is not None and key.startswith(HANDED_OVER.decode()):
            data = self._surrender(pid)
            self._bus.send(b"LPUSH", key.encode(), data)
            self._bus.send(b"PEXPIRE", key.encode(), b"%d" % (10_000 * HANDOVER))
            self._runner.start(socket.give_up)

    def _surrender(self, pid: str) -> bytes:
        """End a socket whose client is elsewhere, although nobody has noticed; return what is kept of it."""
        socket = self._sockets[pid]
        data = self._write(socket, is_live=False)
        del self._sockets[pid], self._begun[pid]
        self._changed.pop(pid, None)
        return data

    # Writing.

    def _write(self, socket: Roamer, is_live: bool) -> bytes:
        assert socket.pid is not None
        known = describe_socket(socket.sid, socket.channels, socket.context, {})
        session = {"sid": socket.sid, "pid": socket.pid, "rooms": known["rooms"], "data": known["data"]}
        offset, doubtful = self._begun[socket.pid]
        user = socket.user if isinstance(socket.user, (str, int)) else None
        session |= {"nsp": socket.namespace, "offset": offset, "doubtful": doubtful, "live": is_live, "user": user}
        return base64.b64encode(pack(session))

    def _note(self, pid: str, is_new: bool) -> None:
        self._changed[pid] = self._changed.get(pid, False) or is_new
        self._wake()

    def write_all(self) -> None:
        """Write everything as if for the first time: Redis may have forgotten it."""
        self._changed = dict.fromkeys(self._sockets, True)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.set()

    @property
    def is_done(self) -> bool:
        """Whether everything has been written."""
        return not self._changed and not self._ended

    def run(self, connected: Callable[[], None]) -> None:
        """Write what changes, and renew what does not, until that fails. Raises what TROUBLE has."""
        self.write_all()
        renewal = self._runner.now() + self._window / RENEWALS
        connected()
        while True:
            while not self.is_done:
                self._write_some()
            self._waiter = self._runner.waiter()
            self._waiter.wait(max(0.0, renewal - self._runner.now()))
            self._waiter = None
            if self._runner.now() >= renewal:
                renewal = self._runner.now() + self._window / RENEWALS
                for pid in self._sockets:
                    self._changed.setdefault(pid, False)

    def _write_some(self) -> None:
        records = self._next()
        milliseconds = round(self._window * 1000)
        with self._dial.client.pipeline(transaction=False) as pipeline:
            for pid, (data, is_renewal) in records.items():
                key = SESSION + pid.encode()
                if data is None:
                    pipeline.delete(key)
                else:
                    pipeline.set(key, data, px=milliseconds, xx=is_renewal)
            pipeline.execute()

    def _next(self) -> dict[str, _Record]:
        """Take some of what has to be written. If that fails, the living are written again, and the others are lost."""
        records = {}
        for pid in list(self._ended)[:BATCH]:
            records[pid] = self._ended.pop(pid)
        for pid in list(self._changed)[: BATCH - len(records)]:
            is_new = self._changed.pop(pid)
            records[pid] = _Record(self._write(self._sockets[pid], is_live=True), not is_new)
        return records


def _read(data: bytes) -> Message:
    """Read a session. Raises PacketError."""
    try:
        session = unpack(base64.b64decode(data, validate=True))
    except ValueError:
        raise PacketError("a session is base64") from None
    if not isinstance(session, dict) or not isinstance(session.get("sid"), str):
        raise PacketError("a session has an id")
    return session | {"rooms": [name for name in read_rooms(session.get("rooms")) if name != session["sid"]]}
