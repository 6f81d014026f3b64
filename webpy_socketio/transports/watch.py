"""The watch: notices that something holds the event loop, and says what it was.

While one greenlet computes, or waits in a way that gevent cannot see, nobody else is served. The loop itself cannot
notice; so a thread of the operating system asks it a few times within the longest time allowed, and looks at its stack
if it does not answer. A quiet loop has a few callbacks each second to run for that.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

import gevent
from gevent import monkey

from ..logs import logger
from ..metrics import Counters
from ..runner import Runner

#: How often the loop is asked within the time that it may be held, and looked at while it is held for longer.
LOOKS = 4
#: How many times that time something is waited for before the log says that it still goes on.
PATIENCE = 10
#: Seconds for which what was said of one culprit is not said again, and how many culprits are remembered for that.
SILENCE, MOST_REMEMBERED = 60.0, 100
#: Those who call an application's functions; they are not what holds the loop.
CALLERS = ("webpy_socketio", "gevent", "greenlet", "web", "gunicorn", "threading", "contextlib")

_allocate_lock = monkey.get_original("_thread", "allocate_lock")
_start_thread = monkey.get_original("_thread", "start_new_thread")
_thread_id = monkey.get_original("_thread", "get_ident")


class Culprit(NamedTuple):
    """What was seen to hold the loop."""

    #: The function of the application that was called: its module and name.
    function: str
    #: The file and line where that was, and those of the function in which it had ended up, if that is another.
    place: str
    inner: str

    def __str__(self) -> str:
        return f"{self.function} at {self.place}{f', in {self.inner}' if self.inner else ''}"


class _Moment(NamedTuple):
    """A moment, and how much the process had computed by then, in seconds."""

    time: float
    used: float

    @classmethod
    def now(cls) -> _Moment:
        return cls(time.monotonic(), time.process_time())

    def is_before_standstill(self, expected: float) -> bool:
        """Whether the process as a whole has stood still since, as when it was stopped, or its machine slept.

        :param expected: seconds that should have passed. What holds the interpreter's lock makes it more, but computes.
        """
        time, used = self.now()
        passed = time - self.time
        return passed > expected and used - self.used < passed / 2


class Watch:
    """Watches the loop of the thread that makes it.

    :param max_blocking: seconds for which nothing is said.
    """

    def __init__(self, runner: Runner, counters: Counters, max_blocking: float) -> None:
        self._runner = runner
        self._counters = counters
        self._longest = max_blocking
        self._pause = max_blocking / LOOKS
        self._loop = gevent.get_hub().loop
        self._loop_thread = _thread_id()
        self._stopped, self._turned = _allocate_lock(), _allocate_lock()
        #: When each culprit was spoken of last.
        self._told: dict[str, float] = {}

    def start(self) -> None:
        """Begin to watch. After a fork, the child is not watched."""
        self._stopped.acquire()
        self._turned.acquire()
        _start_thread(self._run, ())

    def stop(self) -> None:
        """Watch no more."""
        with contextlib.suppress(RuntimeError):  # it was stopped before
            self._stopped.release()

    # In the thread.

    def _run(self) -> None:
        while not self._stopped.acquire(True, self._pause):
            asked = _Moment.now()
            if not self._call_in_loop(self._turned.release):
                return
            while not self._turned.acquire(True, self._longest):
                if not self._stopped.locked():
                    return
                if not asked.is_before_standstill(self._longest + self._pause):
                    self._observe(asked.time)
                    break
                asked = _Moment.now()

    def _call_in_loop(self, function: Callable[..., object], *args: object) -> bool:
        """Have something called by the loop; False if there is no loop any more."""
        try:
            self._loop.run_callback_threadsafe(function, *args)
        except Exception:  # whatever a loop that was destroyed raises
            return False
        return True

    def _observe(self, asked: float) -> None:
        """Look at what holds the loop until nothing does, and have it told."""
        seen: Counter[Culprit] = Counter()
        is_told = False
        while self._stopped.locked():
            frame = sys._current_frames().get(self._loop_thread)
            if frame is None:  # the thread has ended, and its loop with it
                self.stop()
                return
            seen[find_culprit(frame)] += 1
            del frame  # it would keep alive what the handler works with
            culprit = seen.most_common(1)[0][0]
            has_turned = self._turned.acquire(True, self._pause)
            seconds = time.monotonic() - asked
            if has_turned:
                self._call_in_loop(self._runner.start, self._tell, culprit, seconds)
                break
            if not is_told and seconds > PATIENCE * self._longest:
                is_told = True
                logger.warning("%s has held the event loop for %.0f s, and still does", culprit, seconds)

    # In the loop.

    def _tell(self, culprit: Culprit, seconds: float) -> None:
        """Say who held the loop, if that was not said a moment ago."""
        self._counters.times_held += 1
        self._counters.held_seconds += seconds
        now, key = time.monotonic(), culprit.function
        if now - self._told.get(key, -SILENCE) < SILENCE:
            return
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        self._told[key] = now
        logger.warning(
            "%s held the event loop for %.1f s, and nobody else was served meanwhile: let it wait in gevent's way, or "
            "compute in gevent.get_hub().threadpool (see \"The watch on the event loop\" in docs/operations.rst)",
            culprit, seconds,
        )  # fmt: skip


def find_culprit(frame: FrameType) -> Culprit:
    """Name what runs in a thread: the outermost function of the application, or else the innermost of all.

    :param frame: the thread's innermost.
    """
    steps = [frame]
    while (step := steps[-1].f_back) is not None:
        steps.append(step)
    found = next((step for step in reversed(steps) if not _is_caller(step)), frame)
    return Culprit(_name(found), _place(found), "" if found is frame else f"{_name(frame)} at {_place(frame)}")


def _is_caller(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in CALLERS


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{frame.f_globals.get('__name__', '?')}.{getattr(code, 'co_qualname', code.co_name)}"


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
