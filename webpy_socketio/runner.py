"""The contract of what runs handlers: greenlets in production, plain calls in a test.

It is stated here so that nothing below the transports has to know gevent.

* ``start`` gives a job a greenlet of its own and returns; the job may block as long as it likes without holding
  anybody up. A job that raises is logged. Nothing of one job is left behind for another: no greenlet-local, no
  context variable. Jobs start in the order in which they were given.
* ``spawn`` does so for a job that may be ended early; it returns what ends it.
* ``breathe`` lets what is ready run before the caller goes on, if that may wait.
* ``may_wait`` tells whether whoever asks may wait; the loop itself may not.
* ``waiter`` makes something to wait on, in a job or in another OS thread.
* ``call`` runs a function where the connections live and returns its result; called from another OS thread it hops
  over and waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Waiter(Protocol):
    """One-time rendezvous: somebody waits, somebody else sets."""

    def set(self) -> None:
        """Let the one who waits go on. May be called more than once, and before anybody waits."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until set, or for so many seconds; tell whether it was set."""


class Scope(Protocol):
    """What surrounds a handler while it runs, like the ``web.ctx`` of its client's handshake."""

    def enter(self) -> Any:
        """Called in the handler's greenlet before it runs; what it returns is handed to :meth:`leave`."""

    def leave(self, entered: Any) -> None:
        """Called in the handler's greenlet after it ran, whatever happened."""


class Runner(Protocol):
    """See the module's text for the promises."""

    #: What a handler may raise without being more than a failure of its own.
    failures: tuple[type[BaseException], ...]

    def start(self, job: Callable[..., object], *args: Any) -> None: ...
    def spawn(self, job: Callable[[], object]) -> Callable[[], None]: ...
    def may_wait(self) -> bool: ...
    def breathe(self) -> None: ...
    def waiter(self) -> Waiter: ...
    def call(self, function: Callable[[], T]) -> T: ...
    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    def time(self) -> float:
        """Seconds since 1970."""
