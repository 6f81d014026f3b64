"""The socket: what a handler holds of one client in one namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .acks import AckListener, answer_value
from .envelope import Envelope, Selection
from .errors import AckTimeout, Disconnected, EventError
from .receivers import Receiver
from .targets import Target, check_event_name, check_web_session_id, seconds_to_wait, select
from .wire.socketio import RESERVED_EVENTS


class SocketSession(NamedTuple):
    """The identity of a socket: unlike the id of the connection below it, it is no secret."""

    session_id: str


class Socket(Receiver):
    """One client in one namespace."""

    __slots__ = ()

    @property
    def session(self) -> SocketSession:
        """``socket.session.session_id`` names this socket: to ``send`` and ``to``, it is its private channel."""
        return SocketSession(self.sid)

    @property
    def web_session_id(self) -> str | None:
        """The id of the web session that the client is in; ``disconnect_session`` ends the connections of one.

        It is known of web.py's sessions. Set it in ``on_connect`` for others. Raises EventError for what is no text.
        """
        return self._web_session

    @web_session_id.setter
    def web_session_id(self, web_session_id: str | None) -> None:
        """Let the client belong to another web session, or to none."""
        if web_session_id is not None:
            check_web_session_id(web_session_id)
        web_sessions = self._services.web_sessions
        web_sessions.discard(self._web_session, self)
        self._web_session = web_session_id
        if not self._is_over:
            web_sessions.add(web_session_id, self)

    # To this client.

    def send(self, message: Any) -> None:
        """Send a message (the event ``message``) to this client. Raises UnsendableValue."""
        self._emit(["message", message], 0.0, None, False)

    def emit(
        self, event: str, *args: Any, callback: Callable[..., object] | None = None, volatile: bool = False
    ) -> None:
        """Send a named event to this client.

        :param callback: called with what the client acknowledges the event with; never, if it does not in time.
        :param volatile: drop the event if the client is not ready to take it at once.

        Raises UnsendableValue for arguments that have no form on the wire, EventError for a reserved name, and with a
        callback LimitExceeded, if the client owes too many acknowledgements already.
        """
        if type(event) is not str or event in RESERVED_EVENTS:
            check_event_name(event)
        listener = None if callback is None else self._run_callback(callback)
        self._emit([event, *args], self._services.settings.ack_timeout, listener, volatile)

    def call(self, event: str, *args: Any, timeout: float | None = None) -> Any:
        """Send a named event and wait for the client's acknowledgement; return its value (several as a list).

        :param timeout: seconds to wait; the setting ``ack_timeout`` if not given.

        Raises AckTimeout, Disconnected, LimitExceeded if the client owes too many acknowledgements already,
        UnsendableValue, EventError. During ``on_connect`` it lets the client in, since only a client that is connected
        can answer.
        """
        check_event_name(event)
        if self._held is not None:
            self.accept()
        seconds = seconds_to_wait(timeout, self._services.settings.ack_timeout)
        waiter = self._services.runner.waiter()
        answers: list[Any] = []

        def answered(args: list[Any] | None) -> None:
            answers.append(args)
            waiter.set()

        if not self.connected:
            raise Disconnected(f"the client left before it was asked {event!r}")
        link = self.link
        self._emit([event, *args], seconds, answered, False)
        waiter.wait()
        if answers[0] is None:
            if self.connected and self.link is link:
                raise AckTimeout(f"the client did not acknowledge {event!r} within {seconds} seconds")
            raise Disconnected(f"the client left before it acknowledged {event!r}")
        return answer_value(answers[0])

    # To others.

    def to(self, *channels: str, excluding: str | Iterable[str] = (), local: bool = False) -> Target:
        """Return the other sockets of the namespace, or of these channels, to send to or to do something to.

        :param excluding: a channel or session id, or several: their sockets are not meant.
        :param local: only sockets of this process are meant.

        Raises EventError for what cannot be the name of a channel.
        """
        selection = select(self.namespace, channels, excluding, local)
        return Target(self._services, selection._replace(excluded=(self.sid, *selection.excluded)))

    def broadcast(self, message: Any) -> None:
        """Send a message to everybody in the namespace but this client."""
        self._publish(message, (), but_me=True)

    def broadcast_channel(self, message: Any, channel: str | None = None) -> None:
        """Send a message to the subscribers of a channel, or of all this socket's channels, but not to this client."""
        channels = self._named(channel)
        if channels:
            self._publish(message, channels, but_me=True)

    def send_and_broadcast(self, message: Any) -> None:
        """Send a message to everybody in the namespace."""
        self._including_me(message, (), self._held is None)

    def send_and_broadcast_channel(self, message: Any, channel: str | None = None) -> None:
        """Send a message to this client and to the subscribers of a channel, or of all this socket's channels."""
        channels = self._named(channel)
        if channels:
            self._including_me(message, channels, self._held is None and self._subscriptions.has_one_of(channels))
        else:
            self.send(message)

    # Work.

    def spawn(self, function: Callable[..., object], *args: Any) -> None:
        """Run a function in a greenlet of its own, which ends with the connection at the latest.

        What it raises is reported as what a handler raises. Raises Disconnected if the connection is over, EventError
        for what is no function.
        """
        if not callable(function):
            raise EventError(f"spawn takes a function, and its arguments after it, not {function!r}")
        if self._is_over:
            raise Disconnected("the connection is over, and with it what it spawns")
        if self._spawned is None:
            self._spawned = {}
        spawned, key = self._spawned, object()

        def work() -> None:
            try:
                self.owner.perform(self, "a spawned function", function, args)
            finally:
                spawned.pop(key, None)

        spawned[key] = None
        kill = self._services.runner.spawn(work)
        if key in spawned:
            spawned[key] = kill

    @property
    def _is_over(self) -> bool:
        return not self.is_attached and (self._held is None or self.reason is not None)

    def _named(self, channel: str | None) -> tuple[str, ...]:
        return tuple(self._subscriptions) if channel is None else (channel,)

    def _publish(self, message: Any, channels: tuple[str, ...], *, but_me: bool) -> None:
        excluded = (self.sid,) if but_me else ()
        selection = Selection(self.namespace, channels, excluded)
        self._services.backplane.publish(Envelope(selection, ["message", message]))

    def _including_me(self, message: Any, channels: tuple[str, ...], among_them: bool) -> None:
        if among_them:
            self._publish(message, channels, but_me=False)
        else:
            self.send(message)
            self._publish(message, channels, but_me=True)

    def _run_callback(self, callback: Callable[..., object]) -> AckListener:
        if not callable(callback):
            raise EventError(f"callback={callback!r} is not a function")

        def answered(args: list[Any] | None) -> None:
            if args is not None:
                what = "the callback of an acknowledgement"
                self._services.runner.start(self.owner.perform, self, what, callback, args)

        return answered
