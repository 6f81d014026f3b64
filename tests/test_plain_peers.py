"""The conversation of a client that speaks no Socket.IO: what handlers see of it, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from webpy_socketio import EventError, Refused, channels, disconnect_session, send, subscribe_token, to
from webpy_socketio.events import Events
from webpy_socketio.testing import TestServer

CHANNEL = "room-1"

Calls = list[tuple[Any, ...]]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def calls(events: Events) -> Calls:
    """What the handlers are called with, in order."""
    noted: Calls = []

    def note(name: str) -> Callable[..., None]:
        return lambda request, socket, context, *args: noted.append((name, *args))

    events.on_connect(note("connect"))
    events.on_subscribe(lambda request, socket, context, channel: noted.append(("subscribe", channel)))
    events.on_message(lambda request, socket, context, message: noted.append(("message", message)))
    events.on_disconnect(lambda request, socket, context: noted.append(("disconnect", str(socket.reason))))
    events.on_unsubscribe(lambda request, socket, context, channel: noted.append(("unsubscribe", channel)))
    events.on_finish(lambda request, socket, context: noted.append(("finish", socket.channels)))
    return noted


LIFE = [("connect",), ("subscribe", CHANNEL), ("message", "hello"), ("message", b"\x00")]
END = [("unsubscribe", CHANNEL), ("finish", [CHANNEL])]


def test_a_life(events: Events, calls: Calls) -> None:
    with TestServer(events) as server:
        client = server.websocket(CHANNEL)
        client.send("hello")
        client.send(b"\x00")
        assert channels() == [CHANNEL]
        client.close()
        assert calls == [*LIFE, ("disconnect", "transport close"), *END]
        assert server.node.services.delivery.has("/", "") is False


@pytest.mark.parametrize("name", ["__subscribe__", "", '{"event": "__subscribe__"}', '42["x"]'])
def test_nothing_that_it_says_is_more_than_a_message(events: Events, calls: Calls, name: str) -> None:
    with TestServer(events) as server:
        server.websocket().send(name)
    assert calls[:2] == [("connect",), ("message", name)]


def test_handlers_of_a_channel_see_its_messages(events: Events) -> None:
    seen: list[str] = []
    events.on_message(channel="^room-")(lambda request, socket, context, message: seen.append(message))
    with TestServer(events) as server:
        server.websocket("room-1").send("inside")
        server.websocket("hall").send("outside")
    assert seen == ["inside"]


def test_it_hears_what_everybody_hears(events: Events) -> None:
    with TestServer(events) as server:
        client, other = server.websocket(CHANNEL), server.client()
        other.connect()
        other.subscribe(CHANNEL)
        assert to(CHANNEL).send("hello") == 2
        assert to(CHANNEL).emit("move", 1) == 2
        assert (client.received, other.received) == (
            ["hello", '{"event":"move","data":[1]}'],
            [["message", "hello"], ["move", 1]],
        )


def test_what_is_sent_while_it_connects_comes_first(events: Events) -> None:
    events.on_connect(lambda request, socket, context: socket.send("welcome"))
    events.on_subscribe(lambda request, socket, context, channel: socket.send("your channel"))
    with TestServer(events) as server:
        assert server.websocket(CHANNEL).received == ["welcome", "your channel"]


def test_its_session_id_is_a_private_channel(events: Events) -> None:
    with TestServer(events) as server:
        client = server.websocket(CHANNEL)
        (details,) = to().sockets()
        send(details.session_id, "for you")
        assert client.received == ["for you"]


def test_a_refusal_closes_it_with_the_reason(events: Events, calls: Calls) -> None:
    @events.on_connect
    def refuse(request: Any, socket: Any, context: Any) -> None:
        raise Refused("not today", {"more": "than fits"})

    with TestServer(events) as server:
        client = server.websocket(CHANNEL)
        assert client.reason is not None
        assert (client.reason.code, client.reason.sentence) == (4103, "refused: not today")
    assert calls == [("connect",)]


def test_a_handler_that_fails_while_it_connects_refuses(events: Events) -> None:
    events.on_connect(lambda request, socket, context: 1 / 0)
    with TestServer(events) as server:
        client = server.websocket(CHANNEL)
        assert str(client.reason) == "refused"
        assert client.reason is not None
        assert "could not decide" in client.reason.sentence


def test_what_it_said_before_it_was_refused_is_not_heard(events: Events) -> None:
    seen: list[str] = []
    events.on_message(lambda request, socket, context, message: seen.append(message))
    with TestServer(events) as server:

        @events.on_subscribe
        def refuse(request: Any, socket: Any, context: Any, channel: str) -> bool:
            socket.owner.receive("meanwhile")
            return False

        client = server.websocket(CHANNEL)
        assert client.reason is not None
        assert client.reason.sentence == "refused: refused"
    assert seen == []


def test_packet_middleware_sees_the_subscription_and_may_refuse_it(events: Events) -> None:
    seen: list[Any] = []

    @events.packet_middleware
    def watch(request: Any, socket: Any, context: Any, event: str, args: list[Any], proceed: Any) -> Any:
        seen.append((event, args))
        if args[0] == "secret":
            return "no"
        return proceed(*args)

    with TestServer(events) as server:
        assert server.websocket(CHANNEL).connected
        assert str(server.websocket("secret").reason) == "refused"
    assert seen == [("__subscribe__", [CHANNEL]), ("__subscribe__", ["secret"])]


def test_connection_middleware_surrounds_it(events: Events, calls: Calls) -> None:
    events.connection_middleware(lambda request, socket, context, proceed: None)
    with TestServer(events) as server:
        assert str(server.websocket().reason) == "refused"
    assert calls == []


def test_a_handler_may_put_it_out_before_it_is_in(events: Events, calls: Calls) -> None:
    events.on_connect(lambda request, socket, context: socket.disconnect())
    with TestServer(events) as server:
        client = server.websocket(CHANNEL)
        client.send("late")
        assert str(client.reason) == "server namespace disconnect"
    assert calls == [("connect",), ("disconnect", "server namespace disconnect"), ("finish", [])]


def test_closed_channels_need_a_token(events: Events) -> None:
    with TestServer(events, subscriptions="closed", secrets=["a secret of the tests"]) as server:
        token = subscribe_token(CHANNEL, "ann")
        assert server.websocket(CHANNEL, token).connected
        assert server.websocket().connected
        for client, code in (
            (server.websocket(CHANNEL), "token_required"),
            (server.websocket("other", token), "token_other_channel"),
            (server.websocket(CHANNEL, token.swapcase()), "token_invalid"),
        ):
            assert client.reason is not None
            assert client.reason.sentence.partition(":")[0] == code


def test_logging_out_ends_it(events: Events) -> None:
    with TestServer(events) as server:

        @events.on_connect
        def know(request: Any, socket: Any, context: Any) -> None:
            socket.web_session_id = "session 7"

        client = server.websocket(CHANNEL)
        disconnect_session("session 7")
        assert str(client.reason) == "logged out"
        assert server.hub.is_quiet


def test_asking_it_is_a_mistake_of_the_callers(events: Events) -> None:
    errors: list[BaseException] = []
    events.on_error(lambda request, socket, context, error: errors.append(error))
    events.on_message(lambda request, socket, context, message: socket.call("question"))
    events.on_message(lambda request, socket, context, message: socket.emit("question", callback=print))
    with TestServer(events) as server:
        client, other = server.websocket(), server.client()
        client.send("ask me")
        assert [type(error) for error in errors] == [EventError, EventError]
        other.connect()
        other.acknowledge["question"] = lambda: "answer"
        assert to().call("question") == ["answer"]
        assert client.received == []


def test_outgoing_messages_are_shown(events: Events) -> None:
    seen: list[Any] = []
    events.on_any_outgoing(lambda request, socket, context, event, *args: seen.append((event, *args)))
    with TestServer(events) as server:
        server.websocket(CHANNEL)
        to(CHANNEL).send("hello")
    assert seen == [("message", "hello")]


def test_work_that_it_spawned_ends_with_it(events: Events) -> None:
    seen: list[str] = []
    events.on_message(lambda request, socket, context, message: socket.spawn(seen.append, message))
    with TestServer(events) as server:
        server.websocket().send("done")
    assert seen == ["done"]


def test_heartbeats(events: Events) -> None:
    with TestServer(events) as server:
        client = server.websocket(CHANNEL)
        server.advance(1000)
        assert client.connected
        client.session.write = lambda prepared: None
        server.advance(100)
        assert str(client.session.reason) == "ping timeout"


def test_recovery_is_not_for_them(events: Events, calls: Calls) -> None:
    with TestServer(events, recovery=True) as server:
        client = server.websocket(CHANNEL)
        to(CHANNEL).send("hello")
        assert client.received == ["hello"]
        client.close()
        assert calls[-1] == ("finish", [CHANNEL])
