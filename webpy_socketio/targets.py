"""Targets: some of a namespace's sockets, and what can be done to all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .acks import Ballot
from .envelope import Envelope, Selection, SocketDetails
from .errors import AckTimeout, EventError
from .identifiers import is_private
from .services import Services
from .wire.socketio import RESERVED_EVENTS

#: Seconds. More would be more than a thread can wait.
LONGEST_WAIT = 1e9


class Target:
    """The sockets that ``to(...)`` means; whoever is meant twice counts once. It may be kept and used again.

    Every method may be called from a page, a greenlet or a thread.
    """

    __slots__ = ("_selection", "_services")

    def __init__(self, services: Services, selection: Selection) -> None:
        self._services = services
        self._selection = selection

    def send(self, message: Any, *, volatile: bool = False) -> int:
        """Send a message (the event ``message``); see :meth:`emit`."""
        return self.emit("message", message, volatile=volatile)

    def emit(self, event: str, *args: Any, volatile: bool = False) -> int:
        """Send a named event; return how many sockets it was sent to, as far as that is known: those of this process.

        :param volatile: drop it for clients that are not ready to take it at once.

        Raises UnsendableValue for arguments that have no form on the wire, EventError for a reserved name.
        """
        check_event_name(event)
        envelope = Envelope(self._selection, [event, *args], volatile)
        backplane = self._services.backplane
        return self._services.runner.call(lambda: backplane.publish(envelope))

    def call(self, event: str, *args: Any, timeout: float | None = None) -> list[Any]:
        """Send a named event and wait for the acknowledgements of all; return their values in the order they came.

        :param timeout: seconds to wait; the setting ``ack_timeout`` if not given.

        Raises AckTimeout if some did not answer in time or left before; its ``answers`` has what did come. Raises
        UnsendableValue and EventError.
        """
        check_event_name(event)
        services = self._services
        seconds = seconds_to_wait(timeout, services.settings.ack_timeout)
        envelope = Envelope(self._selection, [event, *args])
        waiter = services.runner.waiter()
        ballot = Ballot(waiter.set)
        until = services.runner.now() + seconds
        question = services.runner.call(lambda: services.backplane.ask(envelope, ballot, seconds))
        is_complete = False
        try:
            is_complete = waiter.wait(max(0.0, until - services.runner.now()))
        finally:
            services.runner.call(lambda: self._stop_asking(question, ballot))
        # The last answer may have come after the wait and before the question was closed.
        if ballot.left or not (is_complete or waiter.wait(0)):
            problem = (
                f"{len(ballot.answers)} acknowledged {event!r} within {seconds} seconds, {ballot.missing} did not, "
                f"and {ballot.left} left"
            )
            if ballot.unreported:
                problem += f"; {ballot.unreported} other processes did not say whom they asked"
            raise AckTimeout(problem, ballot.answers)
        return ballot.answers

    def sockets(self) -> list[SocketDetails]:
        """List those that are connected: their session ids, their channels, and copies of their contexts.

        Raises AckTimeout, with the ``answers`` that came, if another process does not tell of its sockets.
        """
        services = self._services
        return services.runner.call(lambda: services.backplane.sockets(self._selection))

    def subscribe(self, *channels: str) -> None:
        """Subscribe all to channels. The decision is yours: ``on_subscribe`` is not asked. Raises EventError."""
        check_channels(channels)
        services = self._services
        services.runner.call(lambda: services.backplane.subscribe(self._selection, channels))

    def unsubscribe(self, *channels: str) -> None:
        """End the subscriptions of all to channels. Raises EventError."""
        check_names(channels)
        services = self._services
        services.runner.call(lambda: services.backplane.unsubscribe(self._selection, channels))

    def disconnect(self) -> None:
        """Put all out of the namespace; they do not come back by themselves."""
        services = self._services
        services.runner.call(lambda: services.backplane.disconnect(self._selection))

    def _stop_asking(self, question: int, ballot: Ballot) -> None:
        self._services.backplane.stop_asking(question)
        self._services.counters.expired_acks += ballot.missing


def select(namespace: str, channels: Sequence[str], excluding: str | Iterable[str], local: bool) -> Selection:
    """Return who is meant. Raises EventError for what cannot be the name of a namespace or of a channel."""
    check_namespace(namespace)
    if not isinstance(excluding, Iterable):
        raise EventError(f"excluding={excluding!r} names neither a channel nor a session id, nor several of them")
    excluded = (excluding,) if isinstance(excluding, str) else tuple(excluding)
    for name in (*channels, *excluded):
        if not isinstance(name, str) or not name:
            raise EventError(f"a channel or session id is a text, not {name!r}; several are separate arguments")
    return Selection(namespace, tuple(channels), excluded, local)


def check_namespace(namespace: str) -> None:
    """Raise EventError for what cannot be the name of a namespace."""
    if not isinstance(namespace, str) or not namespace.startswith("/"):
        raise EventError(f"namespace={namespace!r} is not a namespace; one starts with a slash, like '/admin'")


def check_event_name(event: str) -> None:
    """Raise EventError for what cannot be the name of an event."""
    if not isinstance(event, str) or event in RESERVED_EVENTS:
        raise EventError(f"{event!r} cannot be the name of an event: choose another")


def check_names(channels: Sequence[str]) -> None:
    """Raise EventError for what cannot be the name of a channel."""
    for channel in channels:
        if not isinstance(channel, str) or not channel:
            raise EventError(f"a channel has a name, not {channel!r}")


def check_channels(channels: Sequence[str]) -> None:
    """Raise EventError for what cannot be the name of a channel that somebody subscribes to."""
    check_names(channels)
    for channel in channels:
        if is_private(channel):
            raise EventError(f"{channel!r} is the private channel of a session id: nobody subscribes to it")


def check_web_session_id(web_session_id: str) -> None:
    """Raise EventError for what cannot be the id of a web session."""
    if not isinstance(web_session_id, str) or not web_session_id:
        raise EventError(f"the id of a web session is a text, not {web_session_id!r}")


def seconds_to_wait(timeout: float | None, default: float) -> float:
    """Return how long to wait. Raises EventError for what is no number of seconds."""
    if timeout is None:
        return default
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout != timeout:
        raise EventError(f"timeout={timeout!r} is not a number of seconds")
    return min(max(timeout, 0), LONGEST_WAIT)
