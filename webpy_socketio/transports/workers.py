"""Workers: greenlets that run handlers, parked between jobs and entered by switching to them."""

from __future__ import annotations

import contextlib
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVar

import gevent
from gevent import monkey
from gevent.event import Event
from greenlet import getcurrent, greenlet

from ..logs import logger
from ..runner import Waiter

T = TypeVar("T")
MOST_PARKED = 256

_allocate_lock = monkey.get_original("_thread", "allocate_lock")
_thread_id = monkey.get_original("_thread", "get_ident")


class _ThreadWaiter:
    """Waits in an OS thread that is not the loop's: it may have no loop of its own."""

    def __init__(self) -> None:
        self._lock = _allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has been set already
            self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        in_time: bool = self._lock.acquire(True, -1 if timeout is None else timeout)
        return in_time


def _nothing() -> None:
    pass


class Workers:
    """Runs jobs in the greenlets of one event loop; see the contract of Runner.

    What becomes ready in one turn of the loop is done by one worker, as long as nothing blocks: to enter and to leave a
    greenlet costs as much as a short job. When a job blocks, another worker goes on with those behind it.

    :param prepare: called in each worker before its first job, to make it the greenlet-locals that are emptied after
        every job.
    """

    #: gevent's timeouts are no Exception, so that they pass through code that catches all of those.
    failures: tuple[type[BaseException], ...] = (Exception, gevent.Timeout)

    def __init__(self, prepare: Callable[[], object] = _nothing) -> None:
        self._prepare = prepare
        self._hub = gevent.get_hub()
        self._loop = self._hub.loop
        self._thread = _thread_id()
        self._parked: list[greenlet] = []
        self._jobs: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._is_scheduled = False
        #: How many jobs are still to be started in this turn of the loop.
        self._due = 0
        self.now = time.monotonic
        self.time = time.time

    def start(self, job: Callable[..., object], *args: Any) -> None:
        """Run a job in a worker, after the callbacks of this turn of the loop."""
        self._jobs.append((job, args))
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.run_callback(self._run_jobs)

    def spawn(self, job: Callable[[], object]) -> Callable[[], None]:
        """Run a job in a greenlet of its own, soon; return what ends it."""
        spawned = gevent.spawn(job)
        return lambda: spawned.kill(block=False)

    def may_wait(self) -> bool:
        """Whether the caller is a greenlet, and not a callback of the loop."""
        return getcurrent() is not self._hub

    def breathe(self) -> None:
        """Let the loop turn once, if the caller is not one of its callbacks."""
        if self.may_wait():
            gevent.sleep(0)

    def waiter(self) -> Waiter:
        """Return something to wait on, in a greenlet of this loop or in another OS thread."""
        waiter: Waiter = Event() if _thread_id() == self._thread else _ThreadWaiter()
        return waiter

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in this loop's thread; from another thread, hop over and wait for its result."""
        if _thread_id() == self._thread:
            return function()
        done = _allocate_lock()
        done.acquire()
        outcome: list[Any] = []

        def visit() -> None:
            try:
                outcome.extend((function(), None))
            except BaseException as error:
                outcome.extend((None, error))
            done.release()

        # In a worker, so that no handler begins in the middle of the function, and the function may wait.
        self._hub.loop.run_callback_threadsafe(self.start, visit)
        done.acquire()
        result, error = outcome
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _run_jobs(self) -> None:
        """Start the jobs that are there; what they start themselves has its turn when the loop has been around."""
        self._is_scheduled = False
        self._due = len(self._jobs)
        while self._due > 0:
            worker = self._parked.pop() if self._parked else greenlet(self._serve, self._hub)
            worker.switch()  # comes back when it has run them all, or when one of them blocks

    def _serve(self) -> None:
        me, context, jobs = getcurrent(), Context(), self._jobs
        self._prepare()
        own_locals = weakref.getweakrefcount(me)
        while True:
            while self._due > 0:
                self._due -= 1
                job, args = jobs.popleft()
                try:
                    context.run(job, *args)
                except gevent.GreenletExit:
                    return
                except BaseException as error:
                    logger.error("a handler raised %s", type(error).__name__, exc_info=error)
                # A greenlet-local that holds something for this greenlet refers to it. If there are more than at
                # first, they belong to the application, and end with this greenlet.
                if weakref.getweakrefcount(me) > own_locals:
                    return
                if len(context):  # a context variable was set: it must not be there for the next
                    context = Context()
            job = args = None  # type: ignore[assignment]  # a parked worker must not keep a client alive
            if len(self._parked) >= MOST_PARKED:
                return
            self._parked.append(me)
            self._hub.switch()
