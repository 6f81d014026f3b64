"""Long-polling, where its answer depends on what happens while a request is being answered."""

from __future__ import annotations

import gevent
import pytest

from tests.fakes import ListeningConversation
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.engine.session import Session, Step
from webpy_socketio.hub import Hub
from webpy_socketio.metrics import Counters
from webpy_socketio.settings import load_settings
from webpy_socketio.transports.polling import Polling
from webpy_socketio.transports.workers import Workers
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.prepared import Prepared


@pytest.fixture
def session() -> Session:
    """A session whose client is trying a WebSocket."""
    workers = Workers()
    settings = load_settings({})
    hub = Hub(settings, workers, Deadlines(), Counters(), set())
    session = hub.open(ListeningConversation.maker(workers), V4, "polling", {}, None)
    session.carrier = Polling(session, hub)
    session.step(Step.PROBE)
    return session


@pytest.mark.parametrize(
    ("upgrades", "waiting", "answer"),
    [(False, b"", ("200 OK", b"6")), (True, b"", ("400 Bad Request", b"")), (False, b"x", ("200 OK", b"4x"))],
    ids=["upgrade goes on", "upgrade is over meanwhile", "something is queued"],
)
def test_a_get_while_a_client_upgrades(
    session: Session, upgrades: bool, waiting: bytes, answer: tuple[str, bytes]
) -> None:
    """The client's last packet may still be on the way; it was sent before the GET, which then comes too late."""
    if waiting:
        session.send(Prepared(waiting))
    polled = gevent.spawn(session.carrier.get, None)
    gevent.sleep(0)
    if upgrades:
        session.upgrade("websocket", 0.0)
    assert polled.get(timeout=5)[:2] == answer
