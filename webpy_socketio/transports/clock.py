"""The clock: the one timer of a server, which wakes for the earliest deadline of all."""

from __future__ import annotations

import gevent
from gevent.event import Event

from ..hub import Hub
from ..logs import logger

#: Seconds; what is due in between is done together.
SHORTEST_SLEEP = 0.005


class Clock:
    """A greenlet that sleeps until something is due, and tells the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._changed = Event()
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begin to watch the hub's deadlines."""
        self._hub.deadlines.wake = self._changed.set
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop watching."""
        self._hub.deadlines.wake = None
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = None

    def _run(self) -> None:
        deadlines, now = self._hub.deadlines, self._hub.runner.now
        while True:
            due = deadlines.next
            if due is None or due > now():
                self._changed.wait(None if due is None else max(SHORTEST_SLEEP, due - now()))
                self._changed.clear()
            try:
                self._hub.expire()
            except Exception:
                logger.exception("a deadline could not be handled")
