"""Stand-ins for what is above the module under test."""

from __future__ import annotations

from typing import Any

from webpy_socketio.acks import AckDesk
from webpy_socketio.conversation import Conversation
from webpy_socketio.delivery import Delivery
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.engine.session import Session, State
from webpy_socketio.events import Events
from webpy_socketio.history import History
from webpy_socketio.hub import Converse
from webpy_socketio.metrics import Counters
from webpy_socketio.overflows import Overflows
from webpy_socketio.reasons import Reason
from webpy_socketio.runner import Runner, Scope
from webpy_socketio.settings import load_settings
from webpy_socketio.transports.workers import Workers
from webpy_socketio.web_sessions import WebSessions
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.prepared import Prepared


def make_delivery(
    max_attachments: int = 10,
    history: History | None = None,
    events: Events | None = None,
    desk: AckDesk | None = None,
    counters: Counters | None = None,
    **settings: Any,
) -> Delivery:
    """A delivery with everything it needs."""
    counters = counters or Counters()
    desk = desk or AckDesk(Deadlines(), counters)
    events = events or Events()
    workers = Workers()
    overflows = Overflows(load_settings(settings), events.overflow_rules, workers)
    return Delivery(max_attachments, events, desk, counters, overflows, history, WebSessions(), workers)


class FakeMember:
    """A member of a namespace that keeps what it is sent, and notes what is done to it."""

    def __init__(
        self, delivery: Delivery | None, sid: str, *channels: str, namespace: str = "/", **settings: Any
    ) -> None:
        self.received: list[Prepared] = []
        self.sid = sid
        self.channels = list(channels)
        self.context: dict[str, Any] = {}
        self.last_number = 0
        self.connected = True
        self.done: list[tuple[str, ...]] = []
        self.outgoing: list[list[Any]] = []
        self.link = Session(f"session of {sid}", V4, "websocket", load_settings(settings), 0)
        self.link.state = State.OPEN
        self.link.write = self.received.append
        if delivery is not None:
            delivery.attach(namespace, self, channels)

    @property
    def texts(self) -> list[str]:
        """What it received, as text."""
        return [prepared.text.decode() for prepared in self.received]

    def subscribe(self, channel: str) -> None:
        """Note it."""
        self.done.append(("subscribe", channel))

    def unsubscribe(self, channel: str) -> None:
        """Note it."""
        self.done.append(("unsubscribe", channel))

    def disconnect(self) -> None:
        """Note it."""
        self.done.append(("disconnect",))

    def note_outgoing(self, data: list[Any]) -> None:
        """Note it."""
        self.outgoing.append(data)


class ListeningConversation(Conversation):
    """A conversation that notes what it is told, and says nothing."""

    def __init__(self, session: Session, request: dict[str, Any], scope: Scope | None, runner: Runner) -> None:
        super().__init__(session, request, scope, runner)
        self.joined = True
        self.heard: list[Any] = []

    def begin(self) -> None:
        """Note it."""
        self.heard.append("begin")

    def receive(self, message: str | bytes) -> None:
        """Note it."""
        self.heard.append(message)

    def end(self, reason: Reason) -> None:
        """Note it."""
        self.heard.append(reason)

    @classmethod
    def maker(cls, runner: Runner) -> Converse:
        """What makes such conversations for a hub."""
        return lambda session, request, scope: cls(session, request, scope, runner)
