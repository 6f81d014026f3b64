"""Goodbyes: how a server that stops lets its clients go, each at a moment of its own."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from .engine.session import Session
from .hub import Hub
from .reasons import SERVER_SHUTDOWN

#: So many clients are told within ``drain_time`` that the server stops; fewer need less.
CROWD = 10_000
#: Seconds; within less, all can be told at once.
NOTICEABLE = 0.05
#: Seconds that a stopping server lets handlers finish before their client is told, so that it still gets their answers.
LAST_ANSWERS = 0.5
#: Seconds that a client has after that to take what was sent before: one that reads at all needs less.
LAST_WORDS = 3.0


class Goodbyes:
    """Those of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def begin(self, longest: float = math.inf) -> None:
        """Open no more sessions, and close all there are. ``Hub.is_quiet`` tells when the last handler has run.

        Of many, each goes on until its own moment within ``drain_time``, and what waits for its client is sent before,
        with the answers of handlers that are soon done: so that not everybody comes back to another server in the same
        second, and nobody has lost something.

        :param longest: seconds within which all are to be told.
        """
        hub = self._hub
        hub.draining = True
        sessions = list(hub.sessions)
        seconds = min(hub.settings.drain_time * min(1.0, len(sessions) / CROWD), longest)
        for session in sessions:
            if seconds >= NOTICEABLE:
                self._later(random.uniform(0, seconds), self._hear_out, session)
            else:
                self._hear_out(session)

    def end(self) -> None:
        """End all sessions now: the time for goodbyes is over."""
        for session in list(self._hub.sessions):
            self._cut_off(session)

    def _hear_out(self, session: Session) -> None:
        """Say goodbye to a client once what it asked for is answered; it asked before it could know."""
        if session.is_open and session.peer.is_busy:
            self._later(LAST_ANSWERS, self._say, session)
            session.peer.when_idle(lambda: self._say(session))
        else:
            self._say(session)

    def _say(self, session: Session) -> None:
        if session.is_backed_up:
            self._later(LAST_WORDS, self._cut_off, session)
            self._hub.close(session, SERVER_SHUTDOWN)
        else:
            self._cut_off(session)

    def _cut_off(self, session: Session) -> None:
        self._hub.end(session, SERVER_SHUTDOWN)

    def _later(self, seconds: float, step: Callable[[Session], None], session: Session) -> None:
        """Go a step further in some seconds, with a session that is there then."""
        self._hub.deadlines.add_weakly(self._hub.runner.now() + seconds, step, session)
