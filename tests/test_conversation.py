"""The conversation: what a hub tells it, and when a client is too fast for it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import ListeningConversation
from webpy_socketio.conversation import INBOX_PAYLOADS, Conversation
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.engine.session import Session, State
from webpy_socketio.errors import PacketError, RuleBroken
from webpy_socketio.hub import Hub
from webpy_socketio.metrics import Counters
from webpy_socketio.reasons import FORCED_CLOSE, PARSE_ERROR, PROTOCOL_VIOLATION, TRANSPORT_CLOSE, Reason
from webpy_socketio.settings import load_settings
from webpy_socketio.wire.dialects import V4
from webpy_socketio.wire.packets import EnginePacket, EngineType


class Still:
    """A runner whose jobs wait, on a clock that the test turns."""

    failures: tuple[type[BaseException], ...] = (Exception,)
    killed: tuple[type[BaseException], ...] = ()

    def __init__(self) -> None:
        self.time = 0.0
        self.jobs: list[Callable[[], object]] = []

    def start(self, job: Callable[..., object], *args: Any) -> None:
        self.jobs.append(lambda: job(*args))

    def now(self) -> float:
        return self.time


class Picky(ListeningConversation):
    """Takes no message."""

    error: Exception = PacketError("unreadable")

    def receive(self, message: str | bytes) -> None:
        raise self.error


@pytest.fixture
def runner() -> Still:
    return Still()


def hub_of(runner: Still, **settings: Any) -> Hub:
    options = load_settings(settings)
    return Hub(options, runner, Deadlines(), Counters(), weakref.WeakSet())  # type: ignore[arg-type]


def open_session(hub: Hub, kind: type[ListeningConversation] = ListeningConversation, **request: Any) -> Session:
    return hub.open(kind.maker(hub.runner), V4, "polling", request, None)


def say(hub: Hub, session: Session, message: str | bytes) -> None:
    hub.receive(session, EnginePacket(EngineType.MESSAGE, message))


def test_it_hears_messages_and_then_the_end(runner: Still) -> None:
    hub = hub_of(runner)
    session = open_session(hub, PATH_INFO="/")
    conversation = session.peer
    assert conversation.request == {"PATH_INFO": "/"}
    assert conversation.session is session
    say(hub, session, "text")
    say(hub, session, b"bytes")
    hub.receive(session, EnginePacket(EngineType.CLOSE))
    assert conversation.heard == ["text", b"bytes", TRANSPORT_CLOSE]
    assert session.peer is None


def test_it_hears_of_a_close_when_that_begins(runner: Still) -> None:
    hub = hub_of(runner)
    session = open_session(hub)
    conversation = session.peer
    hub.close(session, FORCED_CLOSE)
    assert conversation.heard == [FORCED_CLOSE]
    say(hub, session, "too late")
    hub.end(session, TRANSPORT_CLOSE)
    assert set(conversation.heard) == {FORCED_CLOSE}


@pytest.mark.parametrize(
    ("error", "reason"), [(PacketError("x"), PARSE_ERROR), (RuleBroken("x"), PROTOCOL_VIOLATION)], ids=["read", "rule"]
)
def test_what_it_does_not_take_ends_the_session(runner: Still, error: Exception, reason: Reason) -> None:
    hub = hub_of(runner)
    session = open_session(hub, type("Pickier", (Picky,), {"error": error}))
    say(hub, session, "anything")
    assert (session.state, session.reason) == (State.CLOSING, reason)


@pytest.mark.parametrize(("joined", "state"), [(True, State.OPEN), (False, State.CLOSING)])
def test_one_that_does_not_begin_in_time_is_given_up(runner: Still, joined: bool, state: State) -> None:
    hub = hub_of(runner, connect_timeout=5)
    session = open_session(hub)
    session.peer.joined = joined
    runner.time = 5.1
    hub.expire()
    assert session.state is state


def test_swamped_by_messages_or_by_their_size(runner: Still) -> None:
    conversation = talk(runner)
    few_messages, small_messages = load_settings({"max_inbox": 2}), load_settings({"max_payload": 100})
    for _ in range(2):
        conversation.inbox.put(100 * INBOX_PAYLOADS - 1, lambda: None)
    assert not conversation.is_swamped(few_messages)
    assert not conversation.is_swamped(small_messages)
    conversation.inbox.put(1, lambda: None)
    assert conversation.is_swamped(few_messages)
    assert conversation.is_swamped(small_messages)


def test_busy_until_everything_has_been_done(runner: Still) -> None:
    conversation = talk(runner)
    called: list[str] = []
    assert not conversation.is_busy
    conversation.inbox.put(0, called.append, "done")
    assert conversation.is_busy
    conversation.when_idle(lambda: called.append("idle"))
    runner.jobs.pop()()
    assert called == ["done", "idle"]
    assert not conversation.is_busy


def talk(runner: Still) -> Conversation:
    conversation: Conversation = open_session(hub_of(runner)).peer
    return conversation
