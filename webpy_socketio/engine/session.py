"""The Engine.IO session: one client's connection, whichever transport carries it at the moment.

Everything that decides what a session may do next is in the table below; a step that is not in it is a mistake of
ours, never of a client. A client's packets are judged by :meth:`Session.receive`::

    OPENING ──► OPEN ◄──► PROBING        PROBING: a WebSocket is being tried while polling goes on
                 │           │
                 ▼           ▼
               CLOSING ──► CLOSED        CLOSING: what is still queued may be taken, nothing is added

Whoever carries the session (a transport) puts itself in two slots: ``write`` takes one packet at once, while nothing
is queued before it; ``wake`` is called when the queue, or the state, has something for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from typing import Any

from ..logs import address_of
from ..overflow import DISCONNECT, DROP_NEWEST, WAIT, Overflow
from ..reasons import SLOW, TRANSPORT_CLOSE, Reason
from ..settings import Settings
from ..wire.dialects import Dialect
from ..wire.packets import EnginePacket, EngineType
from ..wire.prepared import PING, Prepared
from .heartbeat import Beat, ClientHeartbeat, ServerHeartbeat
from .outbox import Outbox

MESSAGE = EngineType.MESSAGE
#: A client that sends too fast is heard so many times in a second.
SLICES = 10


class State(Enum):
    """Where in its life a session is."""

    OPENING = "opening"
    OPEN = "open"
    PROBING = "probing"
    CLOSING = "closing"
    CLOSED = "closed"


class Step(Enum):
    """What can happen to a session."""

    OPEN = "open"
    PROBE = "probe"
    UPGRADE = "upgrade"
    ABANDON = "abandon"
    CLOSE = "close"
    END = "end"


NEXT: dict[State, dict[Step, State]] = {
    State.OPENING: {
        Step.OPEN: State.OPEN,
        Step.END: State.CLOSED,
    },
    State.OPEN: {
        Step.PROBE: State.PROBING,
        Step.UPGRADE: State.OPEN,  # a client that is sure of its WebSocket may leave the probe out
        Step.ABANDON: State.OPEN,
        Step.CLOSE: State.CLOSING,
        Step.END: State.CLOSED,
    },
    State.PROBING: {
        Step.PROBE: State.PROBING,
        Step.UPGRADE: State.OPEN,
        Step.ABANDON: State.OPEN,
        Step.CLOSE: State.CLOSING,
        Step.END: State.CLOSED,
    },
    State.CLOSING: {
        Step.ABANDON: State.CLOSING,
        Step.CLOSE: State.CLOSING,
        Step.END: State.CLOSED,
    },
    State.CLOSED: {
        Step.ABANDON: State.CLOSED,
        Step.CLOSE: State.CLOSED,
        Step.END: State.CLOSED,
    },
}


class Session:
    """One Engine.IO session. Times are seconds on a clock that never goes back."""

    __slots__ = (
        "__weakref__", "_credited", "candidate", "carrier", "credit", "dialect", "group", "has_overflowed", "heartbeat",
        "is_awaited", "is_refused", "on_overflow", "opened", "outbox", "paused", "peer", "reason", "sid", "state",
        "transport", "wake", "write",
    )  # fmt: skip

    def __init__(self, sid: str, dialect: Dialect, transport: str, settings: Settings, now: float) -> None:
        self.sid = sid
        self.dialect = dialect
        #: The name of the transport that carries the session now.
        self.transport = transport
        self.state = State.OPENING
        #: When it began.
        self.opened = now
        #: With which others it is counted, if with any.
        self.group: str | None = None
        #: How many messages the client may send before the clock is looked at; whoever takes one counts it.
        self.credit = settings.message_burst if settings.message_rate else sys.maxsize
        self._credited = now
        kind = ServerHeartbeat if dialect.server_pings else ClientHeartbeat
        self.heartbeat: ServerHeartbeat | ClientHeartbeat = kind(settings.ping_interval, settings.ping_timeout, now)
        self.outbox = Outbox(settings.max_outbox_packets, settings.max_outbox_bytes)
        #: Why the session ended, once it did.
        self.reason: Reason | None = None
        #: Dismisses the transport that tries to take over, if any does: only one may at a time.
        self.candidate: Callable[[], None] | None = None
        #: The transport's own object, where it needs one from request to request.
        self.carrier: Any = None
        #: Whether we stopped reading from the client, because its handlers have not caught up, or it sends too fast.
        self.paused = False
        #: Whether a request is held that will be answered with the next packet.
        self.is_awaited = False
        #: The conversation that the messages belong to; set by the hub.
        self.peer: Any = None
        self.write: Callable[[Prepared], None] | None = None
        self.wake: Callable[[], None] | None = None
        #: Whether nothing more is heard from the client: it said something that cannot be, or was put out.
        self.is_refused = False
        #: Called with the session and the policy whenever a packet is dropped, or finds no room in the outbox.
        self.on_overflow: Callable[[Session, str], None] | None = None
        #: Whether that has happened.
        self.has_overflowed = False

    @property
    def label(self) -> str:
        """For logs: enough of the id to tell sessions apart, too little to take one over."""
        return f"{self.sid[:6]}..."

    @property
    def log_fields(self) -> dict[str, str]:
        """What a log's record of it says beside its text."""
        known = {"session": self.label}
        return known if self.peer is None else known | {"address": address_of(self.peer.request)}

    def __str__(self) -> str:
        return f"session {self.label}"

    def step(self, step: Step) -> None:
        """Go to the next state. Raises RuntimeError for a step that the table does not have."""
        try:
            self.state = NEXT[self.state][step]
        except KeyError:
            raise RuntimeError(f"a session that is {self.state.value} cannot {step.value}") from None

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent and received."""
        return self.state is State.OPEN or self.state is State.PROBING

    @property
    def is_backed_up(self) -> bool:
        """Whether something waits until the client takes it."""
        return bool(self.outbox) or (self.write is None and self.transport != "polling")

    def receive(self, packet: EnginePacket, now: float) -> str | bytes | Reason | None:
        """Judge a packet from the client: a message is returned, and so is the reason if it ends the session.

        Raises TransportMisused for a packet that only a server sends.
        """
        kind, data = packet
        if self.is_refused:
            return None
        if kind is MESSAGE:
            if self.heartbeat.is_awaiting:
                self.heartbeat.sign_of_life(now)
            state = self.state
            return data if state is State.OPEN or state is State.PROBING else None
        if kind is EngineType.PONG or kind is EngineType.PING:
            answer = self.heartbeat.hear(kind, now)
            if answer is not None:
                self.send(answer)
        elif kind is EngineType.CLOSE:
            return TRANSPORT_CLOSE
        return None  # open, upgrade and noop mean nothing here, and do no harm

    def send(self, prepared: Prepared) -> bool:
        """Send a packet: at once if the transport can take it, else from the outbox when it can.

        Returns False if the session is over, or is ended by this very packet because its outbox is full; a packet that
        is dropped, as its policy says, is nobody's failure. One whose sender is to wait is queued in any case, so that
        it keeps its place: the sender waits after that.
        """
        write = self.write
        if write is not None:
            write(prepared)
            return True
        return self._queue(prepared)

    def send_if_ready(self, prepared: Prepared) -> bool:
        """Send a packet if it can leave at once; tells whether it did. Else it is not sent at all."""
        if self.write is not None or (self.is_awaited and self.is_open and not self.outbox):
            return self.send(prepared)
        return False

    def _queue(self, prepared: Prepared) -> bool:
        if not self.is_open:
            return False
        if (
            (prepared.overflow is not None and self._supersede(prepared, prepared.overflow))
            or self.outbox.append(prepared)
            or self._overflow(prepared)
        ):
            self._wake()
            return True
        self.end_as_slow()
        return False

    def _supersede(self, prepared: Prepared, overflow: Overflow) -> bool:
        """Let a packet take the place of one that it makes worthless; False if there is none."""
        outbox = self.outbox
        if overflow.identity is None or not outbox.supersede(prepared):
            return False
        self._note_overflow(overflow)
        while outbox.is_over and (dropped := outbox.drop_oldest()) is not None:
            self._note_overflow(dropped)
        return True

    def _overflow(self, prepared: Prepared) -> bool:
        """Deal with a packet for which there is no room; tells whether that could be done."""
        outbox, overflow = self.outbox, prepared.overflow
        if overflow is not None and overflow.policy in (WAIT, DROP_NEWEST):
            self._note_overflow(overflow)
            if overflow.policy == WAIT:
                outbox.append_beyond(prepared)
            return True
        while not outbox.append(prepared):
            dropped = outbox.drop_oldest()
            if dropped is None and overflow is None:
                dropped = outbox.drop_newest()
            if dropped is None:  # nothing that waits may be dropped for it
                if overflow is not None:
                    self._note_overflow(overflow)
                return overflow is not None
            self._note_overflow(dropped)
        return True

    def _note_overflow(self, overflow: Overflow | None) -> None:
        if self.on_overflow is not None:
            self.on_overflow(self, DISCONNECT if overflow is None else overflow.policy)

    def tick(self, now: float) -> bool:
        """Do what the heartbeat asks for. Returns False when the client has been silent for too long."""
        beat = self.heartbeat.due(now)
        if beat is Beat.DEAD:
            if not self.paused:
                return False
            self.heartbeat.postpone(now)
            if self.dialect.server_pings:
                self.send(PING)  # or the client would give up the server
        elif beat is Beat.PING:
            self.send(PING)
        return True

    def heed(self, now: float) -> None:
        """Note that we read from the client again: its answer to the heartbeat may have had to wait."""
        self.paused = False
        self.heartbeat.switched(now)

    def earn(self, settings: Settings, now: float) -> float:
        """Give the client credit for the time that has passed; return for how many seconds it has to wait for more."""
        rate, burst = settings.message_rate, settings.message_burst
        earned = int((now - self._credited) * rate)
        self._credited += earned / rate
        self.credit = min(max(self.credit, -burst) + earned, burst)
        if self.credit > 0:
            return 0.0
        return (min(burst, rate // SLICES or 1) - self.credit) / rate

    def upgrade(self, transport: str, now: float) -> None:
        """The candidate has become the transport."""
        self.step(Step.UPGRADE)
        self.transport = transport
        self.candidate = None
        self.heartbeat.switched(now)

    def abandon(self) -> None:
        """The candidate gave up; the session stays where it was."""
        self.step(Step.ABANDON)
        self.candidate = None

    def close(self, reason: Reason) -> None:
        """Close once everything that is queued has been taken."""
        if self.is_open:
            self.reason = reason
            self.step(Step.CLOSE)
            self._stop_sending()

    def end(self, reason: Reason) -> None:
        """Close now; what is still queued is thrown away."""
        if self.state is not State.CLOSED:
            self.reason = self.reason or reason
            self.step(Step.END)
            self.outbox.clear()
            self._stop_sending()

    def end_as_slow(self) -> None:
        """End because the client does not read what it is sent."""
        if self.state is not State.CLOSED:
            self._note_overflow(None)
            self.end(SLOW)

    def _stop_sending(self) -> None:
        self.write = None
        dismiss, self.candidate = self.candidate, None
        if dismiss is not None:
            dismiss()
        self._wake()

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake()
