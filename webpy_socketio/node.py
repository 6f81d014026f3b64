"""The node: all of Socket.IO in one process, put together. The hub below it knows only Engine.IO."""

from __future__ import annotations

import math
import weakref
from typing import Any

from .acks import AckDesk
from .attendance import Attendance
from .backplane.contract import Backplane
from .conversation import Conversation
from .delivery import Delivery
from .engine.deadlines import Deadlines
from .engine.session import Session
from .events import Events
from .goodbyes import Goodbyes
from .history import History
from .hub import Hub
from .logs import MessageLog
from .metrics import Counters
from .namespaces import Namespaces
from .options import STREAMS
from .overflows import Overflows
from .peers import Peer
from .plain_peers import PlainPeer, Wish
from .presence_events import PresenceEvents
from .recovery import Recovery
from .runner import Runner, Scope
from .services import Services
from .settings import Settings
from .sse_peers import SsePeer
from .tokens import Tokens
from .web_sessions import WebSessions


class Node:
    """The one constructor of everything that sockets need."""

    def __init__(self, settings: Settings, events: Events, runner: Runner, backplane: Backplane) -> None:
        deadlines, counters = Deadlines(), Counters()
        desk = AckDesk(deadlines, counters)
        is_local = settings.redis_url is None or settings.redis_adapter != STREAMS
        recovery = _recovery(settings, deadlines) if settings.recovery and is_local else None
        history = None if recovery is None else recovery.history
        overflows = Overflows(settings, events.overflow_rules, runner)
        web_sessions = WebSessions()
        attendance = Attendance(events.presence_rules, settings.presence_grace, deadlines, runner)
        delivery = Delivery(settings.max_attachments, events, desk, counters, overflows, history, web_sessions, runner)
        backplane.start(delivery)
        ending: weakref.WeakSet[Conversation] = weakref.WeakSet()
        self.hub = Hub(settings, runner, deadlines, counters, ending)
        self._goodbyes = Goodbyes(self.hub)
        self.services = Services(
            settings,
            events,
            runner,
            backplane,
            delivery,
            deadlines,
            counters,
            MessageLog(settings.message_log_format),
            desk,
            recovery,
            backplane.roaming,
            overflows,
            attendance,
            Tokens(settings, runner.time),
            ending,
            web_sessions,
            self.hub.expel,
        )
        self._namespaces = Namespaces(self.services)
        self._presence_events = PresenceEvents(events, runner, settings.max_inbox)
        backplane.presence.start(delivery, attendance, self._presence_events)

    def drain(self, longest: float = math.inf) -> None:
        """Let nobody in any more, and close all connections, those that are waited for too; see Goodbyes."""
        self._goodbyes.begin(longest)
        if self.services.recovery is not None:
            self.services.recovery.drain()
        if self.services.backplane.is_alone:  # else other processes wait for those who come back
            self.services.attendance.drain()

    def end_all(self) -> None:
        """End the connections that are still there."""
        self._goodbyes.end()

    @property
    def is_quiet(self) -> bool:
        """Whether all connections are over, and their handlers have run."""
        return self.hub.is_quiet and not self._presence_events.is_busy

    def stop(self, deadline: float) -> None:
        """Let go of the backplane, within so many seconds."""
        self.services.backplane.stop(deadline)

    def converse(self, session: Session, request: dict[str, Any], scope: Scope | None) -> Peer:
        """Make the conversation of a client that speaks Socket.IO; see Hub.open."""
        return Peer(session, request, scope, self._namespaces, self.services)

    def converse_plainly(self, wish: Wish, session: Session, request: dict[str, Any], scope: Scope | None) -> PlainPeer:
        """Make that of a client that does not."""
        return PlainPeer(session, request, scope, self._namespaces, self.services, wish)

    def converse_by_sse(
        self, wish: Wish, after: str | None, session: Session, request: dict[str, Any], scope: Scope | None
    ) -> SsePeer:
        """Make that of one that only reads."""
        return SsePeer(session, request, scope, self._namespaces, self.services, wish, after)


def _recovery(settings: Settings, deadlines: Deadlines) -> Recovery:
    # Whoever has not received what is older than this has been found dead by now, and is not waited for any more.
    # A client that sends something instead of an answer to the heartbeat has the time for that twice.
    seconds = settings.recovery_window + settings.ping_interval + 2 * settings.ping_timeout
    history = History(seconds, settings.max_recovery_bytes)
    return Recovery(settings.recovery_window, settings.max_recovery_clients, history, deadlines)
