"""Inquiries: what a process asks all others, and their answers as they come.

How many answers there will be is how many connections are subscribed to the channel of the requests; a process that
subscribed and does not answer is waited for in vain.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..acks import Ballot
from ..envelope import Envelope
from ..errors import AckTimeout, PacketError
from ..runner import Runner
from .redis_bus import Bus
from .redis_wire import ACK, CLIENT_COUNT, ID_LENGTH, SERVER_SIDE_EMIT, Message
from .wires import Wire

T = TypeVar("T")


def new_id() -> str:
    """Return an id for a process or a request."""
    return secrets.token_urlsafe(ID_LENGTH)[:ID_LENGTH]


class Question(NamedTuple):
    """An event that all others are to acknowledge."""

    request_id: str
    namespace: str
    payload: bytes


class _Collection:
    """The answers to one request."""

    def __init__(self, expected: int, read: Callable[[Message], Any], done: Callable[[], None]) -> None:
        self.answers: list[Any] = []
        self._expected = expected
        self._read = read
        self._done = done

    def receive(self, message: Message) -> None:
        """Take an answer. Raises PacketError if it cannot be read."""
        if len(self.answers) < self._expected:
            self.answers.append(self._read(message))
            if len(self.answers) == self._expected:
                self._done()


class _Asked:
    """The acknowledgements of an event, which go to a ballot."""

    def __init__(self, ballot: Ballot) -> None:
        self._ballot = ballot

    def receive(self, message: Message) -> None:
        """Take a report or an acknowledgement. Raises PacketError if it is neither."""
        kind, count = message.get("type"), message.get("clientCount")
        if kind == ACK:
            self._ballot.answer_from_elsewhere(message.get("packet"))
        elif kind == CLIENT_COUNT and isinstance(count, int) and count >= 0:
            self._ballot.report(count)
        else:
            raise PacketError("neither how many clients were asked, nor what one of them answered")


class Inquiries:
    """What one process has asked and waits for.

    :param seconds: within which all others have to answer, if nothing else is said.
    """

    def __init__(self, bus: Bus, wire: Wire, runner: Runner, seconds: float) -> None:
        self._bus = bus
        self._wire = wire
        self._runner = runner
        self._seconds = seconds
        self._pending: dict[str, _Collection | _Asked] = {}

    def receive(self, message: Message) -> None:
        """Take a response of another process. Raises PacketError."""
        request_id = message.get("requestId")
        asker = self._pending.get(request_id) if isinstance(request_id, str) else None
        if asker is not None:  # else it was somebody else's question, or comes too late
            asker.receive(message)

    def collect(self, kind: int, namespace: str, read: Callable[[Message], T], **fields: Any) -> list[T]:
        """Ask all others something and wait for their answers.

        Raises AckTimeout, with the answers that came, if not all did or nobody can be asked.
        """
        return self._collect(kind, namespace, read, self._seconds, fields)

    def call(self, namespace: str, data: list[Any], seconds: float) -> list[Any]:
        """Have the handlers of a server-side event run by all others; return what they answer.

        Raises UnsendableValue, and AckTimeout as :meth:`collect` does.
        """
        return self._collect(SERVER_SIDE_EMIT, namespace, lambda m: m.get("data"), seconds, {"data": data})

    def question(self, envelope: Envelope, seconds: float) -> Question:
        """Write a question that is of use for so many seconds. Raises UnsendableValue."""
        request_id = new_id()
        payload = self._wire.write_question(request_id, envelope, seconds)
        return Question(request_id, envelope.selection.namespace, payload)

    def ask(self, question: Question, ballot: Ballot) -> None:
        """Ask the sockets of all others for acknowledgements, until :meth:`stop_asking`.

        The ballot expects one report already, which stands for all others. If it cannot be known who that is, it stays
        incomplete.
        """
        namespace = question.namespace
        self._bus.hold(self._wire.ears(namespace))
        self._pending[question.request_id] = _Asked(ballot)
        others = self._others(namespace)
        if others:
            ballot.expect_reports(others)
            self._bus.publish(self._wire.requests(namespace), question.payload)
        if others is not None:
            ballot.report(0)

    def stop_asking(self, question: Question) -> None:
        """Take no more answers to a question."""
        if self._pending.pop(question.request_id, None) is not None:
            self._bus.release(self._wire.ears(question.namespace))

    def _collect(
        self, kind: int, namespace: str, read: Callable[[Message], T], seconds: float, fields: dict[str, Any]
    ) -> list[T]:
        request_id, waiter = new_id(), self._runner.waiter()
        request = self._wire.write_request(kind, namespace, request_id, fields)
        responses = self._wire.ears(namespace)
        self._bus.hold(responses)
        try:
            others = self._others(namespace)
            if others is None:
                raise AckTimeout("the other processes cannot be asked: Redis is not reached")
            collection = self._pending[request_id] = _Collection(others, read, waiter.set)
            if others:
                self._bus.publish(self._wire.requests(namespace), request)
                if not waiter.wait(seconds):
                    answers = collection.answers
                    problem = f"{len(answers)} of {others} other processes answered within {seconds} seconds"
                    raise AckTimeout(problem, answers)
            return collection.answers
        finally:
            self._pending.pop(request_id, None)
            self._bus.release(responses)

    def _others(self, namespace: str) -> int | None:
        """How many other processes will answer; None if nobody can tell."""
        requests, responses = self._wire.requests(namespace), self._wire.ears(namespace)
        is_among_them = self._bus.holds(requests)
        channels = (*responses, requests) if is_among_them else responses
        if not self._bus.is_ready or not self._bus.wait_for(channels, self._seconds):
            return None
        count = self._bus.count(requests)
        return None if count is None else max(0, count - is_among_them)
