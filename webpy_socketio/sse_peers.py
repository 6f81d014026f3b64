"""The peer at the end of a stream: a plain one that only reads, and may have read a part of it before."""

from __future__ import annotations

from typing import Any

from .engine.session import Session
from .history import History, Kept
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

        Some of that may be the same: it has been in the namespace for a little longer than in its channel.
        """
        session, recovery = self.session, self._services.recovery
        missed = None if recovery is None else missed_of(recovery.history, self._wish.channel, after)
        waiting = session.outbox.take()
        again = [] if missed is None else [kept.prepared for kept in missed]
        known = {id(prepared) for prepared in again}
        packets = again + [prepared for prepared in waiting if id(prepared) not in known]
        if missed is None or not session.outbox.has_room(len(packets), sum(packet.memory for packet in packets)):
            packets = [Prepared(*encode_event(MAIN, [GAP], None, 0)), *waiting]
        for prepared in packets:
            session.send(prepared)


def missed_of(history: History, channel: str, after: str) -> list[Kept] | None:
    """Return what the followers of a channel were sent after a place, or None if some of it may not be there any more.

    What was for some of them only is not among it; what was for the whole namespace is.
    """
    number = history.number_of(after)
    if not 0 < number <= history.last_number or number + 1 < history.first_number:
        return None
    return [kept for kept in history.after(number) if _is_meant(kept, channel)]


def _is_meant(kept: Kept, channel: str) -> bool:
    namespace, channels, excluded, _ = kept.selection
    return namespace == MAIN and channel not in excluded and (not channels or channel in channels)
