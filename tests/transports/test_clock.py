"""The clock wakes for the earliest deadline, also for one that comes up while it sleeps."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from webpy_socketio.backplane.memory import MemoryBackplane
from webpy_socketio.events import Events
from webpy_socketio.node import Node
from webpy_socketio.settings import load_settings
from webpy_socketio.transports.clock import Clock
from webpy_socketio.transports.workers import Workers


def test_deadlines_are_met_in_order(caplog: pytest.LogCaptureFixture) -> None:
    hub = Node(load_settings({}), Events(), Workers(), MemoryBackplane()).hub
    clock = Clock(hub)
    clock.start()
    gevent.sleep(0)
    met: list[str] = []
    done = Event()

    def fail(subject: str, now: float) -> None:
        raise ValueError(subject)

    now = hub.runner.now()
    hub.deadlines.add(now + 60, lambda subject, now: met.append(subject), "never")
    hub.deadlines.add(now + 0.03, lambda subject, now: (met.append(subject), done.set()), "second")
    hub.deadlines.add(now + 0.01, lambda subject, now: met.append(subject), "first")
    hub.deadlines.add(now + 0.02, fail, "broken")
    assert done.wait(5)
    assert met == ["first", "second"]
    assert "a deadline could not be handled" in caplog.text
    clock.stop()
    assert hub.deadlines.wake is None
