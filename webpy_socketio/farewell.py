"""The farewell: how all sessions end, also those of a process that another server runs and ends."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Sequence
from typing import Any, Protocol

import gevent

from .logs import logger

#: Sent to end a process, by the operator or by the server's own parent.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
#: Seconds; gunicorn's worker accepts for up to one more after the signal, and who is told earlier comes back to it.
STILL_ACCEPTING = 1.2
#: Of the time that there is: everybody is told within the first part, and the last is for the handlers of those who did
#: not take in time what was sent to them.
FIRST_PART, LAST_PART = 0.5, 0.2


class Part(Protocol):
    """What has to come to an end."""

    def drain(self, longest: float) -> None:
        """Let nobody in any more, and end what is there, all within so many seconds if it can be."""

    def end_all(self) -> None:
        """End at once what is still there."""

    @property
    def is_quiet(self) -> bool:
        """Whether everything is over."""


def drain(parts: Sequence[Part], seconds: float) -> None:
    """End everything, and wait until it is over, at most so many seconds."""
    last = seconds * LAST_PART
    for part in parts:
        part.drain(seconds * FIRST_PART)
    if not _is_over(parts, seconds - last):
        for part in parts:  # there are clients that have not taken what was sent to them
            part.end_all()
        if not _is_over(parts, last):
            logger.warning("stopped after %s seconds, though handlers were still running", seconds)


def _is_over(parts: Sequence[Part], seconds: float) -> bool:
    """Wait until everything is over, at most so many seconds; tell whether it is."""
    with gevent.Timeout(seconds, False):
        while not all(part.is_quiet for part in parts):
            gevent.sleep(0.01)
    return all(part.is_quiet for part in parts)


def promise(part: Part, seconds: float) -> None:
    """Have everything end before the process does, whoever ends it.

    It begins when the interpreter ends, or soon after the signal if a server handles that: servers wait for the
    requests that are being answered, and a held poll may last.
    """
    atexit.register(drain, (part,), seconds)
    hub = gevent.get_hub()
    if not hub.main_hub:  # signals can be handled in the main thread only
        return
    for number in SIGNALS:
        former = signal.getsignal(number)
        if callable(former):
            _precede(number, former, lambda: hub.loop.run_callback_threadsafe(_drain_soon, part, seconds))


def _drain_soon(part: Part, seconds: float) -> None:
    gevent.spawn_later(STILL_ACCEPTING, part.drain, seconds * FIRST_PART)


def _precede(number: int, former: Any, begin: Any) -> None:
    """Do something at a signal before its handler does; a signal comes in the middle of anything."""

    def handle(number: int, frame: Any) -> None:
        begin()
        former(number, frame)

    signal.signal(number, handle)
