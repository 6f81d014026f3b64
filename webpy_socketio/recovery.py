"""Recovery: sockets whose connection broke, and whose clients may come back to them (connection state recovery).

On the wire it is as in Node's server: the client gets a secret ``pid`` when it connects, and each event with an
offset; it comes back with both. A socket that is waited for stays what it was, with its channels and its context; its
handlers notice nothing. Only if the client does not come back in time is it the end of the connection.
"""

from __future__ import annotations

from typing import Any, Protocol

from .engine.deadlines import Deadlines
from .history import History, Kept
from .identifiers import new_id


class Resumable(Protocol):
    """What recovery needs of a socket."""

    pid: str | None
    namespace: str
    connected: bool
    last_number: int
    first_number: int
    #: The number of the first message that its client was sent again when it came back last, if it may have a part of
    #: what it was sent then.
    replayed_from: int

    @property
    def forgotten_number(self) -> int:
        """Up to this number, it may be unknown which messages were for it."""

    def missed(self, kept: Kept) -> bool:
        """Whether a kept message was for this socket."""

    def give_up(self) -> None:
        """The client did not come back: it is the end."""


class Recovery:
    """The sockets of one process that can be resumed.

    :param window: seconds within which a client has to come back.
    :param most_absent: how many clients are waited for at the most; beyond, those gone longest are given up.
    """

    def __init__(self, window: float, most_absent: int, history: History, deadlines: Deadlines) -> None:
        self.history = history
        self._window = window
        self._most_absent = most_absent
        self._deadlines = deadlines
        self._is_over = False
        self._sockets: dict[str, Any] = {}
        #: Until when each absent client is waited for, by its pid; the one gone longest first.
        self._absent: dict[str, float] = {}

    @property
    def awaited(self) -> int:
        """How many clients are waited for."""
        return len(self._absent)

    def admit(self, socket: Resumable) -> str:
        """A socket has connected; return the secret for its client to come back with."""
        pid = new_id()
        self._sockets[pid] = socket
        return pid

    def find(self, pid: Any, namespace: str) -> Any:
        """Return the socket of a client that comes back, absent or believed to be there; None if there is none."""
        socket = self._sockets.get(pid) if isinstance(pid, str) else None
        return socket if socket is not None and socket.namespace == namespace else None

    def wait_for(self, socket: Resumable, now: float) -> None:
        """The connection of a socket broke: wait for its client."""
        if self._is_over:
            socket.give_up()
            return
        pid = socket.pid
        assert pid is not None
        self._absent.pop(pid, None)
        until = self._absent[pid] = now + self._window
        self._deadlines.add(until, self._expire, pid)
        if len(self._absent) > self._most_absent:
            self._sockets[next(iter(self._absent))].give_up()

    def missed(self, socket: Resumable, offset: Any) -> list[Kept] | None:
        """Return what a client has not received, oldest first; None if something of it may not be there any more.

        :param offset: of the last message that the client received, as it says itself.
        """
        received = max(socket.first_number, self.history.number_of(offset))
        if received >= socket.last_number:
            return []
        if received < max(self.history.lost_number, socket.forgotten_number):
            return None
        missed = [kept for kept in self.history.after(received) if socket.missed(kept)]
        if missed and missed[0].number == socket.replayed_from:
            # It was lost again before it was told that it goes on. What it had by then official clients keep without
            # saying so: sent once more, it would be there twice.
            return None
        return missed

    def welcome(self, pid: str) -> None:
        """The client is back: wait for it no longer."""
        self._absent.pop(pid, None)

    def forget(self, pid: str) -> None:
        """It is the end of a socket; nobody can come back to it."""
        self._absent.pop(pid, None)
        self._sockets.pop(pid, None)

    def drain(self) -> None:
        """Wait for nobody any more."""
        self._is_over = True
        for socket in [self._sockets[pid] for pid in self._absent]:  # the handlers of one may put out others
            socket.give_up()

    def _expire(self, pid: str, now: float) -> None:
        if self._absent.get(pid, now + 1) <= now:
            self._sockets[pid].give_up()
