"""What the backplanes over Redis share: a process knows its own sockets only, and asks the others for theirs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from ..acks import Ballot
from ..delivery import Delivery
from ..envelope import Envelope, Selection, SocketDetails
from ..errors import AckTimeout
from ..events import Events
from ..runner import Runner
from ..settings import Settings
from .inquiries import Inquiries, Question
from .redis_bus import Bus
from .redis_dial import Dial
from .redis_presence import RedisPresence
from .redis_wire import DISCONNECT, FETCH, JOIN, LEAVE, SERVER_SIDE_EMIT, Names, options_of, read_sockets
from .respondent import Respondent
from .wires import Wire

MAIN = "/"


class ClusterBackplane(ABC):
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
        self._wire = wire = self._make_wire()
        self._names = names = Names(settings.redis_key, wire.uid)
        self._bus = bus = Bus(
            self._dial, runner, delivery.counters, settings.max_redis_backlog, settings.redis_timeout,
            self._pattern, names.echo, wire.requests(MAIN), self._hear,
        )  # fmt: skip
        self.presence = RedisPresence(bus, names, wire.uid, self._dial, runner, settings)
        self._inquiries = Inquiries(bus, wire, runner, settings.redis_timeout)
        self._respondent = Respondent(bus, wire, delivery, self._events, runner, settings.ack_timeout)
        self._declared = {MAIN, *self._events.namespaces()}
        for namespace in self._declared:
            self._enter(namespace)
        delivery.on_namespace = self._namespace_changed
        bus.start()

    @abstractmethod
    def publish(self, envelope: Envelope) -> int:
        """Deliver an event here and send it to all others; return how many sockets of this process it reached."""

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

    @abstractmethod
    def channels(self, namespace: str) -> list[str]:
        """List the channels that somebody follows. Raises AckTimeout if not all other processes tell."""

    def subscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """Subscribe the sockets that are meant to channels."""
        self._delivery.subscribe(selection, channels)
        self._tell(JOIN, selection, rooms=list(channels))

    def unsubscribe(self, selection: Selection, channels: Sequence[str]) -> None:
        """End the subscriptions of the sockets that are meant."""
        self._delivery.unsubscribe(selection, channels)
        self._tell(LEAVE, selection, rooms=list(channels))

    def disconnect(self, selection: Selection) -> None:
        """Put the sockets that are meant out of their namespace."""
        self._delivery.disconnect(selection)
        self._tell(DISCONNECT, selection, close=False)

    def log_out(self, web_session: str) -> bool:
        """End the connections of a web session, given by its private channel; tells whether there are any here."""
        is_here = self._delivery.log_out(web_session)
        self._tell(DISCONNECT, Selection(MAIN, (web_session,)), close=True)
        return is_here

    def server_side_emit(self, namespace: str, data: list[Any]) -> None:
        """Have the handlers of a server-side event run by all other processes. Raises UnsendableValue."""
        request = self._wire.write_request(SERVER_SIDE_EMIT, namespace, None, {"data": data})
        self._bus.publish(self._wire.requests(namespace), request)

    def server_side_call(self, namespace: str, data: list[Any], seconds: float) -> list[Any]:
        """The same, and wait for what they answer. Raises UnsendableValue and AckTimeout."""
        return self._inquiries.call(namespace, data, seconds)

    def stop(self, deadline: float) -> None:
        """Send what waits, within so many seconds, and leave the cluster."""
        until = self._runner.now() + deadline
        self.presence.stop(deadline / 2)
        self._delivery.on_namespace = None
        self._bus.stop(max(0.0, until - self._runner.now()))

    # What differs.

    #: The pattern of Redis' that it listens to; None for none.
    _pattern: bytes | None = None

    @abstractmethod
    def _make_wire(self) -> Wire:
        """How it writes to the others, under an id of its own."""

    @abstractmethod
    def _command(self, kind: int, selection: Selection, fields: dict[str, Any]) -> None:
        """Have all others do something to the sockets that are meant."""

    @abstractmethod
    def _receive(self, channel: bytes, payload: bytes) -> None:
        """Deal with what others publish. What it raises is told, and does no harm."""

    # What does not.

    def _gather(
        self, kind: int, namespace: str, read: Callable[[Any], Sequence[Any]], here: Sequence[Any], **fields: Any
    ) -> list[Any]:
        """Collect lists of all others as one."""
        try:
            return [item for part in self._inquiries.collect(kind, namespace, read, **fields) for item in part]
        except AckTimeout as error:
            known = [*here, *(item for part in error.answers for item in part)]
            raise AckTimeout(str(error), known) from None

    def _tell(self, kind: int, selection: Selection, **fields: Any) -> None:
        if not selection.local:
            self._command(kind, selection, {"opts": options_of(selection), **fields})

    def _hear(self, channel: bytes, payload: bytes) -> None:
        """Whatever comes over Redis, the next message is to be heard."""
        try:
            self._receive(channel, payload)
        except Exception as error:
            where = channel.decode("utf-8", "replace")[:100]
            self._bus.complain(f"{type(error).__name__} by what came over Redis: {error} (on {where})")

    def _namespace_changed(self, namespace: str, is_here: bool) -> None:
        if namespace not in self._declared:
            if is_here:
                self._enter(namespace)
            else:
                self._bus.release(self._ears(namespace))

    def _enter(self, namespace: str) -> None:
        self._bus.hold(self._ears(namespace))

    def _ears(self, namespace: str) -> tuple[bytes, ...]:
        return (self._wire.requests(namespace), *self._wire.ears(namespace))
