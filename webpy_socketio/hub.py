"""The hub: opens, finds, expires and ends the sessions of one server, whatever they carry."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, ValuesView
from typing import Any

import orjson

from .conversation import Conversation
from .engine.deadlines import Deadlines
from .engine.session import Session, State, Step
from .errors import ClientError, LimitExceeded, PacketError, RuleBroken, TransportMisused
from .hints import Hints
from .identifiers import new_id
from .logs import logger
from .metrics import Counters
from .reasons import (
    PARSE_ERROR,
    PING_TIMEOUT,
    PROTOCOL_VIOLATION,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
    Reason,
    over_limit,
)
from .runner import Runner, Scope
from .settings import Settings
from .wire.dialects import Dialect
from .wire.packets import EnginePacket, EngineType
from .wire.prepared import Prepared

FAULTS = (RuleBroken, PacketError, LimitExceeded)
#: Makes, of a session, the environ of its handshake and what surrounds its handlers, the conversation that it carries.
Converse = Callable[[Session, "dict[str, Any]", "Scope | None"], Conversation]


class Hub:
    """One server's sessions. Everything here runs where the connections live; see the contract of Runner.

    :param ending: conversations that may still be busy although their connection is over.
    """

    def __init__(
        self,
        settings: Settings,
        runner: Runner,
        deadlines: Deadlines,
        counters: Counters,
        ending: weakref.WeakSet[Conversation],
    ) -> None:
        self.settings = settings
        self.runner = runner
        self.deadlines = deadlines
        self.counters = counters
        self.draining = False
        #: What the ids of sessions carry, where there are several workers.
        self.label = ""
        #: What the operator is to be told once.
        self.hints = Hints()
        self._ending = ending
        self._sessions: dict[str, Session] = {}
        #: How many sessions are counted together, by what they have in common.
        self.groups: dict[str, int] = {}
        self._on_overflow = self._note_overflow  # one for all sessions

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def sessions(self) -> ValuesView[Session]:
        """All sessions that are not over."""
        return self._sessions.values()

    # Sessions begin.

    def open(
        self,
        converse: Converse,
        dialect: Dialect,
        transport: str,
        request: dict[str, Any],
        scope: Scope | None,
        group: str | None = None,
    ) -> Session:
        """Open a session for a client whose handshake was accepted; Engine.IO's first packet is :meth:`handshake`.

        :param converse: makes the conversation that it carries.
        :param request: the environ of the handshake, as handlers shall see it.
        :param scope: what surrounds the client's handlers.
        :param group: with which others to count it in :attr:`groups`.
        """
        now = self.runner.now()
        session = Session(new_id(self.label), dialect, transport, self.settings, now)
        session.on_overflow = self._on_overflow
        session.peer = converse(session, request, scope)
        session.step(Step.OPEN)
        self._sessions[session.sid] = session
        if group is not None:
            session.group = group
            self.groups[group] = self.groups.get(group, 0) + 1
        self.counters.opened += 1
        deadlines = self.deadlines
        deadlines.add(session.heartbeat.look_again(now), self._tick, weakref.ref(session))
        deadlines.add(now + self.settings.connect_timeout, self._expect_join, weakref.ref(session))
        self.unattended(session)
        return session

    def handshake(self, session: Session, *, can_upgrade: bool) -> Prepared:
        """The open packet: the session's id and what the client has to know to keep it.

        :param can_upgrade: whether the client's transport could be exchanged for a WebSocket.
        """
        settings = self.settings
        upgrades = (
            ["websocket"] if can_upgrade and settings.allow_upgrades and "websocket" in settings.transports else []
        )
        fields = {
            "sid": session.sid,
            "upgrades": upgrades,
            "pingInterval": round(settings.ping_interval * 1000),
            "pingTimeout": round(settings.ping_timeout * 1000),
            "maxPayload": settings.max_payload,
        }
        return Prepared(orjson.dumps(fields), kind=EngineType.OPEN)

    def find(self, sid: str) -> Session | None:
        """Return the session with this id, unless it is over; being late counts, even if no timer noticed yet."""
        session = self._sessions.get(sid)
        if session is not None:
            now = self.runner.now()
            if session.heartbeat.deadline <= now and not session.tick(now):
                self.end(session, PING_TIMEOUT)
                return None
        return session

    # Packets come in.

    def receive(self, session: Session, packet: EnginePacket) -> None:
        """Take a packet from a client; one that breaks the rules ends its session."""
        try:
            message = session.receive(packet, self.runner.now())
        except TransportMisused as error:
            logger.debug("%s: %s", session, error, extra=session.log_fields)
            self.end(session, TRANSPORT_ERROR)
            return
        if isinstance(message, Reason):
            self.end(session, message)
        elif message is not None:
            self._hand_on(session, message)

    def receive_message(self, session: Session, message: str) -> None:
        """Take a text message from a client: what :meth:`receive` does with such a packet, with fewer steps."""
        if session.heartbeat.is_awaiting:
            session.heartbeat.sign_of_life(self.runner.now())
        if session.state is State.OPEN and not session.is_refused:
            try:
                session.peer.receive(message)
            except FAULTS as error:
                self.refuse(session, error)

    def _hand_on(self, session: Session, message: str | bytes) -> None:
        try:
            session.peer.receive(message)
        except FAULTS as error:
            self.refuse(session, error)

    def refuse(self, session: Session, error: ClientError) -> None:
        """End a session because of what its client said; what it had said before is handled, and answered, still."""
        logger.debug("%s: %s", session, error, extra=session.log_fields)
        session.is_refused = True
        if isinstance(error, LimitExceeded):
            reason = self.exceeded(error.limit)
        else:
            reason = PROTOCOL_VIOLATION if isinstance(error, RuleBroken) else PARSE_ERROR
        session.peer.when_idle(lambda: self.close(session, reason))

    def exceeded(self, limit: str) -> Reason:
        """Count that a client went beyond a limit, the setting of this name; return the reason to end its session."""
        self.counters.limited[limit] += 1
        return over_limit(limit)

    # Sessions end.

    def close(self, session: Session, reason: Reason) -> None:
        """End the conversation now, and the session once its client has taken what was sent before."""
        if session.is_open:
            self._part(session, reason)
            self.deadlines.add(self.runner.now() + self.settings.close_timeout, self._give_up, weakref.ref(session))
            session.close(reason)

    def expel(self, session: Session, reason: Reason) -> None:
        """Hear nothing more from a client, and close its session.

        One that is changing over to WebSocket has the time for that, or it would miss what it was sent before: it lost
        the one transport while it gave up the other.
        """
        if session.candidate is None:
            self.close(session, reason)
            return
        session.is_refused = True
        self.deadlines.add_weakly(self.runner.now() + self.settings.upgrade_timeout, self.close, session, reason)

    def end(self, session: Session, reason: Reason) -> None:
        """End a session now. Nothing happens if it has ended."""
        if self._sessions.pop(session.sid, None) is not None:
            session.end(reason)
            reason = session.reason or reason
            self._leave_group(session)
            self._note_end(session, reason)
            self._part(session, reason)
            session.peer = session.carrier = session.wake = None  # they hold the session too

    def _leave_group(self, session: Session) -> None:
        group = session.group
        if group is not None:
            self.groups[group] -= 1
            if not self.groups[group]:
                del self.groups[group]

    def _note_end(self, session: Session, reason: Reason) -> None:
        self.counters.ended[str(reason)] += 1
        if reason in (TRANSPORT_CLOSE, TRANSPORT_ERROR):
            now = self.runner.now()
            self.hints.cut(now - session.opened, now)
        if logger.isEnabledFor(logging.DEBUG):
            fields = session.log_fields | {"reason": reason.name, "code": str(reason.code)}
            logger.debug("%s ended: %s (%d): %s", session, reason, reason.code, reason.sentence, extra=fields)

    def unattended(self, session: Session) -> None:
        """Nobody carries the session at the moment: the hub itself takes note if it ends because it is full."""

        def notice() -> None:
            if session.state is State.CLOSED:
                self.end(session, TRANSPORT_ERROR)

        session.wake = notice

    @property
    def is_quiet(self) -> bool:
        """Whether no session is left, nor any handler of one that ended."""
        return not self._sessions and not any(conversation.is_busy for conversation in self._ending)

    def _part(self, session: Session, reason: Reason) -> None:
        conversation: Conversation = session.peer
        conversation.end(reason)

    def _note_overflow(self, session: Session, policy: str) -> None:
        self.counters.overflowed[policy] += 1
        if not session.has_overflowed:
            session.has_overflowed = True
            text = "%s does not read as fast as it is sent to (%s); this is told once"
            logger.debug(text, session, policy, extra=session.log_fields)

    # Deadlines.

    def expire(self) -> None:
        """Do everything that is due."""
        self.deadlines.expire(self.runner.now())

    # A session that is over must not be kept alive by a deadline that is still to come.

    def _tick(self, reference: weakref.ref[Session], now: float) -> None:
        session = reference()
        if session is None or session.state is State.CLOSED:
            return
        if not session.tick(now):
            self.end(session, PING_TIMEOUT)
        else:
            self.deadlines.add(session.heartbeat.look_again(now), self._tick, reference)

    def _expect_join(self, reference: weakref.ref[Session], now: float) -> None:
        session = reference()
        if session is not None and session.is_open and not session.peer.joined:
            self.counters.limited["connect_timeout"] += 1
            self.close(session, PROTOCOL_VIOLATION)

    def _give_up(self, reference: weakref.ref[Session], now: float) -> None:
        session = reference()
        if session is not None:
            self.end(session, TRANSPORT_ERROR)
