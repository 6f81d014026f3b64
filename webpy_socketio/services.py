"""What everything that belongs to one hub shares."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass

from .acks import AckDesk
from .attendance import Attendance
from .backplane.contract import Backplane
from .conversation import Conversation
from .delivery import Delivery
from .engine.deadlines import Deadlines
from .engine.session import Session
from .events import Events
from .logs import MessageLog
from .metrics import Counters
from .overflows import Overflows
from .places import Places
from .reasons import Reason
from .recovery import Recovery
from .roaming import Roaming
from .runner import Runner
from .settings import Settings
from .tokens import Tokens
from .web_sessions import WebSessions


@dataclass(frozen=True)
class Services:
    """The collaborators that a hub makes or is given, and hands down."""

    settings: Settings
    events: Events
    runner: Runner
    backplane: Backplane
    delivery: Delivery
    deadlines: Deadlines
    counters: Counters
    log: MessageLog
    desk: AckDesk
    #: None if clients cannot come back to a connection that broke, in this process.
    recovery: Recovery | None
    #: None if they cannot come back to any process.
    roaming: Roaming | None
    overflows: Overflows
    attendance: Attendance
    tokens: Tokens
    #: Conversations that may still run handlers although their connection is over.
    ending: weakref.WeakSet[Conversation]
    web_sessions: WebSessions
    #: Hears nothing more from a client, and ends its session once it has taken what was sent before.
    expel: Callable[[Session, Reason], None]

    @property
    def places(self) -> Places | None:
        """The history of what was sent; None if there is none."""
        if self.roaming is not None:
            return self.roaming
        return None if self.recovery is None else self.recovery.history
