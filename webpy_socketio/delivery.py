"""Delivery: who is connected to this process, and handing an event to those it is for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

from .acks import AckDesk, Ballot
from .channels import Member, Membership
from .engine.session import Session
from .envelope import Envelope, Selection, SocketDetails
from .events import Events
from .history import History
from .metrics import Counters
from .overflows import Overflows
from .runner import Runner
from .web_sessions import WebSessions
from .wire.prepared import Prepared
from .wire.socketio import encode_event

#: To so many an event is sent without a break: that takes a few milliseconds, in which nobody else is served.
AT_ONCE = 1000


class Delivery:
    """The members of every namespace in this process.

    :param overflows: what becomes of events for clients that do not read.
    :param history: what keeps the messages for clients that come back; None if none may.
    """

    def __init__(
        self,
        max_attachments: int,
        events: Events,
        desk: AckDesk,
        counters: Counters,
        overflows: Overflows,
        history: History | None,
        web_sessions: WebSessions,
        runner: Runner,
    ) -> None:
        self._namespaces: dict[str, Membership] = {}
        self._max_attachments = max_attachments
        self._events = events
        self._desk = desk
        self.counters = counters
        self._overflows = overflows
        self._history = history
        self._web_sessions = web_sessions
        self._runner = runner
        #: Called with a namespace's name when the first socket of it is here, and when the last has gone, and with
        #: which of both it is.
        self.on_namespace: Callable[[str, bool], None] | None = None

    def membership(self, namespace: str) -> Membership:
        """Who is in a namespace, and follows which channels."""
        return self._namespaces.setdefault(namespace, Membership())

    def memberships(self) -> Iterable[tuple[str, Membership]]:
        """The namespaces that somebody is in."""
        return self._namespaces.items()

    def attach(self, namespace: str, member: Member, channels: Iterable[str]) -> None:
        """From now on, a socket receives what is sent to its namespace and to these channels, by its link of now."""
        is_new = namespace not in self._namespaces
        self.membership(namespace).join(member, channels)
        if is_new and self.on_namespace is not None:
            self.on_namespace(namespace, True)

    def detach(self, namespace: str, member: Member, channels: Iterable[str]) -> None:
        """From now on, a socket receives nothing."""
        self._desk.leave(member.sid)
        membership = self.membership(namespace)
        membership.drop(member.sid, channels)
        if not membership.everybody:
            del self._namespaces[namespace]
            if self.on_namespace is not None:
                self.on_namespace(namespace, False)

    def deliver(self, envelope: Envelope, can_wait: bool = True, offset: str | None = None) -> int:
        """Send an event to everyone here whom it is for; return how many that were.

        :param can_wait: whether the sender is here, so that it can be made to wait.
        :param offset: its place in a history that is kept elsewhere, if it has one.

        A client that is waited for counts, as it gets the event when it comes back; so does one for which the event is
        dropped, as its policy says. May wait, once everybody has been sent to, if that is the policy. Raises
        UnsendableValue, or EventError if the policy cannot be told, before anybody got anything.
        """
        selection, data, volatile = envelope
        prepared = self._prepare(selection.namespace, data, None)
        if offset is not None:
            prepared.stamp(offset)
        overflows = self._overflows
        if overflows.rules or overflows.default is not None:
            prepared.overflow = overflows.choose(selection, data)
        if volatile or self._history is not None or self._events.on_any_outgoing.is_bound:
            return self._deliver_watched(envelope, prepared, can_wait)
        membership = self._namespaces.get(selection.namespace)
        if membership is None:
            return 0
        links = membership.select(selection.channels, selection.excluded)
        reached = _send(links, prepared) if len(links) <= AT_ONCE else self._send_bit_by_bit(links, prepared)
        if prepared.overflow is not None:
            overflows.wait_for_room(links, prepared.overflow, can_wait)
        return reached

    def ask(self, envelope: Envelope, ballot: Ballot, can_wait: bool = True) -> int:
        """Send an event to everyone here whom it is for and expect an answer of each; return the id of the question.

        Who cannot answer is not asked. May wait, and raises, as :meth:`deliver` does.
        """
        ack_id = self._desk.open(ballot)
        try:
            self._ask(envelope, ballot, ack_id, can_wait)
        except BaseException:
            self._desk.close(ack_id)
            raise
        return ack_id

    def stop_asking(self, ack_id: int) -> None:
        """Expect no more answers to a question."""
        self._desk.close(ack_id)

    def stop_asking_after(self, ack_id: int, seconds: float) -> None:
        """Expect no more answers to a question when so many seconds are over."""
        self._desk.deadlines.add_weakly(self._runner.now() + seconds, AckDesk.close, self._desk, ack_id)

    def channels(self, namespace: str) -> list[str]:
        """The channels that somebody here follows."""
        membership = self._namespaces.get(namespace)
        return [] if membership is None else membership.channels

    def has(self, namespace: str, channel: str) -> bool:
        """Whether somebody here is in a namespace and, unless its name is empty, in a channel."""
        membership = self._namespaces.get(namespace)
        return membership is not None and (not channel or membership.has(channel))

    def members(self, selection: Selection) -> list[Member]:
        """The sockets here that are meant, and connected."""
        return [member for member in self._select(selection) if member.connected]

    def age(self, member: Member) -> float:
        """Seconds since the connection of a socket began."""
        return self._runner.now() - member.link.opened

    def sockets(self, selection: Selection) -> list[SocketDetails]:
        """What is known of the sockets here that are meant, and connected."""
        return [
            SocketDetails(member.sid, member.channels, copy.copy(member.context)) for member in self.members(selection)
        ]

    def subscribe(self, selection: Selection, channels: Iterable[str]) -> None:
        """Let the sockets here that are meant follow channels."""
        for member in self._select(selection):
            for channel in channels:
                member.subscribe(channel)

    def unsubscribe(self, selection: Selection, channels: Iterable[str]) -> None:
        """Let the sockets here that are meant follow channels no longer."""
        for member in self._select(selection):
            for channel in channels:
                member.unsubscribe(channel)

    def disconnect(self, selection: Selection) -> None:
        """Put the sockets here that are meant out of the namespace."""
        for member in self._select(selection):
            member.disconnect()

    def disconnect_wholly(self, selection: Selection) -> None:
        """Put those who are meant out of all their namespaces: nothing keeps a client connected then."""
        links = {member.link for member in self._select(selection)}
        for membership in list(self._namespaces.values()):
            for member in [member for member in membership.everybody.values() if member.link in links]:
                member.disconnect()

    def log_out(self, web_session: str) -> bool:
        """End the connections here of a web session, given by its private channel; tells whether there are any."""
        return self._web_sessions.log_out(web_session)

    def _ask(self, envelope: Envelope, ballot: Ballot, ack_id: int, can_wait: bool) -> None:
        selection, data, _ = envelope
        prepared = self._prepare(selection.namespace, data, ack_id)
        prepared.overflow = self._overflows.choose_for_question(selection, data)
        members = [member for member in self.members(selection) if member.link.dialect.acknowledges]
        if self._events.on_any_outgoing.is_bound:
            self._note_outgoing(members, data)
        ballot.expect([member.sid for member in members])  # before the first can answer
        for member in members:
            if not member.link.send(prepared):
                ballot.leave(member.sid)
        self._wait_for_room(members, prepared, can_wait)

    def _send_bit_by_bit(self, links: Sequence[Session], prepared: Prepared) -> int:
        """Send an event to very many, and let others be served in between."""
        reached = 0
        for start in range(0, len(links), AT_ONCE):
            if start:
                self._runner.breathe()
            reached += _send(links[start : start + AT_ONCE], prepared)
        return reached

    def _prepare(self, namespace: str, data: list[object], ack_id: int | None) -> Prepared:
        return Prepared(*encode_event(namespace, data, ack_id, self._max_attachments))

    def _select(self, selection: Selection) -> list[Member]:
        membership = self._namespaces.get(selection.namespace)
        return [] if membership is None else membership.members(selection.channels, selection.excluded)

    def _deliver_watched(self, envelope: Envelope, prepared: Prepared, can_wait: bool) -> int:
        """What :meth:`deliver` does when more is to be known of each receiver than how to send to it."""
        selection, data, volatile = envelope
        members = self._select(selection)
        if volatile:
            if self._history is not None:
                self._history.mark(prepared)
            members = self._send_if_ready(members, prepared)
        if self._events.on_any_outgoing.is_bound:
            self._note_outgoing(members, data)
        if volatile:
            return len(members)
        if self._history is not None:
            reached = self._deliver_and_keep(members, prepared, selection, self._history)
        else:
            reached = sum(member.link.send(prepared) for member in members)
        self._wait_for_room(members, prepared, can_wait)
        return reached

    def _send_if_ready(self, members: Sequence[Member], prepared: Prepared) -> list[Member]:
        reached = [member for member in members if member.link.send_if_ready(prepared)]
        self.counters.dropped_volatile += len(members) - len(reached)
        return reached

    def _deliver_and_keep(
        self, members: list[Member], prepared: Prepared, selection: Selection, history: History
    ) -> int:
        number = history.keep(selection, prepared, self._runner.now())
        for member in members:
            member.last_number = number
            member.link.send(prepared)
        return len(members)

    def _wait_for_room(self, members: Iterable[Member], prepared: Prepared, can_wait: bool) -> None:
        if prepared.overflow is not None:
            self._overflows.wait_for_room([member.link for member in members], prepared.overflow, can_wait)

    def _note_outgoing(self, members: Iterable[Member], data: list[object]) -> None:
        for member in members:
            member.note_outgoing(data)


def _send(links: Sequence[Session], prepared: Prepared) -> int:
    """Send an event by each link; return how many took it."""
    reached = 0
    for link in links:
        if link.write is not None:  # as in link.send, which would be one more call for each receiver
            link.write(prepared)
            reached += 1
        else:
            reached += link.send(prepared)
    return reached
