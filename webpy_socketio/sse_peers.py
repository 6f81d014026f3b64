"""The peer at the end of a stream: a plain one that only reads, and may have read a part of it before."""

from __future__ import annotations

import contextlib
from typing import Any

from .engine.session import Session
from .namespaces import Namespaces
from .plain_peers import MAIN, PlainPeer, Wish
from .runner import Scope
from .services import Services
from .wire.prepared import Prepared
from .wire.socketio import encode_event

#: Tells the client that some of what it missed is lost.
GAP = "__gap__"


class SsePeer(PlainPeer):
    """One client.

    :param after: the place up to which it has read before, as it was told it; None if it begins.
    """

    __slots__ = ("_after", "refusal")

    def __init__(
        self,
        session: Session,
        request: dict[str, Any],
        scope: Scope | None,
        namespaces: Namespaces,
        services: Services,
        wish: Wish,
        after: str | None,
    ) -> None:
        super().__init__(session, request, scope, namespaces, services, wish)
        self._after = after
        #: Why it is not let in, a sentence that begins with a code; None if it is, or is not yet.
        self.refusal: str | None = None

    def _join(self) -> None:
        super()._join()
        if self._after is not None and self._socket.connected:
            self._replay(self._after)

    def _turn_away(self, sentence: str) -> None:
        self.refusal = sentence
        super()._turn_away(sentence)

    def _replay(self, after: str) -> None:
        """Put what the client missed before what it was sent since it came in.

        Some of that is the same: it has been in the namespace for a little longer than in its channel, and to read what
        it missed takes a while.
        """
        session, places = self.session, self._services.places
        again: list[Prepared] | None = None
        if places is not None:
            with contextlib.suppress(LookupError):
                again = places.missed_by(MAIN, self._wish.channel, after)
        waiting = session.outbox.take()
        known = {(prepared.offset, prepared.text) for prepared in again or ()}
        packets = [*(again or ()), *(each for each in waiting if (each.offset, each.text) not in known)]
        if again is None or not session.outbox.has_room(len(packets), sum(packet.memory for packet in packets)):
            packets = [Prepared(*encode_event(MAIN, [GAP], None, 0)), *waiting]
        for prepared in packets:
            session.send(prepared)
