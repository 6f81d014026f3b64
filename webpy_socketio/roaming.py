"""Roaming: sockets whose clients may come back to any process of a cluster (connection state recovery, across it).

What a socket is, its identity, its channels and its context, is kept where all processes can get it. A client whose
connection broke comes back with its secret and the place of the last message that it had; the process it comes to makes
a socket of the same identity, runs ``on_connect`` with ``socket.recovered``, and sends what was missed. The process it
was with before has the end of the connection to tell.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from .places import Places
from .wire.prepared import Prepared


class Roamer(Protocol):
    """What roaming needs of a socket."""

    pid: str | None
    sid: str
    namespace: str
    context: dict[str, Any]

    @property
    def channels(self) -> list[str]:
        """The channels that it follows."""

    @property
    def user(self) -> Hashable:
        """Who its client is."""

    def give_up(self) -> None:
        """Its client is elsewhere: it is the end."""


class Homecoming(Protocol):
    """A client that came back, and what it left behind."""

    pid: str
    sid: str
    #: That of the last message that it has.
    place: str
    channels: Sequence[str]
    context: dict[str, Any]
    #: Who the client is, if that is a text or a number.
    user: str | int | None

    def missed(self) -> list[Prepared]:
        """Return what it has not received, oldest first. May wait; when it returns, nothing else is missing: what comes
        from then on is delivered to those who are there.

        Raises LookupError if something of it is not there any more, or is too much.
        """


class Roaming(Places, Protocol):
    """Keeps the sockets of one process, for whichever their clients come back to."""

    def admit(self, socket: Roamer, doubtful: str | None = None) -> None:
        """A socket has connected, and has a ``pid``: keep it from now on.

        :param doubtful: the place after which its client gets what it missed, if it may get a part of that only, should
            its connection break. Official clients keep that part without saying so: sent once more, it would be there
            twice. So who comes back with the same place begins anew.
        """

    def changed(self, socket: Roamer) -> None:
        """A socket follows other channels than before."""

    def leave(self, socket: Roamer, may_return: bool) -> None:
        """It is the end of a socket: keep it for its client for a while, or forget it."""

    def claim(self, pid: str, offset: Any, namespace: str) -> Homecoming | None:
        """Return what a client left, which no other process goes on with then; None if there is nothing. May wait.

        :param offset: of the last message that the client received, as it says itself.
        """

    def mark(self, prepared: Prepared) -> None:
        """Give an event that is not kept the place of the last that is: else a text at its end is taken for one."""
