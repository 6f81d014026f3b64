"""The order: what a process adds to the stream, on its way back from there.

It is delivered here when it comes back, among what others have added. So every client gets it in the order that the
stream has, whichever process it is connected to, with its place in the stream, from which it can go on at any process.
Whoever published it waits for that, so that what it sends then comes after.
"""

from __future__ import annotations

from collections.abc import Callable

from ..envelope import Envelope
from ..runner import Runner


class _Pending:
    """An event that has been added, and not come back yet."""

    def __init__(self, envelope: Envelope, runner: Runner) -> None:
        self.envelope = envelope
        self.returned = runner.waiter()
        self.reached = 0
        self.error: Exception | None = None


class Order:
    """What one process has on its way.

    :param deliver: delivers an event with its place, if it has one, and returns how many sockets it reached.
    :param count: tells how many sockets an event is for.
    :param seconds: that an event may take; then it is delivered without a place.
    """

    def __init__(
        self,
        deliver: Callable[[Envelope, bytes | None], int],
        count: Callable[[Envelope], int],
        runner: Runner,
        seconds: float,
    ) -> None:
        self._deliver = deliver
        self._count = count
        self._runner = runner
        self._seconds = seconds
        self._pending: dict[int, _Pending] = {}
        self._is_delivering = False
        #: Whether nothing has come back lately that should have.
        self.is_late = False

    def follow(self, number: int, envelope: Envelope) -> int:
        """Wait until an event has been delivered; return how many sockets it reached. Raises what delivering does.

        Whoever must not wait is told how many it is for.
        """
        pending = self._pending[number] = _Pending(envelope, self._runner)
        if self._is_delivering or not self._runner.may_wait():
            self._runner.start(self._await, pending)
            return self._count(envelope)
        self._await(pending)
        if pending.error is not None:
            raise pending.error
        return pending.reached

    def came_back(self, number: int, place: bytes) -> None:
        """Deliver an event that this process has added, unless it has not been waited for."""
        self.is_late = False
        pending = self._pending.pop(number, None)
        if pending is not None:
            self._finish(pending, place)

    def release(self) -> None:
        """Deliver everything that is on its way, and wait for it no longer."""
        pending, self._pending = self._pending, {}
        for one in pending.values():
            self._finish(one, None)

    def _await(self, pending: _Pending) -> None:
        if not pending.returned.wait(self._seconds):
            self.is_late = True
            self.release()

    def _finish(self, pending: _Pending, place: bytes | None) -> None:
        was_delivering, self._is_delivering = self._is_delivering, True
        try:
            pending.reached = self._deliver(pending.envelope, place)
        except Exception as error:  # it is the publisher's
            pending.error = error
        finally:
            self._is_delivering = was_delivering
            pending.returned.set()
