"""What everything that belongs to one hub shares."""

from __future__ import annotations

from dataclasses import dataclass

from .backplane.contract import Backplane
from .delivery import Delivery
from .engine.deadlines import Deadlines
from .events import Events
from .logs import MessageLog
from .metrics import Counters
from .runner import Runner
from .settings import Settings


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
