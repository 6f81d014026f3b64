"""The inbox: what one client asked for, done in order, one after the other, while reading from it goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .runner import Runner, Scope

Job = Callable[..., Any]


class Inbox:
    """A queue of jobs, and at most one worker that runs them, within the client's scope.

    Nothing is left behind by one job for the next: each has a worker of its own.
    """

    __slots__ = ("_backlog", "_runner", "_scope", "_waiting", "is_busy", "jobs")

    def __init__(self, runner: Runner, scope: Scope | None) -> None:
        self._runner = runner
        self._scope = scope
        #: What waits, if there ever was anything.
        self.jobs: deque[tuple[int, Job, tuple[Any, ...]]] | None = None
        self._backlog = 0
        self._waiting: list[Callable[[], None]] | None = None
        #: Whether a job is running.
        self.is_busy = False

    @property
    def backlog(self) -> int:
        """How many jobs wait."""
        return len(self.jobs or ())

    def is_swamped(self, max_jobs: int, max_bytes: int) -> bool:
        """Whether so many jobs wait, or such big ones, that reading from the client should pause."""
        return bool(self.jobs) and (self.backlog >= max_jobs or self._backlog >= max_bytes)

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Have a function called once, when everything has been done; at once if nothing is being done."""
        if self.is_busy:
            self._waiting = [*(self._waiting or ()), callback]
        else:
            callback()

    def put(self, size: int, job: Job, *args: Any) -> None:
        """Run a job after those before it.

        :param size: bytes that it holds while it waits.
        """
        if self.is_busy:
            if self.jobs is None:
                self.jobs = deque()
            self.jobs.append((size, job, args))
            self._backlog += size
        else:
            self.is_busy = True
            self._runner.start(self._work, job, args)

    def beside(self, job: Job, *args: Any) -> None:
        """Run a job at once beside the others: one of them may be waiting for what it does."""
        self._runner.start(self.scoped, job, *args)

    def scoped(self, job: Job, *args: Any) -> None:
        """Run a job here, within the client's scope."""
        scope = self._scope
        if scope is None:
            job(*args)
            return
        entered = scope.enter()
        try:
            job(*args)
        finally:
            scope.leave(entered)

    def _work(self, job: Job, args: tuple[Any, ...]) -> None:
        scope = self._scope  # as in scoped, which would be one more call for each event
        try:
            if scope is None:
                job(*args)
            else:
                entered = scope.enter()
                try:
                    job(*args)
                finally:
                    scope.leave(entered)
        finally:
            if self.jobs:
                size, job, args = self.jobs.popleft()
                self._backlog -= size
                self._runner.start(self._work, job, args)
            else:
                self.is_busy = False
                waiting, self._waiting = self._waiting, None
                for callback in waiting or ():
                    callback()
