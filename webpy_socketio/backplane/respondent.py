"""The respondent: does and answers what other processes ask for.

Handlers of the application run in greenlets of their own: who listens to the others must never wait for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..acks import Ballot
from ..answers import FAILED, error_answer
from ..delivery import Delivery
from ..envelope import Selection
from ..errors import PacketError, Refused, UnsendableValue
from ..events import Events
from ..handlers import Handler
from ..logs import logger
from ..runner import Runner
from .handshakes import handshake
from .redis_bus import Bus
from .redis_wire import (
    ALL_ROOMS,
    BROADCAST,
    CLIENT_COUNT,
    DISCONNECT,
    FETCH,
    JOIN,
    LEAVE,
    SERVER_SIDE_EMIT,
    SOCKETS,
    Request,
    describe_socket,
    read_envelope,
    read_names,
    read_rooms,
    read_selection,
)
from .wires import Wire

#: Seconds for which acknowledgements are passed on, at the most and if the request does not say.
LONGEST_QUESTION = 3600.0


class _Forwarding(Ballot):
    """Passes each answer on as it comes."""

    __slots__ = ("_forward",)

    def __init__(self, forward: Callable[[list[Any]], None]) -> None:
        super().__init__(lambda: None)
        self._forward = forward

    def answer(self, sid: str, args: list[Any]) -> None:
        """Pass an answer on, if it is expected."""
        if sid in self._expected:
            super().answer(sid, args)
            self._forward(args)


class Respondent:
    """What one process does for others."""

    def __init__(
        self, bus: Bus, wire: Wire, delivery: Delivery, events: Events, runner: Runner, ack_timeout: float
    ) -> None:
        self._bus = bus
        self._wire = wire
        self._delivery = delivery
        self._events = events
        self._runner = runner
        self._ack_timeout = ack_timeout
        self._table: dict[int, Callable[[str, Request], None]] = {
            SOCKETS: self._list_ids,
            ALL_ROOMS: self._list_channels,
            JOIN: self._subscribe,
            LEAVE: self._unsubscribe,
            DISCONNECT: self._disconnect,
            FETCH: self._describe,
            SERVER_SIDE_EMIT: self._run_handlers,
            BROADCAST: self._question,
        }

    def receive(self, namespace: str, request: Request) -> None:
        """Do what a request says. Raises PacketError, or what delivering raises."""
        act = self._table.get(request.kind)
        if act is not None and request.uid != self._wire.uid:  # kinds that are not known yet are none of our business
            act(namespace, request)

    def _respond(self, namespace: str, request: Request, **fields: Any) -> None:
        self._publish(namespace, request, self._wire.write_response(namespace, request, fields))

    def _publish(self, namespace: str, request: Request, response: bytes) -> None:
        self._bus.publish(self._wire.mouth(namespace, request), response)

    # What is known here.

    def _list_ids(self, namespace: str, request: Request) -> None:
        selection = Selection(namespace, read_rooms(request.fields.get("rooms")))
        self._respond(namespace, request, sockets=[member.sid for member in self._delivery.members(selection)])

    def _list_channels(self, namespace: str, request: Request) -> None:
        sids = [member.sid for member in self._delivery.members(Selection(namespace))]
        self._respond(namespace, request, rooms=[*sids, *self._delivery.channels(namespace)])

    def _describe(self, namespace: str, request: Request) -> None:
        delivery = self._delivery
        members = delivery.members(read_selection(namespace, request.fields.get("opts")))
        sockets = [
            describe_socket(m.sid, m.channels, m.context, handshake(m.request, delivery.age(m))) for m in members
        ]
        self._respond(namespace, request, sockets=sockets)

    # What is to be done here.

    def _subscribe(self, namespace: str, request: Request) -> None:
        self._change(namespace, request, self._delivery.subscribe)

    def _unsubscribe(self, namespace: str, request: Request) -> None:
        self._change(namespace, request, self._delivery.unsubscribe)

    def _change(self, namespace: str, request: Request, change: Callable[[Selection, tuple[str, ...]], None]) -> None:
        fields = request.fields
        if "sid" in fields:
            selection = self._single(namespace, fields["sid"])
            if selection is not None:
                change(selection, read_rooms([fields.get("room")]))
                self._respond(namespace, request)
        else:
            change(read_selection(namespace, self._options(request)), read_names(fields, "rooms"))

    def _disconnect(self, namespace: str, request: Request) -> None:
        is_single = "sid" in request.fields
        if is_single:
            selection = self._single(namespace, request.fields["sid"])
        else:
            selection = read_selection(namespace, self._options(request))
        if selection is None:
            return
        if request.fields.get("close") is True:
            self._delivery.disconnect_wholly(selection)
            for channel in selection.channels:  # a web session has one of its own, which is nobody else's
                self._delivery.log_out(channel)
        else:
            self._delivery.disconnect(selection)
        if is_single:
            self._respond(namespace, request)

    def _options(self, request: Request) -> dict[str, Any]:
        """Whom a request means. Without options that would be everybody: better nobody. Raises PacketError."""
        options = request.fields.get("opts")
        if not isinstance(options, dict):
            raise PacketError("a request that changes something has options")
        return options

    def _single(self, namespace: str, sid: Any) -> Selection | None:
        """One socket, as adapters before 8 mean it; None if it is not here."""
        selection = Selection(namespace, read_rooms([sid]))
        return selection if self._delivery.members(selection) else None

    # Events.

    def _question(self, namespace: str, request: Request) -> None:
        envelope = read_envelope(request.fields.get("packet"), request.fields.get("opts"))
        if envelope.selection.namespace != namespace:
            raise PacketError("the event is for another namespace than its request")

        def forward(args: list[Any]) -> None:
            try:
                self._publish(namespace, request, self._wire.write_ack(namespace, request, args))
            except UnsendableValue as error:
                self._bus.complain(f"an acknowledgement cannot be passed on: {error}")

        ballot = _Forwarding(forward)
        question = self._delivery.ask(envelope, ballot, can_wait=False)
        self._delivery.stop_asking_after(question, self._seconds(request))
        self._respond(namespace, request, type=CLIENT_COUNT, clientCount=ballot.missing)

    def _seconds(self, request: Request) -> float:
        options = request.fields.get("opts")
        flags = options.get("flags") if isinstance(options, dict) else None
        timeout = flags.get("timeout") if isinstance(flags, dict) else None
        if isinstance(timeout, (int, float)) and timeout > 0:
            return min(timeout / 1000, LONGEST_QUESTION)
        return self._ack_timeout

    def _run_handlers(self, namespace: str, request: Request) -> None:
        data = request.fields.get("data")
        if not isinstance(data, list) or not data:
            raise PacketError("an event has a list that begins with its name")
        handlers = self._events.server_side_handlers(namespace, data[0])
        self._runner.start(self._answer, namespace, request, handlers, data[1:])

    def _answer(self, namespace: str, request: Request, handlers: list[Handler], args: list[Any]) -> None:
        answer = None
        for handler in handlers:
            result = self._run(handler, args)
            answer = result if answer is None else answer
        if request.request_id is None:
            return
        try:
            self._respond(namespace, request, type=SERVER_SIDE_EMIT, data=answer)
        except UnsendableValue as error:
            logger.error("what a handler returned cannot be sent: %s", error)
            self._respond(namespace, request, type=SERVER_SIDE_EMIT, data=FAILED)

    def _run(self, handler: Handler, args: list[Any]) -> Any:
        if not handler.fewest <= len(args) <= handler.most:
            problem = f"{handler.where} cannot take {len(args)} arguments"
            self._bus.complain(f"{problem}, which a server-side event has")
            return error_answer("wrong_arguments", problem)
        try:
            return handler.function(*args)
        except Refused as refusal:
            return error_answer("refused", refusal.message, refusal.data)
        except self._runner.failures as error:
            logger.error("%s raised %s", handler.where, type(error).__name__, exc_info=error)
            return FAILED
