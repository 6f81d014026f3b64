"""The backplane of many processes: over Redis, as full members of a cluster with Node's ``@socket.io/redis-adapter``.

Each process knows its own sockets only. What is for others is published, and each picks what concerns it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..acks import Ballot
from ..delivery import Delivery
from ..envelope import Envelope, Selection, SocketDetails
from ..errors import AckTimeout
from ..events import Events
from ..runner import Runner
from ..settings import Settings
from .inquiries import Inquiries, Question, new_id
from .redis_bus import Bus
from .redis_dial import Dial
from .redis_presence import RedisPresence
from .redis_wire import (
    ALL_ROOMS,
    DISCONNECT,
    FETCH,
    JOIN,
    LEAVE,
    SERVER_SIDE_EMIT,
    SOCKETS,
    Names,
    decode_broadcast,
    encode_broadcast,
    encode_request,
    options_of,
    own_marks,
    read_names,
    read_sockets,
    splits,
)
from .respondent import Respondent

MAIN = "/"


class RedisBackplane:
    """A process of a cluster.

    Raises SettingsError for a ``redis_url`` that cannot be.
    """

    is_alone = False

    def __init__(self, settings: Settings, url: str, events: Events, runner: Runner) -> None:
        self._settings = settings
        self._events = events
        self._runner = runner
        self._dial = Dial(url, settings.redis_timeout)
        self._asked: dict[int, Question] = {}

    @property
    def is_ready(self) -> bool:
        """Whether the other processes can be reached, and this one by them."""
        return self._bus.is_ready

    def start(self, delivery: Delivery) -> None:
        """Become a member of the cluster, under an id of its own, and stay one."""
        settings, runner = self._settings, self._runner
        self._delivery = delivery
        self._uid = uid = new_id()
        self._own = own_marks(uid)
        self._names = names = Names(settings.redis_key, uid)
        self._bus = bus = Bus(
            self._dial, runner, delivery.counters, settings.max_redis_backlog, settings.redis_timeout,
            names.all_broadcasts, names.echo, names.request(MAIN), self._receive,
        )  # fmt: skip
        self.presence = RedisPresence(bus, names, uid, self._dial, runner, settings.redis_timeout, settings.redis_key)
        self._inquiries = Inquiries(bus, names, uid, runner, settings.redis_timeout)
        self._respondent = Respondent(bus, names, uid, delivery, self._events, runner, settings.ack_timeout)
        self._declared = {MAIN, *self._events.namespaces()}
        for namespace in self._declared:
            self._enter(namespace)
        delivery.on_namespace = self._namespace_changed
        bus.start()

    def publish(self, envelope: Envelope) -> int:
        """Deliver an event here and send it to all others; return how many sockets of this process it reached.

        Raises UnsendableValue.
        """
        if envelope.selection.local:
            return self._delivery.deliver(envelope)
        message = encode_broadcast(self._uid, envelope)
        reached = self._delivery.deliver(envelope)
        self._bus.publish(self._names.broadcast(envelope.selection), message)
        return reached

    def ask(self, envelope: Envelope, ballot: Ballot, seconds: float) -> int:
        """Send an event to every process, and collect the acknowledgements; return the id of the question."""
        if envelope.selection.local:
            return self._delivery.ask(envelope, ballot)
        question = self._inquiries.question(envelope, seconds)
        ballot.expect_reports(1)  # of all others together, so that it is not complete before they are asked
        ack_id = self._delivery.ask(envelope, ballot)
        self._asked[ack_id] = question
        try:
            self._inquiries.ask(question, ballot)
        except BaseException:
            self.stop_asking(ack_id)
            raise
        return ack_id

    def stop_asking(self, question: int) -> None:
        """Collect no more acknowledgements of a question."""
        self._delivery.stop_asking(question)
        asked = self._asked.pop(question, None)
        if asked is not None:
            self._inquiries.stop_asking(asked)

    def sockets(self, selection: Selection) -> list[SocketDetails]:
        """List the sockets that are meant. Raises AckTimeout if not all other processes tell; it has what is known."""
        here = self._delivery.sockets(selection)
        if selection.local:
            return here
        return here + self._gather(FETCH, selection.namespace, read_sockets, here, opts=options_of(selection))

    def channels(self, namespace: str) -> list[str]:
        """List the channels that somebody follows. Raises AckTimeout if not all other processes tell."""
        here = self._delivery.channels(namespace)
        rooms = self._gather(ALL_ROOMS, namespace, lambda message: read_names(message, "rooms"), here)
        # In Node, each socket is in a room of its own.
        sids = set(self._gather(SOCKETS, namespace, lambda message: read_names(message, "sockets"), here, rooms=[]))
        return list(dict.fromkeys([*here, *(name for name in rooms if name not in sids)]))

    def subscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """Subscribe the sockets that are meant to channels."""
        self._delivery.subscribe(selection, channels)
        self._request(JOIN, selection, rooms=list(channels))

    def unsubscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """End the subscriptions of the sockets that are meant."""
        self._delivery.unsubscribe(selection, channels)
        self._request(LEAVE, selection, rooms=list(channels))

    def disconnect(self, selection: Selection) -> None:
        """Put the sockets that are meant out of their namespace."""
        self._delivery.disconnect(selection)
        self._request(DISCONNECT, selection, close=False)

    def log_out(self, web_session: str) -> bool:
        """End the connections of a web session, given by its private channel; tells whether there are any here."""
        is_here = self._delivery.log_out(web_session)
        self._request(DISCONNECT, Selection(MAIN, (web_session,)), close=True)
        return is_here

    def server_side_emit(self, namespace: str, data: list[Any]) -> None:
        """Have the handlers of a server-side event run by all other processes. Raises UnsendableValue."""
        self._bus.publish(self._names.request(namespace), encode_request(SERVER_SIDE_EMIT, self._uid, data=data))

    def server_side_call(self, namespace: str, data: list[Any], seconds: float) -> list[Any]:
        """The same, and wait for what they answer. Raises UnsendableValue and AckTimeout."""
        return self._inquiries.call(namespace, data, seconds)

    def stop(self, deadline: float) -> None:
        """Send what waits, within so many seconds, and leave the cluster."""
        until = self._runner.now() + deadline
        self.presence.stop(deadline / 2)
        self._delivery.on_namespace = None
        self._bus.stop(max(0.0, until - self._runner.now()))

    # Asking.

    def _gather(
        self, kind: int, namespace: str, read: Callable[[Any], Sequence[Any]], here: Sequence[Any], **fields: Any
    ) -> list[Any]:
        """Collect lists of all others as one."""
        try:
            return [item for part in self._inquiries.collect(kind, namespace, read, **fields) for item in part]
        except AckTimeout as error:
            known = [*here, *(item for part in error.answers for item in part)]
            raise AckTimeout(str(error), known) from None

    def _request(self, kind: int, selection: Selection, **fields: Any) -> None:
        if not selection.local:
            request = encode_request(kind, self._uid, opts=options_of(selection), **fields)
            self._bus.publish(self._names.request(selection.namespace), request)

    # Being asked.

    def _namespace_changed(self, namespace: str, is_here: bool) -> None:
        if namespace not in self._declared:
            if is_here:
                self._enter(namespace)
            else:
                self._bus.release(self._ears(namespace))

    def _enter(self, namespace: str) -> None:
        self._bus.hold(self._ears(namespace))

    def _ears(self, namespace: str) -> tuple[bytes, ...]:
        return (self._names.request(namespace), *self._names.my_responses(namespace))

    def _receive(self, channel: bytes, payload: bytes) -> None:
        """Deal with what comes over Redis. Whatever that is, the next message is to be heard."""
        if payload.startswith(self._own):
            return
        names = self._names
        try:
            if channel.startswith(names.broadcasts):
                self._deliver(channel[len(names.broadcasts) :], payload)
            elif channel.startswith(names.responses):
                self._inquiries.receive(payload)
            elif channel == names.presence:
                self.presence.receive(payload)
            else:
                namespace = channel[len(names.requests) : -1].decode("utf-8", "replace")
                self._respondent.receive(namespace, payload)
        except Exception as error:
            where = channel.decode("utf-8", "replace")[:100]
            self._bus.complain(f"{type(error).__name__} by what came over Redis: {error} (on {where})")

    def _deliver(self, rest: bytes, payload: bytes) -> None:
        """Deliver a broadcast; one that by its channel's name is for nobody here is not even decoded."""
        meant = [namespace for namespace, room in splits(rest) if self._delivery.has(namespace, room)]
        if meant:
            envelope = decode_broadcast(payload)
            if envelope.selection.namespace in meant:
                self._delivery.deliver(envelope, can_wait=False)
